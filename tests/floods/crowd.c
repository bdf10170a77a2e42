/*
 * crowd: subscribers, a publisher, and the time between them. See crowd.h.
 */
#include "crowd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { EVERY_MS = 10, PADDING = 1000 };

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t delays_percentile(struct delays *delays, unsigned p)
{
	cr_assert(delays->count > 0);
	qsort(delays->ns, delays->count, sizeof(delays->ns[0]), by_size);
	return delays->ns[delays->count * p / 100];
}

void delays_done(struct delays *delays)
{
	free(delays->ns);
	*delays = (struct delays){ 0 };
}

static void delays_add(struct delays *delays, uint64_t ns)
{
	if (delays->count == delays->room) {
		delays->room = delays->room ? 2 * delays->room : 1 << 16;
		delays->ns = realloc(delays->ns, delays->room * sizeof(delays->ns[0]));
		cr_assert(delays->ns);
	}
	delays->ns[delays->count++] = ns;
}

void crowd_open(struct crowd *crowd, const struct daemon *d)
{
	int on = 1;

	*crowd = (struct crowd){ .published = 0 };
	for (int i = 0; i < CROWD_SUBSCRIBERS; i++) {
		struct client c;

		client_open(&c, d);
		client_send(&c, STR("GET /sse/measure HTTP/1.1\r\nHost: a\r\n\r\n"));
		client_need(&c, 15);
		cr_assert(setsockopt(c.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0);
		crowd->subscribers[i].fd = c.fd;
		buf_done(&c.in);
	}
	client_open_control(&crowd->publisher, d);
}

void crowd_close(struct crowd *crowd)
{
	for (int i = 0; i < CROWD_SUBSCRIBERS; i++)
		close(crowd->subscribers[i].fd);
	client_close(&crowd->publisher);
}

/* "data: ", the time of publishing in nanoseconds, and the padding. */
static void take_line(struct subscriber *s, uint64_t arrived_ns, struct delays *delays)
{
	s->line[s->n] = '\0';
	s->n = 0;
	if (strncmp(s->line, "data: ", 6) != 0)
		return;
	s->heard++;
	delays_add(delays, arrived_ns - strtoull(s->line + 6, NULL, 10));
}

/* The time when the last byte of what was received came to this host. */
static uint64_t arrival_ns(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct timespec at;

	/* The kernel begins to stamp a little later than it is told to. */
	if (!c)
		return real_ns();
	memcpy(&at, CMSG_DATA(c), sizeof(at));
	return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

static void hear(struct subscriber *s, struct delays *delays)
{
	char bytes[16384], control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec to = { bytes, sizeof(bytes) };
	struct msghdr msg = { .msg_iov = &to,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT);
	uint64_t arrived_ns;

	if (n < 0 && errno == EAGAIN)
		return;
	cr_assert(n > 0, "a subscriber was cut");
	arrived_ns = arrival_ns(&msg);
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			take_line(s, arrived_ns, delays);
		else if (s->n + 1 < sizeof(s->line))
			s->line[s->n++] = bytes[i];
	}
}

static void publish_now(struct crowd *crowd)
{
	client_sendf(&crowd->publisher,
		     "POST /publish/measure HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
		     "%020llu.%0*d",
		     21 + PADDING, (unsigned long long)real_ns(), PADDING, 0);
	crowd->published++;
}

/* Hears what comes until then. */
static void hear_until(struct crowd *crowd, uint64_t end_ms, struct delays *delays)
{
	struct pollfd ready[CROWD_SUBSCRIBERS + 1];
	char answers[8192];
	uint64_t now_ms;

	while ((now_ms = clock_mono_ms()) < end_ms) {
		for (int i = 0; i < CROWD_SUBSCRIBERS; i++)
			ready[i] =
				(struct pollfd){ .fd = crowd->subscribers[i].fd, .events = POLLIN };
		ready[CROWD_SUBSCRIBERS] =
			(struct pollfd){ .fd = crowd->publisher.fd, .events = POLLIN };
		if (poll(ready, CROWD_SUBSCRIBERS + 1, (int)(end_ms - now_ms)) <= 0)
			return;
		for (int i = 0; i < CROWD_SUBSCRIBERS; i++)
			if (ready[i].revents)
				hear(&crowd->subscribers[i], delays);
		if (ready[CROWD_SUBSCRIBERS].revents)
			cr_assert(recv(crowd->publisher.fd, answers, sizeof(answers),
				       MSG_DONTWAIT) > 0,
				  "the publisher was cut");
	}
}

static bool all_have_heard(const struct crowd *crowd)
{
	for (int i = 0; i < CROWD_SUBSCRIBERS; i++)
		if (crowd->subscribers[i].heard < crowd->published)
			return false;
	return true;
}

void crowd_measure(struct crowd *crowd, uint64_t phase_ms, struct delays *delays)
{
	uint64_t end_ms = clock_mono_ms() + phase_ms, deadline_ms = deadline();

	while (clock_mono_ms() < end_ms) {
		publish_now(crowd);
		hear_until(crowd, clock_mono_ms() + EVERY_MS, delays);
	}
	while (!all_have_heard(crowd)) {
		deadline_left(deadline_ms, "events that were published");
		hear_until(crowd, clock_mono_ms() + 1, delays);
	}
}
