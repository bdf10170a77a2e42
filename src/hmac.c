/*
 * hmac: see hmac.h.
 *
 * hash(outer pad, hash(inner pad, message)), where the pads are the key, padded to a block or
 * hashed if it is longer, with each byte flipped by a constant.
 */
#include "hmac.h"

#include <string.h>

#include "sha256.h"
#include "sha512.h"

union state {
	struct sha256 sha256;
	struct sha512 sha512;
};

static void state_init(enum hmac_hash hash, union state *state)
{
	switch (hash) {
	case HMAC_SHA256: sha256_init(&state->sha256); break;
	case HMAC_SHA384: sha384_init(&state->sha512); break;
	case HMAC_SHA512: sha512_init(&state->sha512); break;
	}
}

static void state_add(enum hmac_hash hash, union state *state, struct str bytes)
{
	if (hash == HMAC_SHA256)
		sha256_add(&state->sha256, bytes);
	else
		sha512_add(&state->sha512, bytes);
}

static const size_t digest_bytes[] = {
	[HMAC_SHA256] = SHA256_BYTES, [HMAC_SHA384] = SHA384_BYTES, [HMAC_SHA512] = SHA512_BYTES
};

/* Returns the length of the digest. */
static size_t state_end(enum hmac_hash hash, union state *state,
			unsigned char digest[HMAC_BYTES_MAX])
{
	if (hash == HMAC_SHA256)
		sha256_end(&state->sha256, digest);
	else
		sha512_end(&state->sha512, digest);
	return digest_bytes[hash];
}

/* hash(key ^ flip, message) */
static size_t keyed_hash(enum hmac_hash hash, const unsigned char key[SHA512_BLOCK],
			 unsigned char flip, struct str message,
			 unsigned char digest[HMAC_BYTES_MAX])
{
	size_t block = hash == HMAC_SHA256 ? SHA256_BLOCK : SHA512_BLOCK;
	unsigned char pad[SHA512_BLOCK];
	union state state;

	for (size_t i = 0; i < block; i++)
		pad[i] = key[i] ^ flip;
	state_init(hash, &state);
	state_add(hash, &state, (struct str){ (const char *)pad, block });
	state_add(hash, &state, message);
	return state_end(hash, &state, digest);
}

size_t hmac(enum hmac_hash hash, struct str key, struct str message,
	    unsigned char mac[HMAC_BYTES_MAX])
{
	size_t block = hash == HMAC_SHA256 ? SHA256_BLOCK : SHA512_BLOCK, len;
	unsigned char padded[SHA512_BLOCK] = { 0 };
	union state state;

	if (key.n > block) {
		state_init(hash, &state);
		state_add(hash, &state, key);
		len = state_end(hash, &state, padded);
		memset(padded + len, 0, sizeof(padded) - len);
	} else if (key.n) {
		memcpy(padded, key.p, key.n);
	}
	len = keyed_hash(hash, padded, 0x36, message, mac);
	return keyed_hash(hash, padded, 0x5c, (struct str){ (const char *)mac, len }, mac);
}
