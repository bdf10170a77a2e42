/*
 * sweep: everything that depends on time, a slice of the conn table at a time.
 *
 * A round visits every conn once, in slices spread evenly over it, so that the work of a million
 * conns never comes at once: heartbeats, time-outs, the largest lag. While there is no conn, the
 * timer stands still.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "hub.h"

struct sweep {
	int timer_fd;
	bool running;
	uint32_t at;         /* next slot to visit */
	uint32_t due;        /* those before it are to be visited now */
	uint32_t slices;     /* into which this round is cut */
	uint64_t lag_so_far; /* bytes; largest of this round */
};

int sweep_init(struct sweep *sweep, struct hub *hub);
void sweep_done(struct sweep *sweep);

/* Starts the timer if there is a conn and it stands still. */
void sweep_wake(struct sweep *sweep, struct hub *hub);

/* The timer has fired: one more slice of the table is due. */
void sweep_fire(struct sweep *sweep, const struct hub *hub);

/* Visits what is due, while the hub is not late: true if some of it is left. */
bool sweep_turn(struct sweep *sweep, struct hub *hub);

#endif
