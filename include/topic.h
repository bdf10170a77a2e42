/*
 * topic: who wants what. Selectors, and the audiences that subscribe to them.
 *
 * A selector is what a stream asks for: an exact topic, "*", or a template (selector.h). Private
 * records are only for streams that are authorised for one of their topics: by further selectors,
 * their claims. Subscribers that ask for the same set of selectors, with the same claims and the
 * same framing, are one audience; it owns the dense array of its live subscribers, so that a
 * broadcast reads that array and nothing else. A topic costs nothing until somebody subscribes to
 * it.
 *
 *	topic of a record --hash--> selector --> audiences --> live subscribers
 *
 * "*" and templates are patterns: each is matched once against a record that is published, however
 * many ask for it.
 *
 * Tables are indexed, never pointed into, because they move when they grow; index 0 is nobody.
 */
#ifndef TOPIC_H
#define TOPIC_H

#include "names.h"
#include "ring.h"

enum {
	TOPIC_SELECTORS_MAX = 1000, /* selectors of one stream; and as many claims */
};

/* How the bytes of an event are wrapped for a subscriber. */
enum topic_framing {
	TOPIC_CHUNKED, /* HTTP/1.1: the frame as it lies in the ring */
	TOPIC_PLAIN,   /* HTTP/1.0: the event without its chunk, ended by close */
	TOPIC_POLL,    /* as one answer in JSON: see longpoll.h */
};

/* All that makes an audience: who has the same terms is in the same one. */
struct audience_terms {
	struct str selectors; /* packed (names.h): 1 to TOPIC_SELECTORS_MAX; order and doubles do
				 not matter */
	struct str claims;    /* packed: what private records it may see; empty = none */
	enum topic_framing framing;
};

/* A live subscriber: all that a broadcast needs to know of it. */
struct place {
	int fd; /* only carried, for the flush */
	uint32_t slot;
};

/* Subscribers that ask for the same. */
struct audience {
	uint32_t *selectors; /* owned; sorted indices, and behind them those of the claims, sorted
				too; NULL while the entry is free */
	uint32_t selector_count, claim_count;
	uint8_t framing;
	uint32_t members;   /* subscribers, live and walking */
	struct place *live; /* owned; dense */
	uint32_t live_count, live_cap;
	uint32_t next;                        /* in its bucket, or in the free list */
	uint32_t pending_first, pending_last; /* of topics.pending, 0 = none */
	uint32_t next_dirty;
	uint64_t seen;         /* record number + 1 that was last matched, so that it counts once */
	uint64_t last_send_ms; /* monotonic: when the live ones last got something */
	uint64_t sent_bytes;   /* flushed to live subscribers since the audience exists */
};

/* One name that audiences ask for, or claim. */
struct selector {
	char *name; /* owned; NULL while the entry is free */
	uint64_t hash;
	uint64_t asked; /* twice the record + 1 that it was last matched with, + whether it asks */
	uint16_t len;
	uint8_t kind;    /* enum selector_kind: exact ones are looked up by their hash */
	uint32_t next;   /* in its bucket, or in the free list */
	uint32_t claims; /* audiences that have it as a claim */
	uint32_t place;  /* of a pattern that somebody asks for, in topics.patterns */
	uint32_t audience_count, audience_cap; /* those that ask for it */
	union {
		uint32_t one;   /* where audience_cap is 0 */
		uint32_t *many; /* owned */
	} audiences;
};

/* A record that an audience waits for. */
struct pending {
	uint64_t record;
	uint32_t next;
};

struct topics {
	const struct ring *ring; /* borrowed: for its hash */
	struct selector *selectors;
	uint32_t selector_count, selector_cap, selector_free; /* count: entries ever used */
	struct audience *audiences;
	uint32_t audience_count, audience_cap, audience_free;
	uint32_t *selector_buckets, *audience_buckets;
	uint32_t selector_mask, audience_mask; /* buckets - 1 */
	uint32_t *patterns;                    /* selectors that are patterns, and are asked for */
	uint32_t pattern_count, pattern_cap;
	struct pending *pending;
	uint32_t pending_count, pending_cap;
	uint32_t dirty;           /* first audience with pending records */
	uint32_t in_use;          /* selectors; the limit is the caller's */
	uint64_t pattern_matches; /* a pattern against a record; since the start */
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
 * Appends an audience's terms, packed, to two lists: whoever joins with them (in the next process)
 * is in the same audience again. 0 or -ENOMEM or -ENOBUFS.
 */
int audience_describe(const struct topics *topics, const struct audience *audience,
		      struct buf *selectors, struct buf *claims);

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

/* Adds a live subscriber; its place in the array is *place. 0 or -ENOMEM. */
int audience_add_live(struct audience *audience, int fd, uint32_t slot, uint32_t *place);

/*
 * Takes a live subscriber out; the last one moves into its place. Returns the slot of the one that
 * moved (whose place is now `place`), or the removed one's own slot if none did.
 */
uint32_t audience_remove_live(struct audience *audience, uint32_t place);

/* Whether the audience asks for the record, and may see it. */
bool topics_wanted(const struct topics *topics, const struct audience *audience,
		   const struct record *record);

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
