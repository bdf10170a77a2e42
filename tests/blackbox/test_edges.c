/*
 * What once was wrong, or nearly: each test is a case that a reviewer found.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"
#include "reader.h"

/* The publisher knows its own id before the flush, and so does who is pipelined behind it. */
Test(edges, resuming_in_the_turn_of_the_publish_gets_that_event_not_again)
{
	struct daemon d;
	struct client c;
	struct response r;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	client_open_control(&c, &d);
	client_send(&c,
		    STR("POST /publish?id=abc HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst"
			"GET /sse HTTP/1.1\r\nHost: a\r\nLast-Event-ID: abc\r\n\r\n"));
	client_read(&c, &r);
	cr_assert_eq(r.status, 200);
	response_done(&r);
	reader_begin(&s, &c);
	publish(&d, "/publish", "second", NULL);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "second");
	reader_close(&s);
	daemon_stop(&d);
}

Test(edges, a_gap_repeats_nothing_that_cannot_have_been_an_id)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "Last-Event-ID: \xff\"\\x\r\n");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].type, "gap");
	cr_expect(strstr(s.events[0].data, "\"from\":\"\",") != NULL, "%s", s.events[0].data);
	reader_close(&s);
	reader_open(&s, &d, "/sse", "Last-Event-ID: a\"\\b\r\n");
	reader_wait(&s, 1);
	cr_expect(strstr(s.events[0].data, "\"from\":\"a\\\"\\\\b\",") != NULL, "%s",
		  s.events[0].data);
	reader_close(&s);
	daemon_stop(&d);
}

/* A page whose name somebody's DNS has turned into this machine's address (DNS rebinding). */
Test(edges, control_listeners_do_not_believe_a_name_that_may_be_anybody_s)
{
	struct daemon d;

	static const char *const paths[] = { "/sse", "/sse?poll", "/events/a",
					     "/.well-known/mercure?topic=a",
					     "/.well-known/mercure/subscriptions" };
	char text[256];

	daemon_begin(&d, OPTIONS("--control", "127.0.0.1:0"));
	d.port = d.control_port;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
			 paths[i]);
		cr_expect_eq(request(&d, NULL, text), 403, "%s", paths[i]);
	}
	cr_expect_eq(request(&d, NULL, "HEAD /sse HTTP/1.1\r\nHost: localhost:80\r\n\r\n"), 200);
	cr_expect_eq(request(&d, NULL, "HEAD /sse HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 200);
	cr_expect_eq(request(&d, NULL, "HEAD /sse HTTP/1.0\r\n\r\n"), 200);
	cr_expect_eq(request(&d, NULL, "GET /metrics HTTP/1.1\r\nHost: metrics.example\r\n\r\n"),
		     200);
	cr_expect(request(&d, NULL,
			  "POST /publish HTTP/1.1\r\nHost: evil.example:80\r\n"
			  "Origin: http://evil.example:80\r\nContent-Length: 1\r\n\r\nx") == 403);
	cr_expect(request(&d, NULL,
			  "POST /publish HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"
			  "Origin: http://127.0.0.1:80\r\nContent-Length: 1\r\n\r\nx") == 200);
	daemon_stop(&d);
	/* The name that the operator has given it is believed (it is one that needs no DNS). */
	daemon_begin(&d, OPTIONS("--control", "127.1:0"));
	d.port = d.control_port;
	cr_expect_eq(request(&d, NULL, "HEAD /sse HTTP/1.1\r\nHost: 127.1:80\r\n\r\n"), 200);
	cr_expect_eq(request(&d, NULL, "HEAD /sse HTTP/1.1\r\nHost: 127.2\r\n\r\n"), 403);
	daemon_stop(&d);
}

Test(edges, reloading_an_unchanged_configuration_needs_no_restart)
{
	struct daemon d;

	daemon_begin(&d, OPTIONS("--max-clients", "900000"));
	daemon_forget_log(&d);
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "read again");
	/* What follows in the same turn would have been said before this. */
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_signal(&d, SIGTERM);
	daemon_wait_log(&d, "goodbye");
	cr_expect_not(daemon_has_said(&d, "restart"));
	daemon_wait_exit(&d);
	daemon_done(&d);
}

