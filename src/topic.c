/*
 * topic: selectors, audiences, and which audience waits for which record. See topic.h.
 *
 * Both tables are arrays with a free list and a hash index of chains; an index stays valid while
 * its entry is in use, a pointer only until the next join. Publishing allocates nothing: the array
 * of pending records is grown when an audience joins, where a failure can still be refused.
 */
#include "topic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "selector.h"

enum {
	TABLE_FIRST = 64,   /* entries that a table begins with */
	PENDING_MIN = 4096, /* records that one turn may bring to one audience before a flush */
	PENDING_PER_AUDIENCE = 2,
};

/* Grows an array to at least need entries of size bytes, new ones zeroed. 0 or -ENOMEM. */
static int array_grow(void *array, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t to = *cap ? *cap : TABLE_FIRST;
	void **items = array;
	char *grown;

	if (need <= *cap)
		return 0;
	while (to < need)
		to *= 2;
	grown = realloc(*items, to * size);
	if (!grown)
		return -ENOMEM;
	memset(grown + *cap * size, 0, (to - *cap) * size);
	*items = grown;
	*cap = to;
	return 0;
}

int topics_init(struct topics *topics, const struct ring *ring)
{
	*topics = (struct topics){ .ring = ring,
				   .selector_count = 1,
				   .audience_count = 1,
				   .pending_count = 1,
				   .selector_mask = TABLE_FIRST - 1,
				   .audience_mask = TABLE_FIRST - 1 };
	topics->selector_buckets = calloc(TABLE_FIRST, sizeof(uint32_t));
	topics->audience_buckets = calloc(TABLE_FIRST, sizeof(uint32_t));
	if (topics->selector_buckets && topics->audience_buckets &&
	    !array_grow(&topics->selectors, &topics->selector_cap, 1, sizeof(struct selector)) &&
	    !array_grow(&topics->audiences, &topics->audience_cap, 1, sizeof(struct audience)) &&
	    !array_grow(&topics->pending, &topics->pending_cap, PENDING_MIN,
			sizeof(struct pending)))
		return 0;
	topics_done(topics);
	return -ENOMEM;
}

void topics_done(struct topics *topics)
{
	for (uint32_t i = 1; topics->selectors && i < topics->selector_count; i++) {
		free(topics->selectors[i].name);
		if (topics->selectors[i].audience_cap)
			free(topics->selectors[i].audiences.many);
	}
	for (uint32_t i = 1; topics->audiences && i < topics->audience_count; i++) {
		free(topics->audiences[i].selectors);
		free(topics->audiences[i].live);
	}
	free(topics->selectors);
	free(topics->audiences);
	free(topics->selector_buckets);
	free(topics->audience_buckets);
	free(topics->patterns);
	free(topics->pending);
	*topics = (struct topics){ 0 };
}

struct audience *topics_audience(const struct topics *topics, uint32_t index)
{
	assert(index > 0 && index < topics->audience_count && topics->audiences[index].selectors);
	return &topics->audiences[index];
}

/* --- selectors --- */

static struct str name_of(const struct selector *selector)
{
	return (struct str){ selector->name, selector->len };
}

static uint32_t selector_find(const struct topics *topics, struct str name, uint64_t hash)
{
	uint32_t i = topics->selector_buckets[hash & topics->selector_mask];

	while (i) {
		const struct selector *selector = &topics->selectors[i];

		if (selector->hash == hash && str_eq(name_of(selector), name))
			break;
		i = selector->next;
	}
	return i;
}

/* Twice the buckets, when there are more selectors than those. Staying small is no error. */
static void selector_rehash(struct topics *topics)
{
	uint32_t mask = topics->selector_mask * 2 + 1;
	uint32_t *buckets;

	if (topics->in_use <= topics->selector_mask)
		return;
	buckets = calloc((size_t)mask + 1, sizeof(*buckets));
	if (!buckets)
		return;
	for (uint32_t i = 1; i < topics->selector_count; i++) {
		struct selector *selector = &topics->selectors[i];

		if (!selector->name)
			continue;
		selector->next = buckets[selector->hash & mask];
		buckets[selector->hash & mask] = i;
	}
	free(topics->selector_buckets);
	topics->selector_buckets = buckets;
	topics->selector_mask = mask;
}

