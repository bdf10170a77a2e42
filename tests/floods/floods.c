/*
 * floods: what many hostile clients do at once, against the real binary on loopback; and what its
 * other clients notice.
 *
 * Each test opens subscribers, measures how long events take to reach them in quiet and then while
 * the flood runs in another process, and compares the 99th percentiles of the same run. Real
 * attackers bring processors of their own; here they get what the daemon and who measures leave
 * over (SCHED_IDLE; as root these two also go before all others). What the kernel does for both on
 * the same processors takes some milliseconds (SLACK_NS), and a run that others disturb is
 * repeated. Then: memory is below what
 * --print-limits says, a counter names the reason, and the daemon is as empty as before.
 *
 * FLOOD_MS tells how long each phase lasts.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "metrics.h"

enum {
	LISTENERS = 20,
	EVERY_MS = 5,
	PHASE_MS = 1000,
	SAMPLES_MAX = 1 << 18,
	TRIES = 6,
	HELD_MAX = 12000,
};

#define SLACK_NS 10000000u

/* What the tests' daemons are told. */
#define LIMITS                                                                           \
	"--max-clients", "15000", "--ring-bytes", "4M", "--max-request-memory", "16M",   \
		"--max-topics", "20000", "--sndbuf", "16K", "--head-timeout", "1s",      \
		"--body-timeout", "1s", "--idle-timeout", "1s", "--stall-timeout", "1s", \
		"--welcome", ""

typedef void flood(const struct daemon *d);

/* --- who listens, and measures --- */

struct listener {
	int fd;
	char line[64]; /* the unfinished one */
	size_t n;
	uint64_t heard;
};

static struct {
	struct listener listeners[LISTENERS];
	struct client publisher;
	uint64_t samples[SAMPLES_MAX];
	size_t count;
	uint64_t published;
} crowd;

static void crowd_open(const struct daemon *d)
{
	memset(&crowd, 0, sizeof(crowd));
	for (int i = 0; i < LISTENERS; i++) {
		struct client c;

		client_open(&c, d);
		client_send(&c, STR("GET /sse/measure HTTP/1.1\r\nHost: a\r\n\r\n"));
		client_need(&c, 15);
		crowd.listeners[i].fd = c.fd;
		buf_done(&c.in);
	}
	client_open_control(&crowd.publisher, d);
}

static void crowd_close(void)
{
	for (int i = 0; i < LISTENERS; i++)
		close(crowd.listeners[i].fd);
	client_close(&crowd.publisher);
}

/* "data: " and the time of publishing in nanoseconds. */
static void take_line(struct listener *l, uint64_t now_ns)
{
	if (l->n > 6 && memcmp(l->line, "data: ", 6) == 0 && crowd.count < SAMPLES_MAX) {
		crowd.samples[crowd.count++] = now_ns - strtoull(l->line + 6, NULL, 10);
		l->heard++;
	}
	l->n = 0;
}

static void hear(struct listener *l)
{
	char bytes[16384];
	ssize_t n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	uint64_t now_ns = clock_mono_ns();

	cr_assert(n > 0 || (n < 0 && errno == EAGAIN), "a listener was cut");
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			l->line[l->n] = '\0';
			take_line(l, now_ns);
		} else if (l->n + 1 < sizeof(l->line)) {
			l->line[l->n++] = bytes[i];
		}
	}
}

static void publish_now(void)
{
	char data[32];
	int len = snprintf(data, sizeof(data), "%llu", (unsigned long long)clock_mono_ns());

	client_sendf(&crowd.publisher,
		     "POST /publish/measure HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s",
		     len, data);
	crowd.published++;
}

