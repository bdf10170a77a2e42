/*
 * Request heads: what is accepted and what comes out, every prefix of it, and what happens to it
 * when it is damaged. Every head ends at a page that cannot be read.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "heads.h"

/* A request that must be right. Its slices stay valid until the next. */
static const struct http_request *good(const char *head)
{
	static struct http_request request;
	static struct guard guard;
	const char *why;
	int status;

	if (!guard.map)
		guard = guard_new(HTTP_HEAD_MAX);
	status = head_parse(&guard, str_of(head), &request, &why);
	cr_assert_eq(status, 0, "%s: got %d, %s", head, status, why);
	cr_assert_null(why);
	return &request;
}

static void check_str(struct str got, const char *want)
{
	cr_assert(str_eq(got, str_of(want)), "got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static const char *const heads[] = {
	GET END,
	"\r\n" GET END,
	"GET / HTTP/1.0\r\n\r\n",
	POST "Content-Length: 5\r\n" END,
	POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n" END,
	"GET http://[::1]:80?q HTTP/1.1\r\nHost:a\r\nX: \t y\xff\tz \t\r\nEmpty:\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
};

Test(http, waits_at_every_prefix_and_parses_the_whole)
{
	struct guard guard = guard_new(HTTP_HEAD_MAX);

	for (size_t i = 0; i < COUNT(heads); i++) {
		struct str whole = str_of(heads[i]);
		size_t so_far = 0, head_len = 0;

		for (size_t n = 0; n < whole.n; n++) {
			struct str part = guard_place(&guard, (struct str){ heads[i], n });
			size_t scanned = 0;

			cr_assert_eq(http_find_head(part.p, n, &scanned, &head_len), -EAGAIN,
				     "%zu bytes of %s", n, heads[i]);
			cr_assert_eq(http_find_head(part.p, n, &so_far, &head_len), -EAGAIN);
			cr_assert(so_far <= n && so_far + 1 >= n, "it looked at all");
		}
		cr_assert_eq(http_find_head(heads[i], whole.n, &so_far, &head_len), 0);
		cr_assert_eq(head_len, whole.n);
		good(heads[i]);
	}
	guard_free(&guard);
}

Test(http, finds_the_first_of_several_heads)
{
	struct str in = STR(GET END GET END);
	size_t scanned = 0, head_len = 0;

	cr_assert_eq(http_find_head(in.p, in.n, &scanned, &head_len), 0);
	cr_assert_eq(head_len, in.n / 2);
}

Test(http, parses_a_request)
{
	const struct http_request *request =
		good("POST /a/b%20c?x=1?&y HTTP/1.1\r\nHost: example.org:80\r\nX-One:\t 1 2\t \r\n"
		     "x-one: second\r\nContent-Length: 0042\r\nEmpty: \r\n\r\n");

	cr_assert_eq(request->method, HTTP_POST);
	check_str(request->method_name, "POST");
	cr_assert_eq(request->minor, 1);
	check_str(request->target, "/a/b%20c?x=1?&y");
	check_str(request->path, "/a/b%20c");
	check_str(request->query, "x=1?&y");
	check_str(request->host, "example.org:80");
	cr_assert_eq(request->field_count, 5);
	check_str(request->fields[1].name, "X-One");
	check_str(*http_header(request, STR("X-ONE")), "1 2");
	check_str(*http_header(request, STR("empty")), "");
	cr_assert_null(http_header(request, STR("X-On")));
	cr_assert_eq(request->framing, HTTP_LENGTH);
	cr_assert_eq(request->content_length, 42);
	cr_assert(request->keep_alive);
	cr_assert_not(request->expect_continue);
}

Test(http, knows_the_methods)
{
	static const struct {
		const char *head;
		enum http_method method;
	} methods[] = {
		{ GET END, HTTP_GET },
		{ "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_HEAD },
		{ POST END, HTTP_POST },
		{ "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_PUT },
		{ "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_OPTIONS },
		{ "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_OTHER },
		{ "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_OTHER },
		{ "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_OTHER },
		{ "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_OTHER },
	};

	for (size_t i = 0; i < COUNT(methods); i++)
		cr_assert_eq(good(methods[i].head)->method, methods[i].method, "%s",
			     methods[i].head);
}

Test(http, understands_the_forms_of_a_target)
{
	static const struct {
		const char *head, *path, *query, *host;
	} targets[] = {
		{ GET END, "/", NULL, "a" },
		{ "GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", "a" },
		{ "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", "//b/c", NULL, "a" },
		{ "GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n", "/c", "d", "b:80" },
		{ "GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n", "/", NULL, "b" },
		{ "GET http://b?c/d HTTP/1.1\r\nHost: a\r\n\r\n", "/", "c/d", "b" },
		{ "GET http://[::1]:8/ HTTP/1.1\r\nHost: a\r\n\r\n", "/", NULL, "[::1]:8" },
		{ "GET http://b/ HTTP/1.0\r\n\r\n", "/", NULL, "b" },
		{ "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", NULL, "a" },
		{ "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "*", NULL, "b" },
		{ "OPTIONS http://b? HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", "b" },
		{ "OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "/", NULL, "b" },
		{ "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", "*", NULL, "b:443" },
	};

	for (size_t i = 0; i < COUNT(targets); i++) {
		const struct http_request *request = good(targets[i].head);

		check_str(request->path, targets[i].path);
		check_str(request->host, targets[i].host);
		cr_assert_eq(!request->query.p, !targets[i].query, "%s", targets[i].head);
		check_str(request->query, targets[i].query);
	}
}

Test(http, knows_who_wants_to_go_on)
{
	static const struct {
		const char *head;
		bool keep_alive;
	} requests[] = {
		{ GET END, true },
		{ GET "Connection: keep-alive\r\n" END, true },
		{ GET "Connection: upgrade\r\n" END, true },
		{ GET "Connection: close\r\n" END, false },
		{ GET "Connection: Keep-Alive, x,CLOSE\r\n" END, false },
		{ GET "Connection: x\r\nConnection: close\r\n" END, false },
		{ GET "Connection: closed\r\n" END, true },
		{ "GET / HTTP/1.7\r\nHost: a\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: x\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: ,keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false },
	};

	for (size_t i = 0; i < COUNT(requests); i++)
		cr_assert_eq(good(requests[i].head)->keep_alive, requests[i].keep_alive, "%s",
			     requests[i].head);
	cr_assert_eq(good("GET / HTTP/1.7\r\nHost: a\r\n\r\n")->minor, 1);
	cr_assert_eq(good("GET / HTTP/1.0\r\n\r\n")->minor, 0);
	cr_assert_eq(good("GET / HTTP/1.0\r\n\r\n")->host.n, 0);
}

Test(http, finds_the_framing)
{
	cr_assert_eq(good(GET END)->framing, HTTP_NO_BODY);
	cr_assert_eq(good(POST END)->framing, HTTP_NO_BODY);
	cr_assert_eq(good(POST "Content-Length: 0\r\n" END)->framing, HTTP_LENGTH);
	cr_assert_eq(good(POST "content-length: 9223372036854775807\r\n" END)->content_length,
		     INT64_MAX);
	cr_assert_eq(good(POST "transfer-encoding: Chunked\r\n" END)->framing, HTTP_CHUNKED);
}

Test(http, knows_who_expects_100_continue)
{
	cr_assert(good(POST "Expect: 100-Continue\r\n" END)->expect_continue);
	cr_assert(
		good(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n" END)->expect_continue);
	cr_assert_not(good("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")->expect_continue);
}

Test(http, finds_tokens_in_lists)
{
	const struct http_request *request =
		good(GET "A: one, two;x ,,\tthree\r\nB:\r\na: four\r\n" END);

	cr_assert(http_header_has(request, STR("a"), STR("ONE")));
	cr_assert(http_header_has(request, STR("A"), STR("three")));
	cr_assert(http_header_has(request, STR("A"), STR("four")));
	cr_assert_not(http_header_has(request, STR("A"), STR("two")));
	cr_assert_not(http_header_has(request, STR("A"), STR("thre")));
	cr_assert_not(http_header_has(request, STR("B"), STR("one")));
	cr_assert_not(http_header_has(request, STR("C"), STR("one")));
}

Test(http, negotiates_encodings)
{
	static const struct {
		const char *head;
		bool gzip, br;
	} cases[] = {
		{ GET END, false, false },
		{ GET "Accept-Encoding:\r\n" END, false, false },
		{ GET "Accept-Encoding: gzip\r\n" END, true, false },
		{ GET "Accept-Encoding: GZIP, br\r\n" END, true, true },
		{ GET "Accept-Encoding: gzip;q=0, br;q=0.1\r\n" END, false, true },
		{ GET "Accept-Encoding: gzip ; q=0.0 , *\r\n" END, false, true },
		{ GET "Accept-Encoding: *, gzip;q=0\r\n" END, false, true },
		{ GET "Accept-Encoding: *;q=0, gzip\r\n" END, true, false },
		{ GET "Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n" END, true, true },
		{ GET "Accept-Encoding: gzip;q=x\r\n" END, false, false },
		{ GET "Accept-Encoding: identity, xgzip\r\n" END, false, false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct http_request *request = good(cases[i].head);

		cr_assert_eq(http_accepts_encoding(request, STR("gzip")), cases[i].gzip, "%s",
			     cases[i].head);
		cr_assert_eq(http_accepts_encoding(request, STR("br")), cases[i].br, "%s",
			     cases[i].head);
	}
}

/* Heads with a few bytes changed at random, always the same: whatever comes out, nothing is
 * overread. */
Test(http, survives_damaged_heads)
{
	struct guard guard = guard_new(HTTP_HEAD_MAX);
	struct http_request request;
	uint64_t random = 1;

	for (int round = 0; round < 50000; round++) {
		struct str whole = str_of(heads[(size_t)round % COUNT(heads)]);
		char head[256];
		const char *why;

		cr_assert_lt(whole.n, sizeof(head));
		memcpy(head, whole.p, whole.n);
		for (int i = 0; i < 1 + round % 3; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			head[(random >> 33) % whole.n] =
				"\r\n: \t/*,;=%[]HA1\0\x7f\xff"[(random >> 20) % 20];
		}
		struct str part = { head, whole.n };
		struct str placed = guard_place(&guard, part);
		size_t scanned = 0, head_len;

		if (http_find_head(placed.p, placed.n, &scanned, &head_len) == 0) {
			int status;

			part.n = head_len;
			placed = guard_place(&guard, part);
			status = http_parse_head(placed.p, head_len, &request, &why);
			cr_assert(status == 0 ? !why : status >= 400 && why, "%d", status);
		}
	}
	guard_free(&guard);
}

Test(http, has_reasons_for_what_it_sends)
{
	cr_assert_str_eq(http_reason(200), "OK");
	cr_assert_str_eq(http_reason(404), "Not Found");
	cr_assert_str_eq(http_reason(431), "Request Header Fields Too Large");
	cr_assert_str_eq(http_reason(299), "");
}
