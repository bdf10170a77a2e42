/*
 * Standard input as somebody else leaves it to the daemon: closed, a folder, a pipe whose writer
 * says something wrong.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

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

Test(input, writer_is_told_when_nobody_reads_any_more)
{
	struct daemon d;

	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "ndjson"));
	daemon_input(&d, STR("{}\nnonsense\n{}\n"));
	daemon_wait_log(&d, "standard input, line 2: ");
	struct pollfd end = { .fd = d.input_fd, .events = 0 };

	cr_expect(poll(&end, 1, DEADLINE_MS) == 1 && end.revents & POLLERR);
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_stop(&d);
}