/* Hears what comes until then. */
static void hear_until(uint64_t end_ms)
{
	struct pollfd ready[LISTENERS + 1];
	char answers[8192];
	uint64_t now_ms;

	while ((now_ms = clock_mono_ms()) < end_ms) {
		for (int i = 0; i < LISTENERS; i++)
			ready[i] = (struct pollfd){ .fd = crowd.listeners[i].fd, .events = POLLIN };
		ready[LISTENERS] = (struct pollfd){ .fd = crowd.publisher.fd, .events = POLLIN };
		if (poll(ready, LISTENERS + 1, (int)(end_ms - now_ms)) <= 0)
			return;
		for (int i = 0; i < LISTENERS; i++)
			if (ready[i].revents)
				hear(&crowd.listeners[i]);
		if (ready[LISTENERS].revents)
			cr_assert(recv(crowd.publisher.fd, answers, sizeof(answers), MSG_DONTWAIT) >
				  0);
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Publishes and hears for a time: the 99th percentile of the way, in nanoseconds. */
static uint64_t measure(uint64_t phase_ms)
{
	uint64_t end_ms = clock_mono_ms() + phase_ms;

	crowd.count = 0;
	while (clock_mono_ms() < end_ms) {
		publish_now();
		hear_until(clock_mono_ms() + EVERY_MS);
	}
	hear_until(clock_mono_ms() + 50);
	cr_assert(crowd.count > 0);
	qsort(crowd.samples, crowd.count, sizeof(crowd.samples[0]), by_size);
	return crowd.samples[crowd.count * 99 / 100];
}

/* Everybody has heard everything. */
static void expect_all_heard(void)
{
	uint64_t deadline_ms = deadline();

	for (int i = 0; i < LISTENERS; i++)
		while (crowd.listeners[i].heard < crowd.published) {
			deadline_left(deadline_ms, "events that were published");
			hear_until(clock_mono_ms() + 10);
		}
}

/* --- the daemon --- */

static pid_t start_flood(flood *run, const struct daemon *d)
{
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpriority(PRIO_PROCESS, 0, 0);
		sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
		for (;;)
			run(d);
	}
	return pid;
}

static uint64_t phase_ms(void)
{
	uint64_t ms;

	return str_to_u64(str_of(getenv("FLOOD_MS")), 60000, &ms) ? PHASE_MS : ms;
}

/* One try: true if who listens has noticed next to nothing. */
static bool try_flood(const struct daemon *d, const char *name, flood *run, uint64_t ceiling)
{
	uint64_t quiet, loud, memory;
	pid_t pid;
	bool is_calm;

	quiet = measure(phase_ms());
	pid = start_flood(run, d);
	hear_until(clock_mono_ms() + 300);
	loud = measure(phase_ms());
	memory = memory_held(d);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect(memory <= ceiling, "%llu bytes", (unsigned long long)memory);
	is_calm = loud <= 2 * quiet + SLACK_NS;
	fprintf(stderr,
		"floods: %-22s p99 quiet %7.3f ms, flooded %7.3f ms, memory %5.1f of %.1f MB%s\n",
		name, (double)quiet / 1e6, (double)loud / 1e6, (double)memory / 1e6,
		(double)ceiling / 1e6, is_calm ? "" : " (again)");
	return is_calm;
}

/* The whole of a test. reason: a sample of /metrics that has to have grown; NULL = none. */
static void endure(const char *name, flood *run, const char *reason, const char *const *options)
{
	bool is_calm = false;
	uint64_t ceiling;
	struct daemon d;

	setpriority(PRIO_PROCESS, 0, -15);
	daemon_init(&d);
	cr_assert(daemon_run(&d, OPTIONS("--print-limits", LIMITS)) == 0);
	ceiling = limit_said(&d, "\ntotal ");
	daemon_forget_log(&d);
	daemon_start(&d, options);
	crowd_open(&d);
	for (int i = 0; i < TRIES && !is_calm; i++)
		is_calm = try_flood(&d, name, run, ceiling);
	cr_expect(is_calm, "%s: who listens waits too long", name);
	expect_all_heard();
	if (reason)
		metric_wait(&d, reason, 1);
	/* Those who listen, and the one that asks. */
	metric_wait_down(&d, "ssecast_connections", LISTENERS + 2);
	metric_wait_down(&d, "ssecast_request_bytes", 64 * 1024);
	crowd_close();
	daemon_stop(&d);
}

/* --- what a flood is made of --- */

/* Connects from an address of 127.0.0.0/8; -1 where it fails. */
static int from_somewhere(const struct daemon *d, unsigned host, int rcvbuf)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(0x7f010000u + host % 0xfffe + 1) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0) {
		name.sin_port = htons((uint16_t)d->port);
		name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
			return fd;
	}
	close(fd);
	return -1;
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void reset(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* Holds many connections that said text; more and more of one byte on each, round by round. */
static void hold(const struct daemon *d, unsigned count, const char *text, const char *byte,
		 int rcvbuf)
{
	static int fds[HELD_MAX];
	static unsigned host;

	for (unsigned i = 0; i < count; i++) {
		fds[i] = from_somewhere(d, host++, rcvbuf);
		if (fds[i] >= 0)
			say(fds[i], text);
		if (i % 100 == 99)
			wait_ms(10);
	}
	for (int round = 0; round < 20; round++) {
		for (unsigned i = 0; byte && i < count; i++)
			say(fds[i], byte);
		wait_ms(100);
	}
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

#define HOST "Host: a\r\n"

static void slow_heads(const struct daemon *d)
{
	hold(d, 1000, "GET / HTTP/1.1\r\n" HOST "X: ", "x", 0);
}

static void slow_bodies(const struct daemon *d)
{
	hold(d, 1000, "GET / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n", "x", 0);
}

static void silent_ones(const struct daemon *d)
{
	hold(d, 10000, "", NULL, 0);
}

static void slow_readers(const struct daemon *d)
{
	hold(d, 500, "GET /sse/measure HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
	     NULL, 256);
}

static void pages_unread(const struct daemon *d)
{
	char text[4096] = "";

	for (int i = 0; i < 60; i++)
		strcat(text, "GET / HTTP/1.1\r\n" HOST "\r\n");
	hold(d, 500, text, NULL, 256);
}

static void many_topics(const struct daemon *d)
{
	static unsigned topic;
	int fds[200];

	for (int i = 0; i < 200; i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "GET /sse?topic=measure&topic=t%u&topic=t%u HTTP/1.1\r\n" HOST "\r\n",
			 topic, topic + 1);
		topic++;
		fds[i] = from_somewhere(d, topic, 0);
		if (fds[i] >= 0)
			say(fds[i], text);
	}
	wait_ms(20);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
}

static void connections(const struct daemon *d)
{
	static unsigned host;
	int fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = from_somewhere(d, host++, 0);
	for (int i = 0; i < 50; i++)
		close(fds[i]);
	wait_ms(2);
}

static void one_address(const struct daemon *d)
{
	int fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = from_somewhere(d, 7, 0);
	for (int i = 0; i < 50; i++)
		close(fds[i]);
	wait_ms(2);
}

static void resets(const struct daemon *d)
{
	static const char *const texts[] = { "", "GET / HT",
					     "GET /sse/measure HTTP/1.1\r\n" HOST "\r\n",
					     "GET / HTTP/1.1\r\n" HOST "\r\n",
					     "GET / HTTP/1.1\r\n" HOST
					     "Content-Length: 9\r\n\r\nx" };
	static unsigned host;

	for (unsigned i = 0; i < 50; i++) {
		int fd = from_somewhere(d, host++, 0);

		if (fd < 0)
			continue;
		say(fd, texts[i % 5]);
		if (i % 7 == 0)
			wait_ms(1);
		reset(fd);
	}
	wait_ms(1);
}

/* Sends bytes on one connection as fast as they go, reading what comes back. */
static void pour(const struct daemon *d, const char *bytes, size_t n)
{
	static char waste[65536];
	int fd = from_somewhere(d, 9, 0);

	for (int i = 0; fd >= 0 && i < 200; i++) {
		if (send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			break;
		while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
			continue;
		wait_ms(1);
	}
	close(fd);
}

static void pipelined(const struct daemon *d)
{
	static const char one[] = "GET /healthz HTTP/1.1\r\n" HOST "\r\n";
	static char bytes[16384];
	size_t n = 0;

	for (; n + sizeof(one) < sizeof(bytes); n += sizeof(one) - 1)
		memcpy(bytes + n, one, sizeof(one) - 1);
	pour(d, bytes, n);
}

static void rubbish(const struct daemon *d)
{
	static char bytes[16384];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	for (int i = 0; i < 20; i++)
		pour(d, bytes, sizeof(bytes));
	wait_ms(2);
}

static void header_bombs(const struct daemon *d)
{
	static char bytes[16000];
	size_t n = (size_t)snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\n" HOST);

	for (int i = 0; i < 99; i++)
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "X-%0100d: %d\r\n", i, i);
	memcpy(bytes + n, "\r\n", 2);
	pour(d, bytes, n + 2);
}

/* A publisher at full speed, to a topic whose one subscriber never reads. */
static void full_speed(const struct daemon *d)
{
	static char bytes[65536], waste[65536];
	static int stuck = -1;
	struct client c;
	size_t n = 0;

	if (stuck < 0) {
		stuck = from_somewhere(d, 3, 256);
		say(stuck, "GET /sse/loud HTTP/1.1\r\n" HOST "\r\n");
	}
	for (int i = 0; i < 30; i++)
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n,
				      "POST /publish/loud HTTP/1.1\r\n" HOST
				      "Content-Length: 1000\r\n\r\n%01000d",
				      i);
	client_open_control(&c, d);
	for (int i = 0; i < 100; i++) {
		(void)!send(c.fd, bytes, n, MSG_NOSIGNAL);
		for (int got = 0; got < 30;) {
			ssize_t len = recv(c.fd, waste, sizeof(waste), 0);

			if (len <= 0)
				break;
			for (ssize_t k = 0; k < len; k++)
				got += waste[k] == '}';
		}
	}
	client_close(&c);
}

#define REASON(name) "ssecast_disconnects_total{reason=\"" name "\"}"

#define FLOOD(name, reason, ...)                                          \
	Test(floods, name)                                                \
	{                                                                 \
		endure(#name, name, reason, OPTIONS(LIMITS __VA_ARGS__)); \
	}

FLOOD(slow_heads, REASON("head_timeout"))
FLOOD(slow_bodies, REASON("body_timeout"))
FLOOD(silent_ones, REASON("head_timeout"))
FLOOD(slow_readers, NULL)
FLOOD(pages_unread, REASON("stalled"))
FLOOD(many_topics, REASON("client"))
FLOOD(connections, REASON("client"))
FLOOD(one_address, REASON("too_fast"), , "--max-accepts-per-ip", "50")
FLOOD(resets, REASON("client"))
FLOOD(pipelined, NULL)
FLOOD(rubbish, REASON("refused"))
FLOOD(header_bombs, NULL)
FLOOD(full_speed, REASON("lagged"))
