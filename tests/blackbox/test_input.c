/*
 * Standard input as somebody else leaves it to the daemon: closed, a folder, a pipe whose writer
 * says something wrong.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "metrics.h"
#include "reader.h"

/* Starts it by a shell, with what the shell is to do with its files. */
static void begin_redirected(struct daemon *d, const char *redirection)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "exec \"${SSECASTD:-build/ssecastd}\" --listen 127.0.0.1:0 --tick-interval 0 "
		 "--welcome '' --stdin lines %s",
		 redirection);
	daemon_init(d);
	d->binary = "/bin/sh";
	d->is_bare = true;
	daemon_start(d, OPTIONS("-c", command));
}

Test(input, that_came_closed_is_at_its_end)
{
	struct daemon d;

	begin_redirected(&d, "<&-");
	daemon_wait_log(&d, "standard input has ended");
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_stop(&d);
}

Test(input, that_cannot_be_read_is_named_with_its_reason)
{
	struct daemon d;

	begin_redirected(&d, "</");
	daemon_wait_log(&d, "cannot read standard input: Is a directory");
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_stop(&d);
}

Test(input, refused_lines_are_named_and_the_log_is_not_flooded)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "lines"));
	reader_open(&s, &d, "/sse", "");
	daemon_input(&d, STR("one\n\xff\n"));
	daemon_wait_log(&d, "standard input, line 2: ");
	for (int i = 0; i < 100; i++)
		daemon_input(&d, STR("\xff\n"));
	daemon_input(&d, STR("two\n"));
	reader_wait_data(&s, "two");
	cr_expect(s.count == 2);
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "has been read again");
	cr_expect(!daemon_has_said(&d, "standard input, line 50: "));
	reader_close(&s);
	daemon_stop(&d);
}

Test(input, topics_of_the_daemon_s_own_are_refused)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "ndjson"));
	reader_open(&s, &d, "/sse/a", "");
	daemon_input(&d, STR("{\"topic\":[\"a\",\"$stats\"],\"data\":\"forged\"}\n"
			     "{\"topic\":\"a\",\"data\":\"fine\"}\n"));
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "fine");
	daemon_wait_log(&d, "standard input, line 1: ");
	reader_close(&s);
	daemon_stop(&d);
}

/* A line that is no event, or too long, is left out; the next one counts again. */
Test(input, goes_on_behind_what_is_malformed)
{
	struct daemon d;
	struct reader s;
	struct buf lines;

	buf_init(&lines, 1 << 20);
	buf_add(&lines, STR("{\"data\":\"one\"}\nnonsense\n{\"retry\":\"x\"}\n{\"data\":\""));
	for (int i = 0; i < 3000; i++)
		buf_add(&lines, STR("xxxxxxxxxx"));
	buf_add(&lines, STR("\"}\n[1]\n{\"data\":\"six\"}\n"));
	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "ndjson", "--max-body", "4K"));
	reader_open(&s, &d, "/sse", "");
	daemon_input(&d, buf_str(&lines));
	reader_wait(&s, 2);
	cr_expect_str_eq(s.events[0].data, "one");
	cr_expect_str_eq(s.events[1].data, "six");
	daemon_wait_log(&d, "standard input, line 2: The line is not JSON.");
	daemon_wait_log(&d, "standard input, line 3: ");
	daemon_wait_log(&d, "standard input, line 4: A line is longer than --max-body allows.");
	daemon_wait_log(&d, "standard input, line 5: ");
	metric_wait(&d, "ssecast_events_refused_total", 4);
	buf_done(&lines);
	reader_close(&s);
	daemon_stop(&d);
}
