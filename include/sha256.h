/*
 * sha256: the hash function SHA-256 of FIPS 180-4. Pure.
 */
#ifndef SHA256_H
#define SHA256_H

#include "str.h"

enum { SHA256_BYTES = 32, SHA256_BLOCK = 64 }; /* of a digest; of what is hashed at a time */

struct sha256 {
	uint32_t state[8];
	uint64_t bytes; /* hashed so far, those in block included */
	unsigned char block[SHA256_BLOCK];
};

/* Begins a hash. */
void sha256_init(struct sha256 *sha);

/* Hashes more bytes. */
void sha256_add(struct sha256 *sha, struct str bytes);

/* Ends it: the digest. To go on with the same struct, begin anew. */
void sha256_end(struct sha256 *sha, unsigned char digest[SHA256_BYTES]);

#endif
