/*
 * The daemon as a process: options, files, signals, standard input, log, exit status.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

Test(run, wrong_options_are_one_line_that_names_them_and_exit_2)
{
	static const struct {
		const char *options[4];
		const char *named;
	} rows[] = {
		{ { "--nonsense" }, "nonsense" },
		{ { "--nonsense", "1" }, "nonsense" },
		{ { "--ring-bytes", "lots" }, "lots" },
		{ { "--ring-bytes", "1K" }, "ring-bytes" },
		{ { "--ring-bytes", "99999999999999G" }, "ring-bytes" },
		{ { "--tick-interval", "5 s" }, "tick-interval" },
		{ { "--tick-interval", "-1s" }, "tick-interval" },
		{ { "--retry=3x" }, "retry" },
		{ { "--heartbeat" }, "heartbeat" },
		{ { "--stdin", "xml" }, "xml" },
		{ { "--max-clients", "0" }, "max-clients" },
		{ { "--listen", "nowhere" }, "nowhere" },
		{ { "--listen", "127.0.0.1:99999" }, "127.0.0.1:99999" },
		{ { "--listen", "[::1:80" }, "[::1:80" },
		{ { "--control", "unix:" }, "unix:" },
		{ { "--check-config", "--listen", "::1:80" }, "::1:80" },
		{ { "--config", "/nonexistent/file" }, "/nonexistent/file" },
		{ { "stray" }, "stray" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct daemon d;

		daemon_init(&d);
		cr_expect(daemon_run(&d, rows[i].options) == 2, "%s: %s", rows[i].options[0],
			  d.log.p);
		cr_expect(daemon_has_said(&d, rows[i].named), "%s", d.log.p);
		cr_expect(strncmp(d.log.p, "ssecastd: ", 10) == 0 &&
				  str_find(buf_str(&d.log), '\n') == d.log.n - 1,
			  "%s", d.log.p);
		daemon_done(&d);
	}
}

Test(run, addresses_and_files_that_cannot_be_opened_are_named_with_the_reason)
{
	static const char *const rows[][3] = {
		{ "--listen", "192.0.2.1:0", "this machine does not have that address" },
		{ "--control", "unix:/nonexistent/x", "its folder does not exist" },
		{ "--control", "unix:/etc/passwd", "something else than a socket" },
		{ "--control", "unix:/etc", "something else than a socket" },
		{ "--root", "/nonexistent", "No such file" },
		{ "--publish-token-file", "/nonexistent", "No such file" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct daemon d;

		daemon_init(&d);
		int status =
			daemon_run(&d, rows[i][0][2] == 'l' ? OPTIONS(rows[i][0], rows[i][1])
							    : OPTIONS("--listen", "127.0.0.1:0",
								      rows[i][0], rows[i][1]));

		cr_expect(status == 1, "%s %s: %d", rows[i][0], rows[i][1], status);
		cr_expect(daemon_has_said(&d, rows[i][1]) && daemon_has_said(&d, rows[i][2]),
			  "%s %s: %s", rows[i][0], rows[i][1], d.log.n ? d.log.p : "(nothing)");
		daemon_done(&d);
	}
}

Test(run, config_file_is_named_with_its_line)
{
	struct daemon d;

	daemon_init(&d);
	const char *file = daemon_file(&d, "config", STR("# fine\nretry 3s\n\nheartbeat often\n"));

	cr_expect(daemon_run(&d, OPTIONS("--config", file)) == 2);
	cr_expect(daemon_has_said(&d, "config:4:") && daemon_has_said(&d, "often"), "%s", d.log.p);
	daemon_done(&d);
}

Test(run, check_config_help_and_version_exit_0)
{
	struct daemon d;

	daemon_init(&d);
	const char *file = daemon_file(&d, "config", STR("retry 3s\nlisten 127.0.0.1:0\n"));

	cr_expect(daemon_run(&d, OPTIONS("--config", file, "--check-config")) == 0);
	buf_clear(&d.log);
	cr_expect(daemon_run(&d, OPTIONS("--help")) == 0);
	cr_expect(daemon_has_said(&d, "--tick-interval") && daemon_has_said(&d, "--ring-bytes"));
	buf_clear(&d.log);
	cr_expect(daemon_run(&d, OPTIONS("--version")) == 0);
	cr_expect(daemon_has_said(&d, "ssecastd "));
	daemon_done(&d);
}

Test(run, says_that_root_is_not_needed)
{
	struct daemon d;

	daemon_begin(&d, NULL);
	cr_expect_eq(daemon_has_said(&d, "running as root"), geteuid() == 0);
	daemon_stop(&d);
}

/* `ulimit -f` would kill it at the first write beyond, be it of the log. */
Test(run, limit_of_file_sizes_is_an_error_like_others)
{
	struct rlimit small = { 60000, 60000 };
	struct daemon d;

	daemon_init(&d);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_expect_eq(daemon_run(&d, OPTIONS("--listen", "127.0.0.1:0")), 1);
	cr_expect(daemon_has_said(&d, "File too large"), "%s", d.log.p);
	daemon_done(&d);
}

