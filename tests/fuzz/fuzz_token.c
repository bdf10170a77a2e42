/*
 * Targets: tokens and forms. A first byte of 0 means a token as it stands, 1 a header, a NUL and
 * claims, which are signed here, 2 a form.
 */
#include "fuzz.h"

#include <errno.h>

#include "base64url.h"
#include "form.h"
#include "grant.h"
#include "hmac.h"
#include "json.h"
#include "names.h"

enum { TEXT_MAX = 1 << 17, NOW_S = 1700000000 };

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

static void walk(struct buf *list)
{
	struct str rest = buf_str(list), name;
	size_t count = 0;

	while (names_next(&rest, &name)) {
		EXPECT(name.n > 0);
		count++;
	}
	EXPECT(rest.n == 0 && count <= GRANT_SELECTORS_MAX);
}

/* Whether it is believed; what it grants is well-formed then. */
static bool verify(struct str token)
{
	struct jwt jwt = { .expires_s = 0 };
	const char *wrong, *why = NULL;
	struct grant grant;
	struct buf text;

	buf_init(&text, TEXT_MAX);
	wrong = jwt_verify(token, STR("key"), NOW_S, &text, &jwt);
	if (!wrong) {
		EXPECT(json_type(jwt.claims) == JSON_OBJECT && jwt.expires_s > (double)NOW_S);
		grant_init(&grant);
		why = grant_read(&grant, &jwt);
		if (!why) {
			walk(&grant.publish);
			walk(&grant.subscribe);
			EXPECT(grant.has_publish || grant.publish.n == 0);
		}
		grant_done(&grant);
	}
	buf_done(&text);
	return !wrong;
}

static void sign(struct str in)
{
	unsigned char mac[HMAC_BYTES_MAX];
	struct str header, claims = in;
	struct buf token;
	bool is_believed;
	size_t n;

	if (!str_cut(&claims, '\0', &header))
		return;
	buf_init(&token, TEXT_MAX);
	encode(&token, header);
	buf_add_char(&token, '.');
	encode(&token, claims);
	n = hmac(HMAC_SHA256, STR("key"), buf_str(&token), mac);
	buf_add_char(&token, '.');
	encode(&token, (struct str){ (const char *)mac, n });
	is_believed = verify(buf_str(&token));
	if (is_believed) {
		/* One bit of the signature. */
		token.p[token.n - 5] = token.p[token.n - 5] == 'A' ? 'B' : 'A';
		EXPECT(!verify(buf_str(&token)));
	}
	buf_done(&token);
}

static void walk_form(struct str in)
{
	char *copy = fuzz_copy(in);
	struct form form = { copy, in.n };
	struct str whole = { copy, in.n }, name, value;
	size_t bytes = 0;
	int got;

	while ((got = form_next(&form, &name, &value)) > 0) {
		EXPECT(fuzz_inside(name, whole) && fuzz_inside(value, whole));
		EXPECT(value.n == 0 || name.p + name.n < value.p);
		bytes += name.n + value.n;
	}
	EXPECT(got == 0 || got == -EINVAL);
	EXPECT(bytes <= in.n);
	free(copy);
}

int FUZZ_TARGET(token)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n < 20000 ? n : 20000 };
	unsigned what = fuzz_byte(&in);
	char *copy = fuzz_copy(in);

	in.p = copy;
	if (what == 0)
		verify(in);
	else if (what == 1)
		sign(in);
	else
		walk_form(in);
	free(copy);
	return 0;
}
