/*
 * Coming back: every later event once and in order, or a gap event that says what is lacking.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "reader.h"

enum { EVENTS = 20 };

/* Publishes "0", "1", … and keeps the ids. */
static void publish_numbers(const struct daemon *d, const char *path, int from, int to,
			    char ids[][ID_TEXT])
{
	char data[16];

	for (int i = from; i < to; i++) {
		snprintf(data, sizeof(data), "%d", i);
		publish(d, path, data, ids[i]);
	}
}

/* Expects exactly the numbers from..to-1, and nothing before. */
static void expect_numbers(struct reader *s, int from, int to)
{
	char data[16];

	reader_wait(s, (size_t)(to - from));
	for (int i = from; i < to; i++) {
		snprintf(data, sizeof(data), "%d", i);
		cr_assert_str_eq(s->events[i - from].data, data);
	}
}

Test(resume, after_a_forced_close_brings_exactly_what_was_missed)
{
	char ids[EVENTS][ID_TEXT], fields[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	reader_open(&s, &d, "/sse", "");
	publish_numbers(&d, "/publish", 0, 5, ids);
	reader_wait(&s, 6);
	cr_assert_str_eq(s.events[5].id, ids[4]);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", s.events[5].id);
	reader_abort(&s);
	publish_numbers(&d, "/publish/elsewhere", 5, 6, ids);
	publish_numbers(&d, "/publish", 5, 12, ids);
	reader_open(&s, &d, "/sse", fields);
	expect_numbers(&s, 5, 12);
	publish_numbers(&d, "/publish", 12, EVENTS, ids);
	expect_numbers(&s, 5, EVENTS);
	cr_expect(s.retry_ms == 3000);
	for (int i = 5; i < EVENTS; i++)
		cr_expect_str_eq(s.events[i - 5].id, ids[i]);
	cr_expect(s.count == EVENTS - 5);
	reader_close(&s);
	daemon_stop(&d);
}

Test(resume, by_query_and_since_is_the_same)
{
	static const char *const ways[] = { "lastEventID", "last-event-id", "since" };
	char ids[EVENTS][ID_TEXT], target[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, EVENTS, ids);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		snprintf(target, sizeof(target), "/sse?%s=%s", ways[i], ids[9]);
		reader_open(&s, &d, target, "");
		expect_numbers(&s, 10, EVENTS);
		publish(&d, "/publish", "live", NULL);
		cr_expect(reader_wait_data(&s, "live") >= EVENTS - 10);
		reader_close(&s);
	}
	daemon_stop(&d);
}

Test(resume, header_of_the_reconnecting_browser_wins_over_the_query)
{
	char ids[EVENTS][ID_TEXT], target[128], fields[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, EVENTS, ids);
	snprintf(target, sizeof(target), "/sse?lastEventID=%s", ids[2]);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", ids[14]);
	reader_open(&s, &d, target, fields);
	expect_numbers(&s, 15, EVENTS);
	reader_close(&s);
	daemon_stop(&d);
}

Test(resume, from_the_welcome_brings_all_that_came_after_it)
{
	char ids[EVENTS][ID_TEXT], fields[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, 5, ids);
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", s.events[0].id);
	reader_abort(&s);
	publish_numbers(&d, "/publish", 5, EVENTS, ids);
	reader_open(&s, &d, "/sse", fields);
	expect_numbers(&s, 5, EVENTS);
	reader_close(&s);
	daemon_stop(&d);
}

Test(resume, since_a_time_brings_what_was_retained_since_then)
{
	static const char *const targets[] = { "/sse?since=10m", "/sse?since=600s",
					       "/sse?since=1h" };
	char ids[EVENTS][ID_TEXT], data[16];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, EVENTS, ids);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		reader_open(&s, &d, targets[i], "");
		/* That it was not there ten minutes ago, it says. */
		reader_wait(&s, EVENTS + 1);
		cr_expect_str_eq(s.events[0].type, "gap");
		for (int j = 0; j < EVENTS; j++) {
			snprintf(data, sizeof(data), "%d", j);
			cr_expect_str_eq(s.events[j + 1].data, data);
		}
		reader_close(&s);
	}
	daemon_stop(&d);
}

Test(resume, at_the_newest_id_brings_nothing_but_what_comes)
{
	char ids[EVENTS][ID_TEXT], fields[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, 10, ids);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", ids[9]);
	reader_open(&s, &d, "/sse", fields);
	publish_numbers(&d, "/publish", 10, EVENTS, ids);
	expect_numbers(&s, 10, EVENTS);
	reader_close(&s);
	daemon_stop(&d);
}

Test(resume, from_an_id_of_the_publisher_s_own)
{
	char ids[EVENTS][ID_TEXT];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, 3, ids);
	publish(&d, "/publish?id=urn:my%20id", "mine", NULL);
	publish_numbers(&d, "/publish", 3, 6, ids);
	reader_open(&s, &d, "/sse", "Last-Event-ID: urn:my id\r\n");
	expect_numbers(&s, 3, 6);
	reader_close(&s);
	daemon_stop(&d);
}

