/*
 * broadcast: an event into the ring, and at the end of the turn out to every live subscriber.
 */
#ifndef BROADCAST_H
#define BROADCAST_H

#include "hub.h"

/* What became of a published event. */
struct broadcast_receipt {
	uint64_t record;      /* retained until the next event is published at least */
	uint64_t subscribers; /* that will get it */
};

/*
 * Appends an event; nothing is sent before the end of the turn, unless so much has come in this
 * turn that it has to be. Returns NULL, or a sentence (a constant) that says why it is refused, and
 * *status, the HTTP status that means the same. Nothing refused is stored.
 */
const char *broadcast_event(struct hub *hub, const struct event *event,
			    struct broadcast_receipt *receipt, int *status);

/*
 * The same for an event that the daemon has made: it is well-formed, and its topic may be as long
 * as it must. One that finds no room is counted as refused.
 */
void broadcast_own(struct hub *hub, const struct event *event);

/* Sends what has been published since the last flush. */
void broadcast_flush(struct hub *hub);

#endif
