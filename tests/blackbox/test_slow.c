/*
 * Readers that stop, publishers that crawl, and too many of everything: nobody else notices.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "reader.h"

enum { BIG = 16000 };

/* A stream whose client has little room and reads nothing but the head. */
static void open_stopped(struct client *c, const struct daemon *d, const char *target)
{
	client_open_narrow(c, d);
	client_sendf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
	client_need(c, 15);
}

/* Publishes big events from number `from` to `to`, and waits for each at the reader. */
static void publish_big(const struct daemon *d, struct reader *reader, size_t from, size_t to)
{
	char *data = malloc(BIG + 1);

	memset(data, 'x', BIG);
	data[BIG] = '\0';
	for (size_t i = from; i < to; i++) {
		int n = snprintf(data, BIG, "%zu ", i);

		data[n] = 'x';
		publish(d, "/publish", data, NULL);
		reader_wait(reader, i + 1);
		cr_assert((size_t)atoi(reader->events[i].data) == i);
	}
	free(data);
}

Test(slow, reader_that_stops_delays_nobody_and_is_cut_for_its_lag)
{
	struct daemon d;
	struct client stopped;
	struct reader reader;

	daemon_begin(&d, OPTIONS(QUIET, "--ring-bytes", "1M", "--lag-max", "256K", "--sndbuf",
				 "16K", "--stall-timeout", "1h"));
	open_stopped(&stopped, &d, "/sse");
	reader_open(&reader, &d, "/sse", "");
	publish_big(&d, &reader, 0, 300);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"lagged\"}", 1);
	cr_expect(metric(&d, "ssecast_disconnects_total{reason=\"stalled\"}") < 1);
	publish_big(&d, &reader, 300, 310);
	client_close(&stopped);
	reader_close(&reader);
	daemon_stop(&d);
}

Test(slow, reader_that_stops_is_cut_when_the_ring_moves_on)
{
	struct daemon d;
	struct client stopped;
	struct reader reader;

	daemon_begin(&d, OPTIONS(QUIET, "--ring-bytes", "256K", "--sndbuf", "16K",
				 "--stall-timeout", "1h"));
	open_stopped(&stopped, &d, "/sse?topic=broadcast&topic=b");
	reader_open(&reader, &d, "/sse", "");
	publish_big(&d, &reader, 0, 100);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"lagged\"}", 1);
	client_close(&stopped);
	reader_close(&reader);
	daemon_stop(&d);
}

Test(slow, reader_that_makes_no_progress_is_cut_as_stalled)
{
	struct daemon d;
	struct client stopped;
	struct reader reader;

	daemon_begin(&d, OPTIONS(QUIET, "--sndbuf", "16K", "--stall-timeout", "200ms"));
	open_stopped(&stopped, &d, "/sse");
	reader_open(&reader, &d, "/sse", "");
	publish_big(&d, &reader, 0, 50);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"stalled\"}", 1);
	publish_big(&d, &reader, 50, 60);
	cr_expect(metric(&d, "ssecast_disconnects_total{reason=\"lagged\"}") < 1);
	client_close(&stopped);
	reader_close(&reader);
	daemon_stop(&d);
}

Test(slow, reader_that_pauses_gets_everything_once_it_goes_on)
{
	enum { COUNT = 200 };
	struct daemon d;
	struct client paused;
	struct reader reader, late;

	daemon_begin(&d, OPTIONS(QUIET, "--sndbuf", "16K"));
	open_stopped(&paused, &d, "/sse");
	reader_open(&reader, &d, "/sse", "");
	publish_big(&d, &reader, 0, COUNT);
	cr_expect(metric(&d, "ssecast_clients{state=\"walking\"}") >= 1);
	reader_begin(&late, &paused);
	reader_wait(&late, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		cr_assert_str_eq(late.events[i].id, reader.events[i].id);
		cr_assert_str_eq(late.events[i].data, reader.events[i].data);
	}
	publish(&d, "/publish", "live again", NULL);
	reader_wait(&late, COUNT + 1);
	cr_expect_str_eq(late.events[COUNT].data, "live again");
	reader_close(&late);
	reader_close(&reader);
	daemon_stop(&d);
}

