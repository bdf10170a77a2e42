/*
 * sha512: the hash functions SHA-512 and SHA-384, which is the same with other first values, cut
 * short, of FIPS 180-4. Pure.
 */
#ifndef SHA512_H
#define SHA512_H

#include "str.h"

enum { SHA512_BYTES = 64, SHA384_BYTES = 48, SHA512_BLOCK = 128 };

struct sha512 {
	uint64_t state[8];
	uint64_t bytes; /* hashed so far, those in block included */
	unsigned char block[SHA512_BLOCK];
};

/* Begin a hash. */
void sha512_init(struct sha512 *sha);
void sha384_init(struct sha512 *sha);

/* Hashes more bytes. */
void sha512_add(struct sha512 *sha, struct str bytes);

/* Ends it: the digest, of which a SHA-384 uses the first SHA384_BYTES. */
void sha512_end(struct sha512 *sha, unsigned char digest[SHA512_BYTES]);

#endif
