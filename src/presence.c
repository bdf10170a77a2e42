/*
 * presence: see presence.h.
 */
#include "presence.h"

#include <string.h>

#include "broadcast.h"
#include "names.h"

enum { EVENT_MAX = 1 << 18 /* of a topic and of its JSON, encoded */ };

static const struct str PATH = { "/.well-known/mercure/subscriptions", 34 };

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
	add_encoded(out, presence_name(entry));
}

/* Appends the members that describe one subscription, without the braces. */
static void add_members(struct buf *out, const struct presence *entry, struct str selector,
			bool is_active)
{
	buf_add(out, STR("\"id\":\""));
	add_topic(out, entry, selector);
	buf_addf(out, "\",\"type\":\"Subscription\",\"subscriber\":\"%.*s\",\"topic\":\"",
		 STR_ARG(presence_name(entry)));
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

int presence_enter(struct hub *hub, struct conn *conn, struct str selectors, struct str payload)
{
	int err = presences_enter(&hub->presences, selectors, payload, &conn->presence);

	if (!err)
		tell_all(hub, &hub->presences.table[conn->presence], true);
	return err;
}

void presence_tell_gone(struct hub *hub)
{
	struct presences *presences = &hub->presences;
	uint32_t index;

	while ((index = presences->gone)) {
		presences->gone = presences->table[index].next;
		tell_all(hub, &presences->table[index], false);
		presences_give_back(presences, index);
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

		if (!entry->is_here || (subscriber.n && !str_eq(subscriber, presence_name(entry))))
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
