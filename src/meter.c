/*
 * meter: says how the daemon is. See meter.h.
 */
#include "meter.h"

#include <unistd.h>

#include "clock.h"
#include "stream.h"

enum {
	EVERY_MS = 1000,
	TEXT_MAX = 1 << 16, /* bytes of the event's data, and of its frame */
};

int meter_init(struct meter *meter, struct hub *hub)
{
	*meter = (struct meter){ .timer_fd = loop_add_timer(&hub->loop, LOOP_METER) };
	return meter->timer_fd < 0 ? meter->timer_fd : 0;
}

void meter_done(struct meter *meter)
{
	if (meter->timer_fd >= 0)
		close(meter->timer_fd);
	meter->timer_fd = -1;
}

/* The first event comes at once. */
void meter_wake(struct meter *meter, const struct hub *hub)
{
	if (meter->running || !topics_audience_of(&hub->topics, METER_TOPIC, 0))
		return;
	meter->running = true;
	loop_set_timer(meter->timer_fd, hub->now_ms + 1, EVERY_MS);
}

/* Appends the event as one chunk; *chunk_head is the length of its head. Returns out->err. */
static int frame_write(const struct hub *hub, struct buf *out, size_t *chunk_head)
{
	struct str topic = METER_TOPIC;
	struct event event = {
		.topics = &topic, .topic_count = 1, .type = STR("stats"), .retry_ms = SSE_NO_RETRY
	};
	struct stats_gauges gauges;
	struct buf data;

	hub_gauges(hub, &gauges);
	buf_init(&data, TEXT_MAX);
	stats_write_json(&hub->stats, &gauges, clock_real_ms(), &data);
	event.data = buf_str(&data);
	if (data.err)
		out->err = data.err;
	else if (!buf_reserve(out, sse_frame_bound(&event, 0)))
		out->n += sse_write_frame(out->p + out->n, &event, STR(""), chunk_head);
	buf_done(&data);
	return out->err;
}

/* To all live subscribers of an audience. Whoever leaves, the last one takes its place: i stands.
 */
static void audience_say(struct hub *hub, const struct audience *audience, struct str bytes)
{
	uint32_t i = 0;

	while (i < audience->live_count) {
		uint32_t before = audience->live_count;

		stream_say(hub, conns_at(&hub->conns, audience->live[i].slot), bytes);
		if (audience->live_count == before)
			i++;
	}
}

void meter_fire(struct meter *meter, struct hub *hub)
{
	uint32_t index = topics_audience_of(&hub->topics, METER_TOPIC, 0);
	struct str chunk, plain;
	size_t chunk_head;
	struct buf frame;

	if (loop_read_timer(meter->timer_fd) == 0)
		return;
	if (!index) {
		meter->running = false;
		loop_set_timer(meter->timer_fd, 0, 0);
		return;
	}
	buf_init(&frame, TEXT_MAX);
	if (!frame_write(hub, &frame, &chunk_head)) {
		chunk = buf_str(&frame);
		plain = (struct str){ chunk.p + chunk_head,
				      chunk.n - chunk_head - RECORD_CHUNK_END };
		for (uint32_t i = 0; index; i++) {
			const struct audience *audience = topics_audience(&hub->topics, index);

			audience_say(hub, audience,
				     audience->framing == TOPIC_CHUNKED ? chunk : plain);
			index = topics_audience_of(&hub->topics, METER_TOPIC, i + 1);
		}
	}
	buf_done(&frame);
}
