/*
 * Many events in one turn of the loop, and clients that come and go meanwhile.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

enum { BURST = 600 };

/* Publishes the numbers 0..BURST-1 to the topics a, b and c in turn, with one send. */
static void publish_burst(const struct daemon *d)
{
	struct buf requests;
	struct client c;
	char data[16];

	buf_init(&requests, 1 << 20);
	for (int i = 0; i < BURST; i++) {
		int n = snprintf(data, sizeof(data), "%d", i);

		buf_addf(&requests,
			 "POST /publish/%c HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s",
			 'a' + i % 3, n, data);
	}
	client_open_control(&c, d);
	client_send(&c, buf_str(&requests));
	for (int i = 0; i < BURST; i++) {
		struct response r;

		client_read(&c, &r);
		cr_assert(r.status == 200);
		response_done(&r);
	}
	client_close(&c);
	buf_done(&requests);
}

/* Expects the numbers of those topics, in order, and nothing else. */
static void expect_burst(struct reader *s, const char *topics)
{
	char data[16];
	size_t at = 0;

	reader_wait(s, (size_t)BURST / 3 * strlen(topics));
	for (int i = 0; i < BURST; i++) {
		if (!strchr(topics, 'a' + i % 3))
			continue;
		snprintf(data, sizeof(data), "%d", i);
		cr_assert_str_eq(s->events[at++].data, data);
	}
	cr_assert(s->count == at);
}

Test(burst, of_several_topics_reaches_everybody_in_order)
{
	static const struct {
		const char *target, *topics;
	} rows[] = {
		{ "/sse/a", "a" },
		{ "/sse/b", "b" },
		{ "/sse?topic=a&topic=c", "ac" },
		{ "/sse/*", "abc" },
		{ "/sse?topic=b&topic=*", "abc" },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct daemon d;
	struct reader s[ROWS * 4];

	daemon_begin(&d, OPTIONS(QUIET));
	for (size_t i = 0; i < ROWS * 4; i++)
		reader_open(&s[i], &d, rows[i % ROWS].target, "");
	publish_burst(&d);
	for (size_t i = 0; i < ROWS * 4; i++) {
		expect_burst(&s[i], rows[i % ROWS].topics);
		reader_close(&s[i]);
	}
	daemon_stop(&d);
}

Test(burst, is_seen_whole_by_who_comes_back_in_the_middle_of_it)
{
	char id[ID_TEXT], fields[128];
	struct daemon d;
	struct reader s[2];

	daemon_begin(&d, OPTIONS(QUIET));
	publish(&d, "/publish/b", "before", id);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", id);
	reader_open(&s[0], &d, "/sse?topic=b&topic=c", fields);
	publish_burst(&d);
	reader_open(&s[1], &d, "/sse?topic=b&topic=c", fields);
	for (int i = 0; i < 2; i++) {
		expect_burst(&s[i], "bc");
		reader_close(&s[i]);
	}
	daemon_stop(&d);
}

Test(burst, while_clients_come_and_go_in_every_way)
{
	enum { ROUNDS = 30, GUESTS = 20 };
	struct daemon d;
	struct reader s;
	char data[32];

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	for (size_t round = 0; round < ROUNDS; round++) {
		struct reader guests[GUESTS];

		for (int i = 0; i < GUESTS; i++)
			reader_open(&guests[i], &d, i % 2 ? "/sse" : "/sse?topic=broadcast&topic=x",
				    "");
		snprintf(data, sizeof(data), "%zu", round);
		publish(&d, "/publish", data, NULL);
		for (int i = 0; i < GUESTS; i++) {
			if (i % 4 == 0)
				reader_wait(&guests[i], 1);
			if (i % 3 == 0)
				reader_abort(&guests[i]);
			else
				reader_close(&guests[i]);
		}
		publish(&d, "/publish?event=after", data, NULL);
		reader_wait(&s, 2 * (round + 1));
		cr_assert_str_eq(s.events[2 * round].data, data);
		cr_assert_str_eq(s.events[2 * round + 1].data, data);
	}
	reader_close(&s);
	daemon_stop(&d);
}

Test(burst, body_that_breaks_off_is_no_event)
{
	static const struct {
		const char *fields, *body;
	} rows[] = {
		{ "Content-Length: 10\r\n\r\n", "12345" },
		{ "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n" },
		{ "Transfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n",
		  "10\r\n{\"data\":\"broken\"\r\n" },
		{ "Transfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n",
		  "d\r\ndata: broken\n\r\n" },
	};
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int way = 0; way < 2; way++) {
			struct client c;

			client_open_control(&c, &d);
			client_sendf(&c, "POST /publish HTTP/1.1\r\nHost: a\r\n%s%s",
				     rows[i].fields, rows[i].body);
			if (way) {
				client_end(&c);
				while (client_more(&c, deadline()))
					continue;
			}
			client_close(&c);
		}
	publish(&d, "/publish", "whole", NULL);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "whole");
	reader_close(&s);
	daemon_stop(&d);
}

Test(burst, event_larger_than_the_ring_is_refused)
{
	enum { SIZE = 200000 };
	struct daemon d;
	struct client c;
	struct response r;
	struct reader s;
	char *big = malloc(SIZE), id[ID_TEXT], target[128];

	memset(big, 'x', SIZE);
	daemon_begin(&d, OPTIONS(QUIET, "--ring-bytes", "64K"));
	publish(&d, "/publish", "begin", id);
	publish(&d, "/publish", "before", NULL);
	client_open_control(&c, &d);
	client_sendf(&c, "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
	client_try_send(&c, (struct str){ big, SIZE });
	client_read(&c, &r);
	cr_expect(r.status == 413 || r.status == 400, "%d", r.status);
	response_done(&r);
	client_close(&c);
	snprintf(target, sizeof(target), "/sse?since=%s", id);
	reader_open(&s, &d, target, "");
	publish(&d, "/publish", "after", NULL);
	reader_wait(&s, 2);
	cr_expect_str_eq(s.events[0].data, "before");
	cr_expect_str_eq(s.events[1].data, "after");
	reader_close(&s);
	free(big);
	daemon_stop(&d);
}

Test(burst, of_big_events_passes_through_a_small_ring_to_a_fast_reader)
{
	enum { COUNT = 400, SIZE = 9000 };
	struct daemon d;
	struct reader s;
	char data[SIZE + 1];

	memset(data, 'y', SIZE);
	data[SIZE] = '\0';
	daemon_begin(&d, OPTIONS(QUIET, "--ring-bytes", "64K"));
	reader_open(&s, &d, "/sse", "");
	for (size_t i = 0; i < COUNT; i++) {
		data[0] = (char)('a' + i % 26);
		publish(&d, "/publish", data, NULL);
		reader_wait(&s, i + 1);
		cr_assert_str_eq(s.events[i].data, data);
	}
	reader_close(&s);
	daemon_stop(&d);
}
