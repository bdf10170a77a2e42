/*
 * ring: ids, wrap-around, eviction, the floor, look-ups, and what is refused.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

enum { START_MS = 1000000 };

static struct ring ring;

static void open_ring(void)
{
	cr_assert_eq(ring_init(&ring, RING_BYTES_MIN, START_MS), 0);
}

static void close_ring(void)
{
	ring_done(&ring);
}

TestSuite(ring, .init = open_ring, .fini = close_ring);

/* Appends an event; everything that is appended counts as flushed. Returns ring_append()'s result.
 */
static int append(const char *topic_text, struct str data, const char *id, uint64_t now_ms,
		  uint64_t *number)
{
	struct str topic = str_of(topic_text);
	struct event event = { .topics = &topic,
			       .topic_count = 1,
			       .data = data,
			       .id = str_of(id),
			       .retry_ms = SSE_NO_RETRY };
	int err = ring_append(&ring, &event, now_ms, number);

	ring_flushed(&ring);
	return err;
}

static bool id_is(uint64_t number, uint64_t ms, uint64_t seq)
{
	struct eventid id = ring_record(&ring, number)->id;

	return id.ms == ms && id.seq == seq;
}

Test(ring, ids_grow_with_the_clock_and_against_it)
{
	uint64_t n;

	cr_assert_eq(append("t", STR("a"), "", START_MS + 5, &n), 0);
	cr_assert(id_is(n, START_MS + 5, 0));
	cr_assert_eq(append("t", STR("b"), "", START_MS + 5, &n), 0);
	cr_assert(id_is(n, START_MS + 5, 1));
	cr_assert_eq(append("t", STR("c"), "", START_MS - 500, &n), 0);
	cr_assert(id_is(n, START_MS + 5, 2), "the clock has stepped back; the ids have not");
}

Test(ring, an_own_id_of_our_shape_must_be_larger_and_not_from_the_far_future)
{
	char text[64];
	uint64_t n;

	cr_assert_eq(append("t", STR("a"), "1000007-3", START_MS, &n), 0);
	cr_assert(id_is(n, 1000007, 3));
	cr_assert_eq(append("t", STR("a"), "1000007-3", START_MS, &n), -EEXIST);
	cr_assert_eq(append("t", STR("a"), "1000007-2", START_MS, &n), -EEXIST);
	snprintf(text, sizeof(text), "%llu-0",
		 (unsigned long long)(START_MS + RING_ID_AHEAD_MS + 1));
	cr_assert_eq(append("t", STR("a"), text, START_MS, &n), -ERANGE);
	cr_assert_eq(
		append("t", STR("a"), "18446744073709551615-18446744073709551615", START_MS, &n),
		-ERANGE);
	cr_assert_eq(append("t", STR("a"), "", START_MS, &n), 0, "refusals leave no trace");
	cr_assert(id_is(n, 1000007, 4));
	cr_assert_eq(ring.header->next, 2);
}

Test(ring, frames_of_neighbours_are_contiguous_also_where_the_ring_wraps)
{
	char data[1000];
	struct str before = { NULL, 0 };

	memset(data, 'x', sizeof(data));
	for (int i = 0; i < 500; i++) {
		const struct record *record;
		struct str frame, event;
		uint64_t n;

		data[0] = (char)('A' + i % 26);
		cr_assert_eq(append("t", (struct str){ data, sizeof(data) }, "", START_MS, &n), 0);
		record = ring_record(&ring, n);
		frame = ring_frame(&ring, record);
		event = ring_event(&ring, record);
		/* The first copy of the mapping, or its continuation in the second one. */
		if (before.p && frame.p > before.p)
			cr_assert_eq(before.p + before.n, frame.p);
		cr_assert(frame.p >= ring.data && frame.p < ring.data + ring.header->data_size);
		cr_assert_eq(event.p[event.n - 1], '\n');
		cr_assert_eq(memcmp(frame.p + frame.n - 2, "\r\n", 2), 0);
		cr_assert(memmem(event.p, event.n, data, sizeof(data)) != NULL);
		before = frame;
	}
	cr_assert_gt(ring.header->evicted, 0);
}

