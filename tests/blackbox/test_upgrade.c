/*
 * Upgrade in place: the binary on disk takes over, and nobody notices.
 *
 * Each daemon here is a copy of the binary in its own folder, so that it can be replaced. What
 * takes its place is the same binary, or one of a later version, which $SSECASTD_NEXT names: that
 * reads the state of ours, while ours does not read its.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"
#include "reader.h"

enum { UPGRADES = 5, BIG = 16000 };

static const char *own_binary(void)
{
	const char *binary = getenv("SSECASTD");

	return binary ? binary : "build/ssecastd";
}

static const char *next_binary(void)
{
	const char *binary = getenv("SSECASTD_NEXT");

	return binary ? binary : "build/ssecastd-next";
}

/* Puts a copy of a file where the daemon's binary lies, by rename. */
static void install(struct daemon *d, const char *from)
{
	char command[512];

	snprintf(command, sizeof(command), "cp '%s' '%s/new' && mv '%s/new' '%s/ssecastd'", from,
		 d->dir, d->dir, d->dir);
	cr_assert(system(command) == 0, "%s", command);
}

/* The same with a script. */
static void install_script(struct daemon *d, const char *text)
{
	const char *path = daemon_file(d, "script", str_of(text));

	cr_assert(chmod(path, 0755) == 0);
	install(d, path);
}

/* A daemon whose binary is a copy of its own. */
static void begin_copy(struct daemon *d, const char *binary, const char *const *options)
{
	daemon_init(d);
	install(d, binary);
	d->binary = daemon_path(d, "ssecastd");
	daemon_start(d, options);
}

static void upgrade(struct daemon *d)
{
	daemon_forget_log(d);
	daemon_signal(d, SIGUSR2);
	daemon_wait_log(d, "upgraded from");
	daemon_wait_log(d, "ready");
	cr_expect(daemon_has_said(d, " 0 were closed"), "%s", d->log.p);
}

/* The upgrade does not happen, for a reason that contains `why`; everything else goes on. */
static void upgrade_refused(struct daemon *d, const char *why)
{
	struct reader s;

	reader_open(&s, d, "/sse", "");
	daemon_forget_log(d);
	daemon_signal(d, SIGUSR2);
	daemon_wait_log(d, "this binary goes on");
	cr_expect(daemon_has_said(d, why), "%s", d->log.p);
	publish(d, "/publish", "still here", NULL);
	reader_wait(&s, 1);
	reader_close(&s);
}

Test(upgrade, live_and_slow_streams_go_on_with_the_next_byte)
{
	enum { STREAMS = 20, EVENTS = 40 };
	struct daemon d;
	struct reader s[STREAMS];
	char text[BIG + 1];

	memset(text, 'x', BIG);
	text[BIG] = '\0';
	begin_copy(&d, own_binary(), OPTIONS(QUIET, "--sndbuf", "16K"));
	for (int i = 0; i < STREAMS; i++) {
		struct client c;

		/* Every other one has little room, and reads nothing until the end. */
		if (i % 2)
			client_open_narrow(&c, &d);
		else
			client_open(&c, &d);
		client_sendf(&c, "GET /sse HTTP/1.%d\r\nHost: a\r\n\r\n", i % 3 != 0);
		reader_begin(&s[i], &c);
	}
	for (int event = 0; event < EVENTS; event++) {
		snprintf(text, sizeof(text), "%d", event);
		text[strlen(text)] = 'x';
		publish(&d, "/publish", text, NULL);
		if (event % (EVENTS / UPGRADES) == 0)
			upgrade(&d);
		for (int i = 0; i < STREAMS; i += 2)
			reader_wait(&s[i], (size_t)event + 1);
	}
	for (int i = 0; i < STREAMS; i++) {
		reader_expect_numbers(&s[i], EVENTS, BIG);
		reader_close(&s[i]);
	}
	daemon_stop(&d);
}

