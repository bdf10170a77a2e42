/*
 * meter: the daemon's own counters as an event, every second, on the topic "$stats".
 *
 * Such an event is a snapshot that the next one replaces. So it is no record of the ring, where it
 * would drive out what users have published: it goes straight to those who listen, like a
 * heartbeat, has no id, and who lags does without it. While nobody listens, nothing is measured.
 */
#ifndef METER_H
#define METER_H

#include "hub.h"

#define METER_TOPIC STR("$stats")

struct meter {
	int timer_fd;
	bool running;
};

/* Makes the timer, which stands still. 0 or -errno. */
int meter_init(struct meter *meter, struct hub *hub);
void meter_done(struct meter *meter);

/* Starts the timer if somebody listens and it stands still. */
void meter_wake(struct meter *meter, const struct hub *hub);

/* The timer has fired: the event goes out. */
void meter_fire(struct meter *meter, struct hub *hub);

#endif