/* Somebody has removed the socket, and another daemon is reached there now. */
Test(run, socket_of_another_program_stays_at_its_path)
{
	struct daemon first, second;
	char address[160];

	daemon_begin(&first, NULL);
	snprintf(address, sizeof(address), "unix:%s", first.control);
	cr_assert_eq(unlink(first.control), 0);
	daemon_begin(&second, OPTIONS("--control", address));
	daemon_signal(&first, SIGTERM);
	cr_expect_eq(daemon_wait_exit(&first), 0);
	cr_expect_eq(access(first.control, F_OK), 0);
	daemon_signal(&second, SIGTERM);
	cr_expect_eq(daemon_wait_exit(&second), 0);
	cr_expect_neq(access(first.control, F_OK), 0);
	daemon_done(&first);
	daemon_done(&second);
}

/* What would keep it from starting is found before, but for listeners: these may be in use. */
Test(run, check_config_looks_at_files_and_folders)
{
	static const char *const rows[][2] = {
		{ "--root", "No such file" },
		{ "--publish-token-file", "No such file" },
		{ "--mercure-publisher-key-file", "No such file" },
		{ "--mercure-subscriber-key-file", "No such file" },
		{ "--require-token", "--mercure-subscriber-key-file" },
	};
	struct daemon d;

	for (size_t i = 0; i < ROWS(rows); i++) {
		bool has_value = rows[i][0][2] != 'r' || rows[i][0][3] != 'e';

		daemon_init(&d);
		cr_expect(daemon_run(&d, OPTIONS("--check-config", rows[i][0],
						 has_value ? "/nonexistent" : NULL)) == 1);
		cr_expect(daemon_has_said(&d, rows[i][1]) && !daemon_has_said(&d, "valid"), "%s",
			  d.log.p);
		daemon_done(&d);
	}
	daemon_init(&d);
	cr_expect(daemon_run(&d, OPTIONS("--check-config", "--publish-token-file",
					 daemon_file(&d, "token", STR("")))) == 1);
	cr_expect(daemon_has_said(&d, "must hold one line"));
	buf_clear(&d.log);
	cr_expect(daemon_run(&d, OPTIONS("--check-config", "--root", d.dir, "--publish-token-file",
					 daemon_file(&d, "token", STR("secret\n")))) == 0);
	cr_expect(daemon_has_said(&d, "the configuration is valid"));
	daemon_done(&d);
}

Test(run, command_line_wins_over_the_file)
{
	struct daemon d;
	struct reader s;

	daemon_init(&d);
	const char *file = daemon_file(&d, "config", STR("retry 7s\nwelcome from the file\n"));

	daemon_start(&d, OPTIONS("--config", file, "--retry", "8s"));
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect(s.retry_ms == 8000);
	cr_expect_str_eq(s.events[0].data, "from the file");
	reader_close(&s);
	daemon_stop(&d);
}

