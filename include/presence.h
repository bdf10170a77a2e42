/*
 * presence: who subscribes to what, told to those who may know (--mercure-subscriptions).
 *
 * Each stream of the Mercure protocol has an entry: a name made for it, its selectors, and what its
 * token says of it. When it opens and after it has gone, a private event is published for each of
 * its selectors, on the topic
 *
 *	/.well-known/mercure/subscriptions/SELECTOR/SUBSCRIBER
 *
 * with both percent-encoded. A stream may go in the middle of a flush: who has gone waits on a list
 * until the end of the turn.
 */
#ifndef PRESENCE_H
#define PRESENCE_H

#include "buf.h"

struct conn;
struct hub;
struct wish;

enum { PRESENCE_NAME_LEN = 45 }; /* urn:uuid: and a version 4 UUID (RFC 9562), without a NUL */

struct presence {
	char name[PRESENCE_NAME_LEN]; /* of the subscriber */
	struct buf selectors;         /* packed (names.h); empty while the entry is free */
	struct buf payload;           /* JSON, or empty */
	bool is_here;                 /* its stream is open */
	uint32_t next;                /* in the free list, or of those that have gone */
};

struct presences {
	struct presence *table; /* 0 is nobody */
	uint32_t count, cap, free;
	uint32_t gone; /* first of those that have gone and are still to be told of */
};

void presences_init(struct presences *presences);
void presences_done(struct presences *presences);

/* Tells of a stream that is about to open, and keeps its entry in the conn. 0, -ENOMEM or -EIO. */
int presence_enter(struct hub *hub, struct conn *conn, const struct wish *wish);

/* The stream of a conn has ended. */
void presence_leave(struct hub *hub, struct conn *conn);

/* Tells of those that have gone: at the end of a turn, behind its flush. */
void presence_tell_gone(struct hub *hub);

/*
 * Appends the JSON of the subscriptions: only those to that selector, and of that subscriber, where
 * these are not empty. context: with their @context, and the id of the last event. Returns how many
 * there are.
 */
size_t presence_list(const struct hub *hub, struct str selector, struct str subscriber,
		     bool has_context, struct buf *out);

/* The id of the last event, or `earliest`. */
struct str presence_last_id(const struct hub *hub);

/*
 * All entries, for the next process, where they have the same indices. There each conn claims its
 * own (and has none if that is nobody's), and settling tells of those that nobody has claimed.
 * unpack: 0, -EINVAL or -ENOMEM.
 */
void presences_pack(const struct presences *presences, struct buf *out);
int presences_unpack(struct presences *presences, struct str packed);
void presence_claim(struct hub *hub, struct conn *conn);
void presences_settle(struct presences *presences);

#endif
