/*
 * selectors: the table of selectors. See selectors.h.
 *
 * An array with a free list and a hash index of chains; an index stays valid while its entry is in
 * use, a pointer only until the next one is made.
 */
#include "selectors.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "names.h"
#include "selector.h"

enum { BUCKETS_FIRST = 64 };

int selectors_init(struct selectors *selectors, const struct ring *ring)
{
	*selectors = (struct selectors){ .ring = ring, .count = 1, .mask = BUCKETS_FIRST - 1 };
	selectors->buckets = calloc(BUCKETS_FIRST, sizeof(uint32_t));
	if (selectors->buckets &&
	    !array_grow(&selectors->table, &selectors->cap, 1, sizeof(struct selector)))
		return 0;
	selectors_done(selectors);
	return -ENOMEM;
}

void selectors_done(struct selectors *selectors)
{
	for (uint32_t i = 1; selectors->table && i < selectors->count; i++) {
		free(selectors->table[i].name);
		if (selectors->table[i].audience_cap)
			free(selectors->table[i].audiences.many);
	}
	free(selectors->table);
	free(selectors->buckets);
	free(selectors->patterns);
	*selectors = (struct selectors){ 0 };
}

struct str selector_name(const struct selector *selector)
{
	return (struct str){ selector->name, selector->len };
}

uint32_t selectors_find(const struct selectors *selectors, struct str name, uint64_t hash)
{
	uint32_t i = selectors->buckets[hash & selectors->mask];

	while (i) {
		const struct selector *selector = &selectors->table[i];

		if (selector->hash == hash && str_eq(selector_name(selector), name))
			break;
		i = selector->next;
	}
	return i;
}

/* Twice the buckets, when there are more selectors than those. Staying small is no error. */
static void selector_rehash(struct selectors *selectors)
{
	uint32_t mask = selectors->mask * 2 + 1;
	uint32_t *buckets;

	if (selectors->in_use <= selectors->mask)
		return;
	buckets = calloc((size_t)mask + 1, sizeof(*buckets));
	if (!buckets)
		return;
	for (uint32_t i = 1; i < selectors->count; i++) {
		struct selector *selector = &selectors->table[i];

		if (!selector->name)
			continue;
		selector->next = buckets[selector->hash & mask];
		buckets[selector->hash & mask] = i;
	}
	free(selectors->buckets);
	selectors->buckets = buckets;
	selectors->mask = mask;
}

/* Patterns that somebody asks for are in a list: each publish goes over it. 0 or -ENOMEM. */
static int pattern_add(struct selectors *selectors, uint32_t index)
{
	int err = array_grow(&selectors->patterns, &selectors->pattern_cap,
			     selectors->pattern_count + 1, sizeof(uint32_t));

	if (err)
		return err;
	selectors->table[index].place = selectors->pattern_count;
	selectors->patterns[selectors->pattern_count++] = index;
	return 0;
}

static void pattern_remove(struct selectors *selectors, uint32_t index)
{
	uint32_t place = selectors->table[index].place;
	uint32_t last = selectors->patterns[--selectors->pattern_count];

	selectors->patterns[place] = last;
	selectors->table[last].place = place;
}

/* A new selector that nobody asks for yet: its index, or 0 when memory ran out. */
static uint32_t selector_new(struct selectors *selectors, struct str name, uint64_t hash)
{
	uint32_t index = selectors->free ? selectors->free : selectors->count;
	struct selector *selector;
	char *copy;

	if (array_grow(&selectors->table, &selectors->cap, index + 1, sizeof(struct selector)))
		return 0;
	copy = malloc(name.n);
	if (!copy)
		return 0;
	memcpy(copy, name.p, name.n);
	selector = &selectors->table[index];
	if (index == selectors->free)
		selectors->free = selector->next;
	else
		selectors->count++;
	*selector = (struct selector){ .name = copy,
				       .len = (uint16_t)name.n,
				       .hash = hash,
				       .kind = (uint8_t)selector_kind(name),
				       .next = selectors->buckets[hash & selectors->mask] };
	selectors->buckets[hash & selectors->mask] = index;
	selectors->in_use++;
	selector_rehash(selectors);
	return index;
}

