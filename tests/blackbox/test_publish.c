/*
 * Publishing over HTTP: one event a request, flows of events, who may, and what is refused.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "reader.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

#define NDJSON "Content-Type: application/x-ndjson\r\n"
#define BLOCKS "Content-Type: text/event-stream\r\n"

/* Posts bytes to the control socket; the answer is in r. */
static int post(const struct daemon *d, struct response *r, const char *path, const char *fields,
		struct str body)
{
	struct client c;

	client_open_control(&c, d);
	client_sendf(&c, "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n", path,
		     fields, body.n);
	client_send(&c, body);
	client_read(&c, r);
	client_close(&c);
	return r->status;
}

Test(publish, body_is_the_data_whatever_its_type_says)
{
	static const char *const types[] = { "",
					     "Content-Type: application/x-www-form-urlencoded\r\n",
					     "Content-Type: application/json\r\n",
					     "Content-Type: nonsense\r\n" };
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	for (size_t i = 0; i < ROWS(types); i++) {
		struct response r;

		cr_expect(post(&d, &r, "/publish", types[i], STR("a=1&b=%20{}")) == 200);
		reader_wait(&s, i + 1);
		cr_expect_str_eq(s.events[i].data, "a=1&b=%20{}");
		response_done(&r);
	}
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, empty_body_is_an_event_with_empty_data)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	publish(&d, "/publish", "", NULL);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "");
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, answers_the_event_s_own_id)
{
	struct daemon d;
	struct reader s;
	char id[ID_TEXT];

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	publish(&d, "/publish", "x", id);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].id, id);
	publish(&d, "/publish?id=mine", "x", id);
	cr_expect_str_eq(id, "mine");
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, takes_ids_of_the_daemon_s_shape_only_if_they_are_larger)
{
	struct daemon d;
	struct response r;
	char id[ID_TEXT], path[128];
	unsigned long long ms = clock_real_ms() + 3600 * 1000;

	daemon_begin(&d, NULL);
	snprintf(path, sizeof(path), "/publish?id=%llu-5", ms);
	publish(&d, path, "x", id);
	cr_expect_str_eq(id, path + strlen("/publish?id="));
	cr_expect(post(&d, &r, path, "", STR("x")) == 400);
	response_done(&r);
	cr_expect(post(&d, &r, "/publish?id=1-1", "", STR("x")) == 400);
	response_done(&r);
	cr_expect(post(&d, &r, "/publish?id=99999999999999-1", "", STR("x")) == 400);
	response_done(&r);
	snprintf(path, sizeof(path), "%llu-6", ms);
	publish(&d, "/publish", "x", id);
	cr_expect_str_eq(id, path);
	daemon_stop(&d);
}

