/*
 * Long polling: one answer at a time, none of the events lost or doubled between them, on a
 * connection that stays.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hubclient.h"
#include "metrics.h"
#include "reader.h"

#define LIVE "ssecast_clients{state=\"live\"}"

/* A poller: its connection, and where its last answer ended. */
struct poller {
	struct client client;
	struct response answer;
	char last_id[ID_TEXT];
};

static void poller_open(struct poller *p, const struct daemon *d)
{
	*p = (struct poller){ .last_id = "" };
	client_open(&p->client, d);
}

static void poller_close(struct poller *p)
{
	response_done(&p->answer);
	client_close(&p->client);
}

/* Asks for what comes after its last answer; more: further parameters ("&topic=a", or ""). */
static void poller_ask(struct poller *p, const char *more)
{
	client_sendf(&p->client, "GET /sse?poll%s%s%s HTTP/1.1\r\nHost: a\r\n\r\n",
		     p->last_id[0] ? "&lastEventID=" : "", p->last_id, more);
}

/* The body of the answer, NUL-terminated. */
static const char *poller_read(struct poller *p)
{
	const char *id;

	response_done(&p->answer);
	client_read(&p->client, &p->answer);
	cr_assert(p->answer.status == 200, "%d", p->answer.status);
	cr_assert(response_is(&p->answer, "Content-Type", "application/json"));
	buf_add_char(&p->answer.body, '\0');
	id = p->answer.body.p + strlen("{\"last_id\":\"");
	cr_assert(strncmp(p->answer.body.p, "{\"last_id\":\"", strlen("{\"last_id\":\"")) == 0);
	snprintf(p->last_id, sizeof(p->last_id), "%.*s", (int)strcspn(id, "\""), id);
	return p->answer.body.p;
}

/* Asks, and publishes when it waits. */
static const char *poll_and_publish(struct poller *p, const struct daemon *d, const char *more,
				    const char *path, const char *data)
{
	poller_ask(p, more);
	metric_wait(d, LIVE, 1);
	publish(d, path, data, NULL);
	return poller_read(p);
}

static size_t count(const char *text, const char *what)
{
	size_t found = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		found++;
	return found;
}

Test(longpoll, waits_for_the_next_event)
{
	struct daemon d;
	struct poller p;
	char expected[256], id[ID_TEXT];

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	publish(&d, "/publish", "before", NULL);
	poller_ask(&p, "");
	metric_wait(&d, LIVE, 1);
	publish(&d, "/publish/other", "not asked for", NULL);
	publish(&d, "/publish?event=price", "a \"b\"\r\nc", id);
	snprintf(expected, sizeof(expected),
		 "{\"last_id\":\"%s\",\"events\":[{\"id\":\"%s\",\"event\":\"price\","
		 "\"data\":\"a \\\"b\\\"\\nc\",\"topic\":\"broadcast\"}],\"gap\":null}\n",
		 id, id);
	cr_expect_str_eq(poller_read(&p), expected);
	cr_expect(response_is(&p.answer, "Cache-Control", "no-store"));
	cr_expect(response_is(&p.answer, "Access-Control-Allow-Origin", "*"));
	cr_expect(metric(&d, LIVE) < 0.5, "it has left");
	poller_close(&p);
	daemon_stop(&d);
}

Test(longpoll, answers_at_once_with_what_is_there)
{
	struct daemon d;
	struct poller p;
	char first[ID_TEXT], last[ID_TEXT], expected[512];

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	publish(&d, "/publish", "1", p.last_id);
	publish(&d, "/publish/a", "2", first);
	publish(&d, "/publish/b", "3", NULL);
	publish(&d, "/publish/c?event=x&id=own", "4", NULL);
	publish(&d, "/publish/z", "5", last);
	poller_ask(&p, "&topic=a&topic=c");
	snprintf(expected, sizeof(expected),
		 "{\"last_id\":\"%s\",\"events\":["
		 "{\"id\":\"%s\",\"event\":\"message\",\"data\":\"2\",\"topic\":\"a\"},"
		 "{\"id\":\"own\",\"event\":\"x\",\"data\":\"4\",\"topic\":\"c\"}],\"gap\":null}\n",
		 last, first);
	cr_expect_str_eq(poller_read(&p), expected, "last_id is behind what was looked at");
	poller_close(&p);
	daemon_stop(&d);
}

