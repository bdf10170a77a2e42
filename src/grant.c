/*
 * grant: see grant.h.
 */
#include "grant.h"

#include <math.h>

#include "json.h"
#include "names.h"

enum { BYTES_MAX = 1 << 16 }; /* of a list, of a payload: a token comes in a request head */

void grant_init(struct grant *grant)
{
	*grant = (struct grant){ .expires_s = INFINITY };
	buf_init(&grant->publish, BYTES_MAX);
	buf_init(&grant->subscribe, BYTES_MAX);
	buf_init(&grant->payload, BYTES_MAX);
}

void grant_done(struct grant *grant)
{
	buf_done(&grant->publish);
	buf_done(&grant->subscribe);
	buf_done(&grant->payload);
}

/* Adds one selector, decoded. An empty one asks for nothing. */
static const char *selector_add(struct buf *list, struct str string)
{
	struct buf text;
	const char *wrong = NULL;

	if (json_type(string) != JSON_STRING)
		return "The token's selectors must be strings.";
	buf_init(&text, string.n);
	if (json_string(string, &text) || (text.n && names_add(list, buf_str(&text))))
		wrong = "There is no memory for the token.";
	buf_done(&text);
	return wrong;
}

/* Reads one list of the claim; *is_there says whether the claim has it. */
static const char *list_read(struct str claim, struct str name, struct buf *list, bool *is_there)
{
	const char *wrong = NULL;
	struct str value, element;
	size_t count = 0;

	*is_there = json_get(claim, name, &value) && json_type(value) != JSON_NULL;
	if (!*is_there)
		return NULL;
	if (json_type(value) != JSON_ARRAY)
		return "The token's publish and subscribe must be arrays.";
	while (!wrong && json_next_element(&value, &element)) {
		if (++count > GRANT_SELECTORS_MAX)
			return "The token has more than 1000 selectors.";
		wrong = selector_add(list, element);
	}
	return wrong;
}

const char *grant_read(struct grant *grant, const struct jwt *jwt)
{
	struct str claim, payload;
	const char *wrong;
	bool has_subscribe;

	grant->expires_s = jwt->expires_s;
	if (!json_get(jwt->claims, STR("https://mercure.rocks/"), &claim) &&
	    !json_get(jwt->claims, STR("mercure"), &claim))
		return NULL;
	if (json_type(claim) != JSON_OBJECT)
		return "The token's claim mercure must be an object.";
	wrong = list_read(claim, STR("publish"), &grant->publish, &grant->has_publish);
	if (!wrong)
		wrong = list_read(claim, STR("subscribe"), &grant->subscribe, &has_subscribe);
	if (!wrong && json_get(claim, STR("payload"), &payload) &&
	    buf_add(&grant->payload, payload))
		wrong = "There is no memory for the token.";
	return wrong;
}

uint32_t grant_expiry(const struct grant *grant)
{
	uint32_t whole;

	if (isinf(grant->expires_s))
		return 0;
	if (grant->expires_s >= UINT32_MAX)
		return UINT32_MAX;
	whole = (uint32_t)grant->expires_s;
	return whole + (whole < grant->expires_s);
}