/* The answer goes out before the body, which nobody needs, has come: what is wrong with that one is
 * the connection's end, and no second answer. */
Test(edges, wrong_body_of_an_answered_request_is_not_answered_again)
{
	static const struct {
		const char *body, *reason;
	} rows[] = {
		{ "Content-Length: 9\r\n\r\n", "body_timeout" },
		{ "Transfer-Encoding: chunked\r\n\r\nnonsense", "refused" },
	};
	struct daemon d;

	daemon_begin(&d, OPTIONS("--body-timeout", "100ms"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char metric[96];
		struct client c;
		struct response r;

		client_open(&c, &d);
		client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n%s", rows[i].body);
		client_read(&c, &r);
		cr_expect_eq(r.status, 200);
		response_done(&r);
		client_expect_eof(&c);
		client_close(&c);
		snprintf(metric, sizeof(metric), "ssecast_disconnects_total{reason=\"%s\"}",
			 rows[i].reason);
		metric_wait(&d, metric, 1);
	}
	daemon_stop(&d);
}

/* Who waits for events with ?poll has a little memory; very many have all that strangers may. */
Test(edges, strangers_leave_memory_for_the_publisher)
{
	enum { POLLS = 200 };
	static struct client polls[POLLS];
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET, "--max-request-memory", "64K"));
	for (int i = 0; i < POLLS; i++) {
		client_open(&polls[i], &d);
		client_sendf(&polls[i], "GET /sse?poll HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	/* The last one to be heard has been refused, as all are from then on. */
	client_read(&polls[POLLS - 1], &r);
	cr_expect_eq(r.status, 503);
	response_done(&r);
	cr_expect_eq(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), 503);
	publish(&d, "/publish", "x", NULL);
	client_open_control(&c, &d);
	client_sendf(&c, "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n%03000d",
		     0);
	client_sendf(&c, "%01000d", 0);
	client_read(&c, &r);
	cr_expect_eq(r.status, 200);
	response_done(&r);
	client_close(&c);
	for (int i = 0; i < POLLS; i++)
		client_close(&polls[i]);
	daemon_stop(&d);
}

/* Nobody hides what he asks for by asking for much. */
Test(edges, access_log_has_the_beginning_of_long_targets)
{
	struct daemon d;
	char text[8000];

	daemon_begin(&d, OPTIONS("--access-log"));
	snprintf(text, sizeof(text),
		 "GET /?authorization=secret&%06000d&authorization=secret HTTP/1.1\r\n"
		 "Host: a\r\n\r\n",
		 0);
	cr_expect_eq(request(&d, NULL, text), 200);
	daemon_wait_log(&d, "\"GET /?authorization=***&0000000000");
	daemon_wait_log(&d, "\" 200");
	cr_expect_not(daemon_has_said(&d, "secret"));
	daemon_stop(&d);
}

/* Each expression of a stranger's template looks at the whole of every topic that is published. */
Test(edges, templates_of_strangers_are_short)
{
#define FIVE "{a}{b}{c}{d}{e}"
	struct daemon d;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET, "--mercure-anonymous"));
	cr_expect(request(&d, &r, "GET /sse?topic=" FIVE FIVE "{f} HTTP/1.1\r\nHost: a\r\n\r\n") ==
		  400);
	cr_expect(response_has(&r, "10 expressions"));
	response_done(&r);
	cr_expect(request(&d, NULL,
			  "GET /.well-known/mercure?topic=" FIVE FIVE
			  "{f} HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
	cr_expect(request(&d, NULL,
			  "HEAD /sse?topic=" FIVE FIVE " HTTP/1.1\r\nHost: a\r\n"
			  "Connection: close\r\n\r\n") == 200);
#undef FIVE
	daemon_stop(&d);
}
