/*
 * jwt, base64url and grant: which tokens are believed, and what they allow. The tokens are made
 * here, by an encoder of the test's own; one comes from elsewhere.
 */
#include "jwt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

#include "base64url.h"
#include "grant.h"
#include "guard.h"
#include "hmac.h"
#include "names.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define KEY          "!ChangeThisMercureHubJWTSecretKey!"

enum { NOW_S = 1700000000 };

static const char FOREIGN[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
			      "eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0."
			      "a8cjcSRUAcHdnGNMKifA4BK5epRXxQI0UBp2XpNrBdw";

static void encode(struct buf *out, struct str bytes)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned long bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		bits = bits << 8 | (unsigned char)bytes.p[i];
		for (have += 8; have >= 6; have -= 6)
			buf_add_char(out, alphabet[bits >> (have - 6) & 63]);
	}
	if (have)
		buf_add_char(out, alphabet[bits << (6 - have) & 63]);
}

/* A token of these parts, signed by that hash. */
static void make(struct buf *out, enum hmac_hash hash, const char *header, const char *claims)
{
	unsigned char mac[HMAC_BYTES_MAX];

	buf_init(out, 1 << 20);
	encode(out, str_of(header));
	buf_add_char(out, '.');
	encode(out, str_of(claims));
	size_t n = hmac(hash, STR(KEY), buf_str(out), mac);

	buf_add_char(out, '.');
	encode(out, (struct str){ (const char *)mac, n });
}

static const char *verify_with(struct str token, struct str key, struct grant *grant)
{
	struct jwt jwt = { .expires_s = 0 };
	struct buf text;
	const char *wrong;

	buf_init(&text, 1 << 20);
	grant_init(grant);
	wrong = jwt_verify(token, key, NOW_S, &text, &jwt);
	if (!wrong)
		wrong = grant_read(grant, &jwt);
	buf_done(&text);
	return wrong;
}

static const char *verify(struct str token)
{
	struct grant grant;
	const char *wrong = verify_with(token, STR(KEY), &grant);

	grant_done(&grant);
	return wrong;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const struct {
	const char *header, *claims;
	enum hmac_hash hash;
	const char *wrong; /* a word of the sentence; NULL = it is believed */
} rows[] = {
	{ HS256, "{}", HMAC_SHA256, NULL },
	{ "{\"alg\":\"HS384\"}", "{}", HMAC_SHA384, NULL },
	{ "{\"alg\":\"HS512\"}", "{}", HMAC_SHA512, NULL },
	{ "{\"alg\":\"HS512\"}", "{}", HMAC_SHA256, "signature" },
	{ "{\"alg\":\"HS256\"}", "{}", HMAC_SHA512, "signature" },
	{ "{\"alg\":\"none\"}", "{}", HMAC_SHA256, "HS256" },
	{ "{\"alg\":\"None\"}", "{}", HMAC_SHA256, "HS256" },
	{ "{\"alg\":\"hs256\"}", "{}", HMAC_SHA256, "HS256" },
	{ "{\"alg\":\"RS256\"}", "{}", HMAC_SHA256, "HS256" },
	{ "{\"alg\":256}", "{}", HMAC_SHA256, "HS256" },
	{ "{}", "{}", HMAC_SHA256, "HS256" },
	{ "[]", "{}", HMAC_SHA256, "malformed" },
	{ "{\"alg\":\"HS256\"", "{}", HMAC_SHA256, "malformed" },
	{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{}", HMAC_SHA256, "asks" },
	{ "{\"alg\":\"HS256\",\"crit\":null}", "{}", HMAC_SHA256, "asks" },
	{ HS256, "[]", HMAC_SHA256, "malformed" },
	{ HS256, "", HMAC_SHA256, "malformed" },
	{ HS256, "{\"exp\":1}", HMAC_SHA256, "expired" },
	{ HS256, "{\"exp\":1700000000}", HMAC_SHA256, "expired" },
	{ HS256, "{\"exp\":1700000000.5}", HMAC_SHA256, NULL },
	{ HS256, "{\"exp\":1700000001}", HMAC_SHA256, NULL },
	{ HS256, "{\"exp\":17e8}", HMAC_SHA256, "expired" },
	{ HS256, "{\"exp\":1e400}", HMAC_SHA256, NULL },
	{ HS256, "{\"exp\":\"1700000001\"}", HMAC_SHA256, "number" },
	{ HS256, "{\"exp\":null}", HMAC_SHA256, "number" },
	{ HS256, "{\"nbf\":1700000000}", HMAC_SHA256, NULL },
	{ HS256, "{\"nbf\":1700000000.5}", HMAC_SHA256, "yet" },
	{ HS256, "{\"nbf\":true}", HMAC_SHA256, "number" },
	{ HS256, "{\"mercure\":[]}", HMAC_SHA256, "object" },
	{ HS256, "{\"mercure\":null}", HMAC_SHA256, "object" },
	{ HS256, "{\"mercure\":{\"publish\":\"*\"}}", HMAC_SHA256, "arrays" },
	{ HS256, "{\"mercure\":{\"subscribe\":{}}}", HMAC_SHA256, "arrays" },
	{ HS256, "{\"mercure\":{\"publish\":[1]}}", HMAC_SHA256, "strings" },
	{ HS256, "{\"mercure\":{\"publish\":null,\"subscribe\":[\"\"]}}", HMAC_SHA256, NULL },
};

Test(jwt, which_tokens_are_believed)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf token;
		const char *wrong;

		make(&token, rows[i].hash, rows[i].header, rows[i].claims);
		wrong = verify(buf_str(&token));
		cr_assert(rows[i].wrong ? wrong && strstr(wrong, rows[i].wrong) : !wrong,
			  "%s %s: %s", rows[i].header, rows[i].claims, wrong ? wrong : "believed");
		buf_done(&token);
	}
}

