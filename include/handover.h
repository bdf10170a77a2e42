/*
 * handover: all that a running server knows, as bytes that the next binary goes on from.
 *
 * What is large lies in memfds and crosses by being inherited: the ring, the table of conns. So do
 * the descriptors, with the epoll instance that watches them. The rest is packed into a sealed
 * memfd: a magic number, a version, and strings that each hold the state of one room. A newer
 * daemon reads the versions of the older ones; an older one refuses a newer version.
 */
#ifndef HANDOVER_H
#define HANDOVER_H

#include "server.h"

/* The version that is written; the oldest that is read. Grows when older daemons would misread. */
#ifndef HANDOVER_VERSION
#define HANDOVER_VERSION 1
#endif
enum { HANDOVER_OLDEST = 1 };

struct handover {
	const char *bytes; /* the memfd, mapped */
	size_t size;
	int fd;
	struct str from;   /* version of the program that wrote it; this and all below borrow */
	uint64_t begun_ns; /* monotonic: when the old binary stopped serving */
	uint64_t started_ms;
	int epoll_fd, ring_fd, conns_fd, tick_fd;
	int trace_fd; /* -1 = nothing was traced */
	int park_ends[PARK_ENDS];
	uint32_t high; /* slots of the table of conns that have been used, slot 0 included */
	uint64_t tick_interval_ms, ring_bytes; /* as configured */
	enum config_stdin stdin_format;
	struct str listeners, source, park, peers, topics, exchanges, stats, presences;
};

/*
 * Packs the server, between two turns, into a sealed memfd that survives exec: its descriptor, or
 * -errno.
 */
int handover_write(const struct server *server, uint64_t begun_ns);

/* Whether the descriptors that the next binary needs survive exec. */
void handover_inherit(const struct server *server, bool survives);

/*
 * Reads what handover_write() has written (fd is taken, also on failure). Returns NULL, or a
 * sentence (a constant) that says why it cannot be read. handover_done() follows in every case.
 */
const char *handover_read(struct handover *handover, int fd);
void handover_done(struct handover *handover);

/*
 * Restores peers, topics, requests and counters, and links the adopted conns to them. The hub's
 * ring is there; its topics and peers are empty. Without a table of conns (a trial) nothing is
 * linked, and no descriptor is touched. *closed: conns that could not go on. 0, -EINVAL or
 * -ENOMEM.
 */
int handover_restore(const struct handover *handover, struct hub *hub, uint32_t *closed);

#endif
