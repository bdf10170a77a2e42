/*
 * topic: who wants what: from the topics of a record to the audiences that get it.
 *
 *	topic of a record --hash--> selector --> audiences --> live subscribers
 *
 * A topic costs nothing until somebody subscribes to it. Private records are only for audiences
 *that are authorised for one of their topics, by their claims.
 */
#ifndef TOPIC_H
#define TOPIC_H

#include "audience.h"

/* A record that an audience waits for. */
struct pending {
	uint64_t record;
	uint32_t next;
};

struct topics {
	const struct ring *ring; /* borrowed */
	struct audiences audiences;
	struct pending *pending;
	uint32_t pending_count, pending_cap;
	uint32_t dirty; /* first audience with pending records */
};

int topics_init(struct topics *topics, const struct ring *ring);
void topics_done(struct topics *topics);

/*
 * The audience with these terms, made if there is none yet; the caller becomes a member. New
 * selectors are made only while there are fewer than selectors_max. 0, -ENOMEM, or -ENOSPC.
 */
int topics_join(struct topics *topics, const struct audience_terms *terms, uint64_t selectors_max,
		uint32_t *audience);

/*
 * Appends an audience's terms, packed, for another process; and joins there the audience that has
 * them, without a limit of selectors: whoever got in stays in. rejoin: 0, -ENOMEM, or -EINVAL for
 * what are no packed terms.
 */
void topics_pack(const struct topics *topics, uint32_t audience, struct buf *out);
int topics_rejoin(struct topics *topics, struct str packed, uint32_t *audience);

/* One more membership of an audience that has some. */
void topics_enter(struct topics *topics, uint32_t audience);

/* Gives membership back; the last one out frees the audience and its selectors. */
void topics_leave(struct topics *topics, uint32_t audience);

struct audience *topics_audience(const struct topics *topics, uint32_t index);

/* The i-th of the audiences that name exactly this topic; 0 when there are not so many. */
uint32_t topics_audience_of(const struct topics *topics, struct str topic, uint32_t i);

/* Whether the audience asks for the record, and may see it. */
bool topics_wanted(const struct topics *topics, const struct audience *audience,
		   const struct record *record);

/* The bytes of a record as the audience gets them; and the heartbeat comment. */
struct str topics_bytes(const struct topics *topics, const struct audience *audience,
			const struct record *record);
struct str topic_heartbeat(enum topic_framing framing);

/*
 * Whether the next record can be noted for every audience without allocating; if not, flush first:
 * after that it can.
 */
bool topics_has_room(const struct topics *topics);

/*
 * Notes an appended record for every audience that asks for it: they become dirty. Returns the
 * number of subscribers that will get it. Needs topics_has_room(); cannot fail.
 */
uint64_t topics_publish(struct topics *topics, uint64_t record);

/*
 * Takes the next dirty audience off the list: its index with *pending the first of its pending
 * records, or 0 when there is none left.
 */
uint32_t topics_next_dirty(struct topics *topics, uint32_t *pending);

/* Forgets all pending records, after the flush. */
void topics_flushed(struct topics *topics);

#endif
