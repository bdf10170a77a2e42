/*
 * The daemon's own counters on the topic $stats: who gets them, what they say, and that they cost
 * the ring nothing.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"
#include "reader.h"

#define SSE_STATS "/sse?topic=$stats"

static void open_control(struct reader *s, const struct daemon *d, const char *target)
{
	struct client c;

	client_open_control(&c, d);
	client_sendf(&c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
	reader_begin(s, &c);
}

/* The number behind `"name":`, or -1. */
static double field(const struct reader_event *event, const char *name)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(event->data, key);
	return at ? strtod(at + strlen(key), NULL) : -1;
}

/* Waits for a snapshot in which the field has that value. */
static void wait_field(struct reader *s, const char *name, double value)
{
	while (s->count == 0 || field(&s->events[s->count - 1], name) < value - 0.5 ||
	       field(&s->events[s->count - 1], name) > value + 0.5)
		reader_wait(s, s->count + 1);
}

Test(meter, snapshots_follow_the_counters)
{
	struct daemon d;
	struct reader s, other;

	daemon_begin(&d, OPTIONS(QUIET));
	open_control(&s, &d, SSE_STATS);
	wait_field(&s, "live", 1);
	cr_expect_str_eq(s.events[0].type, "stats");
	cr_expect_str_eq(s.events[0].id, s.events[s.count - 1].id, "no id of its own");
	reader_open(&other, &d, "/sse", "");
	publish(&d, "/publish", "x", NULL);
	publish(&d, "/publish", "y", NULL);
	wait_field(&s, "events_total", 2);
	wait_field(&s, "deliveries_total", 2);
	wait_field(&s, "live", 2);
	reader_close(&other);
	wait_field(&s, "live", 1);
	reader_close(&s);
	daemon_stop(&d);
}

Test(meter, takes_no_place_in_the_ring)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	open_control(&s, &d, SSE_STATS "&topic=broadcast");
	publish(&d, "/publish", "kept", NULL);
	reader_wait(&s, 3);
	cr_expect(metric(&d, "ssecast_ring_records") < 1.5);
	cr_expect(metric(&d, "ssecast_events_total") < 1.5);
	reader_close(&s);
	daemon_stop(&d);
}

Test(meter, speaks_http10_too)
{
	struct daemon d;
	struct client c;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--public-stats"));
	client_open(&c, &d);
	client_sendf(&c, "GET " SSE_STATS " HTTP/1.0\r\n\r\n");
	reader_begin(&s, &c);
	reader_wait(&s, 2);
	cr_expect(field(&s.events[1], "uptime_seconds") > 0);
	reader_close(&s);
	daemon_stop(&d);
}

Test(meter, is_for_control_listeners_unless_it_is_public)
{
	static const char get[] = "GET " SSE_STATS " HTTP/1.1\r\nHost: a\r\n\r\n";
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	cr_expect(request(&d, NULL, get) == 400);
	daemon_stop(&d);
	daemon_begin(&d, OPTIONS(QUIET, "--public-stats"));
	reader_open(&s, &d, SSE_STATS, "");
	wait_field(&s, "live", 1);
	reader_close(&s);
	cr_expect(request(&d, NULL, "GET /sse/$other HTTP/1.1\r\nHost: a\r\n\r\n") == 400,
		  "only that one");
	cr_expect(request_control(&d, NULL, "POST /publish/$stats HTTP/1.1\r\nHost: a\r\n\r\n") ==
		  400);
	daemon_stop(&d);
}

Test(meter, everything_does_not_include_it)
{
	struct daemon d;
	struct reader all, s;

	daemon_begin(&d, OPTIONS(QUIET));
	open_control(&all, &d, "/sse/*");
	open_control(&s, &d, SSE_STATS);
	reader_wait(&s, 2);
	publish(&d, "/publish", "x", NULL);
	reader_wait(&all, 1);
	cr_expect_str_eq(all.events[0].data, "x");
	reader_close(&all);
	reader_close(&s);
	daemon_stop(&d);
}
