/*
 * recovery: the same sockets go on after a crash.
 *
 * Under a service manager that keeps descriptors, the ring, the trace of all streams and the park
 * with their sockets outlive the process. The next one finds them among what the manager passes to
 * it, asks the kernel how much each socket has taken, and goes on with the next byte. What cannot
 * be proven is closed, and comes back by its Last-Event-ID. The third crash within ten seconds is
 * taken for a fault of what is kept: then everything begins anew.
 */
#ifndef RECOVERY_H
#define RECOVERY_H

#include "server.h"

/*
 * At the start, with what the manager has passed: true if there is something to go on from. The
 * hub then has ring, trace and park of the process before.
 */
bool recovery_begin(struct server *server);

/* Prepares for a crash of this process: makes what has to outlive it, and gives it to the manager.
 */
void recovery_prepare(struct server *server);

/* After recovery_begin() was true: takes the streams over. */
void recovery_finish(struct server *server);

/*
 * SIGUSR1: ends the daemon in order, and leaves the streams to the next one. Where nothing is kept,
 * it drains.
 */
void recovery_leave(struct server *server);

#endif
