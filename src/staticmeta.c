/*
 * staticmeta: media types, preconditions, ranges, locations. See staticmeta.h.
 */
#include "staticmeta.h"

#include <string.h>

#include "httpvalue.h"

#define TEXT "; charset=utf-8"

/* The first end of a name that fits wins: longer ones stand before those that they end in. */
static const struct {
	const char *suffix, *type;
} types[] = {
	{ ".html", "text/html" TEXT },
	{ ".htm", "text/html" TEXT },
	{ ".css", "text/css" TEXT },
	{ ".js", "text/javascript" TEXT },
	{ ".mjs", "text/javascript" TEXT },
	{ ".d.ts", "text/plain" TEXT },
	{ ".txt", "text/plain" TEXT },
	{ ".md", "text/markdown" TEXT },
	{ ".csv", "text/csv" TEXT },
	{ ".json", "application/json" },
	{ ".map", "application/json" },
	{ ".webmanifest", "application/manifest+json" },
	{ ".xml", "text/xml" TEXT },
	{ ".svg", "image/svg+xml" },
	{ ".png", "image/png" },
	{ ".jpg", "image/jpeg" },
	{ ".jpeg", "image/jpeg" },
	{ ".gif", "image/gif" },
	{ ".webp", "image/webp" },
	{ ".avif", "image/avif" },
	{ ".ico", "image/vnd.microsoft.icon" },
	{ ".woff2", "font/woff2" },
	{ ".wasm", "application/wasm" },
	{ ".pdf", "application/pdf" },
	{ ".gz", "application/gzip" },
};

struct str staticmeta_type(struct str name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct str suffix = str_of(types[i].suffix);

		if (name.n > suffix.n && str_eq_nocase(str_from(name, name.n - suffix.n), suffix))
			return str_of(types[i].type);
	}
	return STR("application/octet-stream");
}

/*
 * Whether the list of If-Match has etag by the strong comparison (RFC 9110 section 13.1.1). Cutting
 * at commas, even at those inside of other tags, cannot make up a part that equals a whole tag.
 */
static bool strongly_listed(struct str list, struct str etag)
{
	struct str part;

	if (str_eq(list, STR("*")))
		return true;
	while (str_cut(&list, ',', &part))
		if (str_eq(str_trim(part), etag))
			return true;
	return false;
}

/* A list may be spread over several fields (RFC 9110 section 5.3). */
static bool any_field_lists(const struct http_request *request, struct str name, struct str etag,
			    bool (*lists)(struct str list, struct str etag))
{
	for (size_t i = 0; i < request->field_count; i++) {
		const struct http_field *field = &request->fields[i];

		if (str_eq_nocase(field->name, name) && lists(field->value, etag))
			return true;
	}
	return false;
}

/* Whether the request has that field with a date that can be held against the file's. */
static bool has_date(const struct http_request *request, struct str name,
		     const struct staticmeta *meta, int64_t now_s, int64_t *date_s)
{
	const struct str *value = http_header(request, name);

	return value && meta->is_dated && http_date_parse(*value, now_s, date_s) == 0;
}

/* The answer that the preconditions make necessary (RFC 9110 section 13.2.2), or 0. */
static int precondition(const struct http_request *request, const struct staticmeta *meta,
			int64_t now_s)
{
	int64_t date_s;

	if (http_header(request, STR("If-Match"))) {
		if (!any_field_lists(request, STR("If-Match"), meta->etag, strongly_listed))
			return 412;
	} else if (has_date(request, STR("If-Unmodified-Since"), meta, now_s, &date_s)) {
		if (meta->modified_s > date_s)
			return 412;
	}
	if (http_header(request, STR("If-None-Match"))) {
		if (any_field_lists(request, STR("If-None-Match"), meta->etag, http_etag_listed))
			return 304;
	} else if (has_date(request, STR("If-Modified-Since"), meta, now_s, &date_s)) {
		if (meta->modified_s <= date_s)
			return 304;
	}
	return 0;
}

/*
 * Whether the range may be answered with a part (RFC 9110 section 13.1.5): the tag is the same, or
 * the date is, and is old enough that the file cannot change again within that second.
 */
static bool range_applies(const struct http_request *request, const struct staticmeta *meta,
			  int64_t now_s)
{
	const struct str *value = http_header(request, STR("If-Range"));
	int64_t date_s;

	if (!value || str_eq(*value, meta->etag))
		return true;
	return has_date(request, STR("If-Range"), meta, now_s, &date_s) &&
	       date_s == meta->modified_s && date_s < now_s;
}

int staticmeta_status(const struct http_request *request, const struct staticmeta *meta,
		      int64_t now_s, uint64_t *first, uint64_t *length)
{
	const struct str *range = http_header(request, STR("Range"));
	int status = precondition(request, meta, now_s);

	*first = 0;
	*length = meta->size;
	if (status)
		return status;
	if (!range || request->method != HTTP_GET || !range_applies(request, meta, now_s))
		return 200;
	status = http_range(*range, meta->size, first, length);
	if (status == 200) {
		*first = 0;
		*length = meta->size;
	}
	return status;
}

/* RFC 3986 section 2.3, and the slash between the names. */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~/", c));
}

int staticmeta_location(struct str path, struct str query, struct buf *out)
{
	buf_add_char(out, '/');
	for (size_t i = 0; i < path.n; i++) {
		if (is_plain(path.p[i]))
			buf_add_char(out, path.p[i]);
		else
			buf_addf(out, "%%%02X", (unsigned char)path.p[i]);
	}
	buf_add_char(out, '/');
	if (query.p) {
		buf_add_char(out, '?');
		buf_add(out, query);
	}
	return out->err;
}