Test(run, port_in_use_is_a_clear_line_and_exit_1)
{
	struct daemon first, second;
	char address[64];

	daemon_begin(&first, NULL);
	snprintf(address, sizeof(address), "127.0.0.1:%d", first.port);
	daemon_init(&second);
	cr_expect(daemon_run(&second, OPTIONS("--listen", address)) == 1);
	cr_expect(daemon_has_said(&second, address) && daemon_has_said(&second, "already"), "%s",
		  second.log.p);
	daemon_done(&second);
	daemon_stop(&first);
}

Test(run, listens_on_all_it_was_told)
{
	struct daemon d;
	struct client c;
	struct response r;
	char path[160], address[170];

	daemon_init(&d);
	snprintf(path, sizeof(path), "%s/public.sock", d.dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	daemon_start(&d, OPTIONS("--listen", "127.0.0.1:0", "--listen", address, "--listen",
				 "127.0.0.1:0"));
	cr_expect(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	char *control = d.control;

	d.control = path;
	client_open_control(&c, &d);
	client_sendf(&c, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 404);
	response_done(&r);
	client_close(&c);
	d.control = control;
	daemon_stop(&d);
}

Test(run, control_socket_is_0660_and_a_stale_one_is_replaced)
{
	struct daemon d;
	struct stat st;

	daemon_begin(&d, NULL);
	cr_assert(stat(d.control, &st) == 0);
	cr_expect((st.st_mode & 07777) == 0660, "%o", st.st_mode);
	daemon_signal(&d, SIGKILL);
	cr_expect(daemon_wait_exit(&d) == -SIGKILL);
	buf_clear(&d.log);
	daemon_start(&d, NULL);
	publish(&d, "/publish", "x", NULL);
	daemon_stop(&d);
}

Test(run, control_socket_of_a_running_daemon_is_left_alone)
{
	struct daemon first, second;
	char address[200];

	daemon_begin(&first, NULL);
	snprintf(address, sizeof(address), "unix:%s", first.control);
	daemon_init(&second);
	cr_expect(daemon_run(&second, OPTIONS("--listen", "127.0.0.1:0", "--control", address)) ==
		  1);
	cr_expect(daemon_has_said(&second, "already"), "%s", second.log.p);
	daemon_done(&second);
	publish(&first, "/publish", "x", NULL);
	daemon_stop(&first);
}

/* Stops by a signal: every stream ends properly, with a retry before its end. */
static void stops_by(int signal)
{
	enum { COUNT = 10 };
	struct daemon d;
	struct reader s[COUNT];

	daemon_begin(&d, OPTIONS(QUIET));
	for (int i = 0; i < COUNT; i++)
		reader_open(&s[i], &d, i % 2 ? "/sse" : "/sse?topic=broadcast&topic=b", "");
	publish(&d, "/publish", "last", NULL);
	daemon_signal(&d, signal);
	for (int i = 0; i < COUNT; i++) {
		reader_wait_end(&s[i]);
		cr_expect(s[i].count == 1 && s[i].retries == 2, "%zu events, %zu retries",
			  s[i].count, s[i].retries);
		client_expect_eof(&s[i].client);
		cr_expect(!s[i].client.reset);
		reader_close(&s[i]);
	}
	cr_expect(daemon_wait_exit(&d) == 0, "%s", d.log.p);
	cr_expect(access(d.control, F_OK) != 0, "the control socket is still there");
	daemon_done(&d);
}

Test(run, sigterm_ends_every_stream_and_exits_0)
{
	stops_by(SIGTERM);
}

Test(run, sigint_too)
{
	stops_by(SIGINT);
}

Test(run, drain_has_an_end_though_a_reader_has_stopped)
{
	struct daemon d;
	struct client c;
	char big[16001];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	daemon_begin(&d, OPTIONS("--drain", "200ms", "--sndbuf", "16K"));
	client_open_narrow(&c, &d);
	client_sendf(&c, "GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	client_need(&c, 15);
	for (int i = 0; i < 50; i++)
		publish(&d, "/publish", big, NULL);
	daemon_signal(&d, SIGTERM);
	cr_expect(daemon_wait_exit(&d) == 0, "%s", d.log.p);
	client_close(&c);
	daemon_done(&d);
}

Test(run, sighup_takes_over_what_can_change_and_says_what_cannot)
{
	struct daemon d;
	struct reader s;

	daemon_init(&d);
	const char *file = daemon_file(&d, "config", STR("welcome one\nring-bytes 1M\n"));

	daemon_start(&d, OPTIONS("--config", file));
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "one");
	reader_close(&s);
	daemon_file(&d, "config", STR("welcome two\nring-bytes 2M\ntick-interval 30ms\n"));
	daemon_forget_log(&d);
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "ring-bytes");
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "two");
	reader_close(&s);

	/* A file that is wrong changes nothing. */
	daemon_file(&d, "config", STR("welcome three\nnonsense\n"));
	daemon_forget_log(&d);
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "nonsense");
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "two");
	reader_close(&s);
	daemon_stop(&d);
}

