/*
 * access: tokens in requests. See access.h.
 */
#include "access.h"

#include "clock.h"
#include "names.h"
#include "uri.h"

static const struct str QUERY_NAME = { "authorization", 13 };

/* Where a token was found. */
enum found { NOWHERE, IN_HEADER, IN_QUERY, IN_COOKIE, MALFORMED };

/* The value of a cookie of that name (RFC 6265 section 4.2.1): false where there is none. */
static bool cookie_get(const struct http_request *request, struct str name, struct str *value)
{
	for (size_t i = 0; i < request->field_count; i++) {
		struct str rest = request->fields[i].value, pair, found;

		if (!str_eq_nocase(request->fields[i].name, STR("Cookie")))
			continue;
		while (str_cut(&rest, ';', &pair)) {
			pair = str_trim(pair);
			if (!str_cut(&pair, '=', &found) || !str_eq(found, name) || !pair.p)
				continue;
			if (pair.n >= 2 && pair.p[0] == '"' && pair.p[pair.n - 1] == '"')
				pair = (struct str){ pair.p + 1, pair.n - 2 };
			*value = pair;
			return true;
		}
	}
	return false;
}

static enum found token_find(const struct hub *hub, const struct http_request *request,
			     struct buf *token)
{
	const struct str *header = http_header(request, STR("Authorization"));
	struct str rest, scheme, value;
	int got;

	if (header) {
		rest = *header;
		if (!str_cut(&rest, ' ', &scheme) || !str_eq_nocase(scheme, STR("Bearer")))
			return MALFORMED;
		buf_add(token, str_trim(rest));
		return IN_HEADER;
	}
	got = uri_query_get(request->query, QUERY_NAME, token);
	if (got)
		return got > 0 ? IN_QUERY : MALFORMED;
	if (!cookie_get(request, str_of(hub->config.mercure_cookie), &value))
		return NOWHERE;
	buf_add(token, value);
	return IN_COOKIE;
}

/* Scheme and host of a URL: what its page's Origin is. */
static struct str origin_of(struct str url)
{
	size_t slashes = 0, n = 0;

	for (; n < url.n && slashes < 3; n++)
		slashes += url.p[n] == '/';
	return (struct str){ url.p, slashes == 3 ? n - 1 : n };
}

/* Whether a page that may publish is behind the request. */
static bool is_from_publisher(const struct hub *hub, const struct http_request *request)
{
	const struct value_list *allowed = &hub->config.mercure_publish_origin;
	const struct str *origin = http_header(request, STR("Origin"));
	const struct str *referer = http_header(request, STR("Referer"));
	struct str from;

	if (!origin && !referer)
		return false;
	from = origin ? *origin : origin_of(*referer);
	for (size_t i = 0; i < allowed->count; i++) {
		struct str item = str_of(allowed->items[i]);

		if (str_eq(item, STR("*")) || str_eq(item, from))
			return true;
	}
	return false;
}

static const char *token_check(const struct hub *hub, struct str token, enum access_what what,
			       struct grant *grant)
{
	const struct buf *key =
		what == ACCESS_PUBLISH ? &hub->secrets.publisher_key : &hub->secrets.subscriber_key;
	struct jwt jwt;
	struct buf text;
	const char *wrong;

	if (key->n == 0)
		return "Tokens are not set up here.";
	buf_init(&text, HTTP_HEAD_MAX);
	wrong = jwt_verify(token, buf_str(key), (double)clock_real_ms() / 1000, &text, &jwt);
	if (!wrong)
		wrong = grant_read(grant, &jwt);
	buf_done(&text);
	return wrong;
}

const char *access_read(const struct hub *hub, const struct conn *conn,
			const struct http_request *request, enum access_what what,
			struct grant *grant, bool *has_token)
{
	const char *wrong = NULL;
	struct buf token;
	enum found found;

	*has_token = true;
	grant_init(grant);
	if (conn->flags & CONN_CONTROL) {
		grant->has_publish = true;
		if (names_add(&grant->publish, STR("*")) || names_add(&grant->subscribe, STR("*")))
			wrong = "There is no memory for a token.";
		return wrong;
	}
	buf_init(&token, HTTP_HEAD_MAX);
	found = token_find(hub, request, &token);
	if (found == NOWHERE)
		*has_token = false;
	else if (found == MALFORMED || token.err)
		wrong = "The token must come as Authorization: Bearer.";
	else if (found == IN_COOKIE && what == ACCESS_PUBLISH && !is_from_publisher(hub, request))
		wrong = "Pages of this origin may not publish with a cookie.";
	else
		wrong = token_check(hub, buf_str(&token), what, grant);
	buf_done(&token);
	return wrong;
}

/* As much as there is room for: the end of what is too long is missed by nobody. */
static void add_fitting(struct buf *out, struct str s)
{
	if (s.n > out->max - out->n)
		s.n = out->max - out->n;
	buf_add(out, s);
}

void access_redact(const struct http_request *request, struct buf *out)
{
	struct str target = request->target, query = request->query, name, value;
	const char *shown = target.p; /* up to here everything has been */

	while (uri_query_next(&query, &name, &value)) {
		if (!uri_eq(name, true, QUERY_NAME))
			continue;
		add_fitting(out, (struct str){ shown, (size_t)(name.p + name.n - shown) });
		add_fitting(out, STR("=***"));
		shown = value.p + value.n;
	}
	add_fitting(out, (struct str){ shown, (size_t)(target.p + target.n - shown) });
}