Test(ring, retained_records_never_overlap_and_the_floor_is_the_last_evicted_id)
{
	char data[3000];

	memset(data, 'y', sizeof(data));
	for (unsigned i = 0; i < 2000; i++) {
		const struct ring_header *header = ring.header;
		uint64_t n, evicted = header->evicted;
		struct eventid oldest = { 0, 0 };
		int err;

		if (header->first < header->next)
			oldest = ring_record(&ring, header->first)->id;
		err = append("topic", (struct str){ data, i * 37 % sizeof(data) }, "", START_MS + i,
			     &n);
		cr_assert_eq(err, 0);
		cr_assert_leq(header->head - header->tail, header->data_size);
		cr_assert_eq(header->tail, ring_record(&ring, header->first)->pos);
		if (header->evicted == evicted + 1)
			cr_assert_eq(eventid_cmp(header->floor, oldest), 0);
		cr_assert_lt(eventid_cmp(header->floor, ring_record(&ring, header->first)->id), 0);
	}
}

Test(ring, many_small_events_are_bounded_by_the_index)
{
	uint64_t n, slots = ring.header->slots;

	for (uint64_t i = 0; i < 3 * slots; i++)
		cr_assert_eq(append("t", STR(""), "", START_MS, &n), 0);
	cr_assert_leq(ring.header->next - ring.header->first, slots);
	cr_assert_eq(ring.header->next, 3 * slots);
}

Test(ring, what_is_not_flushed_is_never_evicted)
{
	struct str topic = STR("t");
	char data[4000];
	struct event event = { .topics = &topic,
			       .topic_count = 1,
			       .data = { data, sizeof(data) },
			       .retry_ms = SSE_NO_RETRY };
	uint64_t n = 0;
	int err;

	memset(data, 'z', sizeof(data));
	while (!(err = ring_append(&ring, &event, START_MS, &n)))
		;
	cr_assert_eq(err, -EAGAIN);
	cr_assert_eq(ring.header->first, 0);
	cr_assert_eq(n + 1, ring.header->next);
	ring_flushed(&ring);
	cr_assert_eq(ring_append(&ring, &event, START_MS, &n), 0);
	cr_assert_eq(ring.header->first, 1);
}

Test(ring, an_event_that_is_too_large_is_refused_whole)
{
	size_t size = ring_frame_max(&ring);
	char *data = calloc(1, size);
	uint64_t n;

	memset(data, 'b', size);
	cr_assert_eq(append("t", (struct str){ data, size }, "", START_MS, &n), -EMSGSIZE);
	cr_assert_eq(ring.header->next, 0);
	cr_assert_eq(ring.header->head, 0);
	free(data);
}

Test(ring, resuming_finds_the_first_later_record)
{
	uint64_t n;

	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(append("t", STR("x"), "", START_MS + 10 + i / 3, &n), 0);
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(ring_after(&ring, ring_record(&ring, i)->id), i + 1);
	cr_assert_eq(ring_after(&ring, (struct eventid){ 0, 0 }), 0);
	cr_assert_eq(ring_after(&ring, (struct eventid){ START_MS + 9, 99 }), 0);
	cr_assert_eq(ring_after(&ring, (struct eventid){ UINT64_MAX, 0 }), 100);
}