Test(publish, refuses_with_a_sentence_and_stores_nothing)
{
	static const struct {
		const char *path;
		struct str body;
	} rows[] = {
		{ "/publish", STR("bad \xff utf-8") },
		{ "/publish", STR("cut \xe2\x82") },
		{ "/publish", STR("surrogate \xed\xa0\x80") },
		{ "/publish", STR("nul \0 inside") },
		{ "/publish?event=a%0Ab", STR("x") },
		{ "/publish?event=a%0Db", STR("x") },
		{ "/publish?event=a%00b", STR("x") },
		{ "/publish?event=%FF", STR("x") },
		{ "/publish?id=a%0Ab", STR("x") },
		{ "/publish?id=a%0Db", STR("x") },
		{ "/publish?id=a%00b", STR("x") },
		{ "/publish?id=%FF", STR("x") },
		{ "/publish?id=1-1", STR("x") },
		{ "/publish?retry=soon", STR("x") },
		{ "/publish?retry=-1", STR("x") },
		{ "/publish?retry=", STR("x") },
		{ "/publish?retry=99999999999999999999", STR("x") },
		{ "/publish?topic=", STR("x") },
		{ "/publish/", STR("x") },
		{ "/publish?topic=%FF", STR("x") },
		{ "/publish?topic=a%0Ab", STR("x") },
		{ "/publish?event=%zz", STR("x") },
		{ "/publish/%0", STR("x") },
	};
	struct daemon d;
	struct reader s;
	struct response r;
	char path[600];

	daemon_begin(&d, OPTIONS(QUIET));
	publish(&d, "/publish", "before", NULL);
	reader_open(&s, &d, "/sse?topic=*", "");
	for (size_t i = 0; i < ROWS(rows); i++) {
		cr_expect(post(&d, &r, rows[i].path, "", rows[i].body) == 400, "%s %.*s: %d",
			  rows[i].path, STR_ARG(rows[i].body), r.status);
		cr_expect(r.body.n > 8, "%s", rows[i].path);
		response_done(&r);
	}
	snprintf(path, sizeof(path), "/publish/%0*d", 257, 0);
	cr_expect(post(&d, &r, path, "", STR("x")) == 400);
	response_done(&r);
	snprintf(path, sizeof(path), "/publish/%0*d", 256, 0);
	cr_expect(post(&d, &r, path, "", STR("longest")) == 200);
	response_done(&r);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "longest");
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, takes_lines_of_json)
{
	static const char lines[] =
		"{\"data\":\"plain\"}\n"
		"\n"
		"{\"topic\":\"broadcast\",\"event\":\"t\",\"id\":\"i1\",\"retry\":5,\"data\":\"a\\nb\"}\r\n"
		"{\"data\":{\"x\":[1, 2]},\"topic\":[\"other\",\"broadcast\"]}\n"
		"{\"topic\":\"other\",\"data\":\"not here\"}\n"
		"{\"data\":\"\\u00e4\"}";
	struct daemon d;
	struct reader s;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	cr_expect(post(&d, &r, "/publish", NDJSON, STR(lines)) == 200);
	cr_expect(response_has(&r, "\"accepted\":5"), "%.*s", STR_ARG(buf_str(&r.body)));
	reader_wait(&s, 4);
	cr_expect_str_eq(s.events[0].data, "plain");
	cr_expect_str_eq(s.events[1].data, "a\nb");
	cr_expect_str_eq(s.events[1].type, "t");
	cr_expect_str_eq(s.events[1].id, "i1");
	cr_expect_str_eq(s.events[2].data, "{\"x\":[1, 2]}");
	cr_expect_str_eq(s.events[3].data, "ä");
	cr_expect(s.retry_ms == 5);
	char last[128];

	snprintf(last, sizeof(last), "\"last_id\":\"%s\"", s.events[3].id);
	cr_expect(response_has(&r, last), "%.*s", STR_ARG(buf_str(&r.body)));
	response_done(&r);
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, takes_blocks_of_an_event_stream)
{
	static const char blocks[] = "\xef\xbb\xbf: a comment\ndata: one\ndata:two\n\n"
				     "event: t\nid: i1\nretry: 9\ndata\n\n"
				     "topic: other\ndata: not here\n\n"
				     "event: dropped\n\n"
				     "data: three\r\rdata: unfinished\n";
	struct daemon d;
	struct reader s;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	cr_expect(post(&d, &r, "/publish", "Content-Type: text/event-stream; charset=utf-8\r\n",
		       STR(blocks)) == 200);
	cr_expect(response_has(&r, "\"accepted\":4"), "%.*s", STR_ARG(buf_str(&r.body)));
	reader_wait(&s, 3);
	cr_expect_str_eq(s.events[0].data, "one\ntwo");
	cr_expect_str_eq(s.events[1].data, "");
	cr_expect_str_eq(s.events[1].type, "t");
	cr_expect_str_eq(s.events[1].id, "i1");
	cr_expect_str_eq(s.events[2].data, "three");
	response_done(&r);
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, flow_without_events_accepts_none)
{
	struct daemon d;
	struct response r;

	daemon_begin(&d, NULL);
	cr_expect(post(&d, &r, "/publish", NDJSON, STR("")) == 200);
	cr_expect(response_has(&r, "\"accepted\":0"), "%.*s", STR_ARG(buf_str(&r.body)));
	response_done(&r);
	daemon_stop(&d);
}

