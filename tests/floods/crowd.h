/*
 * crowd: those who mean no harm, and what they notice.
 *
 * Subscribers of one topic and one publisher, who says what time it is. How long that takes to
 * reach each of them is the kernel's time of arrival less the publisher's: how soon this process
 * gets to read it does not matter.
 */
#ifndef CROWD_H
#define CROWD_H

#include "client.h"

/* All samples of one kind of phase, in nanoseconds. */
struct delays {
	uint64_t *ns; /* owned */
	size_t count, room;
};

/* The p-th of a hundred parts of them; at least one is needed. Sorts them. */
uint64_t delays_percentile(struct delays *delays, unsigned p);
void delays_done(struct delays *delays);

enum { CROWD_SUBSCRIBERS = 100 };

struct subscriber {
	int fd;
	char line[32]; /* the beginning of the unfinished one */
	size_t n;
	uint64_t heard; /* events */
};

struct crowd {
	struct subscriber subscribers[CROWD_SUBSCRIBERS];
	struct client publisher; /* on the control socket */
	uint64_t published;
};

/* Subscribes to /sse/measure and begins to publish there. */
void crowd_open(struct crowd *crowd, const struct daemon *d);
void crowd_close(struct crowd *crowd);

/* Publishes for a time, until everybody has heard everything; adds each delay. */
void crowd_measure(struct crowd *crowd, uint64_t phase_ms, struct delays *delays);

#endif
