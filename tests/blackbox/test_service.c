/*
 * The daemon as a service: what it tells its manager, the sockets that it gets, how it ends. The
 * test plays the manager.
 */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "metrics.h"
#include "reader.h"

/* The manager's end of the notify protocol, with an abstract name. */
struct manager {
	int fd;
	char variable[160]; /* NOTIFY_SOCKET=… */
	char text[2048];    /* the last message */
};

static void manager_open(struct manager *m, struct daemon *d)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "ssecast-test-%d",
			 (int)getpid());
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);

	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(m->fd, (struct sockaddr *)&address, len) == 0);
	snprintf(m->variable, sizeof(m->variable), "NOTIFY_SOCKET=@%s", address.sun_path + 1);
	d->environment[0] = m->variable;
}

/* Waits for a message that begins so; the others are none of this test's business. */
static void manager_wait(struct manager *m, const char *begin)
{
	uint64_t until = deadline();

	for (;;) {
		struct pollfd ready = { .fd = m->fd, .events = POLLIN };

		if (poll(&ready, 1, deadline_left(until, begin)) <= 0)
			continue;
		ssize_t n = recv(m->fd, m->text, sizeof(m->text) - 1, 0);

		cr_assert(n >= 0);
		m->text[n] = '\0';
		if (strncmp(m->text, begin, strlen(begin)) == 0)
			return;
	}
}

Test(service, tells_its_manager_how_it_is)
{
	struct daemon d;
	struct manager m;
	struct reader s;

	daemon_init(&d);
	manager_open(&m, &d);
	d.environment[1] = "WATCHDOG_USEC=100000";
	daemon_start(&d, NULL);
	manager_wait(&m, "READY=1");
	manager_wait(&m, "STATUS=");
	cr_expect(strstr(m.text, "0 streams (0 live), 0 connections; 0 events/s"), "%s", m.text);
	manager_wait(&m, "WATCHDOG=1");
	manager_wait(&m, "WATCHDOG=1");
	reader_open(&s, &d, "/sse", "");
	daemon_signal(&d, SIGTERM);
	manager_wait(&m, "STOPPING=1");
	reader_wait_end(&s);
	reader_close(&s);
	cr_expect(daemon_wait_exit(&d) == 0);
	close(m.fd);
	daemon_done(&d);
}

