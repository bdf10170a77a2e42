/*
 * jwt: header, signature, claims, in this order. See jwt.h.
 */
#include "jwt.h"

#include <math.h>

#include "base64url.h"
#include "hmac.h"
#include "json.h"

static const char MALFORMED[] = "The token is malformed.";

/* Decodes one part of a token behind what is in text. */
static const char *part_decode(struct str part, struct buf *text, struct str *decoded)
{
	size_t before = text->n;

	if (base64url_decode(part, text))
		return MALFORMED;
	*decoded = str_from(buf_str(text), before);
	return NULL;
}

/* A part that must be a JSON object. */
static const char *object_decode(struct str part, struct buf *text, struct str *object)
{
	struct str decoded;
	const char *wrong = part_decode(part, text, &decoded);

	if (!wrong && (json_check(decoded, object) || json_type(*object) != JSON_OBJECT))
		wrong = MALFORMED;
	return wrong;
}

/* The hash that the header names. There is no other kind of signature here, above all not none. */
static const char *header_read(struct str header, enum hmac_hash *hash)
{
	static const struct str names[] = { [HMAC_SHA256] = { "HS256", 5 },
					    [HMAC_SHA384] = { "HS384", 5 },
					    [HMAC_SHA512] = { "HS512", 5 } };
	struct str alg;

	if (json_get(header, STR("crit"), &alg))
		return "The token's header asks for something that is not understood here.";
	if (json_get(header, STR("alg"), &alg) && json_type(alg) == JSON_STRING)
		for (*hash = HMAC_SHA256; *hash <= HMAC_SHA512; (*hash)++)
			if (json_string_is(alg, names[*hash]))
				return NULL;
	return "The token must be signed with HS256, HS384 or HS512.";
}

/* A time among the claims; *time stays where there is none. */
static const char *time_read(struct str claims, struct str name, double *time)
{
	struct str value;

	if (!json_get(claims, name, &value))
		return NULL;
	if (json_type(value) != JSON_NUMBER)
		return "The token's exp or nbf is no number.";
	*time = json_double(value);
	return isnan(*time) ? "There is no memory for the token." : NULL;
}

static const char *times_check(struct jwt *jwt, double now_s)
{
	double not_before_s = -INFINITY;
	const char *wrong;

	jwt->expires_s = INFINITY;
	wrong = time_read(jwt->claims, STR("exp"), &jwt->expires_s);
	if (!wrong)
		wrong = time_read(jwt->claims, STR("nbf"), &not_before_s);
	if (!wrong && !(now_s < jwt->expires_s))
		wrong = "The token has expired.";
	if (!wrong && !(now_s >= not_before_s))
		wrong = "The token is not valid yet.";
	return wrong;
}

const char *jwt_verify(struct str token, struct str key, double now_s, struct buf *text,
		       struct jwt *jwt)
{
	struct str rest = token, header_part, claims_part, signature_part, header, signature, mac;
	unsigned char mac_bytes[HMAC_BYTES_MAX];
	enum hmac_hash hash;
	const char *wrong;

	if (!str_cut(&rest, '.', &header_part) || !str_cut(&rest, '.', &claims_part) ||
	    !str_cut(&rest, '.', &signature_part) || rest.p)
		return MALFORMED;
	/* No piece is longer decoded; so what has been decoded stays where it is. */
	if (buf_reserve(text, token.n))
		return "There is no memory for the token.";
	wrong = object_decode(header_part, text, &header);
	if (!wrong)
		wrong = header_read(header, &hash);
	if (!wrong)
		wrong = part_decode(signature_part, text, &signature);
	if (wrong)
		return wrong;
	mac.p = (const char *)mac_bytes;
	mac.n = hmac(hash, key, (struct str){ token.p, header_part.n + 1 + claims_part.n },
		     mac_bytes);
	if (!str_eq_secret(mac, signature))
		return "The token's signature is wrong.";
	wrong = object_decode(claims_part, text, &jwt->claims);
	return wrong ? wrong : times_check(jwt, now_s);
}