Test(longpoll, time_out_answers_without_events_and_says_where_it_stands)
{
	struct daemon d;
	struct poller p;
	char before[ID_TEXT];

	daemon_begin(&d, OPTIONS("--poll-timeout", "50ms"));
	poller_open(&p, &d);
	publish(&d, "/publish", "before", before);
	poller_ask(&p, "");
	cr_expect(strstr(poller_read(&p), "\"events\":[],\"gap\":null}"));
	cr_expect_str_eq(p.last_id, before);
	publish(&d, "/publish", "between", NULL);
	poller_ask(&p, "");
	cr_expect(strstr(poller_read(&p), "\"data\":\"between\""));
	poller_close(&p);
	daemon_stop(&d);
}

/* The publisher is ahead, behind, and in the middle of the polls. */
Test(longpoll, thousand_events_come_once_and_in_order_over_one_connection)
{
	enum { EVENTS = 1000 };
	struct daemon d;
	struct client publisher;
	struct poller p;
	struct response accepted;
	int sent = 0, told = 0, seen = 0, polls = 0;
	double accepts;

	daemon_begin(&d, NULL);
	client_open_control(&publisher, &d);
	poller_open(&p, &d);
	poller_ask(&p, "");
	metric_wait(&d, LIVE, 1);
	accepts = metric(&d, "ssecast_accepts_total");
	srand(4711);
	while (seen < EVENTS) {
		char text[32];
		const char *at;

		for (int n = 1 + rand() % 30; n > 0 && sent < EVENTS; n--) {
			int len = snprintf(text, sizeof(text), "%d", sent++);

			client_sendf(&publisher,
				     "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: %d"
				     "\r\n\r\n%s",
				     len, text);
		}
		at = poller_read(&p);
		cr_assert(strstr(at, "\"gap\":null"));
		for (; (at = strstr(at, "\"data\":\"")); seen++) {
			at += strlen("\"data\":\"");
			cr_assert(atoi(at) == seen, "%d, not %d", atoi(at), seen);
		}
		for (; told < sent; told++) {
			client_read(&publisher, &accepted);
			cr_assert(accepted.status == 200);
			response_done(&accepted);
		}
		polls++;
		if (seen < EVENTS)
			poller_ask(&p, "");
	}
	cr_expect(polls > 10);
	cr_expect(metric(&d, "ssecast_accepts_total") < accepts + 1.5, "that of this question");
	poller_close(&p);
	client_close(&publisher);
	daemon_stop(&d);
}

Test(longpoll, answer_is_bounded_and_the_rest_comes_with_the_next)
{
	enum { EVENTS = 600, BYTES = 1000 };
	struct daemon d;
	struct poller p;
	struct buf text;
	size_t seen = 0;

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	publish(&d, "/publish", "before", p.last_id);
	buf_init(&text, 1 << 20);
	for (int i = 0; i < EVENTS; i++)
		buf_addf(&text, "%0*d\n", BYTES, i);
	for (char *line = strtok(text.p, "\n"); line; line = strtok(NULL, "\n"))
		publish(&d, "/publish", line, NULL);
	for (int polls = 0; seen < EVENTS; polls++) {
		const char *body;

		cr_assert(polls < 10);
		poller_ask(&p, "");
		body = poller_read(&p);
		cr_assert(strlen(body) < 300000);
		for (; (body = strstr(body, "\"data\":\"")); seen++) {
			body += strlen("\"data\":\"");
			cr_assert(atoi(body) == (int)seen);
		}
	}
	buf_done(&text);
	poller_close(&p);
	daemon_stop(&d);
}

Test(longpoll, event_that_fits_no_answer_is_a_gap)
{
	struct daemon d;
	struct poller p;
	struct buf data;
	const char *body;

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	publish(&d, "/publish", "before", p.last_id);
	buf_init(&data, 1 << 20);
	for (int i = 0; i < 200000; i++)
		buf_add_char(&data, '\1'); /* six bytes each in JSON */
	buf_add_char(&data, '\0');
	publish(&d, "/publish", data.p, NULL);
	publish(&d, "/publish", "after", NULL);
	poller_ask(&p, "");
	body = poller_read(&p);
	cr_expect(strstr(body, "\"events\":[],\"gap\":{\"from\":\""));
	cr_expect(strstr(body, "\"reason\":\"too_large\"}}"));
	poller_ask(&p, "");
	body = poller_read(&p);
	cr_expect(strstr(body, "\"data\":\"after\"") && strstr(body, "\"gap\":null"));
	buf_done(&data);
	poller_close(&p);
	daemon_stop(&d);
}