/* Patterns that somebody asks for are in a list: each publish goes over it. 0 or -ENOMEM. */
static int pattern_add(struct topics *topics, uint32_t index)
{
	int err = array_grow(&topics->patterns, &topics->pattern_cap, topics->pattern_count + 1,
			     sizeof(uint32_t));

	if (err)
		return err;
	topics->selectors[index].place = topics->pattern_count;
	topics->patterns[topics->pattern_count++] = index;
	return 0;
}

static void pattern_remove(struct topics *topics, uint32_t index)
{
	uint32_t place = topics->selectors[index].place;
	uint32_t last = topics->patterns[--topics->pattern_count];

	topics->patterns[place] = last;
	topics->selectors[last].place = place;
}

/* A new selector that nobody asks for yet: its index, or 0 when memory ran out. */
static uint32_t selector_new(struct topics *topics, struct str name, uint64_t hash)
{
	uint32_t index = topics->selector_free ? topics->selector_free : topics->selector_count;
	struct selector *selector;
	char *copy;

	if (array_grow(&topics->selectors, &topics->selector_cap, index + 1,
		       sizeof(struct selector)))
		return 0;
	copy = malloc(name.n);
	if (!copy)
		return 0;
	memcpy(copy, name.p, name.n);
	selector = &topics->selectors[index];
	if (index == topics->selector_free)
		topics->selector_free = selector->next;
	else
		topics->selector_count++;
	*selector =
		(struct selector){ .name = copy,
				   .len = (uint16_t)name.n,
				   .hash = hash,
				   .kind = (uint8_t)selector_kind(name),
				   .next = topics->selector_buckets[hash & topics->selector_mask] };
	topics->selector_buckets[hash & topics->selector_mask] = index;
	topics->in_use++;
	selector_rehash(topics);
	return index;
}

static void chain_remove(uint32_t *link, uint32_t index,
			 uint32_t *(*next)(struct topics *, uint32_t), struct topics *topics)
{
	while (*link != index)
		link = next(topics, *link);
	*link = *next(topics, index);
}

static uint32_t *selector_next(struct topics *topics, uint32_t index)
{
	return &topics->selectors[index].next;
}

static uint32_t *audience_next(struct topics *topics, uint32_t index)
{
	return &topics->audiences[index].next;
}

static void selector_free(struct topics *topics, uint32_t index)
{
	struct selector *selector = &topics->selectors[index];

	assert(selector->audience_count == 0 && selector->claims == 0);
	chain_remove(&topics->selector_buckets[selector->hash & topics->selector_mask], index,
		     selector_next, topics);
	if (selector->audience_cap)
		free(selector->audiences.many);
	free(selector->name);
	*selector = (struct selector){ .next = topics->selector_free };
	topics->selector_free = index;
	topics->in_use--;
}

/* The audiences of a selector, wherever they are kept: most have one, which needs no array. */
static const uint32_t *selector_audiences(const struct selector *selector)
{
	return selector->audience_cap ? selector->audiences.many : &selector->audiences.one;
}

static int audiences_add(struct selector *selector, uint32_t audience)
{
	uint32_t cap = 0, one, *many = NULL;
	int err;

	if (selector->audience_count == 0 && selector->audience_cap == 0) {
		selector->audiences.one = audience;
		selector->audience_count = 1;
		return 0;
	}
	if (selector->audience_cap == 0) {
		one = selector->audiences.one;
		err = array_grow(&many, &cap, 2, sizeof(uint32_t));
		if (err)
			return err;
		many[0] = one;
		selector->audiences.many = many;
		selector->audience_cap = cap;
	}
	err = array_grow(&selector->audiences.many, &selector->audience_cap,
			 selector->audience_count + 1, sizeof(uint32_t));
	if (!err)
		selector->audiences.many[selector->audience_count++] = audience;
	return err;
}

/* Has a selector know an audience that asks for it. 0 or -ENOMEM. */
static int selector_attach(struct topics *topics, uint32_t index, uint32_t audience)
{
	struct selector *selector = &topics->selectors[index];
	bool is_new = selector->kind != SELECTOR_EXACT && selector->audience_count == 0;
	int err = is_new ? pattern_add(topics, index) : 0;

	if (err)
		return err;
	err = audiences_add(selector, audience);
	if (err && is_new)
		pattern_remove(topics, index);
	return err;
}

