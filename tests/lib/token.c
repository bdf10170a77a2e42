/*
 * token: see token.h.
 */
#include "token.h"

#include <assert.h>
#include <stdio.h>

#include "hmac.h"

static void encode(struct buf *out, struct str bytes)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		bits = (bits << 8 | (unsigned char)bytes.p[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			buf_add_char(out, alphabet[bits >> (have - 6) & 63]);
	}
	if (have)
		buf_add_char(out, alphabet[bits << (6 - have) & 63]);
}

struct token token_with(const char *header, const char *claims, const char *key)
{
	unsigned char mac[HMAC_BYTES_MAX];
	struct token token;
	struct buf text;

	buf_init(&text, TOKEN_MAX - 1);
	encode(&text, str_of(header));
	buf_add_char(&text, '.');
	encode(&text, str_of(claims));
	size_t n = hmac(HMAC_SHA256, str_of(key), buf_str(&text), mac);

	buf_add_char(&text, '.');
	encode(&text, (struct str){ (const char *)mac, n });
	assert(!text.err); /* else it is too long */
	snprintf(token.text, sizeof(token.text), "%.*s", STR_ARG(buf_str(&text)));
	buf_done(&text);
	return token;
}

struct token token_of(const char *claims)
{
	return token_with("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims, TOKEN_KEY);
}

struct token token_for(const char *publish, const char *subscribe)
{
	char claims[TOKEN_MAX];

	snprintf(claims, sizeof(claims), "{\"mercure\":{\"publish\":[%s],\"subscribe\":[%s]}}",
		 publish, subscribe);
	return token_of(claims);
}
