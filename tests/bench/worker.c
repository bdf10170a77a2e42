/*
 * worker: see worker.h.
 */
#include "worker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "publisher.h"
#include "swarm.h"

enum {
	EVENTS_PER_TURN = 128, /* few, so that the publishers are never late by much */
	TURN_NS_MAX = 5000000,
};

/* Epoll keys of publishers; smaller ones are clients. */
#define KEY_PUBLISHER ((uint64_t)1 << 32)

struct worker {
	const struct options *options;
	struct shared *shared;
	struct swarm swarm;
	struct publisher publishers[PUBLISHERS_MAX];
	uint32_t publisher_count;
	int epoll_fd;
	int phase; /* that has been begun */
};

static int init(struct worker *worker, uint32_t number)
{
	const struct options *options = worker->options;
	int err;

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	err = swarm_init(&worker->swarm, options, worker->shared, number, worker->epoll_fd);
	if (number == 0 && options->publishes)
		worker->publisher_count = options->publishers;
	for (uint32_t i = 0; i < worker->publisher_count; i++)
		worker->publishers[i].fd = -1;
	for (uint32_t i = 0; i < worker->publisher_count && !err; i++)
		err = publisher_init(&worker->publishers[i], options, worker->shared, i,
				     worker->epoll_fd, KEY_PUBLISHER + i);
	return err;
}

static void start_publishing(struct worker *worker, uint64_t events, double seconds)
{
	uint32_t count = worker->publisher_count;

	for (uint32_t i = 0; i < count; i++)
		publisher_start(&worker->publishers[i], (events + count - 1) / count, seconds);
}

/* The parent has ordered another phase. */
static void phase_begin(struct worker *worker, int phase)
{
	const struct options *options = worker->options;
	struct swarm *swarm = &worker->swarm;

	worker->phase = phase;
	swarm->is_measured = phase == PHASE_PUBLISH;
	if (phase == PHASE_PUBLISH && options->replay)
		start_publishing(worker, 1, 0);
	else if (phase == PHASE_PUBLISH)
		start_publishing(worker, options->events, options->seconds);
	else if (phase == PHASE_CLOSE)
		swarm_close(swarm);
	else if (phase == PHASE_FILL)
		start_publishing(worker, options->replay, 0);
	else if (phase == PHASE_RETURN)
		swarm->replay_end = options->replay + 1;
}

/* Publishes; returns the ns to wait at most. */
static uint64_t publish(struct worker *worker)
{
	uint64_t wait_ns = TURN_NS_MAX;
	bool done = true;

	for (uint32_t i = 0; i < worker->publisher_count; i++) {
		uint64_t ns = publisher_step(&worker->publishers[i]);

		if (ns < wait_ns)
			wait_ns = ns;
		done = done && publisher_is_done(&worker->publishers[i]);
		worker->shared->published_each[i] = worker->publishers[i].sent;
	}
	if (worker->publisher_count && done)
		atomic_store(&worker->shared->published, worker->phase);
	return wait_ns;
}

static int handle(struct worker *worker, const struct epoll_event *event)
{
	uint64_t key = event->data.u64;

	if (key >= KEY_PUBLISHER)
		return publisher_event(&worker->publishers[key - KEY_PUBLISHER], event->events);
	swarm_event(&worker->swarm, (uint32_t)key, event->events);
	return 0;
}

static int turn(struct worker *worker)
{
	struct epoll_event events[EVENTS_PER_TURN];
	struct timespec wait = { 0 };
	int phase = atomic_load(&worker->shared->phase), n, err = 0;

	if (phase != worker->phase)
		phase_begin(worker, phase);
	if (phase == PHASE_CONNECT || phase == PHASE_RETURN)
		swarm_connect(&worker->swarm);
	swarm_tick(&worker->swarm);
	wait.tv_nsec = (long)publish(worker);
	n = epoll_pwait2(worker->epoll_fd, events, EVENTS_PER_TURN, &wait, NULL);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n && !err; i++)
		err = handle(worker, &events[i]);
	return err;
}

int worker_run(const struct options *options, struct shared *shared, uint32_t number)
{
	struct worker worker = { .options = options, .shared = shared };
	int err = init(&worker, number);

	while (!err && atomic_load(&shared->phase) != PHASE_STOP)
		err = turn(&worker);
	if (!err && options->publishes)
		swarm_count_missing(&worker.swarm, shared->published_each);
	swarm_done(&worker.swarm);
	for (uint32_t i = 0; i < worker.publisher_count; i++)
		publisher_done(&worker.publishers[i]);
	if (worker.epoll_fd >= 0)
		close(worker.epoll_fd);
	return err;
}