Test(jwt, one_that_somebody_else_made)
{
	struct grant grant;
	struct str at, name;

	cr_assert(!verify_with(str_of(FOREIGN), STR(KEY), &grant));
	at = buf_str(&grant.publish);
	cr_assert(grant.has_publish && names_next(&at, &name) && str_eq(name, STR("*")));
	cr_assert(at.n == 0 && grant.subscribe.n == 0 && isinf(grant.expires_s));
	grant_done(&grant);
	cr_assert(verify_with(str_of(FOREIGN), STR("another key"), &grant));
	grant_done(&grant);
}

/* Cut anywhere, or one byte changed anywhere: it is worth nothing, and nothing is read behind it.
 */
Test(jwt, forged_and_truncated)
{
	struct guard guard = guard_new(sizeof(FOREIGN));
	char changed[sizeof(FOREIGN)];

	for (size_t n = 0; n + 1 < sizeof(FOREIGN); n++)
		cr_assert(verify(guard_place(&guard, (struct str){ FOREIGN, n })), "%zu bytes", n);
	for (size_t at = 0; at + 1 < sizeof(FOREIGN); at++)
		for (int c = 0; c < 256; c++) {
			memcpy(changed, FOREIGN, sizeof(FOREIGN));
			changed[at] = (char)c;
			cr_assert(verify(guard_place(
					  &guard, (struct str){ changed, sizeof(FOREIGN) - 1 })) ||
					  changed[at] == FOREIGN[at],
				  "byte %zu is %d", at, c);
		}
	guard_free(&guard);
}

Test(jwt, has_exactly_two_dots)
{
	struct buf token;

	buf_init(&token, 1000);
	buf_add(&token, str_of(FOREIGN));
	buf_add_char(&token, '.');
	cr_assert(verify(buf_str(&token)));
	buf_add(&token, STR("AAAA"));
	cr_assert(verify(buf_str(&token)));
	buf_done(&token);
	cr_assert(verify(STR("")) && verify(STR("..")) && verify(STR("a.b")));
}

