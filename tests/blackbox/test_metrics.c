/*
 * What an operator sees: /metrics and /healthz.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"
#include "reader.h"

#define GET_METRICS "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"

Test(metrics, parse_strictly_before_and_after_work)
{
	struct daemon d;
	struct reader s;
	struct response r;

	daemon_begin(&d, NULL);
	cr_assert(request_control(&d, &r, GET_METRICS) == 200);
	cr_expect(
		str_starts(response_header(&r, "Content-Type"), STR("text/plain; version=0.0.4")));
	metrics_check(buf_str(&r.body));
	response_done(&r);
	reader_open(&s, &d, "/sse", "");
	publish(&d, "/publish", "x", NULL);
	reader_wait(&s, 2);
	request(&d, NULL, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	request(&d, NULL, "nonsense\r\n\r\n");
	cr_assert(request_control(&d, &r, GET_METRICS) == 200);
	metrics_check(buf_str(&r.body));
	response_done(&r);
	reader_close(&s);
	daemon_stop(&d);
}

Test(metrics, count_what_has_happened)
{
	struct daemon d;
	struct reader s[3];

	daemon_begin(&d, OPTIONS(QUIET));
	for (int i = 0; i < 3; i++)
		reader_open(&s[i], &d, "/sse", "");
	for (int i = 0; i < 5; i++)
		publish(&d, "/publish", "hello", NULL);
	for (int i = 0; i < 3; i++)
		reader_wait(&s[i], 5);
	cr_expect(request_control(&d, NULL, "POST /publish?retry=x HTTP/1.1\r\nHost: a\r\n\r\n") ==
		  400);
	static const struct {
		const char *sample;
		double value;
	} rows[] = {
		{ "ssecast_clients{state=\"live\"}", 3 },
		{ "ssecast_clients{state=\"walking\"}", 0 },
		{ "ssecast_events_total", 5 },
		{ "ssecast_events_refused_total", 1 },
		{ "ssecast_deliveries_total", 15 },
		{ "ssecast_ring_records", 5 },
		{ "ssecast_topics", 1 },
		{ "ssecast_requests_total{route=\"stream\",status=\"200\"}", 3 },
		{ "ssecast_requests_total{route=\"publish\",status=\"200\"}", 5 },
		{ "ssecast_requests_total{route=\"publish\",status=\"400\"}", 1 },
		{ "ssecast_ticks_missed_total", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double value = metric(&d, rows[i].sample);

		cr_expect(value > rows[i].value - 0.5 && value < rows[i].value + 0.5, "%s is %g",
			  rows[i].sample, value);
	}
	cr_expect(metric(&d, "ssecast_accepts_total") >= 9);
	cr_expect(metric(&d, "ssecast_sent_bytes_total") > 15 * 20);
	cr_expect(metric(&d, "ssecast_ring_bytes") > 5 * 20);
	cr_expect(metric(&d, "ssecast_flush_duration_seconds_count") >= 1);
	cr_expect(metric(&d, "ssecast_turn_duration_seconds_count") >= 5);
	for (int i = 0; i < 3; i++)
		reader_close(&s[i]);
	metric_wait_down(&d, "ssecast_clients{state=\"live\"}", 0);
	daemon_stop(&d);
}

Test(metrics, are_not_for_the_public)
{
	struct daemon d;

	daemon_begin(&d, NULL);
	cr_expect(request(&d, NULL, GET_METRICS) == 404);
	daemon_stop(&d);
}

Test(healthz, says_that_all_is_well_to_everybody)
{
	struct daemon d;

	daemon_begin(&d, NULL);
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	cr_expect(request_control(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_stop(&d);
}

Test(control, listener_serves_all_that_the_public_one_does)
{
	struct daemon d;
	struct client c;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	client_open_control(&c, &d);
	client_sendf(&c, "GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	reader_begin(&s, &c);
	publish(&d, "/publish", "x", NULL);
	reader_wait(&s, 1);
	reader_close(&s);
	cr_expect(request_control(&d, NULL, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_stop(&d);
}
