/*
 * bounds: what the daemon says that it may hold at most, and what it holds.
 */
#ifndef BOUNDS_H
#define BOUNDS_H

#include "daemon.h"

/* The number behind a name in what --print-limits has said (`"\nring "`). */
uint64_t limit_said(const struct daemon *d, const char *name);

/* Bytes of memory that are the daemon's own (not the code, which is a file): now, and the most that
 * they have been. */
uint64_t memory_held(const struct daemon *d);
uint64_t memory_peak(const struct daemon *d);

/* Of it, what is shared with whoever takes over: the ring and the table of connections. */
uint64_t memory_shared(const struct daemon *d);

/* What the kernel holds for the TCP sockets of a port of this machine, the listening one aside. */
struct sockets_held {
	uint64_t count;
	uint64_t bytes;          /* queued both ways, and set aside for more */
	uint64_t sent, received; /* of them: queued */
	uint64_t sndbuf, rcvbuf; /* the largest limits that any of them has */
};

/* Asks the kernel now. False where it cannot be asked. */
bool sockets_held(int port, struct sockets_held *held);

#endif