static void selector_free(struct selectors *selectors, uint32_t index)
{
	struct selector *selector = &selectors->table[index];
	uint32_t *link;

	assert(selector->audience_count == 0 && selector->claims == 0);
	link = &selectors->buckets[selector->hash & selectors->mask];
	while (*link != index)
		link = &selectors->table[*link].next;
	*link = selector->next;
	if (selector->audience_cap)
		free(selector->audiences.many);
	free(selector->name);
	*selector = (struct selector){ .next = selectors->free };
	selectors->free = index;
	selectors->in_use--;
}

const uint32_t *selector_audiences(const struct selector *selector)
{
	return selector->audience_cap ? selector->audiences.many : &selector->audiences.one;
}

static int audiences_add(struct selector *selector, uint32_t audience)
{
	uint32_t cap = 0, *many = NULL;
	int err;

	if (selector->audience_count == 0 && selector->audience_cap == 0) {
		selector->audiences.one = audience;
		selector->audience_count = 1;
		return 0;
	}
	if (selector->audience_cap == 0) {
		err = array_make_room(&many, &cap, 1, sizeof(uint32_t));
		if (err)
			return err;
		many[0] = selector->audiences.one;
		selector->audiences.many = many;
		selector->audience_cap = cap;
	}
	err = array_make_room(&selector->audiences.many, &selector->audience_cap,
			      selector->audience_count, sizeof(uint32_t));
	if (!err)
		selector->audiences.many[selector->audience_count++] = audience;
	return err;
}

int selectors_attach(struct selectors *selectors, uint32_t index, uint32_t audience,
		     uint32_t *place)
{
	struct selector *selector = &selectors->table[index];
	bool is_new = selector->kind != SELECTOR_EXACT && selector->audience_count == 0;
	int err = is_new ? pattern_add(selectors, index) : 0;

	if (err)
		return err;
	*place = selector->audience_count;
	err = audiences_add(selector, audience);
	if (err && is_new)
		pattern_remove(selectors, index);
	return err;
}

uint32_t selectors_detach(struct selectors *selectors, uint32_t index, uint32_t audience,
			  uint32_t place)
{
	struct selector *selector = &selectors->table[index];
	uint32_t *list =
		selector->audience_cap ? selector->audiences.many : &selector->audiences.one;
	uint32_t moved = list[--selector->audience_count];

	assert(place <= selector->audience_count && list[place] == audience);
	list[place] = moved;
	if (selector->audience_cap)
		array_give_back(&selector->audiences.many, &selector->audience_cap,
				selector->audience_count, sizeof(uint32_t));
	if (selector->kind != SELECTOR_EXACT && selector->audience_count == 0)
		pattern_remove(selectors, index);
	return moved == audience ? 0 : moved;
}

void selectors_release(struct selectors *selectors, const uint32_t *numbers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct selector *selector = &selectors->table[numbers[i]];

		if (selector->name && selector->audience_count == 0 && selector->claims == 0)
			selector_free(selectors, numbers[i]);
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

int selectors_get(struct selectors *selectors, struct str names, uint64_t selectors_max,
		  uint32_t *numbers, uint32_t *got)
{
	struct str name;
	int err = 0;

	*got = 0;
	while (!err && names_next(&names, &name)) {
		uint64_t hash = ring_hash(selectors->ring, name);
		uint32_t index = selectors_find(selectors, name, hash);

		assert(*got < SELECTORS_MAX);
		if (!index && selectors->in_use >= selectors_max)
			err = -ENOSPC;
		else if (!index && !(index = selector_new(selectors, name, hash)))
			err = -ENOMEM;
		else
			numbers[(*got)++] = index;
	}
	*got = sort_unique(numbers, *got);
	return err;
}

bool selectors_want(const struct selectors *selectors, const uint32_t *numbers, uint32_t count,
		    const struct record *record)
{
	struct str topic;

	for (uint32_t at = 0; ring_next_topic(selectors->ring, record, &at, &topic);)
		for (uint32_t i = 0; i < count; i++) {
			const struct selector *selector = &selectors->table[numbers[i]];

			if (selector_asks(selector_name(selector), selector->kind, topic))
				return true;
		}
	return false;
}

bool selectors_ask_once(struct selectors *selectors, uint32_t index, uint64_t number,
			const struct record *record)
{
	struct selector *selector = &selectors->table[index];

	if (selector->asked >> 1 != number + 1) {
		bool asks = selectors_want(selectors, &index, 1, record);

		selector->asked = (number + 1) << 1 | asks;
		selectors->pattern_matches += selector->kind != SELECTOR_EXACT;
	}
	return selector->asked & 1;
}