static void selector_detach(struct topics *topics, uint32_t index, uint32_t audience)
{
	struct selector *selector = &topics->selectors[index];
	uint32_t *list =
		selector->audience_cap ? selector->audiences.many : &selector->audiences.one;
	uint32_t at = 0;

	while (list[at] != audience)
		at++;
	list[at] = list[--selector->audience_count];
	if (selector->kind != SELECTOR_EXACT && selector->audience_count == 0)
		pattern_remove(topics, index);
}

/* --- audiences --- */

/* What an audience is made of, with its names looked up: see struct audience. */
struct parts {
	uint32_t numbers[2 * TOPIC_SELECTORS_MAX];
	uint32_t selector_count, claim_count;
	uint8_t framing;
};

static uint32_t *bucket_of(const struct topics *topics, const uint32_t *numbers,
			   uint32_t selector_count, uint32_t claim_count, uint8_t framing)
{
	struct str bytes = { (const char *)numbers,
			     (selector_count + claim_count) * sizeof(*numbers) };
	uint64_t hash = str_hash(bytes, topics->ring->header->hash_key);

	return &topics->audience_buckets[(hash + selector_count + framing) & topics->audience_mask];
}

static uint32_t *audience_bucket(const struct topics *topics, const struct audience *audience)
{
	return bucket_of(topics, audience->selectors, audience->selector_count,
			 audience->claim_count, audience->framing);
}

static uint32_t *parts_bucket(const struct topics *topics, const struct parts *parts)
{
	return bucket_of(topics, parts->numbers, parts->selector_count, parts->claim_count,
			 parts->framing);
}

static uint32_t audience_find(const struct topics *topics, const struct parts *parts)
{
	uint32_t i = *parts_bucket(topics, parts);
	size_t size = (parts->selector_count + parts->claim_count) * sizeof(parts->numbers[0]);

	while (i) {
		const struct audience *audience = &topics->audiences[i];

		if (audience->framing == parts->framing &&
		    audience->selector_count == parts->selector_count &&
		    audience->claim_count == parts->claim_count &&
		    memcmp(audience->selectors, parts->numbers, size) == 0)
			break;
		i = audience->next;
	}
	return i;
}

static void audience_rehash(struct topics *topics)
{
	uint32_t mask = topics->audience_mask * 2 + 1;
	uint32_t *buckets;

	if (topics->audience_count <= topics->audience_mask)
		return;
	buckets = calloc((size_t)mask + 1, sizeof(*buckets));
	if (!buckets)
		return;
	free(topics->audience_buckets);
	topics->audience_buckets = buckets;
	topics->audience_mask = mask;
	for (uint32_t i = 1; i < topics->audience_count; i++) {
		struct audience *audience = &topics->audiences[i];
		uint32_t *bucket;

		if (!audience->selectors)
			continue;
		bucket = audience_bucket(topics, audience);
		audience->next = *bucket;
		*bucket = i;
	}
}

/* Room for one more audience, and for a record that all of them want. 0 or -ENOMEM. */
static int audience_reserve(struct topics *topics, uint32_t index)
{
	int err = array_grow(&topics->audiences, &topics->audience_cap, index + 1,
			     sizeof(struct audience));

	if (err)
		return err;
	return array_grow(&topics->pending, &topics->pending_cap,
			  (index + 1) * PENDING_PER_AUDIENCE, sizeof(struct pending));
}

/* Has the selectors know the audience. 0 or -ENOMEM, with nothing changed. */
static int audience_attach(struct topics *topics, const struct parts *parts, uint32_t index)
{
	uint32_t attached = 0;

	while (attached < parts->selector_count &&
	       !selector_attach(topics, parts->numbers[attached], index))
		attached++;
	if (attached < parts->selector_count) {
		while (attached-- > 0)
			selector_detach(topics, parts->numbers[attached], index);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < parts->claim_count; i++)
		topics->selectors[parts->numbers[parts->selector_count + i]].claims++;
	return 0;
}

static uint32_t audience_new(struct topics *topics, const struct parts *parts)
{
	uint32_t index = topics->audience_free ? topics->audience_free : topics->audience_count;
	size_t size = (parts->selector_count + parts->claim_count) * sizeof(parts->numbers[0]);
	uint32_t *copy, *bucket;
	struct audience *audience;

	if (audience_reserve(topics, index))
		return 0;
	copy = malloc(size);
	if (!copy || audience_attach(topics, parts, index)) {
		free(copy);
		return 0;
	}
	memcpy(copy, parts->numbers, size);
	audience = &topics->audiences[index];
	if (index == topics->audience_free)
		topics->audience_free = audience->next;
	else
		topics->audience_count++;
	*audience = (struct audience){ .selectors = copy,
				       .selector_count = parts->selector_count,
				       .claim_count = parts->claim_count,
				       .framing = parts->framing };
	bucket = audience_bucket(topics, audience);
	audience->next = *bucket;
	*bucket = index;
	audience_rehash(topics);
	return index;
}