Test(ring, own_ids_are_found_until_they_are_evicted_the_earliest_of_doubles_first)
{
	uint64_t n, first, found;
	char data[500];

	memset(data, 'd', sizeof(data));
	cr_assert_eq(append("t", STR("1"), "same", START_MS, &first), 0);
	cr_assert_eq(append("t", STR("2"), "same", START_MS, &n), 0);
	cr_assert_eq(append("t", STR("3"), "other", START_MS, &n), 0);
	cr_assert(ring_find_own_id(&ring, STR("same"), &found));
	cr_assert_eq(found, first);
	cr_assert(ring_find_own_id(&ring, STR("other"), &found));
	cr_assert_eq(found, n);
	cr_assert_not(ring_find_own_id(&ring, STR("missing"), &found));
	cr_assert_not(ring_find_own_id(&ring, STR("othe"), &found));
	for (unsigned i = 0; i < 2000; i++) {
		char id[32];

		snprintf(id, sizeof(id), "id-%u", i);
		cr_assert_eq(append("t", (struct str){ data, sizeof(data) }, id, START_MS, &n), 0);
		cr_assert(ring_find_own_id(&ring, str_of(id), &found));
		cr_assert_eq(found, n);
	}
	cr_assert_not(ring_find_own_id(&ring, STR("same"), &found));
	cr_assert_not(ring_find_own_id(&ring, STR("id-0"), &found));
}

/* A publisher who always gives the same id must not make everybody wait who names it. */
Test(ring, an_own_id_of_very_many_is_not_looked_for)
{
	enum { SIZE = 8 << 20 };
	uint64_t n, first, found;
	struct str topic = STR("t");
	struct event event = {
		.topics = &topic, .topic_count = 1, .id = STR("same"), .retry_ms = SSE_NO_RETRY
	};
	struct ring big;

	cr_assert_eq(ring_init(&big, SIZE, START_MS), 0);
	cr_assert_eq(ring_append(&big, &event, START_MS, &first), 0);
	for (int i = 1; i < RING_DOUBLES_MAX; i++)
		cr_assert_eq(ring_append(&big, &event, START_MS, &n), 0);
	cr_assert(ring_find_own_id(&big, event.id, &found) && found == first);
	cr_assert_eq(ring_append(&big, &event, START_MS, &n), 0);
	cr_assert_not(ring_find_own_id(&big, event.id, &found));
	ring_done(&big);
}

/* Records that are looked at to find an id: those of its bucket. */
static unsigned looks_for(const struct ring *r, struct str id)
{
	uint64_t slots = r->header->slots, n = r->buckets[ring_hash(r, id) & (slots - 1)];
	unsigned looks = 0;

	for (; n != UINT64_MAX && n >= r->header->first; n = r->index[n & (slots - 1)].older)
		looks++;
	return looks;
}

/* Counted, not timed: what there is to look at does not grow with what is retained. */
Test(ring, an_own_id_costs_the_same_with_1_or_100000_retained)
{
	enum { RETAINED = 100000, SIZE = 64 << 20 };
	unsigned long looks = 0;
	unsigned most = 0;
	uint64_t n, found;
	struct ring big;
	char id[32];

	cr_assert_eq(ring_init(&big, SIZE, START_MS), 0);
	for (uint64_t i = 0; i < RETAINED; i++) {
		struct str topic = STR("t");
		struct event event = { .topics = &topic,
				       .topic_count = 1,
				       .data = STR("x"),
				       .retry_ms = SSE_NO_RETRY };

		event.id = (struct str){ id, (size_t)snprintf(id, sizeof(id), "urn:%llu",
							      (unsigned long long)i) };
		cr_assert_eq(ring_append(&big, &event, START_MS, &n), 0);
		ring_flushed(&big);
		cr_assert(i > 0 || looks_for(&big, event.id) == 1);
	}
	cr_assert_eq(big.header->first, 0, "all are retained");
	for (uint64_t i = 0; i < RETAINED; i++) {
		struct str text = { id, (size_t)snprintf(id, sizeof(id), "urn:%llu",
							 (unsigned long long)i) };
		unsigned l = looks_for(&big, text);

		looks += l;
		most = l > most ? l : most;
		cr_assert(ring_find_own_id(&big, text, &found) && found == i);
	}
	cr_assert(looks < 2ul * RETAINED && most <= 12, "%lu in all, %u for one", looks, most);
	ring_done(&big);
}