Test(longpoll, id_that_publishers_repeat_does_not_repeat_events)
{
	struct daemon d;
	struct poller p;

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	poll_and_publish(&p, &d, "", "/publish?id=same", "1");
	cr_expect(strstr(poll_and_publish(&p, &d, "", "/publish?id=same", "2"), "\"data\":\"2\""));
	cr_expect(strstr(poll_and_publish(&p, &d, "", "/publish?id=same", "3"), "\"data\":\"3\""));
	cr_expect(count(p.answer.body.p, "\"data\"") == 1);
	poller_close(&p);
	daemon_stop(&d);
}

Test(longpoll, gap_says_what_is_lost)
{
	struct daemon d;
	struct poller p;
	struct buf data;
	char from[ID_TEXT], expected[128];
	const char *body;

	daemon_begin(&d, OPTIONS("--ring-bytes", "64K"));
	poller_open(&p, &d);
	publish(&d, "/publish", "first", from);
	buf_init(&data, 1 << 16);
	for (int i = 0; i < 10000; i++)
		buf_add_char(&data, 'x');
	buf_add_char(&data, '\0');
	for (int i = 0; i < 10; i++)
		publish(&d, "/publish", data.p, NULL);
	snprintf(p.last_id, sizeof(p.last_id), "%s", from);
	p.last_id[strlen(p.last_id) - 1] = '\0'; /* no such id, and no shape of one */
	poller_ask(&p, "");
	cr_expect(strstr(poller_read(&p), "\"reason\":\"unknown\"}}"));
	snprintf(p.last_id, sizeof(p.last_id), "%s", from);
	poller_ask(&p, "");
	body = poller_read(&p);
	snprintf(expected, sizeof(expected), "\"gap\":{\"from\":\"%s\",\"floor\":\"", from);
	cr_expect(strstr(body, expected), "%s", strstr(body, "\"gap\""));
	cr_expect(strstr(body, "\"reason\":\"evicted\"}}"));
	cr_expect(count(body, "\"data\":\"xxx") > 3, "and what there is");
	publish(&d, "/publish", "next", NULL);
	poller_ask(&p, "");
	body = poller_read(&p);
	cr_expect(strstr(body, "\"gap\":null") && count(body, "\"data\"") == 1);
	buf_done(&data);
	poller_close(&p);
	daemon_stop(&d);
}

Test(longpoll, all_who_wait_get_it_and_so_do_streams)
{
	enum { MANY = 50 };
	struct poller polls[MANY];
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	for (int i = 0; i < MANY; i++) {
		poller_open(&polls[i], &d);
		poller_ask(&polls[i], i % 2 ? "" : "&topic=*");
	}
	metric_wait(&d, LIVE, MANY + 1);
	publish(&d, "/publish", "x", NULL);
	for (int i = 0; i < MANY; i++)
		cr_expect(strstr(poller_read(&polls[i]), "\"data\":\"x\""));
	reader_wait(&s, 1);
	cr_expect(metric(&d, "ssecast_deliveries_total") > (double)MANY);
	for (int i = 0; i < MANY; i++)
		poller_close(&polls[i]);
	reader_close(&s);
	daemon_stop(&d);
}

Test(longpoll, pipelined_requests_are_answered_in_turn)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
			 "GET /sse?poll HTTP/1.1\r\nHost: a\r\n\r\n"
			 "GET /sse/b?poll HTTP/1.1\r\nHost: a\r\n\r\n"
			 "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(response_has(&r, "ok"), "does not wait for the poll");
	response_done(&r);
	metric_wait(&d, "ssecast_topics", 1);
	publish(&d, "/publish", "first", NULL);
	client_read(&c, &r);
	cr_expect(response_has(&r, "\"data\":\"first\""));
	response_done(&r);
	metric_wait(&d, "ssecast_topics", 1);
	publish(&d, "/publish/b", "second", NULL);
	client_read(&c, &r);
	cr_expect(response_has(&r, "\"data\":\"second\""));
	response_done(&r);
	client_read(&c, &r);
	cr_expect(response_has(&r, "ok"));
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(longpoll, speaks_http10)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET /sse?poll HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	metric_wait(&d, LIVE, 1);
	publish(&d, "/publish", "1", NULL);
	client_read(&c, &r);
	cr_expect(response_is(&r, "Connection", "keep-alive") && response_has(&r, "\"1\""));
	response_done(&r);
	client_sendf(&c, "GET /sse?poll HTTP/1.0\r\n\r\n");
	metric_wait(&d, LIVE, 1);
	publish(&d, "/publish", "2", NULL);
	client_read(&c, &r);
	cr_expect(response_is(&r, "Connection", "close") && response_has(&r, "\"2\""));
	response_done(&r);
	client_expect_eof(&c);
	client_close(&c);
	daemon_stop(&d);
}

