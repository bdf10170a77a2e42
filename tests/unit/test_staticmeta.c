/*
 * staticmeta: media types, the order of preconditions, ranges and their conditions, locations.
 */
#include "staticmeta.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

/* Sun, 06 Nov 1994 08:49:37 GMT */
enum { MODIFIED_S = 784111777, NOW_S = MODIFIED_S + 1000 };

#define DATE   "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct staticmeta file = {
	.etag = { "\"a-1\"", 5 }, .size = 100, .is_dated = true, .modified_s = MODIFIED_S
};

static const struct staticmeta asset = { .etag = { "\"a-1\"", 5 }, .size = 100 };

/* A request with these fields: name, value, …, NULL. */
static struct http_request request(enum http_method method, va_list args)
{
	struct http_request r = { .method = method };
	const char *name;

	while ((name = va_arg(args, const char *)) != NULL) {
		r.fields[r.field_count].name = str_of(name);
		r.fields[r.field_count++].value = str_of(va_arg(args, const char *));
	}
	return r;
}

static int status_of(enum http_method method, const struct staticmeta *meta, ...)
{
	uint64_t first = 1, length = 1;
	struct http_request r;
	va_list args;
	int status;

	va_start(args, meta);
	r = request(method, args);
	va_end(args);
	status = staticmeta_status(&r, meta, NOW_S, &first, &length);
	if (status == 200)
		cr_assert(first == 0 && length == meta->size, "200 is the whole");
	return status;
}

/* The only argument that is not a string would be easy to forget. */
#define GET(...)       status_of(HTTP_GET, &file, __VA_ARGS__, NULL)
#define GET_ASSET(...) status_of(HTTP_GET, &asset, __VA_ARGS__, NULL)

static bool is_type(const char *name, const char *type)
{
	return str_eq(staticmeta_type(str_of(name)), str_of(type));
}

Test(staticmeta, media_types_by_the_end_of_the_name)
{
	cr_assert(is_type("index.html", "text/html; charset=utf-8"));
	cr_assert(is_type("a/b/app.js", "text/javascript; charset=utf-8"));
	cr_assert(is_type("app.mjs", "text/javascript; charset=utf-8"));
	cr_assert(is_type("LOGO.SVG", "image/svg+xml"));
	cr_assert(is_type("types.d.ts", "text/plain; charset=utf-8"));
	cr_assert(is_type("video.ts", "application/octet-stream"));
	cr_assert(is_type("archive.tar.gz", "application/gzip"));
	cr_assert(is_type("html", "application/octet-stream"), "a name, not an extension");
	cr_assert(is_type("a.html/file", "application/octet-stream"));
	cr_assert(is_type("file.", "application/octet-stream"));
	cr_assert(is_type("", "application/octet-stream"));
}

Test(staticmeta, without_conditions_all_of_it)
{
	cr_assert(status_of(HTTP_GET, &file, NULL) == 200);
	cr_assert(status_of(HTTP_HEAD, &asset, NULL) == 200);
}

Test(staticmeta, if_none_match)
{
	cr_assert(GET("If-None-Match", "\"a-1\"") == 304);
	cr_assert(GET("if-none-match", "W/\"a-1\"") == 304, "the comparison is weak");
	cr_assert(GET("If-None-Match", "\"x\", \"a-1\"") == 304);
	cr_assert(GET("If-None-Match", "\"x\"", "If-None-Match", "\"a-1\"") == 304, "two fields");
	cr_assert(GET("If-None-Match", "*") == 304);
	cr_assert(GET("If-None-Match", "\"a-2\"") == 200);
	cr_assert(status_of(HTTP_HEAD, &asset, "If-None-Match", "\"a-1\"", NULL) == 304);
}

Test(staticmeta, if_modified_since)
{
	cr_assert(GET("If-Modified-Since", DATE) == 304);
	cr_assert(GET("If-Modified-Since", AFTER) == 304);
	cr_assert(GET("If-Modified-Since", BEFORE) == 200);
	cr_assert(GET("If-Modified-Since", "yesterday") == 200, "no date is no condition");
	cr_assert(GET_ASSET("If-Modified-Since", AFTER) == 200, "an asset has no date");
}

Test(staticmeta, tags_win_over_dates)
{
	cr_assert(GET("If-Modified-Since", DATE, "If-None-Match", "\"x\"") == 200);
	cr_assert(GET("If-Modified-Since", BEFORE, "If-None-Match", "\"a-1\"") == 304);
	cr_assert(GET("If-Unmodified-Since", BEFORE, "If-Match", "\"a-1\"") == 200);
}

