/*
 * topic: which audience waits for which record. See topic.h.
 *
 * Publishing allocates nothing: the array of pending records is grown when an audience joins, where
 * a failure can still be refused.
 */
#include "topic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "names.h"
#include "pack.h"

enum {
	PENDING_MIN = 4096, /* records that one turn may bring to one audience before a flush */
	PENDING_PER_AUDIENCE = 2,
};

int topics_init(struct topics *topics, const struct ring *ring)
{
	int err;

	*topics = (struct topics){ .ring = ring, .pending_count = 1 };
	err = audiences_init(&topics->audiences, ring);
	if (err)
		return err;
	err = array_grow(&topics->pending, &topics->pending_cap, PENDING_MIN,
			 sizeof(struct pending));
	if (err)
		topics_done(topics);
	return err;
}

void topics_done(struct topics *topics)
{
	audiences_done(&topics->audiences);
	free(topics->pending);
	*topics = (struct topics){ 0 };
}

struct audience *topics_audience(const struct topics *topics, uint32_t index)
{
	return audience_at(&topics->audiences, index);
}

int topics_join(struct topics *topics, const struct audience_terms *terms, uint64_t selectors_max,
		uint32_t *audience)
{
	/* Room for a record that all audiences want, this one among them. */
	int err = array_grow(&topics->pending, &topics->pending_cap,
			     (topics->audiences.count + 1) * PENDING_PER_AUDIENCE,
			     sizeof(struct pending));

	return err ? err : audiences_join(&topics->audiences, terms, selectors_max, audience);
}

void topics_enter(struct topics *topics, uint32_t audience)
{
	topics_audience(topics, audience)->members++;
}

void topics_pack(const struct topics *topics, uint32_t index, struct buf *out)
{
	const struct audience *audience = topics_audience(topics, index);
	struct buf selectors, claims;

	buf_init(&selectors, out->max);
	buf_init(&claims, out->max);
	if (audience_describe(&topics->audiences, audience, &selectors, &claims))
		out->err = -ENOMEM;
	pack_u64(out, audience->framing);
	pack_str(out, buf_str(&selectors));
	pack_str(out, buf_str(&claims));
	buf_done(&selectors);
	buf_done(&claims);
}

/* Whether a list is one that topics_join() may get. */
static bool is_sound(struct str names, uint32_t *count)
{
	struct str rest = names, name;

	*count = 0;
	while (names_next(&rest, &name)) {
		if (name.n == 0 || ++*count > SELECTORS_MAX)
			return false;
	}
	return rest.n == 0;
}

int topics_rejoin(struct topics *topics, struct str packed, uint32_t *audience)
{
	struct unpack in = { .rest = packed };
	struct audience_terms terms;
	uint32_t selectors, claims;

	terms.framing = (enum topic_framing)unpack_u64(&in, TOPIC_POLL);
	terms.selectors = unpack_str(&in);
	terms.claims = unpack_str(&in);
	if (in.is_damaged || !is_sound(terms.selectors, &selectors) || selectors == 0 ||
	    !is_sound(terms.claims, &claims))
		return -EINVAL;
	return topics_join(topics, &terms, UINT64_MAX, audience);
}

/* Takes an audience that still has pending records off the dirty list. */
static void dirty_remove(struct topics *topics, uint32_t index)
{
	struct audience *table = topics->audiences.table;
	uint32_t prev = table[index].prev_dirty, next = table[index].next_dirty;

	if (prev)
		table[prev].next_dirty = next;
	else
		topics->dirty = next;
	if (next)
		table[next].prev_dirty = prev;
}

void topics_leave(struct topics *topics, uint32_t index)
{
	const struct audience *audience = topics_audience(topics, index);

	if (audience->members == 1 && audience->pending_first)
		dirty_remove(topics, index);
	audiences_leave(&topics->audiences, index);
}

uint32_t topics_audience_of(const struct topics *topics, struct str topic, uint32_t i)
{
	uint32_t index =
		selectors_find(&topics->audiences.selectors, topic, ring_hash(topics->ring, topic));

	if (!index || i >= topics->audiences.selectors.table[index].audience_count)
		return 0;
	return selector_audiences(&topics->audiences.selectors.table[index])[i];
}