Test(publish, bad_line_is_named_and_what_came_before_it_stays)
{
	static const struct {
		const char *fields;
		struct str body;
		const char *line, *accepted;
	} rows[] = {
		{ NDJSON, STR("{\"data\":\"1\"}\n{\"data\":\"2\"}\nnonsense\n{\"data\":\"no\"}\n"),
		  "3", "2" },
		{ NDJSON, STR("{\"data\":\"3\"}\n\n{\"data\":\"no\",\"id\":\"a\\nb\"}\n"), "3",
		  "1" },
		{ NDJSON, STR("[1]\n"), "1", "0" },
		{ NDJSON, STR("{\"data\":\"4\"}\n{\"data\":\"no\",\"retry\":-1}"), "2", "1" },
		{ BLOCKS, STR("data: 5\n\ndata: \xff\n\ndata: no\n\n"), "", "1" },
	};
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct response r;
		char accepted[32], line[32];

		snprintf(accepted, sizeof(accepted), "\"accepted\":%s", rows[i].accepted);
		snprintf(line, sizeof(line), "line\":%s", rows[i].line);
		cr_expect(post(&d, &r, "/publish", rows[i].fields, rows[i].body) == 400);
		cr_expect(response_has(&r, accepted) && response_has(&r, line), "row %zu: %.*s", i,
			  STR_ARG(buf_str(&r.body)));
		response_done(&r);
	}
	publish(&d, "/publish", "end", NULL);
	cr_expect(reader_wait_data(&s, "end") == 5);
	for (size_t i = 0; i < 5; i++)
		cr_expect(s.events[i].data[0] == (char)('1' + i), "%s", s.events[i].data);
	reader_close(&s);
	daemon_stop(&d);
}

/* Publishes an event through a body that stays open, and sees it arrive. */
static void flow_arrives(const char *fields, const char *const lines[2], const char *accepted)
{
	struct daemon d;
	struct reader s;
	struct client c;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET, "--body-timeout", "1h"));
	reader_open(&s, &d, "/sse", "");
	client_open_control(&c, &d);
	client_sendf(&c, "PUT /publish HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n",
		     fields);
	for (size_t i = 0; i < 40; i++) {
		const char *line = lines[i % 2];

		client_sendf(&c, "%zx\r\n%s\r\n", strlen(line), line);
		reader_wait(&s, i + 1);
		cr_assert_str_eq(s.events[i].data, i % 2 ? "two" : "one");
	}
	client_sendf(&c, "0\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	cr_expect(response_has(&r, accepted), "%.*s", STR_ARG(buf_str(&r.body)));
	response_done(&r);
	client_close(&c);
	reader_close(&s);
	daemon_stop(&d);
}

Test(publish, lines_of_a_body_that_never_ends_appear_as_they_come)
{
	flow_arrives(NDJSON,
		     (const char *const[]){ "{\"data\":\"one\"}\n", "{\"data\":\"two\"}\n" },
		     "\"accepted\":40");
}

Test(publish, blocks_of_a_body_that_never_ends_appear_as_they_come)
{
	flow_arrives(BLOCKS, (const char *const[]){ "data: one\n\n", "data: two\n\n" },
		     "\"accepted\":40");
}

