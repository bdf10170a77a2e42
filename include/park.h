/*
 * park: duplicates of sockets, kept in queues of the kernel, where they outlive this process.
 *
 * Two pairs of connected unix sockets; who holds their ends (a service manager does) holds all that
 * lies in them. A socket is sent into the queue of singles. When that is full, its sockets are sent
 * once more, all in one message, into the queue of batches, and then taken out of the first; so
 * each lies in one of them at any time. What lies there is known here by a number of the caller's.
 * Sockets that are gone are weeded out little by little. Knows descriptors, no conns.
 */
#ifndef PARK_H
#define PARK_H

#include "buf.h"

enum {
	PARK_ENDS = 4,
	PARK_BATCH = 253, /* descriptors that one message takes (SCM_MAX_FD) */
};

/* Who a parked socket is: the descriptor that the caller has for it, or -1 if it is gone. */
typedef int park_find(void *context, uint64_t number);

struct park {
	int ends[PARK_ENDS]; /* singles: in, out; batches: in, out; -1 = nothing is parked */
	struct buf singles;  /* numbers (u64), in the order of the queue */
	struct buf batches;  /* for each message: how many, and their numbers */
	uint64_t parked;     /* sockets in both */
	uint64_t refused;    /* that found no room */
	park_find *find;
	void *context;
};

/* Empty queues: 0 or -errno. */
int park_init(struct park *park, park_find *find, void *context);

/* Goes on with ends that somebody kept (taken), of whose queues nothing is known yet. */
void park_adopt(struct park *park, const int ends[PARK_ENDS], park_find *find, void *context);
void park_done(struct park *park);

/* Parks a duplicate of fd: true, or false where there is no room for it. */
bool park_add(struct park *park, int fd, uint64_t number);

/* For the next binary, which has the same ends: what lies in the queues. */
void park_pack(const struct park *park, struct buf *out);
int park_unpack(struct park *park, struct str packed);

/* Takes every socket out of the queues, whoever else has their ends: it closes unless somebody
 * holds it. */
void park_empty(struct park *park);

/*
 * After a crash: takes each socket out of the queues of ends that somebody kept (the park has them,
 * and knows nothing else), and offers it: `take` owns fd, and returns whether it stays parked, then
 * with its number. Dying meanwhile loses none of them. One that cannot be had or put back is
 * closed.
 */
typedef bool park_take(void *context, int fd, uint64_t *number);
void park_recover(struct park *park, park_take *take, void *context);

#endif
