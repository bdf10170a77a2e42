/*
 * pulse: see pulse.h.
 */
#include "pulse.h"

#include <unistd.h>

#include "clock.h"

enum {
	STATUS_EVERY_MS = 5000,
	DRAIN_EXTRA_MS = 10000, /* asked for beyond the time of the next pulse, while draining */
};

int pulse_init(struct pulse *pulse, const struct systemd *systemd, struct hub *hub)
{
	*pulse = (struct pulse){ .timer_fd = -1, .period_ms = STATUS_EVERY_MS };
	if (systemd->notify_fd < 0)
		return 0;
	if (systemd->watchdog_ms && systemd->watchdog_ms < pulse->period_ms)
		pulse->period_ms = systemd->watchdog_ms;
	pulse->timer_fd = loop_add_timer(&hub->loop, LOOP_PULSE);
	if (pulse->timer_fd < 0)
		return pulse->timer_fd;
	pulse->said_ms = clock_mono_ms();
	return loop_set_timer(pulse->timer_fd, pulse->said_ms + 1, pulse->period_ms);
}

void pulse_done(struct pulse *pulse)
{
	if (pulse->timer_fd >= 0)
		close(pulse->timer_fd);
	pulse->timer_fd = -1;
}

static uint64_t rate(uint64_t now, uint64_t before, uint64_t ms)
{
	return ms && now > before ? (now - before) * 1000 / ms : 0;
}

static void say_status(struct pulse *pulse, const struct systemd *systemd, const struct hub *hub)
{
	uint64_t ms = hub->now_ms - pulse->said_ms;

	systemd_notify(systemd,
		       "STATUS=%s%u streams (%u live), %u connections; %llu events/s, "
		       "%llu deliveries/s",
		       hub->draining ? "Draining: " : "", hub->conns.streams, hub->conns.live,
		       hub->conns.count,
		       (unsigned long long)rate(hub->stats.events, pulse->events, ms),
		       (unsigned long long)rate(hub->stats.deliveries, pulse->deliveries, ms));
	pulse->has_said = true;
	pulse->said_ms = hub->now_ms;
	pulse->events = hub->stats.events;
	pulse->deliveries = hub->stats.deliveries;
}

void pulse_fire(struct pulse *pulse, const struct systemd *systemd, const struct hub *hub)
{
	if (loop_read_timer(pulse->timer_fd) == 0)
		return;
	if (systemd->watchdog_ms)
		systemd_notify(systemd, "WATCHDOG=1");
	if (hub->draining)
		systemd_notify(systemd, "EXTEND_TIMEOUT_USEC=%llu",
			       (unsigned long long)(pulse->period_ms + DRAIN_EXTRA_MS) * 1000);
	if (!pulse->has_said || hub->draining || hub->now_ms - pulse->said_ms >= STATUS_EVERY_MS)
		say_status(pulse, systemd, hub);
}