Test(upgrade, requests_in_the_middle_are_finished)
{
	struct daemon d;
	struct client head, body, feed, idle, poll;
	struct response r;
	struct reader s;

	begin_copy(&d, own_binary(), OPTIONS(QUIET));
	reader_open(&s, &d, "/sse/t", "");
	client_open(&idle, &d);
	client_sendf(&idle, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&idle, &r);
	response_done(&r);
	client_open_control(&head, &d);
	client_sendf(&head, "POST /publish/t HTTP/1.1\r\nHo");
	client_open_control(&body, &d);
	client_sendf(&body, "POST /publish/t?event=b&id=own HTTP/1.1\r\nHost: a\r\n"
			    "Content-Length: 9\r\n\r\nhalf");
	client_open_control(&feed, &d);
	client_sendf(&feed, "POST /publish/t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
			    "Content-Type: application/x-ndjson\r\n\r\n"
			    "23\r\n{\"data\":\"first\"}\n{\"data\":\"sec");
	reader_wait_data(&s, "first");
	client_open(&poll, &d);
	client_sendf(&poll, "GET /sse/t?poll HTTP/1.1\r\nHost: a\r\n\r\n");
	metric_wait(&d, "ssecast_clients{state=\"live\"}", 2);
	for (int i = 0; i < UPGRADES; i++)
		upgrade(&d);

	client_sendf(&idle, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&idle, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_sendf(&head, "st: a\r\nContent-Length: 4\r\n\r\nhead");
	client_read(&head, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_read(&poll, &r);
	cr_expect(r.status == 200 && response_has(&r, "head"), "%s", r.body.p);
	response_done(&r);
	client_sendf(&body, " body");
	client_read(&body, &r);
	cr_expect(r.status == 200 && response_has(&r, "own"));
	response_done(&r);
	client_sendf(&feed, "ond\"}\n\r\n0\r\n\r\n");
	client_read(&feed, &r);
	cr_expect(r.status == 200 && response_has(&r, "\"accepted\":2"), "%s", r.body.p);
	response_done(&r);
	reader_wait(&s, 4);
	cr_expect_str_eq(s.events[1].data, "head");
	cr_expect_str_eq(s.events[2].data, "half body");
	cr_expect_str_eq(s.events[2].type, "b");
	cr_expect_str_eq(s.events[3].data, "second");
	reader_close(&s);
	client_close(&head);
	client_close(&body);
	client_close(&feed);
	client_close(&idle);
	client_close(&poll);
	daemon_stop(&d);
}

Test(upgrade, files_on_their_way_arrive_whole)
{
	enum { SIZE = 8 << 20 };
	static char bytes[SIZE];
	struct daemon d;
	struct client c;
	struct response r;

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	daemon_init(&d);
	daemon_file(&d, "www/big.bin", (struct str){ bytes, SIZE });
	install(&d, own_binary());
	d.binary = daemon_path(&d, "ssecastd");
	daemon_start(&d, OPTIONS("--root", daemon_path(&d, "www"), "--sndbuf", "16K"));
	client_open_narrow(&c, &d);
	client_sendf(&c, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
	client_need(&c, 1000);
	for (int i = 0; i < UPGRADES; i++) {
		upgrade(&d);
		client_need(&c, c.in.n + 100000);
	}
	client_read(&c, &r);
	cr_expect(r.status == 200 && r.body.n == SIZE && memcmp(r.body.p, bytes, SIZE) == 0);
	response_done(&r);
	client_close(&c);
	daemon_stop(&d);
}

Test(upgrade, standard_input_goes_on_in_the_middle_of_a_line)
{
	struct daemon d;
	struct reader s;

	begin_copy(&d, own_binary(), OPTIONS(QUIET, "--stdin", "lines"));
	reader_open(&s, &d, "/sse", "");
	daemon_input(&d, STR("one\ntw"));
	reader_wait(&s, 1);
	upgrade(&d);
	daemon_input(&d, STR("o\n"));
	reader_wait(&s, 2);
	cr_expect_str_eq(s.events[1].data, "two");
	daemon_input_end(&d);
	daemon_wait_log(&d, "standard input has ended");
	upgrade(&d);
	publish(&d, "/publish", "three", NULL);
	reader_wait(&s, 3);
	reader_close(&s);
	daemon_stop(&d);
}

Test(upgrade, counters_limits_and_the_ring_stay)
{
	struct daemon d;
	struct client c;
	struct reader s[2], resumed;
	char first[ID_TEXT], fields[128];

	begin_copy(&d, own_binary(), OPTIONS(QUIET, "--max-clients-per-ip", "3"));
	publish(&d, "/publish", "first", first);
	publish(&d, "/publish", "second", NULL);
	reader_open(&s[0], &d, "/sse", "");
	reader_open(&s[1], &d, "/sse?topic=a&topic=b", "");
	double accepts = metric(&d, "ssecast_accepts_total");
	double uptime = metric(&d, "ssecast_uptime_seconds");
	double flushes = metric(&d, "ssecast_flush_duration_seconds_count");
	double flushed_s = metric(&d, "ssecast_flush_duration_seconds_sum");

	upgrade(&d);
	cr_expect(metric(&d, "ssecast_events_total") == 2);
	cr_expect(metric(&d, "ssecast_upgrades_total") == 1);
	cr_expect(metric(&d, "ssecast_ring_records") == 2);
	cr_expect(metric(&d, "ssecast_clients{state=\"live\"}") == 2);
	cr_expect(metric(&d, "ssecast_topics") == 3);
	cr_expect(metric(&d, "ssecast_requests_total{route=\"stream\",status=\"200\"}") == 2);
	cr_expect(metric(&d, "ssecast_accepts_total") > accepts);
	cr_expect(metric(&d, "ssecast_uptime_seconds") >= uptime);
	cr_expect(flushes > 0 && metric(&d, "ssecast_flush_duration_seconds_count") == flushes);
	cr_expect(metric(&d, "ssecast_flush_duration_seconds_sum") == flushed_s);

	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", first);
	reader_open(&resumed, &d, "/sse", fields);
	reader_wait(&resumed, 1);
	cr_expect_str_eq(resumed.events[0].data, "second");
	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	struct response r;

	client_read(&c, &r);
	cr_expect(r.status == 503, "the fourth of an address has room: %d", r.status);
	response_done(&r);
	client_close(&c);
	reader_close(&resumed);
	reader_close(&s[0]);
	reader_close(&s[1]);
	daemon_stop(&d);
}

Test(upgrade, configuration_is_read_again_listeners_too)
{
	struct daemon d;
	struct reader s;
	struct client c;
	struct response r;
	char config[512], path[160];

	daemon_init(&d);
	install(&d, own_binary());
	d.binary = daemon_path(&d, "ssecastd");
	snprintf(path, sizeof(path), "%s/old.sock", d.dir);
	snprintf(config, sizeof(config),
		 "listen 127.0.0.1:0\ntick-interval 0\ncontrol unix:%s/control.sock\n"
		 "control unix:%s\n",
		 d.dir, path);
	const char *file = daemon_file(&d, "config", str_of(config));

	d.is_bare = true;
	daemon_start(&d, OPTIONS("--config", file));
	cr_assert(access(path, F_OK) == 0);
	reader_open(&s, &d, "/sse", "");
	snprintf(config, sizeof(config),
		 "listen 127.0.0.1:0\ncontrol unix:%s/control.sock\ncontrol unix:%s/new.sock\n"
		 "welcome new\ntick-interval 20ms\n",
		 d.dir, d.dir);
	daemon_file(&d, "config", str_of(config));
	upgrade(&d);
	cr_expect(access(path, F_OK) != 0, "the old listener is still there");
	snprintf(path, sizeof(path), "%s/new.sock", d.dir);
	d.control = path;
	client_open_control(&c, &d);
	client_sendf(&c, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_close(&c);
	reader_wait(&s, 3);
	reader_close(&s);
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "new");
	reader_close(&s);
	daemon_stop(&d);
}

/* Upgrades to a configuration with these lines; quiet and with the usual control socket. */
static void upgrade_to(struct daemon *d, const char *lines)
{
	char config[512];

	snprintf(config, sizeof(config), "%s\ntick-interval 0\ncontrol unix:%s/control.sock\n",
		 lines, d->dir);
	daemon_file(d, "config", str_of(config));
	if (d->pid)
		upgrade(d);
}

/* A daemon that listens where its file says, for upgrade_to(), and a stream. */
static void begin_configured(struct daemon *d, struct reader *s)
{
	daemon_init(d);
	install(d, own_binary());
	d->binary = daemon_path(d, "ssecastd");
	d->is_bare = true;
	upgrade_to(d, "listen 127.0.0.1:0\nwelcome \"\"");
	daemon_start(d, OPTIONS("--config", daemon_path(d, "config")));
	reader_open(s, d, "/sse", "");
}

/* The same port, but what comes in there is something else: the old socket must not be in the way.
 */
Test(upgrade, port_may_become_another_kind_of_listener)
{
	struct daemon d;
	struct reader s;
	struct client c;
	struct response r;
	char line[256];

	begin_configured(&d, &s);
	snprintf(line, sizeof(line), "listen 127.0.0.1:%d,proxy", d.port);
	upgrade_to(&d, line);
	client_open(&c, &d);
	client_sendf(&c, "PROXY UNKNOWN\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect_eq(r.status, 200);
	response_done(&r);
	client_close(&c);
	snprintf(line, sizeof(line), "listen unix:%s/listen.sock\ncontrol 127.0.0.1:%d", d.dir,
		 d.port);
	upgrade_to(&d, line);
	cr_expect_eq(request(&d, NULL,
			     "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
		     200);
	snprintf(line, sizeof(line), "listen unix:%s/listen.sock,proxy", d.dir);
	upgrade_to(&d, line);
	snprintf(line, sizeof(line), "%s/listen.sock", d.dir);
	cr_expect(access(line, F_OK) == 0);
	reader_wait(&s, 1);
	reader_close(&s);
	daemon_stop(&d);
}

/* Nobody can try before whether a port is free that the daemon itself may hold. */
Test(upgrade, streams_go_on_if_a_new_listener_cannot_be_opened)
{
	struct daemon d, other;
	struct reader s;
	char line[256];

	daemon_begin(&other, NULL);
	begin_configured(&d, &s);
	snprintf(line, sizeof(line), "listen 127.0.0.1:%d\nlisten 127.0.0.1:0", other.port);
	upgrade_to(&d, line);
	cr_expect(daemon_has_said(&d, "another program listens there already"));
	cr_expect_eq(request(&d, NULL, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
	publish(&d, "/publish", "x", NULL);
	reader_wait(&s, 1);
	reader_close(&s);
	daemon_stop(&d);
	daemon_stop(&other);
}

Test(upgrade, ticks_keep_their_time)
{
	struct daemon d;
	struct reader s;

	begin_copy(&d, own_binary(),
		   OPTIONS(QUIET, "--tick-interval", "50ms", "--tick-format", "t"));
	reader_open(&s, &d, "/sse", "");
	reader_wait(&s, 2);
	for (int i = 0; i < UPGRADES; i++)
		upgrade(&d);
	reader_wait(&s, 10);
	cr_expect(s.events[9].id[0] && strcmp(s.events[9].id, s.events[8].id) > 0);
	reader_close(&s);
	daemon_stop(&d);
}

Test(upgrade, newer_version_takes_over_and_an_older_one_refuses)
{
	struct daemon d;
	struct reader s;

	begin_copy(&d, own_binary(), OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	install(&d, next_binary());
	upgrade(&d);
	cr_expect(daemon_has_said(&d, " to next:"), "%s", d.log.p);
	install(&d, own_binary());
	upgrade_refused(&d, "newer version");
	reader_wait(&s, 1);
	reader_close(&s);
	daemon_stop(&d);
}

Test(upgrade, what_cannot_take_over_does_not)
{
	struct daemon d;

	/* A script needs a shell, which is not where the daemon may run programs. */
	begin_copy(&d, own_binary(), OPTIONS(QUIET, "--unconfined", "files"));
	install_script(&d, "#!/bin/sh\nexit 0\n");
	upgrade_refused(&d, "said nothing");
	install_script(&d, "#!/bin/sh\necho broken; exit 1\n");
	upgrade_refused(&d, "broken");
	install_script(&d, "no program at all");
	upgrade_refused(&d, "Exec format error");
	cr_assert(unlink(d.binary) == 0);
	upgrade_refused(&d, "No such file");
	/* It accepts, but is gone when its turn comes. */
	install_script(&d, "#!/bin/sh\nrm -f \"$0\"; echo accepted by nobody\n");
	upgrade_refused(&d, "No such file");
	/* The same is said at once where nobody is there, for whom there would be another turn. */
	metric_wait_down(&d, "ssecast_connections", 1);
	install_script(&d, "#!/bin/sh\nrm -f \"$0\"; echo accepted by nobody\n");
	daemon_forget_log(&d);
	daemon_signal(&d, SIGUSR2);
	daemon_wait_log(&d, "no upgrade: No such file");
	install(&d, own_binary());
	upgrade(&d);
	daemon_stop(&d);
}

Test(upgrade, configuration_that_is_wrong_is_refused)
{
	struct daemon d;

	daemon_init(&d);
	install(&d, own_binary());
	d.binary = daemon_path(&d, "ssecastd");
	const char *file = daemon_file(&d, "config", STR("retry 3s\n"));
	const char *token = daemon_path(&d, "token");

	daemon_start(&d, OPTIONS(QUIET, "--config", file));
	daemon_file(&d, "config", STR("retry 3s\nnonsense 1\n"));
	upgrade_refused(&d, "nonsense");
	char text[200];

	snprintf(text, sizeof(text), "publish-token-file %s\n", token);
	daemon_file(&d, "config", str_of(text));
	upgrade_refused(&d, "token");
	daemon_file(&d, "config", STR("retry 4s\n"));
	upgrade(&d);
	daemon_stop(&d);
}

Test(upgrade, thousands_of_publishes_while_it_happens_are_all_there)
{
	enum { EVENTS = 3000 };
	struct daemon d;
	struct reader s;
	struct client c;

	begin_copy(&d, own_binary(), OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	client_open_control(&c, &d);
	client_sendf(&c, "POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
			 "Content-Type: application/x-ndjson\r\n\r\n");
	for (int i = 0; i < EVENTS; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "{\"data\":%d}\n", i);

		client_sendf(&c, "%x\r\n%s\r\n", (unsigned)n, line);
		if (i % 300 == 0) {
			daemon_forget_log(&d);
			daemon_signal(&d, SIGUSR2);
		}
	}
	client_sendf(&c, "0\r\n\r\n");
	struct response r;

	client_read(&c, &r);
	cr_expect(r.status == 200 && response_has(&r, "\"accepted\":3000"), "%s", r.body.p);
	response_done(&r);
	reader_wait(&s, EVENTS);
	for (int i = 0; i < EVENTS; i++)
		cr_expect(atoi(s.events[i].data) == i);
	reader_close(&s);
	client_close(&c);
	daemon_wait_log(&d, "upgraded from");
	daemon_stop(&d);
}

/* One who waits for an answer gets it; a client behind a proxy is still that client. */
Test(upgrade, polls_and_clients_behind_proxies_go_on)
{
	static const char header[] = "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n";
	struct client poll, half, next;
	struct response r;
	struct daemon d;

	begin_copy(
		&d, own_binary(),
		OPTIONS("--listen", "127.0.0.1:0,proxy", "--access-log", "--poll-timeout", "1h"));
	client_open(&poll, &d);
	client_sendf(&poll, "%sGET /sse?poll HTTP/1.1\r\nHost: a\r\n\r\n", header);
	client_open(&half, &d);
	client_sendf(&half, "%.20s", header);
	metric_wait(&d, "ssecast_clients{state=\"live\"}", 1);
	upgrade(&d);
	publish(&d, "/publish", "after", NULL);
	client_read(&poll, &r);
	cr_expect(response_has(&r, "\"data\":\"after\""));
	response_done(&r);
	daemon_forget_log(&d);
	client_sendf(&poll, "GET /healthz?1 HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&poll, &r);
	response_done(&r);
	daemon_wait_log(&d, "192.0.2.7 \"GET /healthz?1");
	client_sendf(&half, "%sGET /healthz?2 HTTP/1.1\r\nHost: a\r\n\r\n", header + 20);
	client_read(&half, &r);
	response_done(&r);
	daemon_wait_log(&d, "192.0.2.7 \"GET /healthz?2");
	client_open(&next, &d);
	client_sendf(&next, "%sGET /healthz?3 HTTP/1.1\r\nHost: a\r\n\r\n", header);
	client_read(&next, &r);
	response_done(&r);
	daemon_wait_log(&d, "192.0.2.7 \"GET /healthz?3");
	client_close(&poll);
	client_close(&half);
	client_close(&next);
	daemon_stop(&d);
}