bool topics_wanted(const struct topics *topics, const struct audience *audience,
		   const struct record *record)
{
	uint32_t count = audience->selector_count;

	if (record->flags & RECORD_PRIVATE &&
	    !selectors_want(&topics->audiences.selectors, audience->selectors + count,
			    audience->claim_count, record))
		return false;
	return selectors_want(&topics->audiences.selectors, audience->selectors, count, record);
}

struct str topics_bytes(const struct topics *topics, const struct audience *audience,
			const struct record *record)
{
	return audience->framing == TOPIC_CHUNKED ? ring_frame(topics->ring, record)
						  : ring_event(topics->ring, record);
}

struct str topic_heartbeat(enum topic_framing framing)
{
	return framing == TOPIC_CHUNKED ? STR("3\r\n:\n\n\r\n") : STR(":\n\n");
}

bool topics_has_room(const struct topics *topics)
{
	return topics->pending_cap - topics->pending_count >= topics->audiences.count;
}

/* Whether an audience may see the record. */
static bool audience_may_see(struct topics *topics, const struct audience *audience,
			     uint64_t number, const struct record *record)
{
	const uint32_t *claims = audience->selectors + audience->selector_count;

	if (!(record->flags & RECORD_PRIVATE))
		return true;
	for (uint32_t i = 0; i < audience->claim_count; i++)
		if (selectors_ask_once(&topics->audiences.selectors, claims[i], number, record))
			return true;
	return false;
}

/* Adds the record to what an audience waits for, once. Returns the members that this reaches. */
static uint64_t audience_note(struct topics *topics, uint32_t index, uint64_t number,
			      const struct record *record)
{
	struct audience *audience = &topics->audiences.table[index];
	uint32_t entry;

	if (audience->seen == number + 1)
		return 0;
	audience->seen = number + 1;
	if (!audience_may_see(topics, audience, number, record))
		return 0;
	entry = topics->pending_count++;
	assert(entry < topics->pending_cap);
	topics->pending[entry] = (struct pending){ .record = number };
	if (audience->pending_first) {
		topics->pending[audience->pending_last].next = entry;
	} else {
		audience->pending_first = entry;
		audience->next_dirty = topics->dirty;
		if (topics->dirty)
			topics->audiences.table[topics->dirty].prev_dirty = index;
		topics->dirty = index;
	}
	audience->pending_last = entry;
	return audience->members;
}

static uint64_t selector_note(struct topics *topics, uint32_t index, uint64_t number,
			      const struct record *record)
{
	const struct selector *selector = &topics->audiences.selectors.table[index];
	const uint32_t *audiences = selector_audiences(selector);
	uint64_t reached = 0;

	for (uint32_t i = 0; i < selector->audience_count; i++)
		reached += audience_note(topics, audiences[i], number, record);
	return reached;
}

uint64_t topics_publish(struct topics *topics, uint64_t number)
{
	const struct record *record = ring_record(topics->ring, number);
	uint64_t reached = 0;
	struct str topic;

	for (uint32_t at = 0; ring_next_topic(topics->ring, record, &at, &topic);) {
		bool is_first = at == sizeof(uint16_t) + topic.n;
		uint64_t hash = is_first ? record->topic_hash : ring_hash(topics->ring, topic);
		uint32_t exact = selectors_find(&topics->audiences.selectors, topic, hash);

		if (exact)
			reached += selector_note(topics, exact, number, record);
	}
	for (uint32_t i = 0; i < topics->audiences.selectors.pattern_count; i++) {
		uint32_t pattern = topics->audiences.selectors.patterns[i];

		if (selectors_ask_once(&topics->audiences.selectors, pattern, number, record))
			reached += selector_note(topics, pattern, number, record);
	}
	return reached;
}

uint32_t topics_next_dirty(struct topics *topics, uint32_t *pending)
{
	uint32_t index = topics->dirty;
	struct audience *audience;

	if (!index)
		return 0;
	audience = &topics->audiences.table[index];
	dirty_remove(topics, index);
	*pending = audience->pending_first;
	audience->pending_first = audience->pending_last = audience->next_dirty = 0;
	return index;
}

void topics_flushed(struct topics *topics)
{
	assert(topics->dirty == 0);
	topics->pending_count = 1;
}
