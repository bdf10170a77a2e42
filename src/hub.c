/*
 * hub: see hub.h.
 */
#include "hub.h"

#include "clock.h"
#include "log.h"

uint64_t hub_random(struct hub *hub, uint64_t n)
{
	/* xorshift64*: good enough to spread things, and its state is one word. */
	uint64_t x = hub->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	hub->random = x;
	return (x * 2685821657736338717u >> 11) % n;
}

void hub_begin_slice(struct hub *hub, uint64_t slice_ns)
{
	hub->late_ns = clock_mono_ns() + slice_ns;
}

bool hub_is_late(const struct hub *hub)
{
	return clock_mono_ns() >= hub->late_ns;
}

void hub_trust(struct hub *hub)
{
	const struct value_list *list = &hub->config.trusted_proxy;
	struct ipnets *trusted = &hub->trusted;

	_Static_assert((size_t)VALUE_LIST_MAX <= (size_t)IPNETS_MAX, "a place for each");
	trusted->count = 0;
	for (size_t i = 0; i < list->count; i++)
		trusted->count +=
			!ipnet_parse(str_of(list->items[i]), &trusted->nets[trusted->count]);
}

void hub_gauges(const struct hub *hub, struct stats_gauges *gauges)
{
	const struct ring_header *ring = hub->ring.header;
	uint64_t now_ms = clock_real_ms(), oldest_ms = now_ms;

	if (ring->first < ring->next)
		oldest_ms = ring_record(&hub->ring, ring->first)->id.ms;
	*gauges = (struct stats_gauges){
		.clients = hub->conns.count,
		.live = hub->conns.live,
		.walking = hub->conns.streams - hub->conns.live,
		.topics = hub->topics.audiences.selectors.in_use,
		.ring_bytes = ring->head - ring->tail,
		.ring_size_bytes = ring->data_size,
		.ring_records = ring->next - ring->first,
		.ring_evicted = ring->evicted,
		.ring_oldest_age_ms = now_ms > oldest_ms ? now_ms - oldest_ms : 0,
		.lag_bytes_max = hub->lag_bytes_max,
		.request_bytes = hub->conns.exchanges.bytes,
		.log_dropped = log_dropped(),
		.uptime_ms = hub->now_ms - hub->started_ms,
	};
}