Test(grant, what_it_says)
{
	struct grant grant;
	struct buf token;
	struct str at, name;

	make(&token, HMAC_SHA256, HS256,
	     "{\"mercure\":{\"publish\":[\"no\"]},\"https://mercure.rocks/\":{\"publish\":[],"
	     "\"subscribe\":[\"a\\u00e9\",\"\",\"b{/c}\"],\"payload\":{\"n\": [1]}},\"exp\":1700000009.25}");
	cr_assert(!verify_with(buf_str(&token), STR(KEY), &grant));
	cr_assert(grant.has_publish && grant.publish.n == 0, "an empty list grants nothing");
	at = buf_str(&grant.subscribe);
	cr_assert(names_next(&at, &name) && str_eq(name, STR("a\xc3\xa9")));
	cr_assert(names_next(&at, &name) && str_eq(name, STR("b{/c}")) && at.n == 0);
	cr_assert(str_eq(buf_str(&grant.payload), STR("{\"n\": [1]}")));
	cr_assert(grant.expires_s > 1700000009.2 && grant.expires_s < 1700000009.3);
	grant_done(&grant);
	buf_done(&token);
	make(&token, HMAC_SHA256, HS256, "{}");
	cr_assert(!verify_with(buf_str(&token), STR(KEY), &grant));
	cr_assert(!grant.has_publish && grant.subscribe.n == 0 && grant.payload.n == 0);
	grant_done(&grant);
	buf_done(&token);
}

Test(grant, has_a_limit)
{
	for (int n = GRANT_SELECTORS_MAX; n <= GRANT_SELECTORS_MAX + 1; n++) {
		struct buf claims, token;

		buf_init(&claims, 1 << 16);
		buf_add(&claims, STR("{\"mercure\":{\"subscribe\":[\"a\""));
		for (int i = 1; i < n; i++)
			buf_add(&claims, STR(",\"a\""));
		buf_add(&claims, STR("]}}"));
		buf_add_char(&claims, '\0');
		make(&token, HMAC_SHA256, HS256, claims.p);
		cr_assert(!verify(buf_str(&token)) == (n == GRANT_SELECTORS_MAX), "%d", n);
		buf_done(&claims);
		buf_done(&token);
	}
}

static const struct {
	struct str text, bytes;
	int err;
} base64[] = {
	{ { "", 0 }, { "", 0 }, 0 },
	{ { "Zg", 2 }, { "f", 1 }, 0 },
	{ { "Zm8", 3 }, { "fo", 2 }, 0 },
	{ { "Zm9v", 4 }, { "foo", 3 }, 0 },
	{ { "Zm9vYg", 6 }, { "foob", 4 }, 0 },
	{ { "AA", 2 }, { "\0", 1 }, 0 },
	{ { "-_-_", 4 }, { "\xfb\xff\xbf", 3 }, 0 },
	{ { "Z", 1 }, { "", 0 }, -EINVAL },
	{ { "Zm9vY", 5 }, { "", 0 }, -EINVAL },
	{ { "Zh", 2 }, { "", 0 }, -EINVAL }, /* a bit that stands for nothing */
	{ { "Zm9", 3 }, { "", 0 }, -EINVAL },
	{ { "Zg==", 4 }, { "", 0 }, -EINVAL },
	{ { "+/+/", 4 }, { "", 0 }, -EINVAL },
	{ { "Zm 9v", 5 }, { "", 0 }, -EINVAL },
	{ { "Zm9v\n", 5 }, { "", 0 }, -EINVAL },
};

Test(base64url, rows)
{
	struct guard guard = guard_new(16);

	for (size_t i = 0; i < COUNT(base64); i++) {
		struct buf out;

		buf_init(&out, 16);
		cr_assert(base64url_decode(guard_place(&guard, base64[i].text), &out) ==
				  base64[i].err,
			  "row %zu", i);
		cr_assert(base64[i].err || str_eq(buf_str(&out), base64[i].bytes), "row %zu", i);
		buf_done(&out);
	}
	guard_free(&guard);
}

Test(base64url, every_length_there_and_back)
{
	char bytes[64];

	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct buf text, out;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(i * 37 + n);
		buf_init(&text, 100);
		buf_init(&out, 100);
		encode(&text, (struct str){ bytes, n });
		cr_assert(base64url_decode(buf_str(&text), &out) == 0);
		cr_assert(str_eq(buf_str(&out), (struct str){ bytes, n }));
		buf_done(&text);
		buf_done(&out);
	}
}
