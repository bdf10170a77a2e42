/*
 * publisher: a connection that publishes events and counts the answers.
 *
 * It keeps to four limits at once: the rate, the publishes that are unanswered, the events that not
 * every reader has had, and the number of events or the time of the run. A burst goes out in one
 * write.
 */
#ifndef PUBLISHER_H
#define PUBLISHER_H

#include "bench.h"

struct publisher {
	const struct options *options;
	struct shared *shared;
	struct totals *totals; /* of the worker that publishes */
	int fd, epoll_fd;
	uint32_t number;
	uint64_t sent, answered;
	uint64_t started_ns, due_ns;
	uint64_t limit;  /* events to publish in this phase, in all */
	uint64_t end_ns; /* of this phase */
	struct buf out;  /* not sent yet: out.p + out_sent on */
	size_t out_sent;
	struct buf in; /* answers */
	bool is_over;
};

/* Connects; its descriptor's epoll events carry key. 0 or -errno. */
int publisher_init(struct publisher *publisher, const struct options *options,
		   struct shared *shared, uint32_t number, int epoll_fd, uint64_t key);
void publisher_done(struct publisher *publisher);

/* Begins to publish: so many events or until so long from now, whichever is first; 0 = no limit. */
void publisher_start(struct publisher *publisher, uint64_t events, double seconds);

/* The kernel has something for it. 0, or -errno when it cannot go on. */
int publisher_event(struct publisher *publisher, uint32_t bits);

/* Publishes what is due. Returns the ns until it wants to be called again (UINT64_MAX: when
 * something has happened). */
uint64_t publisher_step(struct publisher *publisher);

/* All is published and answered. */
bool publisher_is_done(const struct publisher *publisher);

#endif