Test(run, sighup_reads_the_token_again)
{
	static const char text[] = "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
				   "Authorization: Bearer second-secret-token\r\n\r\nx";
	struct daemon d;

	daemon_init(&d);
	const char *token = daemon_file(&d, "token", STR("first-secret-token\n"));

	daemon_start(&d, OPTIONS("--publish-token-file", token));
	cr_expect(request(&d, NULL, text) == 401);
	daemon_file(&d, "token", STR("second-secret-token\n"));
	daemon_forget_log(&d);
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "\n");
	cr_expect(request(&d, NULL, text) == 200);
	daemon_stop(&d);
}

Test(run, access_log_has_a_line_for_each_request_that_nobody_can_forge)
{
	struct daemon d;

	daemon_begin(&d, OPTIONS("--access-log"));
	request(&d, NULL, "GET /healthz?x=%0Aforged HTTP/1.1\r\nHost: a\r\n\r\n");
	daemon_wait_log(&d, "/healthz?x=%0Aforged");
	request(&d, NULL, "GET /healthz?\"-500 HTTP/1.1\r\nHost: a\r\n\r\n");
	daemon_wait_log(&d, "/healthz?'-500 HTTP/1.1\" 200");
	daemon_stop(&d);
}

Test(run, works_in_an_empty_folder_without_standard_streams)
{
	struct daemon d;

	daemon_init(&d);
	daemon_start(&d, NULL);
	daemon_input_end(&d);
	close(d.log_fd);
	d.log_fd = dup(STDIN_FILENO);
	cr_expect(request(&d, NULL, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	cr_expect(request(&d, NULL, "nonsense\r\n\r\n") == 400);
	cr_expect(request(&d, NULL, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	daemon_signal(&d, SIGKILL);
	close(d.log_fd);
	daemon_done(&d);
}

Test(input, lines_become_events_and_its_end_is_not_the_daemon_s)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "lines"));
	reader_open(&s, &d, "/sse", "");
	daemon_input(&d, STR("one\ntwo\r\n\nfo"));
	reader_wait(&s, 3);
	daemon_input(&d, STR("ur\nunfinished"));
	reader_wait(&s, 4);
	daemon_input_end(&d);
	reader_wait(&s, 5);
	static const char *const wanted[] = { "one", "two", "", "four", "unfinished" };

	for (size_t i = 0; i < 5; i++)
		cr_expect_str_eq(s.events[i].data, wanted[i]);
	publish(&d, "/publish", "still here", NULL);
	reader_wait(&s, 6);
	reader_close(&s);
	daemon_stop(&d);
}

Test(input, end_ends_the_daemon_if_told_so)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "ndjson", "--stdin-eof", "exit"));
	reader_open(&s, &d, "/sse/a", "");
	daemon_input(&d, STR("{\"topic\":\"a\",\"data\":[1]}\n"));
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "[1]");
	daemon_input_end(&d);
	reader_wait_end(&s);
	reader_close(&s);
	cr_expect(daemon_wait_exit(&d) == 0);
	daemon_done(&d);
}

Test(input, blocks_become_events)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--stdin", "sse"));
	reader_open(&s, &d, "/sse", "");
	daemon_input(&d, STR("event: t\ndata: a\ndata: b\n\n"));
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "a\nb");
	cr_expect_str_eq(s.events[0].type, "t");
	reader_close(&s);
	daemon_stop(&d);
}
