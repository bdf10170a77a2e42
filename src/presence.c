/*
 * presence: see presence.h.
 */
#include "presence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "array.h"
#include "broadcast.h"
#include "names.h"
#include "pack.h"
#include "subscribe.h"

enum {
	SELECTORS_BYTES_MAX = 1 << 16,
	PAYLOAD_MAX = 1 << 16,
	EVENT_MAX = 1 << 18, /* of a topic and of its JSON, encoded */
};

static const struct str PATH = { "/.well-known/mercure/subscriptions", 34 };

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

static void entry_give_back(struct presences *presences, uint32_t index)
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

static struct str name_of(const struct presence *entry)
{
	return (struct str){ entry->name, PRESENCE_NAME_LEN };
}

/* Appends s with all but unreserved characters percent-encoded (RFC 3986 section 2). */
static void add_encoded(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool is_alnum =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (is_alnum || (c && strchr("-._~", c)))
			buf_add_char(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned char)c);
	}
}

static void add_topic(struct buf *out, const struct presence *entry, struct str selector)
{
	buf_add(out, PATH);
	buf_add_char(out, '/');
	add_encoded(out, selector);
	buf_add_char(out, '/');
	add_encoded(out, name_of(entry));
}

/* Appends the members that describe one subscription, without the braces. */
static void add_members(struct buf *out, const struct presence *entry, struct str selector,
			bool is_active)
{
	buf_add(out, STR("\"id\":\""));
	add_topic(out, entry, selector);
	buf_addf(out, "\",\"type\":\"Subscription\",\"subscriber\":\"%.*s\",\"topic\":\"",
		 STR_ARG(name_of(entry)));
	buf_add_json(out, selector);
	buf_addf(out, "\",\"active\":%s", is_active ? "true" : "false");
	if (entry->payload.n) {
		buf_add(out, STR(",\"payload\":"));
		buf_add(out, buf_str(&entry->payload));
	}
}

#define CONTEXT "\"@context\":\"https://mercure.rocks/\","

/* Publishes that a subscription has begun or ended. */
static void tell(struct hub *hub, const struct presence *entry, struct str selector, bool is_active)
{
	struct buf topic, data;
	struct str name;
	struct event event = {
		.topics = &name, .topic_count = 1, .retry_ms = SSE_NO_RETRY, .is_private = true
	};

	buf_init(&topic, EVENT_MAX);
	buf_init(&data, EVENT_MAX);
	add_topic(&topic, entry, selector);
	buf_add(&data, STR("{" CONTEXT));
	add_members(&data, entry, selector, is_active);
	buf_add_char(&data, '}');
	name = buf_str(&topic);
	event.data = buf_str(&data);
	if (!topic.err && !data.err)
		broadcast_own(hub, &event);
	buf_done(&topic);
	buf_done(&data);
}

static void tell_all(struct hub *hub, const struct presence *entry, bool is_active)
{
	struct str rest = buf_str(&entry->selectors), selector;

	while (names_next(&rest, &selector))
		tell(hub, entry, selector, is_active);
}

int presence_enter(struct hub *hub, struct conn *conn, const struct wish *wish)
{
	uint32_t index = entry_take(&hub->presences);
	struct presence *entry;
	int err;

	if (!index)
		return -ENOMEM;
	entry = &hub->presences.table[index];
	err = name_make(entry->name);
	if (!err)
		err = buf_add(&entry->selectors, wish->selectors);
	if (!err)
		err = buf_add(&entry->payload, buf_str(&wish->grant->payload));
	if (err) {
		entry_give_back(&hub->presences, index);
		return err;
	}
	entry->is_here = true;
	conn->presence = index;
	tell_all(hub, entry, true);
	return 0;
}

void presence_leave(struct hub *hub, struct conn *conn)
{
	uint32_t index = conn->presence;

	if (!index)
		return;
	conn->presence = 0;
	hub->presences.table[index].is_here = false;
	hub->presences.table[index].next = hub->presences.gone;
	hub->presences.gone = index;
}

void presence_tell_gone(struct hub *hub)
{
	struct presences *presences = &hub->presences;
	uint32_t index;

	while ((index = presences->gone)) {
		presences->gone = presences->table[index].next;
		tell_all(hub, &presences->table[index], false);
		entry_give_back(presences, index);
	}
}

struct str presence_last_id(const struct hub *hub)
{
	const struct ring_header *ring = hub->ring.header;

	if (ring->first == ring->next)
		return STR("earliest");
	return ring_id_text(&hub->ring, ring_record(&hub->ring, ring->next - 1));
}

static void add_item(const struct hub *hub, const struct presence *entry, struct str selector,
		     bool has_context, struct buf *out)
{
	buf_add(out, has_context ? STR("{" CONTEXT) : STR("{"));
	add_members(out, entry, selector, true);
	if (has_context) {
		buf_add(out, STR(",\"lastEventID\":\""));
		buf_add_json(out, presence_last_id(hub));
		buf_add_char(out, '"');
	}
	buf_add_char(out, '}');
}

size_t presence_list(const struct hub *hub, struct str selector, struct str subscriber,
		     bool has_context, struct buf *out)
{
	const struct presences *presences = &hub->presences;
	size_t count = 0;

	for (uint32_t i = 1; i < presences->count; i++) {
		const struct presence *entry = &presences->table[i];
		struct str rest = buf_str(&entry->selectors), name;

		if (!entry->is_here || (subscriber.n && !str_eq(subscriber, name_of(entry))))
			continue;
		while (names_next(&rest, &name)) {
			if (selector.n && !str_eq(selector, name))
				continue;
			if (count++)
				buf_add_char(out, ',');
			add_item(hub, entry, name, has_context, out);
		}
	}
	return count;
}

void presences_pack(const struct presences *presences, struct buf *out)
{
	pack_u64(out, presences->count);
	for (uint32_t i = 1; i < presences->count; i++) {
		const struct presence *entry = &presences->table[i];

		pack_str(out, name_of(entry));
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

void presence_claim(struct hub *hub, struct conn *conn)
{
	struct presence *entry = NULL;

	if (conn->presence > 0 && conn->presence < hub->presences.count)
		entry = &hub->presences.table[conn->presence];
	if (entry && entry->selectors.n && !entry->is_here)
		entry->is_here = true;
	else
		conn->presence = 0;
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
