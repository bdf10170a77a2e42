/*
 * loop: one epoll instance, its keys, and timers. See loop.h.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

int loop_init(struct loop *loop)
{
	int fd = epoll_create1(0);

	*loop = (struct loop){ .epoll_fd = -1 };
	return fd < 0 ? -errno : loop_adopt(loop, fd);
}

int loop_adopt(struct loop *loop, int epoll_fd)
{
	*loop = (struct loop){ .epoll_fd = epoll_fd };
	loop->events = calloc(LOOP_EVENTS_MAX, sizeof(*loop->events));
	if (loop->events)
		return 0;
	loop_done(loop);
	return -ENOMEM;
}

void loop_done(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop->events);
	*loop = (struct loop){ .epoll_fd = -1 };
}

static uint64_t key_pack(struct loop_key key)
{
	return (uint64_t)key.kind << 56 | (uint64_t)(key.generation & LOOP_GENERATION_MASK) << 32 |
	       key.index;
}

static int control(struct loop *loop, int op, int fd, uint32_t bits, struct loop_key key)
{
	struct epoll_event event = { .events = bits | EPOLLET, .data.u64 = key_pack(key) };

	return epoll_ctl(loop->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, int fd, uint32_t bits, struct loop_key key)
{
	return control(loop, EPOLL_CTL_ADD, fd, bits, key);
}

int loop_rekey(struct loop *loop, int fd, uint32_t bits, struct loop_key key)
{
	return control(loop, EPOLL_CTL_MOD, fd, bits, key);
}

int loop_wait(struct loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_MAX, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

struct loop_key loop_event(const struct loop *loop, int i, uint32_t *bits)
{
	uint64_t packed = loop->events[i].data.u64;

	*bits = loop->events[i].events;
	return (struct loop_key){ .kind = (enum loop_kind)(packed >> 56),
				  .generation = (uint32_t)(packed >> 32) & LOOP_GENERATION_MASK,
				  .index = (uint32_t)packed };
}

int loop_add_timer(struct loop *loop, enum loop_kind kind)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = loop_add(loop, fd, EPOLLIN, (struct loop_key){ .kind = kind });
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static struct timespec timespec_of_ms(uint64_t ms)
{
	return (struct timespec){ .tv_sec = (time_t)(ms / 1000),
				  .tv_nsec = (long)(ms % 1000) * 1000000 };
}

int loop_set_timer(int timer_fd, uint64_t first_ms, uint64_t period_ms)
{
	struct itimerspec when = { .it_value = timespec_of_ms(first_ms),
				   .it_interval = timespec_of_ms(first_ms ? period_ms : 0) };

	return timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

uint64_t loop_read_timer(int timer_fd)
{
	uint64_t fired = 0;
	ssize_t n;

	/* A period that is not read is the last one. */
	do
		n = read(timer_fd, &fired, sizeof(fired));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(fired) ? fired : 0;
}
