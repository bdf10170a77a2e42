/*
 * audience: the table of audiences. See audience.h.
 *
 * An array with a free list and a hash index of chains, as that of the selectors.
 */
#include "audience.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "names.h"
#include "selector.h"

enum {
	BUCKETS_FIRST = 64,
	TEMPLATE_COST = 64, /* comparisons of two names that one match of a template counts as */
	PATTERN_SHARE = 64, /* of the limit of selectors, this part may be patterns, … */
	PATTERNS_MIN = 64,  /* … but so many in any case */
};

int audiences_init(struct audiences *audiences, const struct ring *ring)
{
	int err;

	*audiences = (struct audiences){ .count = 1, .mask = BUCKETS_FIRST - 1 };
	err = selectors_init(&audiences->selectors, ring);
	if (err)
		return err;
	audiences->buckets = calloc(BUCKETS_FIRST, sizeof(uint32_t));
	if (audiences->buckets &&
	    !array_grow(&audiences->table, &audiences->cap, 1, sizeof(struct audience)))
		return 0;
	audiences_done(audiences);
	return -ENOMEM;
}

void audiences_done(struct audiences *audiences)
{
	for (uint32_t i = 1; audiences->table && i < audiences->count; i++) {
		free(audiences->table[i].selectors);
		free(audiences->table[i].live);
	}
	free(audiences->table);
	free(audiences->buckets);
	selectors_done(&audiences->selectors);
	*audiences = (struct audiences){ 0 };
}

struct audience *audience_at(const struct audiences *audiences, uint32_t index)
{
	assert(index > 0 && index < audiences->count && audiences->table[index].selectors);
	return &audiences->table[index];
}

/* What an audience is made of, with its names looked up: see struct audience. */
struct parts {
	uint32_t numbers[2 * SELECTORS_MAX];
	uint32_t selector_count, claim_count;
	uint8_t framing;
};

static uint32_t *bucket_of(const struct audiences *audiences, const uint32_t *numbers,
			   uint32_t selector_count, uint32_t claim_count, uint8_t framing)
{
	struct str bytes = { (const char *)numbers,
			     (selector_count + claim_count) * sizeof(*numbers) };
	uint64_t hash = str_hash(bytes, audiences->selectors.ring->header->hash_key);

	return &audiences->buckets[(hash + selector_count + framing) & audiences->mask];
}

static uint32_t *audience_bucket(const struct audiences *audiences, const struct audience *audience)
{
	return bucket_of(audiences, audience->selectors, audience->selector_count,
			 audience->claim_count, audience->framing);
}

static uint32_t *parts_bucket(const struct audiences *audiences, const struct parts *parts)
{
	return bucket_of(audiences, parts->numbers, parts->selector_count, parts->claim_count,
			 parts->framing);
}

static uint32_t audience_find(const struct audiences *audiences, const struct parts *parts)
{
	uint32_t i = *parts_bucket(audiences, parts);
	size_t size = (parts->selector_count + parts->claim_count) * sizeof(parts->numbers[0]);

	while (i) {
		const struct audience *audience = &audiences->table[i];

		if (audience->framing == parts->framing &&
		    audience->selector_count == parts->selector_count &&
		    audience->claim_count == parts->claim_count &&
		    memcmp(audience->selectors, parts->numbers, size) == 0)
			break;
		i = audience->next;
	}
	return i;
}

static void audience_rehash(struct audiences *audiences)
{
	uint32_t mask = audiences->mask * 2 + 1;
	uint32_t *buckets;

	if (audiences->count <= audiences->mask)
		return;
	buckets = calloc((size_t)mask + 1, sizeof(*buckets));
	if (!buckets)
		return;
	free(audiences->buckets);
	audiences->buckets = buckets;
	audiences->mask = mask;
	for (uint32_t i = 1; i < audiences->count; i++) {
		struct audience *audience = &audiences->table[i];
		uint32_t *bucket;

		if (!audience->selectors)
			continue;
		bucket = audience_bucket(audiences, audience);
		audience->next = *bucket;
		*bucket = i;
	}
}

/*
 * Has the selectors know the audience; notes its place in the list of each. 0 or -ENOMEM, with
 * nothing changed.
 */
static int audience_attach(struct audiences *audiences, const struct parts *parts, uint32_t index,
			   uint32_t *places)
{
	uint32_t attached = 0;

	while (attached < parts->selector_count &&
	       !selectors_attach(&audiences->selectors, parts->numbers[attached], index,
				 &places[attached]))
		attached++;
	if (attached < parts->selector_count) {
		while (attached-- > 0)
			selectors_detach(&audiences->selectors, parts->numbers[attached], index,
					 places[attached]);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < parts->claim_count; i++)
		audiences->selectors.table[parts->numbers[parts->selector_count + i]].claims++;
	return 0;
}

/* What asking all of them whether they want one topic takes. */
static uint32_t look_cost(const struct audiences *audiences, const struct parts *parts)
{
	uint32_t cost = 0;

	for (uint32_t i = 0; i < parts->selector_count + parts->claim_count; i++) {
		bool is_template =
			audiences->selectors.table[parts->numbers[i]].kind == SELECTOR_TEMPLATE;

		cost += is_template ? TEMPLATE_COST : 1;
	}
	return cost;
}