Test(longpoll, client_that_goes_is_noticed)
{
	struct daemon d;
	struct poller p;

	daemon_begin(&d, OPTIONS("--poll-timeout", "1h"));
	poller_open(&p, &d);
	poller_ask(&p, "");
	metric_wait(&d, LIVE, 1);
	poller_close(&p);
	metric_wait_down(&d, LIVE, 0);
	poller_open(&p, &d);
	poller_ask(&p, "");
	metric_wait(&d, LIVE, 1);
	client_abort(&p.client);
	metric_wait_down(&d, LIVE, 0);
	metric_wait_down(&d, "ssecast_topics", 0);
	daemon_stop(&d);
}

Test(longpoll, is_answered_when_the_daemon_stops)
{
	struct daemon d;
	struct poller p;

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	poller_ask(&p, "");
	metric_wait(&d, LIVE, 1);
	daemon_signal(&d, SIGTERM);
	cr_expect(strstr(poller_read(&p), "\"events\":[],\"gap\":null}"));
	cr_expect(response_is(&p.answer, "Connection", "close"));
	client_expect_eof(&p.client);
	cr_expect(daemon_wait_exit(&d) == 0);
	poller_close(&p);
	daemon_done(&d);
}

Test(longpoll, over_the_limit_is_503_and_not_a_stream)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, OPTIONS("--max-clients", "1"));
	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	response_done(&r);
	cr_expect(request(&d, &r, "GET /sse?poll HTTP/1.1\r\nHost: a\r\n\r\n") == 503);
	cr_expect(response_header(&r, "Retry-After").n > 0);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

/* What a GET carries is not read, and so nothing behind it is taken for a request. */
Test(longpoll, body_of_a_poll_ends_the_connection)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "GET /sse?poll HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n"
			 "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	metric_wait(&d, LIVE, 1);
	publish(&d, "/publish", "x", NULL);
	client_read(&c, &r);
	cr_expect(response_is(&r, "Connection", "close") && response_has(&r, "\"data\":\"x\""));
	response_done(&r);
	client_expect_eof(&c);
	client_close(&c);
	daemon_stop(&d);
}