Test(staticmeta, if_match_and_if_unmodified_since)
{
	cr_assert(GET("If-Match", "\"a-1\"") == 200);
	cr_assert(GET("If-Match", "\"x\" ,\t\"a-1\"") == 200);
	cr_assert(GET("If-Match", "\"x\"", "If-Match", "\"a-1\"") == 200);
	cr_assert(GET("If-Match", "*") == 200);
	cr_assert(GET("If-Match", "\"x\"") == 412);
	cr_assert(GET("If-Match", "W/\"a-1\"") == 412, "the comparison is strong");
	cr_assert(GET("If-Match", "") == 412);
	cr_assert(GET("If-Unmodified-Since", DATE) == 200);
	cr_assert(GET("If-Unmodified-Since", BEFORE) == 412);
	cr_assert(GET("If-Unmodified-Since", "never") == 200);
	cr_assert(GET_ASSET("If-Unmodified-Since", BEFORE) == 200);
	cr_assert(GET("If-Match", "\"x\"", "If-None-Match", "\"a-1\"") == 412, "If-Match is first");
	cr_assert(GET("If-Match", "\"a-1\"", "If-None-Match", "\"a-1\"") == 304);
}

Test(staticmeta, ranges)
{
	struct http_request r = { .method = HTTP_GET,
				  .fields = { { STR("Range"), STR("bytes=10-19") } },
				  .field_count = 1 };
	uint64_t first, length;

	cr_assert(staticmeta_status(&r, &file, NOW_S, &first, &length) == 206);
	cr_assert(first == 10 && length == 10);
	cr_assert(GET("Range", "bytes=100-") == 416);
	cr_assert(GET("Range", "bytes=5-4") == 200);
	cr_assert(GET("Range", "lines=1-2") == 200);
	cr_assert(GET("Range", "bytes=0-1,3-4") == 200, "several ranges: all of it");
	cr_assert(status_of(HTTP_HEAD, &file, "Range", "bytes=0-1", NULL) == 200);
	cr_assert(GET("Range", "bytes=0-1", "If-None-Match", "\"a-1\"") == 304);
	cr_assert(GET("Range", "bytes=100-", "If-Modified-Since", DATE) == 304);
}

Test(staticmeta, if_range)
{
	cr_assert(GET("Range", "bytes=0-1", "If-Range", "\"a-1\"") == 206);
	cr_assert(GET("Range", "bytes=0-1", "If-Range", "\"x\"") == 200);
	cr_assert(GET("Range", "bytes=0-1", "If-Range", "W/\"a-1\"") == 200, "strong comparison");
	cr_assert(GET("Range", "bytes=0-1", "If-Range", "\"x\", \"a-1\"") == 200, "no list");
	cr_assert(GET("Range", "bytes=0-1", "If-Range", DATE) == 206);
	cr_assert(GET("Range", "bytes=0-1", "If-Range", AFTER) == 200, "only the exact date");
	cr_assert(GET("Range", "bytes=0-1", "If-Range", BEFORE) == 200);
	cr_assert(GET_ASSET("Range", "bytes=0-1", "If-Range", DATE) == 200);
	cr_assert(GET("Range", "bytes=100-", "If-Range", "\"x\"") == 200, "and so no 416");
	cr_assert(GET("If-Range", "\"x\"") == 200, "without Range it means nothing");
}

Test(staticmeta, a_date_is_no_proof_within_its_second)
{
	struct http_request r = { .method = HTTP_GET,
				  .fields = { { STR("Range"), STR("bytes=0-1") },
					      { STR("If-Range"), STR(DATE) } },
				  .field_count = 2 };
	uint64_t first, length;

	cr_assert(staticmeta_status(&r, &file, MODIFIED_S, &first, &length) == 200);
	cr_assert(staticmeta_status(&r, &file, MODIFIED_S + 1, &first, &length) == 206);
}

static bool located(struct str path, struct str query, const char *want)
{
	struct buf out;
	bool result;

	buf_init(&out, 1000);
	cr_assert(staticmeta_location(path, query, &out) == 0);
	result = str_eq(buf_str(&out), str_of(want));
	buf_done(&out);
	return result;
}

Test(staticmeta, locations_are_plain_paths)
{
	struct str none = { NULL, 0 };

	cr_assert(located(STR("docs"), none, "/docs/"));
	cr_assert(located(STR("docs/api"), STR("a=1&b=%20"), "/docs/api/?a=1&b=%20"));
	cr_assert(located(STR("docs"), STR(""), "/docs/?"));
	cr_assert(located(STR("\\evil.example"), none, "/%5Cevil.example/"), "no other host");
	cr_assert(located(STR("a\r\nb?c#d%"), none, "/a%0D%0Ab%3Fc%23d%25/"));
	cr_assert(located(STR("caf\xc3\xa9"), none, "/caf%C3%A9/"));
}