/* Frees those of the selectors that no audience has any more; one may be there twice. */
static void selectors_release(struct topics *topics, const uint32_t *selectors, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct selector *selector = &topics->selectors[selectors[i]];

		if (selector->name && selector->audience_count == 0 && selector->claims == 0)
			selector_free(topics, selectors[i]);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts and removes doubles; returns how many are left. */
static uint32_t sort_unique(uint32_t *numbers, uint32_t count)
{
	uint32_t kept = 0;

	qsort(numbers, count, sizeof(*numbers), by_number);
	for (uint32_t i = 0; i < count; i++)
		if (kept == 0 || numbers[kept - 1] != numbers[i])
			numbers[kept++] = numbers[i];
	return kept;
}

/*
 * Adds the selectors of these names, made where they are missing, to numbers: *got of them, sorted.
 * 0, -ENOMEM or -ENOSPC.
 */
static int selectors_get(struct topics *topics, struct str names, uint64_t selectors_max,
			 uint32_t *numbers, uint32_t *got)
{
	struct str name;
	int err = 0;

	*got = 0;
	while (!err && names_next(&names, &name)) {
		uint64_t hash = ring_hash(topics->ring, name);
		uint32_t index = selector_find(topics, name, hash);

		assert(*got < TOPIC_SELECTORS_MAX);
		if (!index && topics->in_use >= selectors_max)
			err = -ENOSPC;
		else if (!index && !(index = selector_new(topics, name, hash)))
			err = -ENOMEM;
		else
			numbers[(*got)++] = index;
	}
	*got = sort_unique(numbers, *got);
	return err;
}

int topics_join(struct topics *topics, const struct audience_terms *terms, uint64_t selectors_max,
		uint32_t *audience)
{
	struct parts parts;
	int err;

	parts.framing = (uint8_t)terms->framing;
	parts.claim_count = 0;
	err = selectors_get(topics, terms->selectors, selectors_max, parts.numbers,
			    &parts.selector_count);
	if (!err)
		err = selectors_get(topics, terms->claims, selectors_max,
				    parts.numbers + parts.selector_count, &parts.claim_count);
	assert(err || parts.selector_count > 0);
	if (!err) {
		*audience = audience_find(topics, &parts);
		if (!*audience)
			*audience = audience_new(topics, &parts);
		if (!*audience)
			err = -ENOMEM;
	}
	if (err)
		selectors_release(topics, parts.numbers, parts.selector_count + parts.claim_count);
	else
		topics->audiences[*audience].members++;
	return err;
}

int audience_describe(const struct topics *topics, const struct audience *audience,
		      struct buf *selectors, struct buf *claims)
{
	for (uint32_t i = 0; i < audience->selector_count + audience->claim_count; i++)
		names_add(i < audience->selector_count ? selectors : claims,
			  name_of(&topics->selectors[audience->selectors[i]]));
	return selectors->err ? selectors->err : claims->err;
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
	if (audience_describe(topics, audience, &selectors, &claims))
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
		if (name.n == 0 || ++*count > TOPIC_SELECTORS_MAX)
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
	uint32_t *link = &topics->dirty;

	while (*link && *link != index)
		link = &topics->audiences[*link].next_dirty;
	if (*link)
		*link = topics->audiences[index].next_dirty;
}

void topics_leave(struct topics *topics, uint32_t index)
{
	struct audience *audience = topics_audience(topics, index);
	uint32_t *selectors = audience->selectors, count = audience->selector_count;
	uint32_t claims = audience->claim_count;

	assert(audience->members > 0);
	if (--audience->members > 0)
		return;
	assert(audience->live_count == 0);
	chain_remove(audience_bucket(topics, audience), index, audience_next, topics);
	if (audience->pending_first)
		dirty_remove(topics, index);
	for (uint32_t i = 0; i < count; i++)
		selector_detach(topics, selectors[i], index);
	for (uint32_t i = 0; i < claims; i++)
		topics->selectors[selectors[count + i]].claims--;
	selectors_release(topics, selectors, count + claims);
	free(selectors);
	free(audience->live);
	*audience = (struct audience){ .next = topics->audience_free };
	topics->audience_free = index;
}

int audience_add_live(struct audience *audience, int fd, uint32_t slot, uint32_t *place)
{
	if (audience->live_count == audience->live_cap) {
		uint32_t cap = audience->live_cap ? audience->live_cap * 2 : 1;
		struct place *live = realloc(audience->live, cap * sizeof(*live));

		if (!live)
			return -ENOMEM;
		audience->live = live;
		audience->live_cap = cap;
	}
	*place = audience->live_count++;
	audience->live[*place] = (struct place){ .fd = fd, .slot = slot };
	return 0;
}

uint32_t audience_remove_live(struct audience *audience, uint32_t place)
{
	uint32_t last = audience->live_count - 1;

	assert(place < audience->live_count);
	audience->live[place] = audience->live[last];
	audience->live_count = last;
	return audience->live[place].slot;
}

uint32_t topics_audience_of(const struct topics *topics, struct str topic, uint32_t i)
{
	uint32_t index = selector_find(topics, topic, ring_hash(topics->ring, topic));

	if (!index || i >= topics->selectors[index].audience_count)
		return 0;
	return selector_audiences(&topics->selectors[index])[i];
}

/* --- records --- */

/* Whether one of the selectors asks for one of the record's topics. */
static bool selectors_want(const struct topics *topics, const uint32_t *selectors, uint32_t count,
			   const struct record *record)
{
	struct str topic;

	for (uint32_t at = 0; ring_next_topic(topics->ring, record, &at, &topic);)
		for (uint32_t i = 0; i < count; i++) {
			const struct selector *selector = &topics->selectors[selectors[i]];

			if (selector_asks(name_of(selector), selector->kind, topic))
				return true;
		}
	return false;
}

bool topics_wanted(const struct topics *topics, const struct audience *audience,
		   const struct record *record)
{
	uint32_t count = audience->selector_count;

	if (record->flags & RECORD_PRIVATE &&
	    !selectors_want(topics, audience->selectors + count, audience->claim_count, record))
		return false;
	return selectors_want(topics, audience->selectors, count, record);
}

bool topics_has_room(const struct topics *topics)
{
	return topics->pending_cap - topics->pending_count >= topics->audience_count;
}

/* Whether a selector asks for the record: matched once, and then known. */
static bool asks_once(struct topics *topics, uint32_t index, uint64_t number,
		      const struct record *record)
{
	struct selector *selector = &topics->selectors[index];

	if (selector->asked >> 1 != number + 1) {
		bool asks = selectors_want(topics, &index, 1, record);

		selector->asked = (number + 1) << 1 | asks;
		topics->pattern_matches += selector->kind != SELECTOR_EXACT;
	}
	return selector->asked & 1;
}

/* Whether an audience may see the record. */
static bool audience_may_see(struct topics *topics, const struct audience *audience,
			     uint64_t number, const struct record *record)
{
	const uint32_t *claims = audience->selectors + audience->selector_count;

	if (!(record->flags & RECORD_PRIVATE))
		return true;
	for (uint32_t i = 0; i < audience->claim_count; i++)
		if (asks_once(topics, claims[i], number, record))
			return true;
	return false;
}

/* Adds the record to what an audience waits for, once. Returns the members that this reaches. */
static uint64_t audience_note(struct topics *topics, uint32_t index, uint64_t number,
			      const struct record *record)
{
	struct audience *audience = &topics->audiences[index];
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
		topics->dirty = index;
	}
	audience->pending_last = entry;
	return audience->members;
}

static uint64_t selector_note(struct topics *topics, uint32_t index, uint64_t number,
			      const struct record *record)
{
	const struct selector *selector = &topics->selectors[index];
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
		uint32_t exact = selector_find(topics, topic, hash);

		if (exact)
			reached += selector_note(topics, exact, number, record);
	}
	for (uint32_t i = 0; i < topics->pattern_count; i++) {
		uint32_t pattern = topics->patterns[i];

		if (asks_once(topics, pattern, number, record))
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
	audience = &topics->audiences[index];
	topics->dirty = audience->next_dirty;
	*pending = audience->pending_first;
	audience->pending_first = audience->pending_last = audience->next_dirty = 0;
	return index;
}

void topics_flushed(struct topics *topics)
{
	assert(topics->dirty == 0);
	topics->pending_count = 1;
}
