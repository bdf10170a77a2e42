/*
 * A million: the tables and what walks over them, driven past any limit of descriptors by conns
 * whose descriptor is none.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "names.h"
#include "stream.h"
#include "sweep.h"

enum {
	MILLION = 1000000,
	TOPICS = 100000,
	RING_BYTES = 1 << 16,
	IDLE_EVERY = 1000,   /* one conn in so many is no stream, and says nothing */
	CONN_BYTES_MAX = 96, /* of a conn and its place among the live ones */
	TOPIC_BYTES_MAX = 300,
};

struct world {
	struct hub hub;
	struct sweep sweep;
};

static struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct hub *hub = &world->hub;

	cr_assert(config_init(&hub->config) == 0);
	hub->clients_max = MILLION;
	hub->now_ms = clock_mono_ms();
	cr_assert(loop_init(&hub->loop) == 0);
	cr_assert(ring_init(&hub->ring, RING_BYTES, clock_real_ms()) == 0);
	cr_assert(topics_init(&hub->topics, &hub->ring) == 0);
	cr_assert(conns_init(&hub->conns, MILLION) == 0);
	cr_assert(sweep_init(&world->sweep, hub) == 0);
	return world;
}

static void world_free(struct world *world)
{
	sweep_done(&world->sweep);
	conns_done(&world->hub.conns);
	topics_done(&world->hub.topics);
	ring_done(&world->hub.ring);
	loop_done(&world->hub.loop);
	config_done(&world->hub.config);
	free(world);
}

/* Bytes of memory that the process has now; sanitizers have their own idea of it. */
static size_t resident(void)
{
	unsigned long pages = 0, all;
	FILE *file = fopen("/proc/self/statm", "r");

	cr_assert(file && fscanf(file, "%lu %lu", &all, &pages) == 2);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_sanitized(void)
{
#ifdef __SANITIZE_ADDRESS__
	return true;
#else
	return false;
#endif
}

static struct str topic_name(uint32_t i, char name[16])
{
	return (struct str){ name, (size_t)sprintf(name, "topic-%u", i % TOPICS) };
}

/* Conn number i as it would be after accept(2), from one of 65,536 addresses. */
static struct conn *enter(struct hub *hub, uint32_t i)
{
	struct in6_addr ip = { .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 10 } };

	ip.s6_addr[14] = (uint8_t)(i >> 8);
	ip.s6_addr[15] = (uint8_t)i;
	return conn_enter(hub, -1, &ip, 0);
}

static void subscribe(struct hub *hub, struct conn *conn, uint32_t i)
{
	struct audience_terms terms = { .framing = TOPIC_CHUNKED };
	uint32_t audience;
	struct buf names;
	char name[16];

	buf_init(&names, 64);
	cr_assert(names_add(&names, topic_name(i, name)) == 0);
	terms.selectors = buf_str(&names);
	cr_assert(topics_join(&hub->topics, &terms, hub->config.topics_max, &audience) == 0);
	buf_done(&names);
	conn_subscribe(hub, conn, audience, hub->ring.header->flushed);
	stream_pump(hub, conn);
}

/* One round of the sweep over the whole table. */
static void sweep_round(struct world *world)
{
	struct pollfd fired = { .fd = world->sweep.timer_fd, .events = POLLIN };

	sweep_wake(&world->sweep, &world->hub);
	do {
		cr_assert(poll(&fired, 1, 30000) == 1);
		sweep_fire(&world->sweep, &world->hub);
		while (sweep_turn(&world->sweep, &world->hub))
			continue;
	} while (world->sweep.at != 1);
}

/* Closes the doomed: how many. */
static uint32_t bury(struct hub *hub)
{
	uint32_t count = 0;

	for (; hub->conns.agenda; count++)
		conn_bury(hub, conns_at(&hub->conns, conns_agenda_take(&hub->conns)));
	return count;
}

