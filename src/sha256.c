/*
 * sha256: SHA-256 by the text of FIPS 180-4, sections 5 and 6. See sha256.h.
 *
 * The constants are the first 32 bits of the fractional parts of the cube roots of the first
 * 64 primes; the first values those of the square roots of the first 8.
 */
#include "sha256.h"

#include <string.h>

enum { ROUNDS = 64, LENGTH_BYTES = 8 };

/* clang-format off */
static const uint32_t round_constants[ROUNDS] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* clang-format on */

static uint32_t rotr(uint32_t x, int by)
{
	return x >> by | x << (32 - by);
}

static uint32_t read_word(const unsigned char *p)
{
	uint32_t word = 0;

	for (size_t i = 0; i < sizeof(word); i++)
		word = word << 8 | p[i];
	return word;
}

static void write_word(unsigned char *p, uint32_t word)
{
	for (size_t i = sizeof(word); i-- > 0; word >>= 8)
		p[i] = (unsigned char)word;
}

/* The message schedule: 16 words of the block, and what follows from them. */
static void schedule(uint32_t w[ROUNDS], const unsigned char *block)
{
	for (size_t i = 0; i < 16; i++)
		w[i] = read_word(block + i * sizeof(w[0]));
	for (size_t i = 16; i < ROUNDS; i++) {
		uint32_t a = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t b = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
}

static void hash_block(struct sha256 *sha, const unsigned char *block)
{
	uint32_t w[ROUNDS], v[8];

	schedule(w, block);
	memcpy(v, sha->state, sizeof(v));
	for (size_t i = 0; i < ROUNDS; i++) {
		uint32_t s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
		uint32_t s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
		uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
		uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
		uint32_t t1 = v[7] + s1 + choice + round_constants[i] + w[i];

		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[0] = t1 + s0 + majority;
		v[4] += t1;
	}
	for (size_t i = 0; i < 8; i++)
		sha->state[i] += v[i];
}

void sha256_init(struct sha256 *sha)
{
	static const uint32_t first[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(sha->state, first, sizeof(first));
	sha->bytes = 0;
}

void sha256_add(struct sha256 *sha, struct str bytes)
{
	while (bytes.n) {
		size_t used = sha->bytes % SHA256_BLOCK, room = SHA256_BLOCK - used;
		size_t n = bytes.n < room ? bytes.n : room;

		memcpy(sha->block + used, bytes.p, n);
		sha->bytes += n;
		bytes = str_from(bytes, n);
		if (n == room)
			hash_block(sha, sha->block);
	}
}

void sha256_end(struct sha256 *sha, unsigned char digest[SHA256_BYTES])
{
	unsigned char length[sizeof(uint64_t)];
	uint64_t bits = sha->bytes * 8;

	for (size_t i = sizeof(length); i-- > 0; bits >>= 8)
		length[i] = (unsigned char)bits;
	/* A bit, zeros up to the end of a block, and there the length in bits. */
	sha256_add(sha, STR("\x80"));
	while (sha->bytes % SHA256_BLOCK != SHA256_BLOCK - LENGTH_BYTES)
		sha256_add(sha, STR("\0"));
	sha256_add(sha, (struct str){ (const char *)length, sizeof(length) });
	for (size_t i = 0; i < 8; i++)
		write_word(digest + i * sizeof(sha->state[0]), sha->state[i]);
}
