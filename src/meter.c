/*
 * meter: says how the daemon is. See meter.h.
 */
#include "meter.h"

#include <unistd.h>

#include "clock.h"
#include "longpoll.h"
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
	meter->running = !loop_set_timer(meter->timer_fd, hub->now_ms + 1, EVERY_MS);
}

/* What is said, in all its forms. */
struct snapshot {
	struct event event;
	struct buf data, frame;
	struct str chunk, plain; /* of the frame */
};

/* Returns 0, or the sticky error of what did not fit. */
static int snapshot_take(const struct hub *hub, const struct str *topic, struct snapshot *snapshot)
{
	struct buf *frame = &snapshot->frame;
	struct stats_gauges gauges;
	size_t head;

	buf_init(&snapshot->data, TEXT_MAX);
	buf_init(frame, TEXT_MAX);
	hub_gauges(hub, &gauges);
	stats_write_json(&hub->stats, &gauges, clock_real_ms(), &snapshot->data);
	snapshot->event = (struct event){ .topics = topic,
					  .topic_count = 1,
					  .type = STR("stats"),
					  .data = buf_str(&snapshot->data),
					  .retry_ms = SSE_NO_RETRY };
	if (snapshot->data.err || buf_reserve(frame, sse_frame_bound(&snapshot->event, 0)))
		return snapshot->data.err ? snapshot->data.err : frame->err;
	frame->n = sse_write_frame(frame->p, &snapshot->event, STR(""), &head);
	snapshot->chunk = buf_str(frame);
	snapshot->plain = (struct str){ frame->p + head, frame->n - head - RECORD_CHUNK_END };
	return 0;
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

/* An audience that is gone after its turn leaves its place in the list to the last one, which does
 * without this time. */
static void snapshot_say(struct hub *hub, const struct snapshot *snapshot, struct str topic)
{
	uint32_t index;

	for (uint32_t i = 0; (index = topics_audience_of(&hub->topics, topic, i)); i++) {
		struct audience *audience = topics_audience(&hub->topics, index);

		switch ((enum topic_framing)audience->framing) {
		case TOPIC_CHUNKED: audience_say(hub, audience, snapshot->chunk); break;
		case TOPIC_PLAIN: audience_say(hub, audience, snapshot->plain); break;
		case TOPIC_POLL: longpoll_say(hub, audience, &snapshot->event); break;
		}
	}
}

void meter_fire(struct meter *meter, struct hub *hub)
{
	struct str topic = METER_TOPIC;
	struct snapshot snapshot;

	if (loop_read_timer(meter->timer_fd) == 0)
		return;
	if (!topics_audience_of(&hub->topics, topic, 0)) {
		meter->running = false;
		loop_set_timer(meter->timer_fd, 0, 0);
		return;
	}
	if (!snapshot_take(hub, &topic, &snapshot))
		snapshot_say(hub, &snapshot, topic);
	buf_done(&snapshot.data);
	buf_done(&snapshot.frame);
}
