/*
 * What an attacker tries: each row of this file was a hole once, or is one that others have had.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "reader.h"

#define HOST "Host: a\r\n"
#define END  "\r\n"

Test(hostile, what_one_client_asked_does_not_shape_the_answer_of_the_next)
{
	struct daemon d;
	struct response r;
	struct client c;

	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c, "HEAD /healthz HTTP/1.0\r\nConnection: close\r\n" END);
	client_read_bodiless(&c, &r);
	cr_expect(r.status == 200);
	client_expect_eof(&c);
	response_done(&r);
	client_close(&c);
	cr_expect(request(&d, &r, "what\r\n" END) == 400);
	cr_expect(r.body.n > 0);
	response_done(&r);
	daemon_stop(&d);
}

Test(hostile, nul_in_a_topic_cuts_nothing)
{
	static const char *const targets[] = { "/publish/a%00b", "/publish?topic=a%00b",
					       "/publish?topic=%00",
					       "/publish?topic=a&topic=b%00c" };
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse?topic=*", "");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "POST %s HTTP/1.1\r\n" HOST "Content-Length: 1\r\n" END "x", targets[i]);
		cr_expect(request_control(&d, NULL, text) == 400, "%s", targets[i]);
	}
	publish(&d, "/publish/a", "only", NULL);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "only");
	reader_close(&s);
	daemon_stop(&d);
}

Test(hostile, gap_is_json_in_utf8_whatever_id_the_client_names)
{
	/* What is sent, and what the gap may say of it. */
	static const struct {
		const char *fields, *from;
	} rows[] = {
		{ "Last-Event-ID: \xff\xfe\r\n", "\"from\":\"\"" },
		{ "Last-Event-ID: a\"b\\c\r\n", "\"from\":\"a\\\"b\\\\c\"" },
		{ "Last-Event-ID: a\tb\r\n", "\"from\":\"a\\tb\"" },
		{ "Last-Event-ID: \xc3\xa9\r\n", "\"from\":\"\xc3\xa9\"" },
	};
	struct daemon d;

	daemon_begin(&d, OPTIONS(QUIET));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reader s;

		reader_open(&s, &d, "/sse", rows[i].fields);
		reader_wait(&s, 1);
		cr_expect_str_eq(s.events[0].type, "gap");
		cr_expect(strstr(s.events[0].data, rows[i].from), "%s", s.events[0].data);
		cr_expect(str_is_utf8(str_of(s.events[0].data)));
		reader_close(&s);
	}
	daemon_stop(&d);
}

Test(hostile, huge_last_event_id_is_answered_in_full)
{
	char *fields = malloc(16384);
	struct daemon d;
	struct reader s;
	size_t n = 0;

	n += (size_t)sprintf(fields, "Last-Event-ID: ");
	memset(fields + n, '"', 16000);
	strcpy(fields + n + 16000, "\r\n");
	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", fields);
	reader_wait(&s, 1);
	cr_expect(strstr(s.events[0].data, "\"from\":\"\""), "%s", s.events[0].data);
	cr_expect(strstr(s.events[0].data, "\"reason\":\"unknown\"}"));
	reader_close(&s);
	free(fields);
	daemon_stop(&d);
}

Test(hostile, silent_connection_is_not_kept_as_long_as_an_idle_one)
{
	struct daemon d;
	struct client c;

	daemon_begin(&d, OPTIONS("--head-timeout", "50ms", "--idle-timeout", "1h"));
	client_open(&c, &d);
	client_expect_eof(&c);
	client_close(&c);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"head_timeout\"}", 1);
	daemon_stop(&d);
}

/* Those who are over the limit and say nothing would else keep everybody out. */
Test(hostile, silent_connection_over_the_limit_is_soon_gone)
{
	struct daemon d;
	struct client first, second;

	daemon_begin(&d, OPTIONS("--max-clients", "1", "--head-timeout", "1h"));
	client_open(&first, &d);
	client_sendf(&first, "GET /sse HTTP/1.1\r\n" HOST END);
	client_need(&first, 15);
	client_open(&second, &d);
	client_expect_eof(&second);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"over_limit\"}", 1);
	client_close(&first);
	client_close(&second);
	daemon_stop(&d);
}

enum { HEADS = 40, HEAD_BYTES = 9000 };

/* Each holds less than a head may have; all together more than is allowed. */
Test(hostile, unfinished_heads_hold_no_more_memory_than_is_allowed)
{
	static char filler[HEAD_BYTES];
	struct client clients[HEADS];
	unsigned refused = 0;
	struct daemon d;

	memset(filler, 'x', sizeof(filler));
	daemon_begin(&d, OPTIONS("--max-request-memory", "128K", "--head-timeout", "1h"));
	for (int i = 0; i < HEADS; i++) {
		client_open(&clients[i], &d);
		client_sendf(&clients[i], "GET /healthz HTTP/1.1\r\n" HOST "X: ");
		client_try_send(&clients[i], (struct str){ filler, sizeof(filler) });
	}
	metric_wait(&d, "ssecast_disconnects_total{reason=\"no_memory\"}", 10);
	cr_expect(metric(&d, "ssecast_request_bytes") <= 128 * 1024);
	for (int i = 0; i < HEADS; i++) {
		struct response r;

		client_try_send(&clients[i], STR("\r\n" END));
		if (client_more(&clients[i], deadline()) && clients[i].in.n > 9) {
			client_read(&clients[i], &r);
			refused += r.status == 503;
			response_done(&r);
		}
		client_close(&clients[i]);
	}
	cr_expect(refused > 0 && refused < HEADS, "%u", refused);
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\n" HOST END) == 200);
	metric_wait_down(&d, "ssecast_request_bytes", 64 * 1024);
	daemon_stop(&d);
}