Test(longpoll, head_is_answered_at_once)
{
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "HEAD /sse?poll HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read_bodiless(&c, &r);
	cr_expect(r.status == 200 && response_is(&r, "Content-Type", "application/json"));
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

/* Sparse events in a long ring: looked for in pieces, and never passed by. */
Test(longpoll, finds_the_one_event_among_many)
{
	enum { OTHERS = 10000 };
	struct daemon d;
	struct client publisher;
	struct response r;
	struct poller p;
	struct buf body;

	daemon_begin(&d, NULL);
	poller_open(&p, &d);
	publish(&d, "/publish", "before", p.last_id);
	client_open_control(&publisher, &d);
	buf_init(&body, 1 << 20);
	for (int i = 0; i < OTHERS; i++)
		buf_add(&body, STR("{\"topic\":\"other\",\"data\":\"x\"}\n"));
	buf_add(&body, STR("{\"topic\":\"rare\",\"data\":\"found\"}\n"));
	client_sendf(&publisher,
		     "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
		     "Content-Length: %zu\r\n\r\n",
		     body.n);
	client_send(&publisher, buf_str(&body));
	client_read(&publisher, &r);
	cr_assert(r.status == 200);
	response_done(&r);
	poller_ask(&p, "&topic=rare");
	cr_expect(strstr(poller_read(&p), "\"data\":\"found\""));
	poller_ask(&p, "&topic=rare");
	metric_wait(&d, LIVE, 1);
	cr_expect(metric(&d, LIVE) > 0.5, "and then there is nothing more");
	buf_done(&body);
	client_close(&publisher);
	poller_close(&p);
	daemon_stop(&d);
}

/* More is asked for than --max-request-memory holds: some are told to ask again, and get it then.
 */
Test(longpoll, memory_is_bounded_and_nothing_is_lost)
{
	enum { MANY = 40, BYTES = 100000 };
	struct poller polls[MANY];
	struct daemon d;
	struct buf data;
	int refused = 0;

	daemon_begin(&d, OPTIONS("--max-request-memory", "1M"));
	buf_init(&data, BYTES + 1);
	for (int i = 0; i < BYTES; i++)
		buf_add_char(&data, 'x');
	buf_add_char(&data, '\0');
	for (int i = 0; i < MANY; i++) {
		poller_open(&polls[i], &d);
		publish(&d, "/publish/other", "before", polls[i].last_id);
		poller_ask(&polls[i], "");
	}
	metric_wait(&d, LIVE, MANY);
	publish(&d, "/publish", data.p, NULL);
	for (int i = 0; i < MANY; i++) {
		struct poller *p = &polls[i];
		struct response r;

		client_read(&p->client, &r);
		cr_assert(r.status == 200 || r.status == 503);
		if (r.status == 503) {
			cr_expect(response_header(&r, "Retry-After").n > 0);
			refused++;
			poller_ask(p, "");
			cr_expect(count(poller_read(p), "\"data\":\"xxx") == 1);
		} else {
			cr_expect(response_has(&r, "\"data\":\"xxx"));
		}
		response_done(&r);
	}
	cr_expect(refused > 0 && refused < MANY, "%d", refused);
	for (int i = 0; i < MANY; i++)
		poller_close(&polls[i]);
	buf_done(&data);
	daemon_stop(&d);
}

Test(longpoll, stats_can_be_polled)
{
	struct daemon d;
	struct poller p;
	const char *body;

	daemon_begin(&d, OPTIONS("--public-stats"));
	poller_open(&p, &d);
	poller_ask(&p, "&topic=$stats");
	body = poller_read(&p);
	cr_expect(strstr(body, "[{\"id\":\"\",\"event\":\"stats\",\"data\":\"{\\\"time_ms\\\":"));
	cr_expect(strstr(body, "\"topic\":\"$stats\"}],\"gap\":null}"));
	poller_close(&p);
	daemon_stop(&d);
}

/* --- with tokens --- */

static void poller_ask_with(struct poller *p, const struct token *token, const char *rest)
{
	client_sendf(&p->client, "GET /sse?poll%s HTTP/1.1\r\nHost: a\r\n%s\r\n", rest,
		     token ? bearer(token) : "");
}

Test(longpoll, private_updates_are_for_who_may_see_them)
{
	struct token all = token_for("", "\"*\""), others = token_for("", "\"other\"");
	struct poller allowed, stranger, outsider;
	struct daemon d;

	hub_begin(&d, OPTIONS("--poll-timeout", "1h"));
	poller_open(&allowed, &d);
	poller_open(&stranger, &d);
	poller_open(&outsider, &d);
	poller_ask_with(&allowed, &all, "&topic=a");
	poller_ask_with(&stranger, &others, "&topic=a");
	poller_ask_with(&outsider, NULL, "&topic=a");
	metric_wait(&d, LIVE, 3);
	update(&d, "topic=a&data=secret&private=on");
	update(&d, "topic=a&data=open");
	cr_expect(strstr(poller_read(&allowed), "\"data\":\"secret\""));
	cr_expect(strstr(poller_read(&stranger), "\"data\":\"open\""));
	cr_expect(!strstr(stranger.answer.body.p, "secret"));
	cr_expect(strstr(poller_read(&outsider), "\"data\":\"open\""));
	cr_expect(!strstr(outsider.answer.body.p, "secret"));
	/* On replay, too. */
	poller_ask_with(&stranger, &others, "&topic=a&since=1h");
	cr_expect(!strstr(poller_read(&stranger), "secret"));
	cr_expect(strstr(stranger.answer.body.p, "\"data\":\"open\""));
	poller_close(&allowed);
	poller_close(&stranger);
	poller_close(&outsider);
	daemon_stop(&d);
}

Test(longpoll, ends_with_its_token_and_not_without_one)
{
	struct token brief;
	struct daemon d;
	struct poller p;
	char claims[128];

	hub_begin(&d, OPTIONS("--require-token", "--poll-timeout", "1h"));
	snprintf(claims, sizeof(claims), "{\"mercure\":{\"subscribe\":[\"*\"]},\"exp\":%llu}",
		 (unsigned long long)clock_real_ms() / 1000 + 3);
	brief = token_of(claims);
	poller_open(&p, &d);
	poller_ask_with(&p, &brief, "");
	cr_expect(strstr(poller_read(&p), "\"events\":[],\"gap\":null}"));
	poller_close(&p);
	cr_expect(request(&d, NULL, "GET /sse?poll HTTP/1.1\r\nHost: a\r\n\r\n") == 401);
	daemon_stop(&d);
}
