/*
 * presences: the table, and how it crosses to the next process. See presences.h.
 */
#include "presences.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "array.h"
#include "pack.h"

enum {
	SELECTORS_BYTES_MAX = 1 << 16,
	PAYLOAD_MAX = 1 << 16,
};

void presences_init(struct presences *presences)
{
	*presences = (struct presences){ .count = 1 };
}

static void entry_done(struct presence *entry)
{
	buf_done(&entry->selectors);
	buf_done(&entry->payload);
}

void presences_done(struct presences *presences)
{
	for (uint32_t i = 1; i < presences->count; i++)
		entry_done(&presences->table[i]);
	free(presences->table);
	presences_init(presences);
}

static void entry_init(struct presence *entry)
{
	*entry = (struct presence){ .next = 0 };
	buf_init(&entry->selectors, SELECTORS_BYTES_MAX);
	buf_init(&entry->payload, PAYLOAD_MAX);
}

/* A fresh entry: its index, or 0. */
static uint32_t entry_take(struct presences *presences)
{
	uint32_t index = presences->free;

	if (index) {
		presences->free = presences->table[index].next;
	} else {
		if (array_grow(&presences->table, &presences->cap, presences->count + 1,
			       sizeof(struct presence)))
			return 0;
		index = presences->count++;
	}
	entry_init(&presences->table[index]);
	return index;
}

void presences_give_back(struct presences *presences, uint32_t index)
{
	entry_done(&presences->table[index]);
	presences->table[index].next = presences->free;
	presences->free = index;
}

/* A version 4 UUID, as a URN (RFC 9562 section 5.4). 0 or -EIO. */
static int name_make(char name[PRESENCE_NAME_LEN])
{
	static const char digits[] = "0123456789abcdef", shape[] =
								 "urn:uuid:xxxxxxxx-xxxx-4xxx-Nxxx-"
								 "xxxxxxxxxxxx";
	unsigned char random[PRESENCE_NAME_LEN];

	_Static_assert(sizeof(shape) - 1 == PRESENCE_NAME_LEN, "its shape is its length");
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < PRESENCE_NAME_LEN; i++) {
		if (shape[i] == 'x')
			name[i] = digits[random[i] & 15];
		else
			name[i] = shape[i] == 'N' ? digits[8 | (random[i] & 3)] : shape[i];
	}
	return 0;
}

struct str presence_name(const struct presence *entry)
{
	return (struct str){ entry->name, PRESENCE_NAME_LEN };
}

int presences_enter(struct presences *presences, struct str selectors, struct str payload,
		    uint32_t *index)
{
	uint32_t taken = entry_take(presences);
	struct presence *entry;
	int err;

	if (!taken)
		return -ENOMEM;
	entry = &presences->table[taken];
	err = name_make(entry->name);
	if (!err)
		err = buf_add(&entry->selectors, selectors);
	if (!err)
		err = buf_add(&entry->payload, payload);
	if (err) {
		presences_give_back(presences, taken);
		return err;
	}
	entry->is_here = true;
	*index = taken;
	return 0;
}

void presences_leave(struct presences *presences, uint32_t *index)
{
	struct presence *entry;

	if (!*index)
		return;
	entry = &presences->table[*index];
	entry->is_here = false;
	entry->next = presences->gone;
	presences->gone = *index;
	*index = 0;
}

void presences_pack(const struct presences *presences, struct buf *out)
{
	pack_u64(out, presences->count);
	for (uint32_t i = 1; i < presences->count; i++) {
		const struct presence *entry = &presences->table[i];

		pack_str(out, presence_name(entry));
		pack_str(out, buf_str(&entry->selectors));
		pack_str(out, buf_str(&entry->payload));
	}
}

int presences_unpack(struct presences *presences, struct str packed)
{
	struct unpack in = { .rest = packed };
	uint64_t count = unpack_u64(&in, UINT32_MAX);
	int err;

	/* Each entry takes more bytes than that: a count that is out of proportion is damage. */
	if (in.is_damaged || count > packed.n)
		return -EINVAL;
	err = array_grow(&presences->table, &presences->cap, (uint32_t)count,
			 sizeof(struct presence));
	for (uint32_t i = 1; i < count && !err; i++) {
		struct presence *entry = &presences->table[i];
		struct str name = unpack_str(&in);

		entry_init(entry);
		presences->count = i + 1;
		if (name.n == PRESENCE_NAME_LEN)
			memcpy(entry->name, name.p, name.n);
		else
			in.is_damaged = true;
		err = unpack_buf(&in, &entry->selectors);
		if (!err)
			err = unpack_buf(&in, &entry->payload);
	}
	return err ? err : in.is_damaged ? -EINVAL : 0;
}

void presences_claim(struct presences *presences, uint32_t *index)
{
	struct presence *entry = NULL;

	if (*index > 0 && *index < presences->count)
		entry = &presences->table[*index];
	if (entry && entry->selectors.n && !entry->is_here)
		entry->is_here = true;
	else
		*index = 0;
}

void presences_settle(struct presences *presences)
{
	for (uint32_t i = 1; i < presences->count; i++) {
		struct presence *entry = &presences->table[i];
		uint32_t *list = entry->selectors.n ? &presences->gone : &presences->free;

		if (entry->is_here)
			continue;
		entry->next = *list;
		*list = i;
	}
}
