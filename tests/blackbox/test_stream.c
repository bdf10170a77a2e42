/*
 * The stream as a client sees it: its head, its first bytes, frames, topics, order, ticks,
 * heartbeats, old clients, other origins.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "reader.h"

Test(stream, head_promises_an_event_stream_that_nobody_stores)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	reader_open(&s, &d, "/sse", "");
	cr_expect(response_is(&s.head, "Content-Type", "text/event-stream"));
	cr_expect(response_is(&s.head, "Cache-Control", "no-cache, no-transform"));
	cr_expect(response_is(&s.head, "Connection", "keep-alive"));
	cr_expect(response_is(&s.head, "X-Accel-Buffering", "no"));
	cr_expect(response_is(&s.head, "Access-Control-Allow-Origin", "*"));
	cr_expect(response_is(&s.head, "Transfer-Encoding", "chunked"));
	cr_expect(response_header(&s.head, "Date").n == 29);
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, begins_with_retry_and_welcome)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	reader_open(&s, &d, "/events", "");
	reader_wait(&s, 1);
	cr_expect(s.retry_ms == 3000 && s.retries == 1);
	cr_expect_str_eq(s.events[0].data, "welcome to server sent event");
	cr_expect_str_eq(s.events[0].type, "message");
	cr_expect(str_starts(buf_str(&s.text), STR(": heartbeat 15000\nretry: 3000\n")));
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, welcome_and_retry_are_what_the_options_say)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS("--welcome", "hallo\nwelt", "--retry", "1500ms"));
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect(s.retry_ms == 1500);
	cr_expect_str_eq(s.events[0].data, "hallo\nwelt");
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, empty_welcome_is_none)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	publish(&d, "/publish", "first", NULL);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "first");
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, frame_is_exact_to_the_byte_and_one_chunk)
{
	static const char frame[] = "id: mine\nevent: price\nretry: 77\ndata: a\ndata: b\n"
				    "data: c\ndata: \n\n";
	struct daemon d;
	struct reader s;
	struct client raw;
	struct response head;
	char chunk[256];
	int n = snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", sizeof(frame) - 1, frame);

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	client_open(&raw, &d);
	client_sendf(&raw, "GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read_head(&raw, &head);
	publish(&d, "/publish?event=price&id=mine&retry=77", "a\r\nb\rc\n", NULL);
	reader_wait(&s, 1);
	cr_expect(s.text.n > sizeof(frame) &&
		  memcmp(s.text.p + s.text.n - sizeof(frame) + 1, frame, sizeof(frame) - 1) == 0);
	cr_expect_str_eq(s.events[0].data, "a\nb\nc\n");
	cr_expect_str_eq(s.events[0].type, "price");
	cr_expect_str_eq(s.events[0].id, "mine");
	cr_expect(s.retry_ms == 77);

	uint64_t deadline_ms = deadline();

	while (!memmem(raw.in.p, raw.in.n, chunk, (size_t)n))
		cr_assert(client_more(&raw, deadline_ms), "closed");
	response_done(&head);
	client_close(&raw);
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, ids_have_the_shape_of_time_and_grow)
{
	struct daemon d;
	char last[ID_TEXT], id[ID_TEXT];
	uint64_t last_ms = 0, last_seq = 0, before_ms = clock_real_ms();

	daemon_begin(&d, NULL);
	for (int i = 0; i < 50; i++) {
		unsigned long long ms, seq;
		int used = 0;

		publish(&d, "/publish", "x", id);
		cr_assert(sscanf(id, "%llu-%llu%n", &ms, &seq, &used) == 2 && !id[used], "%s", id);
		cr_assert(i == 0 || ms > last_ms || (ms == last_ms && seq > last_seq), "%s, %s",
			  last, id);
		cr_assert(ms >= before_ms && ms <= clock_real_ms());
		last_ms = ms;
		last_seq = seq;
		snprintf(last, sizeof(last), "%s", id);
	}
	daemon_stop(&d);
}

enum { MANY = 200, EACH = 100 };

Test(stream, two_hundred_see_the_same_events_in_the_same_order)
{
	struct reader *streams = calloc(MANY, sizeof(*streams));
	struct daemon d;
	char data[32];

	daemon_begin(&d, OPTIONS(QUIET));
	for (size_t i = 0; i < MANY; i++)
		reader_open(&streams[i], &d, i % 3 ? "/sse" : "/sse?topic=broadcast&topic=other",
			    "");
	for (int i = 0; i < EACH; i++) {
		snprintf(data, sizeof(data), "event %d", i);
		publish(&d, i % 2 ? "/publish" : "/publish/broadcast?event=even", data, NULL);
	}
	for (size_t i = 0; i < MANY; i++) {
		reader_wait(&streams[i], EACH);
		cr_assert(streams[i].count == EACH);
		for (int j = 0; j < EACH; j++) {
			snprintf(data, sizeof(data), "event %d", j);
			cr_assert_str_eq(streams[i].events[j].data, data);
			cr_assert_str_eq(streams[i].events[j].id, streams[0].events[j].id);
			cr_assert_str_eq(streams[i].events[j].type, j % 2 ? "message" : "even");
		}
	}
	for (size_t i = 0; i < MANY; i++)
		reader_close(&streams[i]);
	free(streams);
	daemon_stop(&d);
}

Test(stream, answer_to_publish_counts_the_subscribers_it_reaches)
{
	static const struct {
		const char *path, *answer;
	} rows[] = {
		{ "/publish", "\"subscribers\":2}" },
		{ "/publish/a", "\"subscribers\":3}" },
		{ "/publish/nobody", "\"subscribers\":1}" },
		{ "/publish?topic=a&topic=broadcast", "\"subscribers\":4}" },
	};
	struct daemon d;
	struct reader everything, plain, a, both;
	struct response r;
	char text[128];

	daemon_begin(&d, NULL);
	reader_open(&everything, &d, "/sse/*", "");
	reader_open(&plain, &d, "/sse", "");
	reader_open(&a, &d, "/sse/a", "");
	reader_open(&both, &d, "/sse?topic=a&topic=c", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].path);
		cr_assert(request_control(&d, &r, text) == 200);
		cr_expect(response_has(&r, rows[i].answer), "%s: %.*s", rows[i].path,
			  STR_ARG(buf_str(&r.body)));
		cr_expect(response_is(&r, "Content-Type", "application/json"));
		response_done(&r);
	}
	reader_close(&everything);
	reader_close(&plain);
	reader_close(&a);
	reader_close(&both);
	daemon_stop(&d);
}

Test(stream, brings_its_topics_and_no_others)
{
	static const struct {
		const char *target, *events;
	} rows[] = {
		{ "/sse", "1 " },
		{ "/sse/prices", "2 5 " },
		{ "/sse/b%C3%BCcher%2Fneu", "3 " },
		{ "/sse?topic=prices&topic=b%C3%BCcher/neu", "2 3 5 " },
		{ "/sse?topic=a+b", "4 5 " },
		{ "/sse?topic=prices&topic=a%20b", "2 4 5 " },
		{ "/sse/*", "1 2 3 4 5 " },
		{ "/sse?topic=*&topic=prices", "1 2 3 4 5 " },
		{ "/events/prices", "2 5 " },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct daemon d;
	struct reader s[ROWS];

	daemon_begin(&d, OPTIONS(QUIET));
	for (size_t i = 0; i < ROWS; i++)
		reader_open(&s[i], &d, rows[i].target, "");
	publish(&d, "/publish", "1 ", NULL);
	publish(&d, "/publish/prices", "2 ", NULL);
	publish(&d, "/publish/b%C3%BCcher%2Fneu", "3 ", NULL);
	publish(&d, "/publish?topic=a%20b", "4 ", NULL);
	publish(&d, "/publish?topic=a+b&topic=prices", "5 ", NULL);
	publish(&d, "/publish?topic=a+b&topic=prices&topic=broadcast&topic=b%C3%BCcher%2Fneu",
		"end", NULL);
	for (size_t i = 0; i < ROWS; i++) {
		char got[64] = "";
		size_t end = reader_wait_data(&s[i], "end");

		for (size_t j = 0; j < end; j++)
			strcat(got, s[i].events[j].data);
		cr_expect_str_eq(got, rows[i].events, "%s got %s", rows[i].target, got);
		reader_close(&s[i]);
	}
	daemon_stop(&d);
}

Test(stream, takes_64_topics_and_refuses_more)
{
	struct daemon d;
	struct buf target;

	daemon_begin(&d, OPTIONS(QUIET));
	for (int count = 64; count <= 65; count++) {
		struct client c;
		struct response r;

		buf_init(&target, 4096);
		for (int i = 0; i < count; i++)
			buf_addf(&target, "%ctopic=t%d", i ? '&' : '?', i);
		client_open(&c, &d);
		client_sendf(&c, "GET /sse%.*s HTTP/1.1\r\nHost: a\r\n\r\n",
			     STR_ARG(buf_str(&target)));
		client_read_head(&c, &r);
		cr_expect(r.status == (count == 64 ? 200 : 400), "%d: %d", count, r.status);
		response_done(&r);
		client_close(&c);
		buf_done(&target);
	}
	daemon_stop(&d);
}

Test(stream, refuses_topics_that_nobody_could_publish_to)
{
	static const char *const targets[] = { "/sse?topic=", "/sse?topic=%FF", "/sse?topic=a%0Ab",
					       "/sse?topic=%zz", "/sse/%00" };
	struct daemon d;
	char text[512];

	daemon_begin(&d, NULL);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
		cr_expect(request(&d, NULL, text) == 400, "%s", targets[i]);
	}
	snprintf(text, sizeof(text), "GET /sse/%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 257, 0);
	cr_expect(request(&d, NULL, text) == 400);
	daemon_stop(&d);
}

Test(stream, ticks_come_at_their_interval_on_their_topic)
{
	struct daemon d;
	struct reader s;
	uint64_t begin_ms = clock_mono_ms();

	daemon_begin(&d, OPTIONS(QUIET, "--tick-interval", "50ms", "--tick-topic", "time",
				 "--tick-format", "it is %Y!"));
	reader_open(&s, &d, "/sse/time", "");
	reader_wait(&s, 6);
	cr_expect(clock_mono_ms() - begin_ms >= 5 * 50, "six ticks in too short a time");
	for (size_t i = 0; i < 6; i++)
		cr_expect(strncmp(s.events[i].data, "it is 2", 7) == 0 &&
				  strlen(s.events[i].data) == 11,
			  "%s", s.events[i].data);
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, tick_says_the_server_s_time_by_default)
{
	struct daemon d;
	struct reader s;
	int year, month, day, hour, minute, second;
	char zone[16];

	daemon_begin(&d, OPTIONS(QUIET, "--tick-interval", "20ms"));
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect(sscanf(s.events[0].data, "Server time is %4d-%2d-%2d %2d:%2d:%2d %15s", &year,
			 &month, &day, &hour, &minute, &second, zone) == 7,
		  "%s", s.events[0].data);
	reader_close(&s);
	daemon_stop(&d);
}

Test(stream, heartbeat_is_a_comment_on_a_silent_stream)
{
	struct daemon d;
	struct reader s, quiet;

	daemon_begin(&d, OPTIONS(QUIET, "--heartbeat", "100ms"));
	reader_open(&quiet, &d, "/sse/quiet", "");
	reader_open(&s, &d, "/sse", "");
	reader_wait_comments(&s, 4); /* the first one says how often */
	reader_wait_comments(&quiet, 4);
	publish(&d, "/publish", "after", NULL);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "after");
	cr_expect(s.retries == 1 && s.count == 1);
	reader_close(&s);
	reader_close(&quiet);
	daemon_stop(&d);
}

