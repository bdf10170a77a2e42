/*
 * What a broadcast costs: system calls, counted by ptrace(2) as the kernel sees them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "metrics.h"
#include "reader.h"

enum { READERS = 40, EVENTS = 8, TURNS = 5 };

/* Calls of one turn, the wait at its end included. */
struct calls {
	unsigned sends, others;
};

/* The daemon is ours to stop: until detach(). */
static void attach(const struct daemon *d)
{
	int status;

	if (ptrace(PTRACE_SEIZE, d->pid, 0, PTRACE_O_TRACESYSGOOD) < 0 && errno == EPERM)
		cr_skip_test("ptrace(2) is not allowed here");
	cr_assert(ptrace(PTRACE_INTERRUPT, d->pid, 0, 0) == 0);
	cr_assert(waitpid(d->pid, &status, 0) == d->pid && WIFSTOPPED(status));
}

static void detach(const struct daemon *d)
{
	cr_assert(ptrace(PTRACE_DETACH, d->pid, 0, 0) == 0);
}

/* Lets it run to its next system call, where it stops; returns which. */
static long next_call(const struct daemon *d)
{
	struct __ptrace_syscall_info info;
	int status;

	do {
		info.op = PTRACE_SYSCALL_INFO_NONE;
		cr_assert(ptrace(PTRACE_SYSCALL, d->pid, 0, 0) == 0);
		cr_assert(waitpid(d->pid, &status, 0) == d->pid && WIFSTOPPED(status));
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			cr_assert(ptrace(PTRACE_GET_SYSCALL_INFO, d->pid, sizeof(info), &info) > 0);
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY);
	return (long)info.entry.nr;
}

static bool is_wait(long call)
{
#ifdef SYS_epoll_wait
	if (call == SYS_epoll_wait)
		return true;
#endif
	return call == SYS_epoll_pwait;
}

/* Lets it run through a turn, to the beginning of its next wait. */
static struct calls next_turn(const struct daemon *d)
{
	struct calls calls = { 0 };
	long call;

	do {
		call = next_call(d);
		if (call == SYS_sendmsg || call == SYS_sendto)
			calls.sends++;
		else
			calls.others++;
	} while (!is_wait(call));
	return calls;
}

/* Publishes so many events in one write while the daemon stands still. */
static void publish_together(struct client *publisher, int events)
{
	struct buf requests;

	buf_init(&requests, 1 << 16);
	for (int i = 0; i < events; i++)
		buf_addf(&requests,
			 "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nevent %d",
			 i % 10);
	client_send(publisher, buf_str(&requests));
	buf_done(&requests);
}

/*
 * The calls of a turn that brings so many events to all readers. Of several: the one with the
 * fewest, since a timer or the end of an earlier connection may fall into one.
 */
static struct calls broadcast(const struct daemon *d, struct client *publisher, int events,
			      size_t *published)
{
	struct calls least = { .others = UINT_MAX };

	for (int i = 0; i < TURNS; i++) {
		struct calls calls;

		publish_together(publisher, events);
		*published += (size_t)events;
		do
			calls = next_turn(d);
		while (calls.sends < READERS);
		if (calls.others < least.others)
			least = calls;
	}
	return least;
}

Test(syscalls, broadcast_makes_one_send_for_each_subscriber_and_three_other_calls)
{
	struct reader readers[READERS];
	struct calls one, many;
	struct client publisher;
	size_t published = 0;
	struct daemon d;

	daemon_begin(&d, OPTIONS(QUIET));
	for (int i = 0; i < READERS; i++)
		reader_open(&readers[i], &d, "/sse", "");
	client_open_control(&publisher, &d);
	metric_wait(&d, "ssecast_clients{state=\"live\"}", READERS);
	attach(&d);
	while (!is_wait(next_call(&d)))
		;
	one = broadcast(&d, &publisher, 1, &published);
	many = broadcast(&d, &publisher, EVENTS, &published);
	detach(&d);
	/* The publisher's answer is one more send. */
	cr_expect(one.sends + one.others <= READERS + 3,
		  "%u sends and %u other calls for one event", one.sends, one.others);
	cr_expect(many.sends + many.others <= READERS + 3,
		  "%u sends and %u other calls for %d events", many.sends, many.others, EVENTS);
	for (int i = 0; i < READERS; i++) {
		reader_wait(&readers[i], published);
		cr_expect_str_eq(readers[i].events[published - 1].data, "event 7");
		reader_close(&readers[i]);
	}
	client_close(&publisher);
	daemon_stop(&d);
}
