/*
 * audience: subscribers that ask for the same.
 *
 * Whoever has the same set of selectors, with the same claims and the same framing, is in one
 * audience; it owns the dense array of its live subscribers, so that a broadcast reads that array
 * and nothing else. The table moves when it grows: audiences are named by their index; 0 is none.
 */
#ifndef AUDIENCE_H
#define AUDIENCE_H

#include "selectors.h"

/* How the bytes of an event are wrapped for a subscriber. */
enum topic_framing {
	TOPIC_CHUNKED, /* HTTP/1.1: the frame as it lies in the ring */
	TOPIC_PLAIN,   /* HTTP/1.0: the event without its chunk, ended by close */
	TOPIC_POLL,    /* as one answer in JSON: see longpoll.h */
};

/* All that makes an audience: who has the same terms is in the same one. */
struct audience_terms {
	struct str selectors; /* packed (names.h): 1 to SELECTORS_MAX; order and doubles do
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
				too, and the place in each selector's list; NULL while the entry is
				free */
	uint32_t selector_count, claim_count;
	uint8_t framing;
	uint32_t look_cost; /* of asking whether it wants a topic, in comparisons of two names */
	uint32_t members;   /* subscribers, live and walking */
	struct place *live; /* owned; dense */
	uint32_t live_count, live_cap;
	uint32_t next;                        /* in its bucket, or in the free list */
	uint32_t pending_first, pending_last; /* of topics.pending, 0 = none */
	uint32_t next_dirty, prev_dirty;      /* of the audiences with pending records, 0 = none */
	uint64_t seen;         /* record number + 1 that was last matched, so that it counts once */
	uint64_t last_send_ms; /* monotonic: when the live ones last got something */
	uint32_t tally;        /* in the trace (trace.h): what the live ones have got; 0 = none */
};

struct audiences {
	struct selectors selectors;
	struct audience *table;
	uint32_t count, cap, free; /* count: entries ever used */
	uint32_t *buckets;
	uint32_t mask; /* buckets - 1 */
};

/* 0 or -ENOMEM. */
int audiences_init(struct audiences *audiences, const struct ring *ring);
void audiences_done(struct audiences *audiences);

struct audience *audience_at(const struct audiences *audiences, uint32_t index);

/* See topics_join() and topics_leave(), which also see to records that wait. */
int audiences_join(struct audiences *audiences, const struct audience_terms *terms,
		   uint64_t selectors_max, uint32_t *audience);
void audiences_leave(struct audiences *audiences, uint32_t audience);

/*
 * Appends an audience's terms, packed, to two lists: whoever joins with them is in the same
 * audience again. 0 or -ENOMEM or -ENOBUFS.
 */
int audience_describe(const struct audiences *audiences, const struct audience *audience,
		      struct buf *selectors, struct buf *claims);

/* Adds a live subscriber; its place in the array is *place. 0 or -ENOMEM. */
int audience_add_live(struct audience *audience, int fd, uint32_t slot, uint32_t *place);

/*
 * Takes a live subscriber out; the last one moves into its place. Returns the slot of the one that
 * moved (whose place is now `place`), or the removed one's own slot if none did.
 */
uint32_t audience_remove_live(struct audience *audience, uint32_t place);

#endif