/* Whether there is room for its patterns: each publish looks at all that are asked for. */
static bool patterns_fit(const struct audiences *audiences, const struct parts *parts,
			 uint64_t selectors_max)
{
	uint64_t patterns = audiences->selectors.pattern_count, max = selectors_max / PATTERN_SHARE;

	for (uint32_t i = 0; i < parts->selector_count; i++) {
		const struct selector *selector = &audiences->selectors.table[parts->numbers[i]];

		patterns += selector->kind != SELECTOR_EXACT && selector->audience_count == 0;
	}
	return patterns <= (max > PATTERNS_MIN ? max : PATTERNS_MIN);
}

static uint32_t audience_new(struct audiences *audiences, const struct parts *parts)
{
	uint32_t index = audiences->free ? audiences->free : audiences->count;
	size_t size = (parts->selector_count + parts->claim_count) * sizeof(parts->numbers[0]);
	uint32_t *copy, *bucket;
	struct audience *audience;

	if (array_grow(&audiences->table, &audiences->cap, index + 1, sizeof(*audience)))
		return 0;
	/* Behind the numbers, a place for each selector. */
	copy = malloc(size + parts->selector_count * sizeof(*copy));
	if (!copy || audience_attach(audiences, parts, index, copy + size / sizeof(*copy))) {
		free(copy);
		return 0;
	}
	memcpy(copy, parts->numbers, size);
	audience = &audiences->table[index];
	if (index == audiences->free)
		audiences->free = audience->next;
	else
		audiences->count++;
	*audience = (struct audience){ .selectors = copy,
				       .selector_count = parts->selector_count,
				       .claim_count = parts->claim_count,
				       .look_cost = look_cost(audiences, parts),
				       .framing = parts->framing };
	bucket = audience_bucket(audiences, audience);
	audience->next = *bucket;
	*bucket = index;
	audience_rehash(audiences);
	return index;
}

int audiences_join(struct audiences *audiences, const struct audience_terms *terms,
		   uint64_t selectors_max, uint32_t *audience)
{
	struct parts parts;
	int err;

	parts.framing = (uint8_t)terms->framing;
	parts.claim_count = 0;
	err = selectors_get(&audiences->selectors, terms->selectors, selectors_max, parts.numbers,
			    &parts.selector_count);
	if (!err)
		err = selectors_get(&audiences->selectors, terms->claims, selectors_max,
				    parts.numbers + parts.selector_count, &parts.claim_count);
	assert(err || parts.selector_count > 0);
	if (!err && !patterns_fit(audiences, &parts, selectors_max))
		err = -ENOSPC;
	if (!err) {
		*audience = audience_find(audiences, &parts);
		if (!*audience)
			*audience = audience_new(audiences, &parts);
		if (!*audience)
			err = -ENOMEM;
	}
	if (err)
		selectors_release(&audiences->selectors, parts.numbers,
				  parts.selector_count + parts.claim_count);
	else
		audiences->table[*audience].members++;
	return err;
}

int audience_describe(const struct audiences *audiences, const struct audience *audience,
		      struct buf *selectors, struct buf *claims)
{
	for (uint32_t i = 0; i < audience->selector_count + audience->claim_count; i++)
		names_add(i < audience->selector_count ? selectors : claims,
			  selector_name(&audiences->selectors.table[audience->selectors[i]]));
	return selectors->err ? selectors->err : claims->err;
}

static uint32_t *places_of(const struct audience *audience)
{
	return audience->selectors + audience->selector_count + audience->claim_count;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Takes the audience off the list of its selector i; the last of the list gets its place. */
static void audience_detach(struct audiences *audiences, uint32_t index, uint32_t i)
{
	const struct audience *audience = &audiences->table[index], *other;
	uint32_t number = audience->selectors[i], place = places_of(audience)[i];
	uint32_t moved = selectors_detach(&audiences->selectors, number, index, place);
	const uint32_t *at;

	if (!moved)
		return;
	other = &audiences->table[moved];
	at = bsearch(&number, other->selectors, other->selector_count, sizeof(number), by_number);
	places_of(other)[at - other->selectors] = place;
}

void audiences_leave(struct audiences *audiences, uint32_t index)
{
	struct audience *audience = audience_at(audiences, index);
	uint32_t *selectors = audience->selectors, count = audience->selector_count;
	uint32_t claims = audience->claim_count, *link;

	assert(audience->members > 0);
	if (--audience->members > 0)
		return;
	assert(audience->live_count == 0);
	link = audience_bucket(audiences, audience);
	while (*link != index)
		link = &audiences->table[*link].next;
	*link = audience->next;
	for (uint32_t i = 0; i < count; i++)
		audience_detach(audiences, index, i);
	for (uint32_t i = 0; i < claims; i++)
		audiences->selectors.table[selectors[count + i]].claims--;
	selectors_release(&audiences->selectors, selectors, count + claims);
	free(selectors);
	free(audience->live);
	*audience = (struct audience){ .next = audiences->free };
	audiences->free = index;
}

int audience_add_live(struct audience *audience, int fd, uint32_t slot, uint32_t *place)
{
	int err = array_make_room(&audience->live, &audience->live_cap, audience->live_count,
				  sizeof(struct place));

	if (err)
		return err;
	*place = audience->live_count++;
	audience->live[*place] = (struct place){ .fd = fd, .slot = slot };
	return 0;
}

uint32_t audience_remove_live(struct audience *audience, uint32_t place)
{
	uint32_t last = audience->live_count - 1, moved = audience->live[last].slot;

	assert(place < audience->live_count);
	audience->live[place] = audience->live[last];
	audience->live_count = last;
	array_give_back(&audience->live, &audience->live_cap, last, sizeof(struct place));
	return moved;
}
