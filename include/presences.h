/*
 * presences: the table of who subscribes to what, by the Mercure protocol.
 *
 * Each of its streams has an entry: a name made for it, its selectors, and what its token says of
 * it. A stream may go in the middle of a flush: who has gone waits on a list until presence.h has
 * told of it, at the end of the turn. The table moves when it grows: 0 is nobody.
 */
#ifndef PRESENCES_H
#define PRESENCES_H

#include "buf.h"

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

/* A stream with these selectors (packed) and this payload: *index is its entry. 0, -ENOMEM, -EIO.
 */
int presences_enter(struct presences *presences, struct str selectors, struct str payload,
		    uint32_t *index);

/* The stream of this entry (0 = none) has ended; *index is 0 then. */
void presences_leave(struct presences *presences, uint32_t *index);

/* Frees the entry of one that has gone, taken off that list. */
void presences_give_back(struct presences *presences, uint32_t index);

struct str presence_name(const struct presence *entry);

/*
 * All entries, for the next process, where they have the same indices. There each stream claims its
 * own (and *index becomes 0 if that is nobody's), and settling lists those that nobody has claimed
 * as gone. unpack: 0, -EINVAL or -ENOMEM.
 */
void presences_pack(const struct presences *presences, struct buf *out);
int presences_unpack(struct presences *presences, struct str packed);
void presences_claim(struct presences *presences, uint32_t *index);
void presences_settle(struct presences *presences);

#endif