/* Each has a little of a request there; then all ask for much at once, and read nothing of it. */
Test(hostile, unread_answers_hold_no_more_memory_than_is_allowed)
{
	enum { CLIENTS = 60, REQUESTS = 500 };
	static const char request_text[] = "GET /nothing HTTP/1.1\r\n" HOST END;
	struct client clients[CLIENTS];
	struct daemon d;
	struct buf many;
	double most = 0;

	buf_init(&many, 1 << 20);
	for (int i = 0; i < REQUESTS; i++)
		buf_add(&many, STR(request_text));
	daemon_begin(&d, OPTIONS("--max-request-memory", "512K", "--sndbuf", "8K"));
	for (int i = 0; i < CLIENTS; i++) {
		client_open_tiny(&clients[i], d.port);
		client_send(&clients[i], STR("GET /"));
	}
	metric_wait(&d, "ssecast_request_bytes", CLIENTS * 1000);
	for (int i = 0; i < CLIENTS; i++) {
		double held;

		client_try_send(&clients[i], str_from(buf_str(&many), sizeof("GET /") - 1));
		held = metric(&d, "ssecast_request_bytes");
		/* And what asking takes. */
		cr_assert(held <= (512 + 4) * 1024, "%.0f", held);
		most = held > most ? held : most;
	}
	metric_wait(&d, "ssecast_disconnects_total{reason=\"no_memory\"}", CLIENTS / 2);
	cr_expect(most > 256 * 1024, "%.0f", most);
	for (int i = 0; i < CLIENTS; i++)
		client_close(&clients[i]);
	metric_wait_down(&d, "ssecast_request_bytes", 64 * 1024);
	buf_done(&many);
	daemon_stop(&d);
}

enum { PIPELINED = 5000 };

Test(hostile, thousands_of_pipelined_requests_are_all_answered_in_turn)
{
	static const char request_text[] = "GET /healthz HTTP/1.1\r\n" HOST END;
	struct buf bytes;
	struct daemon d;
	struct client c;

	buf_init(&bytes, 1 << 20);
	for (int i = 0; i < PIPELINED - 1; i++)
		buf_add(&bytes, STR(request_text));
	buf_add(&bytes, STR("HEAD /healthz HTTP/1.1\r\n" HOST END));
	daemon_begin(&d, NULL);
	client_open(&c, &d);
	client_send(&c, buf_str(&bytes));
	for (int i = 0; i < PIPELINED; i++) {
		struct response r;

		if (i < PIPELINED - 1)
			client_read(&c, &r);
		else
			client_read_bodiless(&c, &r);
		cr_assert(r.status == 200, "%d: %d", i, r.status);
		response_done(&r);
	}
	client_close(&c);
	buf_done(&bytes);
	daemon_stop(&d);
}

/* The value of a line of /proc/PID/status. */
static int status_of(const struct daemon *d, const char *name)
{
	char path[64], line[256];
	int value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	file = fopen(path, "r");
	cr_assert(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = atoi(line + strlen(name));
	fclose(file);
	return value;
}

Test(hostile, daemon_is_confined_and_each_wall_can_be_left_out)
{
	struct daemon d;
	int by_us;

	daemon_begin(&d, OPTIONS("--unconfined", "all"));
	by_us = status_of(&d, "Seccomp:");
	daemon_stop(&d);
	daemon_begin(&d, OPTIONS("--unconfined", "system-calls"));
	cr_expect(status_of(&d, "Seccomp:") == by_us);
#ifndef TEST_UNCONFINED
	cr_expect(status_of(&d, "NoNewPrivs:") == 1);
	daemon_stop(&d);
	daemon_begin(&d, NULL);
	cr_expect(status_of(&d, "Seccomp:") == 2);
#endif
	daemon_stop(&d);
}

Test(hostile, confined_daemon_reads_its_files_again_after_they_were_replaced)
{
	struct daemon d;
	const char *config, *token, *fresh;
	char option[256];

	daemon_init(&d);
	token = daemon_file(&d, "tokens/one", STR("first\n"));
	snprintf(option, sizeof(option), "publish-token-file %s\nretry 1s\n", token);
	config = daemon_file(&d, "etc/config", str_of(option));
	daemon_start(&d, OPTIONS("--config", config));
	fresh = daemon_file(&d, "tokens/two", STR("second\n"));
	cr_assert(rename(fresh, token) == 0);
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "read again");
	cr_expect(request(&d, NULL,
			  "POST /publish HTTP/1.1\r\n" HOST "Authorization: Bearer second\r\n"
			  "Content-Length: 1\r\n" END "x") == 200);
	daemon_stop(&d);
}

Test(hostile, address_that_connects_too_often_is_closed_and_control_is_not)
{
	enum { TRIES = 20, ALLOWED = 5 };
	struct client clients[TRIES];
	struct daemon d;

	daemon_begin(&d, OPTIONS("--max-accepts-per-ip", "5"));
	for (int i = 0; i < TRIES; i++)
		client_open(&clients[i], &d);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"too_fast\"}", 1);
	daemon_wait_log(&d, "127.0.0.1 connects more often");
	cr_expect(metric(&d, "ssecast_accepts_total") >= (double)ALLOWED);
	for (int i = 0; i < TRIES; i++)
		client_close(&clients[i]);
	daemon_stop(&d);
}
