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
	d.environment[1] = "WATCHDOG_USEC=20000";
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
	struct client early, c;
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
	close(listen_anywhere(&configured));
	char address[64];

	snprintf(address, sizeof(address), "127.0.0.1:%d", configured);
	daemon_start(&d,
		     OPTIONS("--listen", address, "--control", address, "--tick-interval", "0"));
	client_read(&early, &r);
	cr_expect(r.status == 200);
	response_done(&r);
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
