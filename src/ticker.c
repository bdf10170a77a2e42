/*
 * ticker: publishes the time. See ticker.h.
 */
#include "ticker.h"

#include <time.h>
#include <unistd.h>

#include "broadcast.h"
#include "clock.h"
#include "log.h"

enum { TICK_TEXT_MAX = 4096 };

int ticker_init(struct ticker *ticker, struct hub *hub)
{
	int err;

	ticker->timer_fd = loop_add_timer(&hub->loop, LOOP_TICK);
	if (ticker->timer_fd < 0)
		return ticker->timer_fd;
	err = ticker_set(ticker, hub);
	if (err)
		ticker_done(ticker);
	return err;
}

int ticker_adopt(struct ticker *ticker, struct hub *hub, int timer_fd, uint64_t interval_ms)
{
	ticker->timer_fd = timer_fd;
	return interval_ms == hub->config.tick_interval_ms ? 0 : ticker_set(ticker, hub);
}

void ticker_done(struct ticker *ticker)
{
	if (ticker->timer_fd >= 0)
		close(ticker->timer_fd);
	ticker->timer_fd = -1;
}

int ticker_set(struct ticker *ticker, const struct hub *hub)
{
	uint64_t interval_ms = hub->config.tick_interval_ms, first_ms;

	if (interval_ms == 0)
		return loop_set_timer(ticker->timer_fd, 0, 0);
	/* The millisecond more makes up for what both clocks have cut off. */
	first_ms = clock_mono_ms() + interval_ms - clock_real_ms() % interval_ms + 1;
	return loop_set_timer(ticker->timer_fd, first_ms, interval_ms);
}

void ticker_fire(struct ticker *ticker, struct hub *hub)
{
	uint64_t fired = loop_read_timer(ticker->timer_fd);
	struct str topic = str_of(hub->config.tick_topic);
	struct event event = { .topics = &topic, .topic_count = 1, .retry_ms = SSE_NO_RETRY };
	struct broadcast_receipt receipt;
	char text[TICK_TEXT_MAX];
	time_t now = (time_t)(clock_real_ms() / 1000);
	const char *wrong;
	struct tm local;
	int status;

	if (fired == 0)
		return;
	hub->stats.ticks_missed += fired - 1;
	localtime_r(&now, &local);
	event.data.p = text;
	event.data.n = strftime(text, sizeof(text), hub->config.tick_format, &local);
	wrong = broadcast_event(hub, &event, &receipt, &status);
	if (wrong)
		log_warning("the tick was not published: %s", wrong);
}