Test(publish, flow_may_be_longer_than_any_body)
{
	enum { LINES = 2000 };
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, OPTIONS("--max-body", "1K", "--body-timeout", "1h"));
	client_open_control(&c, &d);
	client_sendf(&c, "POST /publish HTTP/1.1\r\nHost: a\r\n" NDJSON
			 "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < LINES; i++)
		client_sendf(&c, "1f4\r\n{\"data\":\"%0488d\"}\n\r\n", i);
	client_sendf(&c, "0\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200, "%.*s", STR_ARG(buf_str(&r.body)));
	cr_expect(response_has(&r, "\"accepted\":2000"), "%.*s", STR_ARG(buf_str(&r.body)));
	response_done(&r);

	/* But one line may not. */
	struct buf line;

	buf_init(&line, 1 << 16);
	buf_addf(&line, "{\"data\":\"1\"}\n{\"data\":\"%02000d\"}\n", 0);
	int status = post(&d, &r, "/publish", NDJSON, buf_str(&line));

	cr_expect(status == 400 || status == 413, "%d", status);
	cr_expect(response_has(&r, "\"accepted\":1"), "%.*s", STR_ARG(buf_str(&r.body)));
	response_done(&r);
	buf_done(&line);
	client_close(&c);
	daemon_stop(&d);
}

Test(publish, on_public_listeners_needs_the_token)
{
	static const struct {
		const char *fields;
		int status;
	} rows[] = {
		{ "", 401 },
		{ "Authorization: Bearer wrong-token-00000\r\n", 401 },
		{ "Authorization: Bearer secret-token-12345x\r\n", 401 },
		{ "Authorization: Bearer secret-token-1234\r\n", 401 },
		{ "Authorization: Bearer\r\n", 401 },
		{ "Authorization: Basic secret-token-12345\r\n", 401 },
		{ "Authorization: Bearer secret-token-12345\r\n", 200 },
		{ "authorization: bearer secret-token-12345\r\n", 200 },
	};
	struct daemon d;
	struct response r;
	char text[256];

	daemon_init(&d);
	daemon_start(&d, OPTIONS("--publish-token-file",
				 daemon_file(&d, "token", STR("secret-token-12345\n"))));
	for (size_t i = 0; i < ROWS(rows); i++) {
		snprintf(text, sizeof(text),
			 "POST /publish HTTP/1.1\r\nHost: a\r\n%sContent-Length: 1\r\n\r\nx",
			 rows[i].fields);
		cr_expect(request(&d, &r, text) == rows[i].status, "%s: %d", rows[i].fields,
			  r.status);
		struct str challenge = response_header(&r, "WWW-Authenticate");

		cr_expect((r.status == 401) ==
			  (challenge.p && str_starts(challenge, STR("Bearer"))));
		response_done(&r);
	}
	publish(&d, "/publish", "no token on the control socket", NULL);
	daemon_stop(&d);
}

Test(publish, on_public_listeners_is_forbidden_where_no_token_is_set_up)
{
	struct daemon d;

	daemon_begin(&d, NULL);
	cr_expect(request(&d, NULL,
			  "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx") ==
		  403);
	cr_expect(request(&d, NULL,
			  "POST /publish HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n"
			  "Content-Length: 1\r\n\r\nx") == 403);
	daemon_stop(&d);
}

Test(publish, on_control_listeners_is_not_for_pages_of_other_hosts)
{
	static const struct {
		const char *fields;
		int status;
	} rows[] = {
		{ "Host: localhost:9\r\n", 200 },
		{ "Host: localhost:9\r\nOrigin: http://evil.example\r\n", 403 },
		{ "Host: localhost:9\r\nOrigin: null\r\n", 403 },
		{ "Host: localhost:9\r\nOrigin: http://localhost\r\n", 403 },
		{ "Host: localhost:9\r\nOrigin: http://localhost:9\r\n", 200 },
	};
	struct daemon d;
	char text[256];

	daemon_begin(&d, OPTIONS("--control", "127.0.0.1:0"));
	d.port = d.control_port;
	for (size_t i = 0; i < ROWS(rows); i++) {
		snprintf(text, sizeof(text),
			 "POST /publish HTTP/1.1\r\n%sContent-Length: 1\r\n\r\nx", rows[i].fields);
		int status = request(&d, NULL, text);

		cr_expect(status == rows[i].status, "%s: %d", rows[i].fields, status);
	}
	daemon_stop(&d);
}