Test(stream, of_http_1_0_has_no_chunks_and_ends_by_close)
{
	struct daemon d;
	struct client c;
	struct reader s;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET /sse HTTP/1.0\r\n\r\n");
	reader_begin(&s, &c);
	cr_expect(!response_header(&s.head, "Transfer-Encoding").p);
	cr_expect(response_is(&s.head, "Connection", "close"));
	reader_wait(&s, 1);
	publish(&d, "/publish?event=x", "one\ntwo", NULL);
	publish(&d, "/publish", "", NULL);
	reader_wait(&s, 3);
	cr_expect_str_eq(s.events[0].data, "welcome to server sent event");
	cr_expect_str_eq(s.events[1].data, "one\ntwo");
	cr_expect_str_eq(s.events[2].data, "");
	daemon_signal(&d, SIGTERM);
	reader_wait_end(&s);
	cr_expect(!s.client.reset);
	reader_close(&s);
	cr_expect(daemon_wait_exit(&d) == 0);
	daemon_done(&d);
}

Test(stream, head_request_gets_the_head_only_and_the_connection_goes_on)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "HEAD /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read_bodiless(&c, &r);
	cr_expect(r.status == 200);
	cr_expect(response_is(&r, "Content-Type", "text/event-stream"));
	response_done(&r);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(stream, allows_the_origins_it_was_told)
{
	static const struct {
		const char *origin, *allowed;
	} rows[] = { { "https://a.example", "https://a.example" },
		     { "https://b.example:8443", "https://b.example:8443" },
		     { "https://c.example", NULL },
		     { "null", NULL } };
	struct daemon d;
	char fields[128];

	daemon_begin(&d, OPTIONS("--cors-origin", "https://a.example", "--cors-origin",
				 "https://b.example:8443"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reader s;

		snprintf(fields, sizeof(fields), "Origin: %s\r\n", rows[i].origin);
		reader_open(&s, &d, "/sse", fields);
		cr_expect(str_eq(response_header(&s.head, "Access-Control-Allow-Origin"),
				 str_of(rows[i].allowed)),
			  "%s", rows[i].origin);
		cr_expect(response_is(&s.head, "Vary", "Origin"));
		reader_close(&s);
	}
	daemon_stop(&d);
}

Test(stream, preflight_is_answered)
{
	struct daemon d;
	struct response r;

	daemon_begin(&d, NULL);
	int status =
		request(&d, &r,
			"OPTIONS /sse HTTP/1.1\r\nHost: a\r\nOrigin: https://x.example\r\n"
			"Access-Control-Request-Method: GET\r\n"
			"Access-Control-Request-Headers: last-event-id, cache-control\r\n\r\n");

	cr_expect(status == 204 || status == 200, "%d", status);
	cr_expect(response_is(&r, "Access-Control-Allow-Origin", "*"));
	cr_expect(memmem(r.head.p, r.head.n, "Access-Control-Allow-Methods: ", 30));
	struct str names = response_header(&r, "Access-Control-Allow-Headers");

	cr_assert(names.p);
	cr_expect(strcasestr(strndupa(names.p, names.n), "last-event-id"));
	response_done(&r);
	daemon_stop(&d);
}