Test(ring, all_topics_of_a_record_are_kept)
{
	struct str topics[] = { STR("first"), STR("second/with/slashes"), STR("third") }, topic;
	struct event event = {
		.topics = topics, .topic_count = 3, .data = STR("x"), .retry_ms = SSE_NO_RETRY
	};
	const struct record *record;
	uint32_t at = 0;
	uint64_t n;

	cr_assert_eq(ring_append(&ring, &event, START_MS, &n), 0);
	record = ring_record(&ring, n);
	cr_assert_eq(record->topic_hash, ring_hash(&ring, topics[0]));
	for (int i = 0; i < 3; i++) {
		cr_assert(ring_next_topic(&ring, record, &at, &topic));
		cr_assert(str_eq(topic, topics[i]));
	}
	cr_assert_not(ring_next_topic(&ring, record, &at, &topic));
}

Test(ring, lag_is_counted_in_bytes_up_to_the_flushed_head)
{
	struct str topic = STR("t");
	struct event event = {
		.topics = &topic, .topic_count = 1, .data = STR("x"), .retry_ms = SSE_NO_RETRY
	};
	uint64_t n, len;

	cr_assert_eq(ring_lag(&ring, 0), 0);
	cr_assert_eq(append("t", STR("x"), "", START_MS, &n), 0);
	len = ring_record(&ring, 0)->len;
	cr_assert_eq(ring_lag(&ring, 0), len);
	cr_assert_eq(ring_lag(&ring, 1), 0);
	cr_assert_eq(ring_append(&ring, &event, START_MS, &n), 0);
	cr_assert_eq(ring_lag(&ring, 0), len, "the second one is not flushed yet");
	cr_assert_eq(eventid_cmp(ring_flushed_id(&ring), ring_record(&ring, 0)->id), 0);
	ring_flushed(&ring);
	cr_assert_eq(ring_lag(&ring, 0), len + ring_record(&ring, 1)->len);
}

Test(ring, a_new_one_stands_at_the_time_of_its_making)
{
	struct eventid made = { START_MS, 0 };

	cr_assert_eq(eventid_cmp(ring_flushed_id(&ring), made), 0);
	cr_assert_eq(eventid_cmp(ring.header->floor, made), 0);
	cr_assert_eq(ring_after(&ring, made), 0);
}

Test(ring, an_own_id_of_our_shape_may_lie_behind_the_clock)
{
	uint64_t n;

	cr_assert_eq(append("t", STR("a"), "1000050-7", START_MS + 100, &n), 0);
	cr_assert(id_is(n, START_MS + 50, 7));
}

Test(ring, names_of_many_topics_push_out_old_records_too)
{
	static char bytes[SSE_TOPICS_MAX][SSE_TOPIC_MAX];
	static struct str topics[SSE_TOPICS_MAX];
	struct event event = { .topics = topics,
			       .topic_count = SSE_TOPICS_MAX,
			       .data = STR("x"),
			       .retry_ms = SSE_NO_RETRY };
	uint64_t n;

	memset(bytes, 't', sizeof(bytes));
	for (size_t i = 0; i < SSE_TOPICS_MAX; i++)
		topics[i] = (struct str){ bytes[i], SSE_TOPIC_MAX };
	for (int i = 0; i < 20; i++) {
		const struct ring_header *header = ring.header;

		cr_assert_eq(ring_append(&ring, &event, START_MS, &n), 0);
		ring_flushed(&ring);
		cr_assert_leq(header->names_head - header->names_tail, header->names_size);
		cr_assert_lt(header->head - header->tail, header->data_size / 2);
	}
	cr_assert_gt(ring.header->evicted, 0);
}

Test(ring, one_that_no_machine_has_room_for_is_refused)
{
	struct ring huge;

	cr_assert_eq(ring_init(&huge, (uint64_t)1 << 41, START_MS), -ENOMEM);
}
