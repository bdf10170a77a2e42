/*
 * HTTP/1.1 on the wire: what ends goes on, what is ambiguous is refused and closed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

#define HOST       "Host: a\r\n"
#define END        "\r\n"
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

struct refusal {
	int status;
	struct str bytes;
};

/* Each row on a connection of its own: refused with that status, and closed. */
static void expect_refusals(const struct daemon *d, const struct refusal *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct client c;
		struct response r;

		client_open(&c, d);
		client_send(&c, rows[i].bytes);
		client_read(&c, &r);
		cr_expect(r.status == rows[i].status, "%d, not %d, for: %.*s", r.status,
			  rows[i].status, STR_ARG(rows[i].bytes));
		cr_expect(response_is(&r, "Connection", "close"), "no close for: %.*s",
			  STR_ARG(rows[i].bytes));
		cr_expect(response_header(&r, "Date").n == 29);
		client_expect_eof(&c);
		cr_expect(!c.reset, "reset for: %.*s", STR_ARG(rows[i].bytes));
		response_done(&r);
		client_close(&c);
	}
	cr_expect(request(d, NULL, "GET /healthz HTTP/1.1\r\n" HOST END) == 200);
}

static const struct refusal heads[] = {
	{ 400, STR("GET /healthz HTTP/1.1\n" HOST END) },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: a\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: a\rX: b\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: a\r\n\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n " HOST END) },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "X@Y: a\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST ": a\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "no colon\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n") },
	{ 400, STR("G@T /healthz HTTP/1.1\r\n" HOST END) },
	{ 400, STR("GET  /healthz HTTP/1.1\r\n" HOST END) },
	{ 400, STR("GET /healthz  HTTP/1.1\r\n" HOST END) },
	{ 400, STR("GET /healthz HTTP/1.1 \r\n" HOST END) },
	{ 400, STR("GET /heal\thz HTTP/1.1\r\n" HOST END) },
	{ 400, STR("GET /heal\xc3\xa4hz HTTP/1.1\r\n" HOST END) },
	{ 400, STR("GET healthz HTTP/1.1\r\n" HOST END) },
	{ 400, STR("GET /healthz http/1.1\r\n" HOST END) },
	{ 400, STR("GET /healthz HTTP/1.x\r\n" HOST END) },
	{ 400, STR("GET /healthz HTTP/11\r\n" HOST END) },
	{ 400, STR("GET /healthz HTTP/1.1\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST "Host: b\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\n" HOST HOST END) },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: user@a\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: a:port\r\n\r\n") },
	{ 400, STR("GET /healthz HTTP/1.1\r\nHost: [::1\r\n\r\n") },
	{ 400, STR("\r\n\r\nGET /healthz HTTP/1.1\r\n" HOST END) },
	{ 505, STR("GET /healthz HTTP/2.0\r\n" HOST END) },
	{ 505, STR("GET /healthz HTTP/0.9\r\n" HOST END) },
	{ 505, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	{ 501, STR("BREW /healthz HTTP/1.1\r\n" HOST END) },
	{ 501, STR("get /healthz HTTP/1.1\r\n" HOST END) },
	{ 417, STR("GET /healthz HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n") },
};

Test(http, refuses_heads_that_are_wrong)
{
	struct daemon d;

	daemon_begin(&d, NULL);
	expect_refusals(&d, heads, ROWS(heads));
	daemon_stop(&d);
}

#define POST "POST /publish HTTP/1.1\r\n" HOST

static const struct refusal bodies[] = {
	{ 400, STR(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
	{ 400, STR(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na") },
	{ 400, STR(POST "Content-Length: 1, 1\r\n\r\na") },
	{ 400, STR(POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\na") },
	{ 400, STR(POST "Content-Length: +1\r\n\r\na") },
	{ 400, STR(POST "Content-Length: -1\r\n\r\na") },
	{ 400, STR(POST "Content-Length: 0x1\r\n\r\na") },
	{ 400, STR(POST "Content-Length: 1a\r\n\r\na") },
	{ 400, STR(POST "Content-Length:\r\n\r\n") },
	{ 501, STR(POST "Transfer-Encoding: gzip\r\n\r\na") },
	{ 501, STR(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") },
	{ 400, STR("POST /publish HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\n\r\n") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\na") },
	{ 400, STR(POST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na") },
	{ 413, STR(POST "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na") },
	{ 413, STR(POST "Transfer-Encoding: chunked\r\n\r\n401\r\na") },
	{ 413, STR(POST "Content-Length: 18446744073709551617\r\n\r\na") },
	{ 413, STR(POST "Content-Length: 1025\r\n\r\na") },
	{ 413, STR(POST "Content-Length: 18446744073709551615\r\n\r\na") },
	{ 413, STR(POST "Expect: 100-continue\r\nContent-Length: 1025\r\n\r\n") },
};

Test(http, refuses_bodies_that_are_wrong_or_too_long)
{
	struct daemon d;

	daemon_begin(&d, OPTIONS("--control", "127.0.0.1:0", "--max-body", "1K"));
	d.port = d.control_port;
	expect_refusals(&d, bodies, ROWS(bodies));

	/* Chunks that are each short enough, but not all together. */
	struct buf text;

	buf_init(&text, 8192);
	buf_add(&text, STR(POST "Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 5; i++)
		buf_addf(&text, "100\r\n%0256d\r\n", i);
	expect_refusals(&d, &(struct refusal){ 413, buf_str(&text) }, 1);
	buf_done(&text);
	daemon_stop(&d);
}

Test(http, refuses_what_is_too_long)
{
	struct daemon d;
	char *text = malloc(40000);

	daemon_begin(&d, NULL);
	for (int longer = 0; longer <= 1; longer++) {
		struct refusal rows[3];

		/* A target of 8192 bytes is the longest; and so are a head of 16384 bytes, and 100
		 * fields. */
		int n = snprintf(text, 40000, "GET /%0*d HTTP/1.1\r\n" HOST END, 8191 + longer, 0);

		rows[0] = (struct refusal){ 414, { text, (size_t)n } };
		if (longer)
			expect_refusals(&d, rows, 1);
		else
			cr_expect(request(&d, NULL, text) == 404);
		int fixed = snprintf(text, 40000, "GET /healthz HTTP/1.1\r\n" HOST "X: \r\n\r\n");

		n = snprintf(text, 40000, "GET /healthz HTTP/1.1\r\n" HOST "X: %0*d\r\n\r\n",
			     16384 - fixed + longer, 0);
		rows[0] = (struct refusal){ 431, { text, (size_t)n } };
		if (longer)
			expect_refusals(&d, rows, 1);
		else
			cr_expect(request(&d, NULL, text) == 200);
		n = snprintf(text, 40000, "GET /healthz HTTP/1.1\r\n" HOST);
		for (int i = 1; i < 100 + longer; i++)
			n += snprintf(text + n, 40000 - (size_t)n, "X%d: y\r\n", i);
		n += snprintf(text + n, 40000 - (size_t)n, "\r\n");
		rows[0] = (struct refusal){ 431, { text, (size_t)n } };
		if (longer)
			expect_refusals(&d, rows, 1);
		else
			cr_expect(request(&d, NULL, text) == 200);
	}
	free(text);
	daemon_stop(&d);
}

Test(http, refuses_an_endless_head_before_it_ends)
{
	struct daemon d;
	struct client c;
	struct response r;
	char part[4096];

	memset(part, 'x', sizeof(part));
	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET / HTTP/1.1\r\nX: ");
	for (int i = 0; i < 5; i++)
		client_try_send(&c, (struct str){ part, sizeof(part) });
	client_read(&c, &r);
	cr_expect(r.status == 431);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(http, answers_methods_where_they_do_not_belong_with_405_and_allow)
{
	static const struct {
		const char *request_line, *allow;
	} rows[] = { { "POST /sse", "GET" },      { "DELETE /sse", "GET" },
		     { "GET /publish", "POST" },  { "POST /healthz", "GET" },
		     { "POST /", "GET" },         { "PATCH /publish/a", "POST" },
		     { "DELETE /nothing", NULL }, { "TRACE /healthz", "GET" } };
	struct daemon d;
	char text[128];

	daemon_begin(&d, NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct response r;

		snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" HOST END, rows[i].request_line);
		int status = request(&d, &r, text);

		cr_expect(status == 405 || (!rows[i].allow && status == 404), "%s: %d",
			  rows[i].request_line, status);
		struct str allow = response_header(&r, "Allow");

		cr_expect(status == 404 || (allow.p && rows[i].allow == NULL) ||
				  (allow.p &&
				   memmem(allow.p, allow.n, rows[i].allow, strlen(rows[i].allow))),
			  "%s: Allow: %.*s", rows[i].request_line, STR_ARG(allow));
		response_done(&r);
	}
	daemon_stop(&d);
}

Test(http, keeps_the_connection_and_answers_pipelined_requests_in_order)
{
	struct daemon d;
	struct client c;
	struct response r;
	static const int statuses[] = { 200, 404, 200, 405, 200, 200 };

	daemon_begin(&d, NULL);
	client_open_control(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\n" HOST END "GET /nothing HTTP/1.1\r\n" HOST END
			 "POST /publish HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
			 "GET /publish HTTP/1.1\r\n" HOST END "POST /publish HTTP/1.1\r\n" HOST
			 "Transfer-Encoding: chunked\r\n\r\n"
			 "5;ext=1\r\nhello\r\n00\r\nTrailer: x\r\n\r\n"
			 "\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n" HOST END);
	for (size_t i = 0; i < ROWS(statuses); i++) {
		client_read(&c, &r);
		cr_expect(r.status == statuses[i], "answer %zu is %d", i, r.status);
		cr_expect(response_is(&r, "Connection", "close") == (i == 5));
		response_done(&r);
	}
	client_expect_eof(&c);
	client_close(&c);
	daemon_stop(&d);
}

Test(http, answers_a_thousand_pipelined_requests)
{
	enum { COUNT = 1000 };
	struct daemon d;
	struct client c;
	struct buf requests;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	buf_init(&requests, 1 << 20);
	for (int i = 0; i < COUNT; i++)
		buf_add(&requests, STR("GET /healthz HTTP/1.1\r\n" HOST END));
	client_send(&c, buf_str(&requests));
	client_end(&c);
	for (int i = 0; i < COUNT; i++) {
		struct response r;

		client_read(&c, &r);
		cr_assert(r.status == 200);
		response_done(&r);
	}
	client_expect_eof(&c);
	client_close(&c);
	buf_done(&requests);
	daemon_stop(&d);
}

Test(http, answer_does_not_wait_for_the_body_of_the_next_request)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open_control(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\n" HOST END POST "Content-Length: 5\r\n\r\n");
	for (int i = 0; i < 2; i++) {
		client_read(&c, &r);
		cr_expect(r.status == 200);
		response_done(&r);
		client_try_send(&c, STR("hello"));
	}
	client_close(&c);
	daemon_stop(&d);
}

Test(http, stream_behind_pipelined_requests_comes_after_their_answers)
{
	struct daemon d;
	struct client c;
	struct response r;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\n" HOST END "GET /sse HTTP/1.1\r\n" HOST END);
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	reader_begin(&s, &c);
	publish(&d, "/publish", "x", NULL);
	reader_wait(&s, 1);
	reader_close(&s);
	daemon_stop(&d);
}

Test(http, takes_a_request_byte_by_byte)
{
	static const char text[] =
		"POST /publish HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n4;x=\"y\"\r\ndefg\r\n0\r\nA: b\r\nC: d\r\n\r\n";
	struct daemon d;
	struct client c;
	struct response r;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	client_open_control(&c, &d);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		client_send(&c, (struct str){ text + i, 1 });
		/* Another client's answer shows that the daemon has seen the byte. */
		if (i % 8 == 0)
			cr_assert(request(&d, NULL, "GET /healthz HTTP/1.1\r\n" HOST END) == 200);
	}
	client_read(&c, &r);
	cr_expect(r.status == 200);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "abcdefg");
	response_done(&r);
	client_close(&c);
	reader_close(&s);
	daemon_stop(&d);
}

Test(http, says_continue_to_a_client_that_waits_for_it)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open_control(&c, &d);
	client_sendf(&c, POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	client_read_bodiless(&c, &r);
	cr_expect(r.status == 100);
	response_done(&r);
	client_sendf(&c, "hello");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(http, speaks_to_clients_of_http_1_0)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.0\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	cr_expect(!r.chunked);
	cr_expect(response_is(&r, "Connection", "close"));
	client_expect_eof(&c);
	response_done(&r);
	client_close(&c);

	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(http, absolute_form_empty_line_and_later_minor_versions_are_fine)
{
	static const char *const texts[] = {
		"GET http://a.example:80/healthz HTTP/1.1\r\nHost: b\r\n\r\n",
		"\r\nGET /healthz HTTP/1.1\r\n" HOST END,
		"GET /healthz HTTP/1.7\r\n" HOST END,
		"GET /healthz?x=y HTTP/1.1\r\nhost:a\r\nX:\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n",
		"GET /healthz HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
	};
	struct daemon d;

	daemon_begin(&d, NULL);
	for (size_t i = 0; i < ROWS(texts); i++)
		cr_expect(request(&d, NULL, texts[i]) == 200, "%s", texts[i]);
	daemon_stop(&d);
}

Test(http, head_has_the_fields_of_get_and_no_body)
{
	static const char *const paths[] = { "/", "/healthz", "/nothing" };
	struct daemon d;
	struct client c;
	struct response get, head;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	for (size_t i = 0; i < ROWS(paths); i++) {
		client_sendf(&c, "HEAD %s HTTP/1.1\r\n" HOST END, paths[i]);
		client_read_bodiless(&c, &head);
		client_sendf(&c, "GET %s HTTP/1.1\r\n" HOST END, paths[i]);
		client_read(&c, &get);
		cr_expect(head.status == get.status);
		cr_expect(head.has_length && head.length == get.length, "%s", paths[i]);
		response_done(&head);
		response_done(&get);
	}
	client_close(&c);
	daemon_stop(&d);
}

Test(http, options_of_the_server_as_a_whole)
{
	struct daemon d;
	int status;

	daemon_begin(&d, NULL);
	status = request(&d, NULL, "OPTIONS * HTTP/1.1\r\n" HOST END);
	cr_expect(status == 200 || status == 204, "%d", status);
	cr_expect(request(&d, NULL, "GET * HTTP/1.1\r\n" HOST END) == 400);
	daemon_stop(&d);
}

Test(http, client_that_half_closes_still_gets_its_answer)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET / HTTP/1.1\r\n" HOST END);
	client_end(&c);
	client_read(&c, &r);
	cr_expect(r.status == 200);
	client_expect_eof(&c);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(http, timeouts_of_head_body_and_idle_connections)
{
	struct daemon d;
	struct client silent, head, body, idle;
	struct response r;

	daemon_begin(&d, OPTIONS("--head-timeout", "100ms", "--body-timeout", "100ms",
				 "--idle-timeout", "150ms"));
	client_open(&silent, &d);
	client_open(&head, &d);
	client_sendf(&head, "GET / HTTP/1.1\r\n");
	client_open_control(&body, &d);
	client_sendf(&body, POST "Content-Length: 5\r\n\r\nab");
	client_open(&idle, &d);
	client_sendf(&idle, "GET /healthz HTTP/1.1\r\n" HOST END);
	client_read(&idle, &r);
	response_done(&r);
	client_expect_eof(&idle);
	client_expect_eof(&silent);
	client_read(&head, &r);
	cr_expect(r.status == 408, "%d", r.status);
	response_done(&r);
	client_expect_eof(&head);
	client_read(&body, &r);
	cr_expect(r.status == 408, "%d", r.status);
	response_done(&r);
	client_expect_eof(&body);
	client_close(&silent);
	client_close(&head);
	client_close(&body);
	client_close(&idle);
	daemon_stop(&d);
}