static void fill(struct world *world)
{
	struct hub *hub = &world->hub;

	for (uint32_t i = 0; i < MILLION; i++) {
		struct conn *conn = enter(hub, i);

		cr_assert(conn && !(conn->flags & CONN_OVER_LIMIT));
		if (i % IDLE_EVERY != 0)
			subscribe(hub, conn, i);
	}
}

Test(scale, table_for_a_million_costs_nothing_until_it_is_used)
{
	size_t before = resident();
	struct world *world = world_new();

	if (!is_sanitized())
		cr_expect(resident() - before < 1 << 20, "%zu bytes", resident() - before);
	world_free(world);
}

Test(scale, million_conns_on_a_hundred_thousand_topics_fit_into_modest_memory)
{
	struct world *world = world_new();
	struct hub *hub = &world->hub;
	size_t before = resident(), bytes;

	fill(world);
	bytes = resident() - before;
	cr_expect(hub->conns.count == MILLION);
	cr_expect(hub->conns.live == MILLION - MILLION / IDLE_EVERY);
	if (!is_sanitized())
		cr_expect(bytes < (size_t)MILLION * CONN_BYTES_MAX +
					  (size_t)TOPICS * TOPIC_BYTES_MAX,
			  "%zu bytes", bytes);
	world_free(world);
}

Test(scale, publish_reaches_a_topics_subscribers_among_a_million)
{
	struct world *world = world_new();
	struct hub *hub = &world->hub;
	uint32_t index, pending;

	fill(world);
	for (uint32_t i = 1; i < TOPICS; i += TOPICS / 10) {
		char name[16];
		struct str topic = topic_name(i, name);
		struct event event = { .topics = &topic,
				       .topic_count = 1,
				       .data = STR("x"),
				       .retry_ms = SSE_NO_RETRY };
		uint64_t record;

		cr_assert(ring_append(&hub->ring, &event, clock_real_ms(), &record) == 0);
		cr_expect(topics_publish(&hub->topics, record) == MILLION / TOPICS);
		index = topics_next_dirty(&hub->topics, &pending);
		cr_assert(index);
		cr_expect(topics_audience(&hub->topics, index)->live_count == MILLION / TOPICS);
		cr_expect(topics_next_dirty(&hub->topics, &pending) == 0);
		topics_flushed(&hub->topics);
	}
	world_free(world);
}

Test(scale, sweep_visits_each_of_a_million)
{
	struct world *world = world_new();
	struct hub *hub = &world->hub;
	uint32_t high;

	/* Short times make short rounds. */
	hub->config.head_timeout_ms = 100;
	hub->config.heartbeat_ms = 0;
	fill(world);
	high = hub->conns.high;
	hub->now_ms += 50;
	sweep_round(world);
	cr_expect(hub->conns.doomed == 0);
	hub->now_ms += 100;
	sweep_round(world);
	cr_expect(hub->conns.doomed == MILLION / IDLE_EVERY);
	cr_expect(bury(hub) == MILLION / IDLE_EVERY);
	cr_expect(hub->stats.disconnects[REASON_HEAD_TIMEOUT] == MILLION / IDLE_EVERY);
	cr_expect(hub->conns.count == MILLION - MILLION / IDLE_EVERY);
	/* Their slots are taken again. */
	for (uint32_t i = 0; i < MILLION / IDLE_EVERY; i++)
		cr_assert(enter(hub, i));
	cr_expect(hub->conns.high == high && hub->conns.count == MILLION);
	world_free(world);
}

Test(scale, all_of_a_million_can_leave)
{
	struct world *world = world_new();
	struct hub *hub = &world->hub;

	fill(world);
	for (uint32_t slot = 1; slot < hub->conns.high; slot++)
		conn_doom(hub, conns_at(&hub->conns, slot), REASON_CLIENT);
	cr_expect(bury(hub) == MILLION);
	cr_expect(hub->conns.count == 0 && hub->conns.live == 0 && hub->conns.streams == 0);
	cr_expect(hub->topics.audiences.selectors.in_use == 0);
	world_free(world);
}
