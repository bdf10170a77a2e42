/*
 * topic: who is reached by what, and that tables give back what they take.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>

#include "array.h"
#include "names.h"
#include "topic.h"

enum { START_MS = 1000000, MANY = 3000 };

static struct ring ring;
static struct topics topics;

static void open_topics(void)
{
	cr_assert_eq(ring_init(&ring, 1 << 20, START_MS), 0);
	cr_assert_eq(topics_init(&topics, &ring), 0);
}

static void close_topics(void)
{
	topics_done(&topics);
	ring_done(&ring);
}

TestSuite(topic, .init = open_topics, .fini = close_topics);

static int try_join(const struct str *names, size_t count, enum topic_framing framing,
		    uint64_t selectors_max, uint32_t *audience)
{
	struct buf list;
	int err;

	buf_init(&list, 1 << 16);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(names_add(&list, names[i]), 0);
	err = topics_join(
		&topics,
		&(struct audience_terms){ .selectors = buf_str(&list), .framing = framing },
		selectors_max, audience);
	buf_done(&list);
	return err;
}

static uint32_t join(const char *a, const char *b, enum topic_framing framing)
{
	struct str names[] = { str_of(a), str_of(b) };
	uint32_t audience = 0;

	cr_assert_eq(try_join(names, b ? 2 : 1, framing, 1000000, &audience), 0);
	return audience;
}

/* Publishes to one or two topics; returns whom it reaches. */
static uint64_t publish(const char *a, const char *b, uint64_t *record)
{
	struct str names[] = { str_of(a), str_of(b) };
	struct event event = { .topics = names,
			       .topic_count = b ? 2 : 1,
			       .data = STR("x"),
			       .retry_ms = SSE_NO_RETRY };

	cr_assert(topics_has_room(&topics));
	cr_assert_eq(ring_append(&ring, &event, START_MS, record), 0);
	return topics_publish(&topics, *record);
}

static unsigned dirty_count(uint32_t wanted, unsigned *records)
{
	uint32_t audience, pending;
	unsigned dirty = 0;

	*records = 0;
	while ((audience = topics_next_dirty(&topics, &pending))) {
		dirty++;
		for (; audience == wanted && pending; pending = topics.pending[pending].next)
			++*records;
	}
	ring_flushed(&ring);
	topics_flushed(&topics);
	return dirty;
}

Test(topic, the_same_wish_is_the_same_audience)
{
	uint32_t one = join("a", NULL, TOPIC_CHUNKED), two = join("a", "b", TOPIC_CHUNKED);

	cr_assert_eq(join("a", NULL, TOPIC_CHUNKED), one);
	cr_assert_eq(join("a", "a", TOPIC_CHUNKED), one);
	cr_assert_eq(join("b", "a", TOPIC_CHUNKED), two);
	cr_assert_neq(join("a", NULL, TOPIC_PLAIN), one);
	cr_assert_eq(topics_audience(&topics, one)->members, 3);
	cr_assert_eq(topics.audiences.selectors.in_use, 2);
}

Test(topic, a_record_reaches_who_asks_for_it_and_each_once)
{
	uint32_t a = join("a", NULL, TOPIC_CHUNKED), ab = join("a", "b", TOPIC_CHUNKED);
	uint32_t all = join("*", NULL, TOPIC_CHUNKED);
	unsigned records;
	uint64_t n;

	cr_assert_eq(publish("c", NULL, &n), 1, "only the one who wants everything");
	cr_assert_eq(publish("a", NULL, &n), 3);
	cr_assert_eq(publish("b", NULL, &n), 2);
	cr_assert_eq(publish("a", "b", &n), 3);
	cr_assert_eq(publish("c", "a", &n), 3);
	cr_assert_eq(publish("$stats", NULL, &n), 0, "everything is not the daemon's own");
	cr_assert(topics_wanted(&topics, topics_audience(&topics, a), ring_record(&ring, 4)));
	cr_assert_not(topics_wanted(&topics, topics_audience(&topics, a), ring_record(&ring, 2)));
	cr_assert(topics_wanted(&topics, topics_audience(&topics, ab), ring_record(&ring, 2)));
	cr_assert(topics_wanted(&topics, topics_audience(&topics, all), ring_record(&ring, 0)));
	cr_assert_not(topics_wanted(&topics, topics_audience(&topics, all), ring_record(&ring, 5)));
	cr_assert_eq(dirty_count(ab, &records), 3);
	cr_assert_eq(records, 4);
	cr_assert_eq(dirty_count(ab, &records), 0);
}

Test(topic, pending_records_come_in_order)
{
	uint32_t audience = join("a", NULL, TOPIC_CHUNKED), pending;
	uint64_t n, expect = 1;

	publish("b", NULL, &n);
	for (int i = 0; i < 5; i++)
		publish("a", NULL, &n);
	cr_assert_eq(topics_next_dirty(&topics, &pending), audience);
	for (; pending; pending = topics.pending[pending].next)
		cr_assert_eq(topics.pending[pending].record, expect++);
	cr_assert_eq(expect, 6);
}

Test(topic, the_limit_of_selectors_holds_and_a_refusal_takes_nothing)
{
	struct str names[] = { STR("a"), STR("b"), STR("c") };
	uint32_t audience;

	cr_assert_eq(try_join(names, 3, TOPIC_CHUNKED, 2, &audience), -ENOSPC);
	cr_assert_eq(topics.audiences.selectors.in_use, 0);
	cr_assert_eq(try_join(names, 2, TOPIC_CHUNKED, 2, &audience), 0);
	cr_assert_eq(try_join(names + 2, 1, TOPIC_CHUNKED, 2, &audience), -ENOSPC);
	cr_assert_eq(try_join(names + 1, 1, TOPIC_CHUNKED, 2, &audience), 0);
	cr_assert_eq(topics.audiences.selectors.in_use, 2);
}

