/*
 * swarm: a worker's connections, from connecting to the last event; each event of each connection
 * is verified.
 *
 * Connections are made at a set concurrency and have a number of their own over all workers. The
 * descriptors are watched edge-triggered on the worker's epoll instance, with the connection's
 * index as the event's data.
 */
#ifndef SWARM_H
#define SWARM_H

#include "bench.h"
#include "payload.h"
#include "reader.h"

enum client_state { CLIENT_NONE, CLIENT_CONNECTING, CLIENT_HEAD, CLIENT_OPEN };

struct client {
	int fd;
	enum client_state state;
	bool is_slow, is_late; /* late: joined while events were published already */
	bool has_caught_up;
	struct reader reader;
	uint32_t next[PUBLISHERS_MAX]; /* the sequence number that is expected */
	char last_id[64];
};

struct swarm {
	const struct options *options;
	struct shared *shared;
	struct totals *totals;
	int epoll_fd;
	uint32_t first; /* number of the first client */
	uint32_t count;
	struct client *clients; /* owned */
	uint32_t started;       /* clients connected or connecting, in order of their index */
	uint32_t connecting;
	uint32_t slow_at; /* the next slow reader to be read from */
	char *input;      /* owned; where every read goes */
	uint64_t now_ns;
	uint64_t slow_due_ns, churn_due_ns;
	uint32_t churn_at;
	uint64_t replay_end; /* sequence number that ends a replay; 0 = none under way */
	bool is_measured;
};

int swarm_init(struct swarm *swarm, const struct options *options, struct shared *shared,
	       uint32_t worker, int epoll_fd);
void swarm_done(struct swarm *swarm);

/* Opens connections up to the concurrency. */
void swarm_connect(struct swarm *swarm);

/* The kernel has something for client index. */
void swarm_event(struct swarm *swarm, uint32_t index, uint32_t bits);

/* What time brings: slow readers' bytes, churn. */
void swarm_tick(struct swarm *swarm);

/* Closes all; they come back with their last id at the next swarm_connect(). */
void swarm_close(struct swarm *swarm);

/* Counts what never came, after the end; published: events of each publisher. */
void swarm_count_missing(struct swarm *swarm, const uint64_t *published);

#endif