Test(slow, publishers_bodies_hold_up_nobody)
{
	enum { PUBLISHERS = 20, SIZE = 50 };
	struct daemon d;
	struct client c[PUBLISHERS];
	struct reader s;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	for (int i = 0; i < PUBLISHERS; i++) {
		client_open_control(&c[i], &d);
		client_sendf(&c[i],
			     "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
			     SIZE);
	}
	for (size_t byte = 0; byte < SIZE; byte++) {
		cr_assert(s.count == byte);
		for (int i = 0; i < PUBLISHERS; i++)
			if (byte < SIZE - 1)
				client_sendf(&c[i], "%c", 'a' + i);
		publish(&d, "/publish", "in between", NULL);
		reader_wait(&s, byte + 1);
		cr_assert_str_eq(s.events[byte].data, "in between");
	}
	for (int i = PUBLISHERS - 1; i >= 0; i--) {
		client_sendf(&c[i], "%c", 'a' + i);
		client_read(&c[i], &r);
		cr_expect(r.status == 200);
		reader_wait(&s, (size_t)(SIZE + PUBLISHERS - i));
		cr_expect(s.events[SIZE + PUBLISHERS - 1 - i].data[SIZE - 1] == 'a' + i);
		response_done(&r);
		client_close(&c[i]);
	}
	reader_close(&s);
	daemon_stop(&d);
}

/* Over the limit: a stream gets 200, a retry and its end; anything else 503. */
static void expect_no_room(const struct daemon *d)
{
	struct reader s;
	struct response r;

	reader_open(&s, d, "/sse", "");
	reader_wait_end(&s);
	cr_expect(s.retries == 1 && s.retry_ms >= 1000 && s.count == 0, "%zu retries, %zu ms",
		  s.retries, (size_t)s.retry_ms);
	client_expect_eof(&s.client);
	reader_close(&s);
	cr_expect(request(d, &r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 503);
	cr_expect(response_header(&r, "Retry-After").n > 0);
	cr_expect(response_is(&r, "Connection", "close"));
	response_done(&r);
}

Test(limits, over_max_clients_a_stream_is_told_to_come_back)
{
	struct daemon d;
	struct client refused;
	struct reader s[3];

	daemon_begin(&d, OPTIONS(QUIET, "--max-clients", "3"));
	for (int i = 0; i < 3; i++)
		reader_open(&s[i], &d, "/sse", "");
	expect_no_room(&d);
	expect_no_room(&d);
	publish(&d, "/publish", "x", NULL);
	for (int i = 0; i < 3; i++)
		reader_wait(&s[i], 1);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"over_limit\"}", 4);
	/* One that has been refused and does not go yet takes nobody's place. */
	client_open(&refused, &d);
	client_sendf(&refused, "GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	while (client_more(&refused, deadline()))
		;
	reader_close(&s[0]);
	metric_wait_down(&d, "ssecast_clients{state=\"live\"}", 2);
	reader_open(&s[0], &d, "/sse", "");
	publish(&d, "/publish", "y", NULL);
	reader_wait(&s[0], 1);
	cr_expect_str_eq(s[0].events[0].data, "y");
	client_close(&refused);
	for (int i = 0; i < 3; i++)
		reader_close(&s[i]);
	daemon_stop(&d);
}

Test(limits, max_clients_per_ip_works_alike_and_spares_the_control_socket)
{
	struct daemon d;
	struct reader s[2];

	daemon_begin(&d, OPTIONS(QUIET, "--max-clients-per-ip", "2"));
	for (int i = 0; i < 2; i++)
		reader_open(&s[i], &d, "/sse", "");
	expect_no_room(&d);
	publish(&d, "/publish", "x", NULL);
	for (int i = 0; i < 2; i++) {
		reader_wait(&s[i], 1);
		reader_close(&s[i]);
	}
	daemon_stop(&d);
}

Test(limits, out_of_topics_the_streams_that_are_there_stay)
{
	struct daemon d;
	struct reader a, b, c;
	struct reader refused;

	daemon_begin(&d, OPTIONS(QUIET, "--max-topics", "2"));
	reader_open(&a, &d, "/sse/a", "");
	reader_open(&b, &d, "/sse/b", "");
	/* A browser survives nothing but 200. */
	reader_open(&refused, &d, "/sse/c", "");
	reader_wait_end(&refused);
	cr_expect(refused.retries == 1 && refused.count == 0);
	reader_close(&refused);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"over_limit\"}", 1);
	publish(&d, "/publish/a", "x", NULL);
	publish(&d, "/publish/b", "x", NULL);
	reader_wait(&a, 1);
	reader_wait(&b, 1);
	reader_close(&b);
	metric_wait_down(&d, "ssecast_topics", 1);
	reader_open(&c, &d, "/sse/c", "");
	publish(&d, "/publish/c", "recovered", NULL);
	reader_wait_data(&c, "recovered");
	reader_close(&a);
	reader_close(&c);
	daemon_stop(&d);
}