Test(service, asks_for_the_time_that_draining_takes)
{
	struct daemon d;
	struct manager m;
	struct client c;

	daemon_init(&d);
	manager_open(&m, &d);
	/* Not so often that what nobody reads for a second fills the queue. */
	d.environment[1] = "WATCHDOG_USEC=600000";
	daemon_start(&d, OPTIONS("--drain", "1h"));
	/* A request in the middle keeps it from ending. */
	client_open_control(&c, &d);
	client_sendf(&c, "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
	metric_wait(&d, "ssecast_connections", 2);
	daemon_signal(&d, SIGTERM);
	manager_wait(&m, "STOPPING=1");
	manager_wait(&m, "EXTEND_TIMEOUT_USEC=");
	cr_expect(atoll(m.text + strlen("EXTEND_TIMEOUT_USEC=")) > 1000000);
	manager_wait(&m, "WATCHDOG=1");
	manager_wait(&m, "EXTEND_TIMEOUT_USEC=");
	daemon_signal(&d, SIGTERM);
	cr_expect(daemon_wait_exit(&d) == 0);
	cr_expect(daemon_has_said(&d, "at once"), "%s", d.log.p);
	client_close(&c);
	close(m.fd);
	daemon_done(&d);
}

Test(service, upgrade_is_a_reload_to_its_manager)
{
	struct daemon d;
	struct manager m;
	unsigned long long usec = 0;
	uint64_t now_ms;

	daemon_init(&d);
	manager_open(&m, &d);
	daemon_start(&d, NULL);
	manager_wait(&m, "READY=1");
	daemon_forget_log(&d);
	now_ms = clock_mono_ms();
	daemon_signal(&d, SIGUSR2);
	manager_wait(&m, "RELOADING=1");
	cr_expect(sscanf(m.text, "RELOADING=1\nMONOTONIC_USEC=%llu", &usec) == 1);
	cr_expect(usec / 1000 >= now_ms && usec / 1000 <= clock_mono_ms());
	manager_wait(&m, "READY=1");
	manager_wait(&m, "STATUS=");
	daemon_stop(&d);
	close(m.fd);
}

/* A listening socket on a free port, as a manager would open it: blocking. */
static int listen_anywhere(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 100) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

Test(service, sockets_of_the_manager_take_the_place_of_those_configured)
{
	struct daemon d;
	struct client early, manager, c;
	struct sockets_held held;
	struct response r;
	int port, control, configured;

	daemon_init(&d);
	d.passed[0] = listen_anywhere(&port);
	d.passed[1] = listen_anywhere(&control);
	d.passed_count = 2;
	d.environment[0] = "LISTEN_FDNAMES=http:control";
	d.is_bare = true;
	/* Who comes before the daemon is there waits, and is served. */
	client_open_port(&early, port);
	client_sendf(&early, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_open_port(&manager, control);
	client_sendf(&manager, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	close(listen_anywhere(&configured));
	char address[64];

	snprintf(address, sizeof(address), "127.0.0.1:%d", configured);
	daemon_start(&d,
		     OPTIONS("--listen", address, "--control", address, "--tick-interval", "0"));
	client_read(&early, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_read(&manager, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	/* Its socket is no other than that of somebody who comes later. */
	if (sockets_held(control, &held))
		cr_expect(held.sndbuf == 2 * 128 << 10 && held.rcvbuf == 2 * 128 << 10,
			  "%llu, %llu", (unsigned long long)held.sndbuf,
			  (unsigned long long)held.rcvbuf);
	client_close(&manager);
	daemon_forget_log(&d);
	daemon_signal(&d, SIGUSR2);
	daemon_wait_log(&d, "ready");
	client_open_port(&c, control);
	client_sendf(&c, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_close(&c);
	client_open_port(&c, port);
	client_sendf(&c, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 404);
	response_done(&r);
	client_close(&c);
	client_close(&early);
	close(d.passed[0]);
	close(d.passed[1]);
	daemon_stop(&d);
}

Test(service, draining_answers_503_and_ends_streams_one_after_the_other)
{
	enum { STREAMS = 60 };
	struct daemon d;
	struct reader s[STREAMS];
	struct client c;
	struct response r;
	uint64_t low = UINT64_MAX, high = 0;

	daemon_begin(&d, OPTIONS(QUIET, "--retry", "1s", "--drain-retry", "100s"));
	for (int i = 0; i < STREAMS; i++)
		reader_open(&s[i], &d, "/sse", "");
	client_open(&c, &d);
	client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	daemon_signal(&d, SIGTERM);
	daemon_wait_log(&d, "terminated");
	client_sendf(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read(&c, &r);
	cr_expect(r.status == 503);
	response_done(&r);
	client_close(&c);
	for (int i = 0; i < STREAMS; i++) {
		reader_wait_end(&s[i]);
		cr_expect(s[i].retry_ms >= 1000 && s[i].retry_ms <= 101000);
		low = s[i].retry_ms < low ? s[i].retry_ms : low;
		high = s[i].retry_ms > high ? s[i].retry_ms : high;
		reader_close(&s[i]);
	}
	cr_expect(high - low > 50000, "from %llu to %llu", (unsigned long long)low,
		  (unsigned long long)high);
	cr_expect(daemon_wait_exit(&d) == 0);
	daemon_done(&d);
}

/* --- crashes: the test keeps what the daemon gives to its manager --- */

/* Takes what came: descriptors to keep go to the passed ones of the next process, by name. */
static void manager_keep(struct manager *m, struct daemon *d, char names[512])
{
	char text[512], control[CMSG_SPACE(sizeof(int))];
	struct iovec piece = { text, sizeof(text) - 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	struct cmsghdr *head;
	ssize_t n;

	for (;;) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		n = recvmsg(m->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		text[n] = '\0';
		head = CMSG_FIRSTHDR(&message);
		if (!head || strncmp(text, "FDSTORE=1\nFDNAME=", 17) != 0)
			continue;
		cr_assert(d->passed_count < 16);
		memcpy(&d->passed[d->passed_count++], CMSG_DATA(head), sizeof(int));
		strcat(strcat(names, ":"), text + 17);
	}
}

/* A daemon whose listener and whatever it gives away outlive it. */
struct survivor {
	struct daemon d;
	struct manager m;
	char names[512];
};

static void survivor_begin(struct survivor *v, const char *const *options)
{
	int port;

	daemon_init(&v->d);
	manager_open(&v->m, &v->d);
	strcpy(v->names, "LISTEN_FDNAMES=http");
	v->d.environment[1] = v->names;
	v->d.passed[0] = listen_anywhere(&port);
	v->d.passed_count = 1;
	daemon_start(&v->d, options);
	manager_keep(&v->m, &v->d, v->names);
	cr_assert(v->d.passed_count == 7, "%d are kept: %s", v->d.passed_count, v->names);
}

static void survivor_crash(struct survivor *v, const char *const *options, int signal)
{
	daemon_signal(&v->d, signal);
	cr_expect(daemon_wait_exit(&v->d) == (signal == SIGKILL ? -SIGKILL : 0));
	buf_clear(&v->d.log);
	daemon_start(&v->d, options);
}

static void survivor_end(struct survivor *v)
{
	daemon_stop(&v->d);
	for (int i = 0; i < v->d.passed_count; i++)
		close(v->d.passed[i]);
	close(v->m.fd);
}

Test(service, streams_go_on_after_crashes_to_the_byte)
{
	enum { STREAMS = 12, EVENTS = 60, BIG = 9000 };
	const char *const *options = OPTIONS(QUIET, "--sndbuf", "16K", "--heartbeat", "20ms");
	static const char *const targets[] = { "/sse", "/sse?topic=broadcast&topic=b", "/sse/*" };
	static struct survivor v;
	struct reader s[STREAMS];
	char text[BIG + 1];

	memset(text, 'x', BIG);
	text[BIG] = '\0';
	survivor_begin(&v, options);
	for (int i = 0; i < STREAMS; i++) {
		struct client c;

		/* Every other one has little room, and reads nothing until the end. */
		if (i % 2)
			client_open_narrow(&c, &v.d);
		else
			client_open(&c, &v.d);
		client_sendf(&c, "GET %s HTTP/1.%d\r\nHost: a\r\n\r\n", targets[i % 3], i % 4 != 0);
		reader_begin(&s[i], &c);
	}
	for (int event = 0; event < EVENTS; event++) {
		snprintf(text, sizeof(text), "%d", event);
		text[strlen(text)] = 'x';
		publish(&v.d, "/publish", text, NULL);
		if (event % 12 == 7)
			/* A third crash within ten seconds would end them. */
			survivor_crash(&v, options, event == 7 || event == 31 ? SIGKILL : SIGUSR1);
		if (event == 30) {
			daemon_forget_log(&v.d);
			daemon_signal(&v.d, SIGUSR2);
			daemon_wait_log(&v.d, "ready");
		}
	}
	for (int i = 0; i < STREAMS; i++) {
		reader_expect_numbers(&s[i], EVENTS, BIG);
		reader_close(&s[i]);
	}
	survivor_end(&v);
}

Test(service, what_is_no_stream_ends_with_a_crash)
{
	const char *const *options = OPTIONS(QUIET);
	static struct survivor v;
	struct client half, idle;
	struct reader s;

	survivor_begin(&v, options);
	reader_open(&s, &v.d, "/sse", "");
	client_open(&idle, &v.d);
	client_open(&half, &v.d);
	client_sendf(&half, "GET /heal");
	metric_wait(&v.d, "ssecast_clients{state=\"live\"}", 1);
	metric_wait(&v.d, "ssecast_connections", 4);
	survivor_crash(&v, options, SIGKILL);
	cr_expect(metric(&v.d, "ssecast_streams_recovered_total") == 1);
	publish(&v.d, "/publish", "x", NULL);
	reader_wait(&s, 1);
	client_close(&half);
	client_close(&idle);
	/* A stream that has gone is gone for good. */
	reader_close(&s);
	metric_wait_down(&v.d, "ssecast_clients{state=\"live\"}", 0);
	survivor_crash(&v, options, SIGKILL);
	cr_expect(metric(&v.d, "ssecast_streams_recovered_total") == 0);
	survivor_end(&v);
}

Test(service, third_crash_at_once_and_the_option_begin_anew)
{
	const char *const *options = OPTIONS(QUIET);
	static struct survivor v;
	struct reader s;

	survivor_begin(&v, options);
	reader_open(&s, &v.d, "/sse", "");
	metric_wait(&v.d, "ssecast_clients{state=\"live\"}", 1);
	survivor_crash(&v, options, SIGKILL);
	survivor_crash(&v, options, SIGKILL);
	cr_expect(metric(&v.d, "ssecast_streams_recovered_total") == 1);
	daemon_signal(&v.d, SIGKILL);
	daemon_wait_exit(&v.d);
	buf_clear(&v.d.log);
	daemon_start(&v.d, options);
	cr_expect(daemon_has_said(&v.d, "third crash"), "%s", v.d.log.p);
	cr_expect(metric(&v.d, "ssecast_clients{state=\"live\"}") == 0);
	daemon_stop(&v.d);
	/* It is the manager that lets go of what it kept. */
	for (int i = 1; i < v.d.passed_count; i++)
		close(v.d.passed[i]);
	reader_wait_cut(&s);
	reader_close(&s);
	close(v.d.passed[0]);
	close(v.m.fd);
}