Test(resume, from_an_id_nobody_knows_begins_with_a_gap)
{
	char ids[EVENTS][ID_TEXT];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish_numbers(&d, "/publish", 0, 3, ids);
	reader_open(&s, &d, "/sse", "Last-Event-ID: what\"ever\r\n");
	reader_wait(&s, 4);
	cr_expect_str_eq(s.events[0].type, "gap");
	cr_expect(strstr(s.events[0].data, "\"from\":\"what\\\"ever\""), "%s", s.events[0].data);
	cr_expect(strstr(s.events[0].data, "\"floor\":"), "%s", s.events[0].data);
	cr_expect(strstr(s.events[0].data, "\"reason\":\""), "%s", s.events[0].data);
	for (int i = 0; i < 3; i++)
		cr_expect_str_eq(s.events[i + 1].id, ids[i]);
	reader_close(&s);
	daemon_stop(&d);
}

/* Fills a ring of 64K many times over, with big events behind a small one. */
static void overflow(const struct daemon *d)
{
	char big[4001];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (int i = 0; i < 60; i++)
		publish(d, "/publish", big, NULL);
}

Test(resume, below_the_floor_begins_with_a_gap_then_what_is_retained)
{
	char ids[EVENTS][ID_TEXT], fields[128], from[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS("--ring-bytes", "64K"));
	publish_numbers(&d, "/publish", 0, 1, ids);
	overflow(&d);
	publish_numbers(&d, "/publish", 1, 4, ids);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", ids[0]);
	snprintf(from, sizeof(from), "\"from\":\"%s\"", ids[0]);
	reader_open(&s, &d, "/sse", fields);
	size_t last = reader_wait_data(&s, "3");

	cr_expect_str_eq(s.events[0].type, "gap");
	cr_expect(strstr(s.events[0].data, from), "%s", s.events[0].data);
	cr_expect(strstr(s.events[0].data, "\"floor\":\""), "%s", s.events[0].data);
	cr_expect(strstr(s.events[0].data, "\"reason\":\""), "%s", s.events[0].data);
	cr_expect(last > 8 && last < 20, "%zu events were retained", last);
	for (size_t i = 1; i < last - 2; i++)
		cr_expect_str_eq(s.events[i].type, "message");
	cr_expect_str_eq(s.events[last - 2].data, "1");
	reader_close(&s);

	/* The floor that the gap names is a place to resume from without another. */
	reader_open(&s, &d, "/sse", fields);
	reader_wait(&s, 1);
	char *floor = strstr(s.events[0].data, "\"floor\":\"");

	cr_assert(floor && sscanf(floor, "\"floor\":\"%63[^\"]", ids[5]) == 1);
	reader_close(&s);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", ids[5]);
	reader_open(&s, &d, "/sse", fields);
	cr_expect(reader_wait_data(&s, "3") == last - 1);
	cr_expect_str_eq(s.events[0].type, "message");
	reader_close(&s);
	daemon_stop(&d);
}

Test(resume, several_topics_come_back_in_one_order)
{
	static const char *const paths[] = { "/publish/a", "/publish/b", "/publish/c" };
	char ids[EVENTS][ID_TEXT], fields[128];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, NULL);
	publish(&d, "/publish/a", "begin", ids[0]);
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", ids[0]);
	for (int i = 0; i < EVENTS; i++)
		publish_numbers(&d, paths[i % 3], i, i + 1, ids);
	reader_open(&s, &d, "/sse?topic=c&topic=a", fields);
	reader_wait(&s, 13);
	for (int i = 0, at = 0; i < EVENTS; i++)
		if (i % 3 != 1)
			cr_expect_str_eq(s.events[at++].id, ids[i]);
	reader_close(&s);
	daemon_stop(&d);
}

/* The event and the subscription come in one turn, and nobody asked for the topic before. */
Test(resume, misses_nothing_of_the_turn_in_which_it_comes)
{
	struct daemon d;
	struct client c;
	struct response r;
	struct reader s;
	char before[ID_TEXT];

	daemon_begin(&d, NULL);
	publish(&d, "/publish/x", "before", before);
	client_open_control(&c, &d);
	client_sendf(&c,
		     "POST /publish/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1"
		     "GET /sse/x HTTP/1.1\r\nHost: a\r\nLast-Event-ID: %s\r\n\r\n",
		     before);
	client_read(&c, &r);
	cr_assert(r.status == 200);
	response_done(&r);
	reader_begin(&s, &c);
	publish(&d, "/publish/x", "2", NULL);
	reader_wait(&s, 2);
	cr_expect_str_eq(s.events[0].data, "1");
	cr_expect_str_eq(s.events[1].data, "2");
	reader_close(&s);
	daemon_stop(&d);
}
