/*
 * pulse: tells the service manager that the loop turns, and how the daemon is.
 *
 * A timer of the loop itself is what feeds the watchdog: a loop that is stuck feeds it no more, and
 * is restarted. Without a manager there is no timer.
 */
#ifndef PULSE_H
#define PULSE_H

#include "hub.h"
#include "systemd.h"

struct pulse {
	int timer_fd; /* -1 = nobody wants to know */
	uint64_t period_ms;
	bool has_said;
	uint64_t said_ms;            /* monotonic: the last status */
	uint64_t events, deliveries; /* counted by then */
};

/* 0 or -errno. */
int pulse_init(struct pulse *pulse, const struct systemd *systemd, struct hub *hub);
void pulse_done(struct pulse *pulse);

/* The timer has fired. */
void pulse_fire(struct pulse *pulse, const struct systemd *systemd, const struct hub *hub);

#endif