/* Each dirty audience knows its neighbours: taking one out needs no search. How many there are. */
static unsigned dirty_length(void)
{
	uint32_t prev = 0;
	unsigned length = 0;

	for (uint32_t i = topics.dirty; i; i = topics.audiences.table[i].next_dirty) {
		cr_assert_eq(topics.audiences.table[i].prev_dirty, prev);
		cr_assert_lt(length, topics.audiences.count, "the list has no end");
		prev = i;
		length++;
	}
	return length;
}

Test(topic, who_leaves_with_records_pending_is_taken_out_by_its_neighbours)
{
	uint32_t audiences[100];
	unsigned records;
	uint64_t n;

	for (int i = 0; i < 100; i++) {
		char b[32];

		snprintf(b, sizeof(b), "own-%d", i);
		audiences[i] = join("shared", b, TOPIC_CHUNKED);
	}
	cr_assert_eq(publish("shared", NULL, &n), 100);
	cr_assert_eq(dirty_length(), 100);
	/* First, last, and from within; one of the places is used again at once. */
	for (unsigned i = 0; i < 90; i++) {
		topics_leave(&topics, audiences[(99 + i * 37) % 100]);
		cr_assert_eq(dirty_length(), 99 - i);
	}
	join("shared", "late", TOPIC_CHUNKED);
	cr_assert_eq(dirty_length(), 10);
	cr_assert_eq(dirty_count(0, &records), 10);
	cr_assert_eq(publish("shared", NULL, &n), 11);
	cr_assert_eq(dirty_length(), 11);
	cr_assert_eq(dirty_count(0, &records), 11);
}

Test(topic, everything_is_given_back_and_used_again)
{
	static uint32_t audiences[MANY];
	uint32_t high;
	uint64_t n;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			char a[32], b[32];

			snprintf(a, sizeof(a), "topic-%d", i);
			snprintf(b, sizeof(b), "shared-%d", i % 7);
			audiences[i] = join(a, i % 2 ? b : NULL, TOPIC_CHUNKED);
		}
		cr_assert_eq(topics.audiences.selectors.in_use, MANY + 7);
		cr_assert_eq(publish("topic-1234", NULL, &n), 1);
		cr_assert_eq(publish("shared-3", NULL, &n), (MANY - 4) / 14 + 1);
		high = topics.audiences.count;
		/* Some leave while records wait for them. */
		for (int i = 0; i < MANY; i++)
			topics_leave(&topics, audiences[(i * 7) % MANY]);
		cr_assert_eq(topics.audiences.selectors.in_use, 0);
		cr_assert_eq(topics.dirty, 0);
		ring_flushed(&ring);
		topics_flushed(&topics);
		cr_assert_eq(topics.audiences.count, high);
		cr_assert_leq(high, MANY + 1);
	}
	cr_assert_eq(publish("topic-1", NULL, &n), 0);
}

Test(topic, the_array_of_the_living_stays_dense)
{
	struct audience *audience = topics_audience(&topics, join("a", NULL, TOPIC_CHUNKED));
	uint32_t place;

	for (uint32_t slot = 1; slot <= 100; slot++) {
		cr_assert_eq(audience_add_live(audience, (int)slot + 1000, slot, &place), 0);
		cr_assert_eq(place, slot - 1);
	}
	cr_assert_eq(audience_remove_live(audience, 0), 100, "the last one moved to the front");
	cr_assert_eq(audience->live[0].fd, 1100);
	cr_assert_eq(audience_remove_live(audience, 98), 99, "the last one itself");
	cr_assert_eq(audience->live_count, 98);
}

/* Who comes with many, leaves, and comes elsewhere must not leave room for many behind each time.
 */
Test(topic, lists_become_small_again_when_members_leave)
{
	uint32_t first = join("a", NULL, TOPIC_CHUNKED);
	struct audience *audience = topics_audience(&topics, first);
	static uint32_t audiences[MANY];
	const struct selector *shared;
	uint32_t place;

	for (uint32_t slot = 1; slot <= MANY; slot++)
		cr_assert_eq(audience_add_live(audience, (int)slot, slot, &place), 0);
	for (uint32_t left = MANY; left-- > 1;) {
		audience_remove_live(audience, left / 2);
		cr_assert(audience->live_cap <= ARRAY_FEW ||
				  audience->live_cap <= ARRAY_LOOSE * left,
			  "room for %u, %u there", audience->live_cap, left);
	}
	cr_assert_eq(audience->live_count, 1);
	audience_remove_live(audience, 0);
	topics_leave(&topics, first);

	for (int i = 0; i < MANY; i++) {
		char own[32];

		snprintf(own, sizeof(own), "topic-%d", i);
		audiences[i] = join(own, "shared", TOPIC_CHUNKED);
	}
	shared = &topics.audiences.selectors.table[selectors_find(
		&topics.audiences.selectors, STR("shared"), ring_hash(&ring, STR("shared")))];
	cr_assert_eq(shared->audience_count, MANY);
	for (uint32_t left = MANY; left-- > 1;) {
		topics_leave(&topics, audiences[left]);
		cr_assert_eq(shared->audience_count, left);
		cr_assert(shared->audience_cap <= ARRAY_FEW ||
				  shared->audience_cap <= ARRAY_LOOSE * left,
			  "room for %u, %u there", shared->audience_cap, left);
	}
	cr_assert_eq(selector_audiences(shared)[0], audiences[0]);
	topics_leave(&topics, audiences[0]);
}