Test(limits, out_of_descriptors_it_keeps_what_it_has_and_recovers)
{
	enum { CLIENTS = 100, FILES = 64 };
	struct daemon d;
	struct reader s;
	struct client control, c[CLIENTS];
	struct response r;

	daemon_init(&d);
	d.files_max = FILES;
	daemon_start(&d, OPTIONS(QUIET, "--tick-interval", "20ms"));
	reader_open(&s, &d, "/sse", "");
	client_open_control(&control, &d);
	client_sendf(&control, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&control, &r);
	response_done(&r);
	for (int i = 0; i < CLIENTS; i++)
		client_open(&c[i], &d);
	reader_wait(&s, s.count + 20);
	for (int i = 0; i < CLIENTS; i++)
		client_close(&c[i]);
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	client_close(&control);
	reader_close(&s);
	daemon_stop(&d);
}

/* Left alone, the kernel takes megabytes for each client that reads nothing. */
Test(limits, client_that_reads_nothing_walks_before_a_megabyte_lies_in_the_kernel)
{
	enum { EVENTS = 16, SIZE = 64 * 1024 };
	static char data[SIZE + 1];
	struct daemon d;
	struct client c;

	memset(data, 'x', SIZE);
	daemon_begin(&d, OPTIONS(QUIET));
	client_open_narrow(&c, &d);
	client_sendf(&c, "GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	metric_wait(&d, "ssecast_clients{state=\"live\"}", 1);
	for (int i = 0; i < EVENTS; i++)
		publish(&d, "/publish", data, NULL);
	metric_wait(&d, "ssecast_clients{state=\"walking\"}", 1);
	client_close(&c);
	daemon_stop(&d);
}

/* Whoever publishes does not wait for those who hold connections that they may not have. */
Test(limits, crowd_over_the_limit_leaves_room_on_the_control_socket)
{
	enum { CROWD = 300, TRIES = 5 };
	static struct client crowd[CROWD];
	bool was_room = false;

	/* In each of them the crowd is cut after a while, which on a slow machine comes too soon.
	 */
	for (int i = 0; i < TRIES && !was_room; i++) {
		struct daemon d;

		daemon_begin(&d, OPTIONS(QUIET, "--max-clients", "1"));
		for (int k = 0; k < CROWD; k++)
			client_open(&crowd[k], &d);
		daemon_wait_log(&d, "accepting no more clients");
		publish(&d, "/publish", "x", NULL);
		was_room = metric(&d, "ssecast_disconnects_total{reason=\"over_limit\"}") == 0;
		for (int k = 0; k < CROWD; k++)
			client_close(&crowd[k]);
		daemon_stop(&d);
	}
	cr_expect(was_room);
}
