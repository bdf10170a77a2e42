/*
 * ticker: the server's time as an event, every --tick-interval.
 */
#ifndef TICKER_H
#define TICKER_H

#include "hub.h"

struct ticker {
	int timer_fd;
};

/* Makes the timer and starts it as configured. 0 or -errno. */
int ticker_init(struct ticker *ticker, struct hub *hub);
/* Goes on with the timer of an earlier binary, which ran with that interval. 0 or -errno. */
int ticker_adopt(struct ticker *ticker, struct hub *hub, int timer_fd, uint64_t interval_ms);

void ticker_done(struct ticker *ticker);

/*
 * Starts or stops it as configured now. Ticks fall on whole multiples of the interval on the real
 * clock as it stands at this moment, and never drift after that.
 */
int ticker_set(struct ticker *ticker, const struct hub *hub);

/* The timer has fired: publishes one tick, counts those that came too late for one of their own. */
void ticker_fire(struct ticker *ticker, struct hub *hub);

#endif
