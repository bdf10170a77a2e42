/*
 * conn: the life of an accepted socket, from accept to close, and its place among the subscribers.
 *
 *	free --> HEAD <--> BODY      a request is being read
 *	           |        |
 *	           v        v
 *	          REPLY --> HEAD     its response is being sent; kept alive
 *	           |   \--> LINGER  … or not: our end is shut, the rest of the input thrown away
 *	           v
 *	         STREAM              a subscriber, live or walking
 *
 * A POLL is a REPLY that has nothing to say yet: see longpoll.h.
 *
 * Closing is deferred: conn_doom() takes a conn out of its audience at once, and whoever visits the
 * agenda closes it. So a handler may doom any conn, and nobody holds one that is gone.
 */
#ifndef CONN_H
#define CONN_H

#include "hub.h"

/* What became of the indices that an adopted table has: [old] = new, 0 = unknown. */
struct conns_maps {
	uint32_t *audiences, *peers, *exchanges;
	uint32_t audience_count, peer_count, exchange_count;
};

/*
 * Links every conn of an adopted table to its audience, peer and exchange, and counts it. Their
 * memberships are entered anew, one by one. A conn that does not fit is closed: how many.
 */
uint32_t conns_take_over(struct hub *hub, const struct conns_maps *maps);

/*
 * Takes a descriptor into the table alone, for whoever watches it otherwise: the conn, or NULL if
 * the table is full. flags as for conn_open().
 */
struct conn *conn_enter(struct hub *hub, int fd, const struct in6_addr *ip, uint16_t flags);

/*
 * Takes an accepted descriptor into the table and the loop. flags: CONN_CONTROL, CONN_PREFACE.
 * Decides whether it is over a limit. 0; -ENFILE if the table is full, or -errno: fd has been
 * closed then.
 */
int conn_open(struct hub *hub, int fd, const struct in6_addr *ip, uint16_t flags);

/* Where the conn comes from, as the kernel or a PROXY header says: a client, or a trusted proxy. */
void conn_comes_from(struct hub *hub, struct conn *conn, const struct in6_addr *ip);

/*
 * For whom a conn is there from now on; all zeros for nobody. Counts it for that address, and
 * decides whether this is one too many.
 */
void conn_serves(struct hub *hub, struct conn *conn, const struct in6_addr *ip);

/*
 * A conn again in the slot that it had in a process that is gone, on its socket, with these flags:
 * as conn_open() makes one. NULL where that cannot be; fd is still the caller's then. After the
 * last one, conns_link_free().
 */
struct conn *conn_restore(struct hub *hub, uint32_t slot, int fd, uint16_t flags);

/*
 * Makes a conn, whose response head lies in its own bytes, a subscriber that walks from record
 * start on. The membership of audience is taken.
 */
void conn_subscribe(struct hub *hub, struct conn *conn, uint32_t audience, uint64_t start);

/* A walker that has had whatever is flushed is live from now on. */
void conn_go_live(struct hub *hub, struct conn *conn);

/*
 * A live subscriber that has not had everything: it walks on from there. offset: bytes of that
 * record that it has had; before: bytes of the same flush before it.
 */
void conn_fall_behind(struct hub *hub, struct conn *conn, uint64_t record, uint32_t offset,
		      uint64_t before);

/* Takes a subscriber out of its audience. */
void conn_unsubscribe(struct hub *hub, struct conn *conn);

/* The conn will be closed, in this turn or the next; leaves its audience now. Safe to repeat. */
void conn_doom(struct hub *hub, struct conn *conn, enum stats_reason reason);

/*
 * A send or receive has failed with that errno. True if the conn lives on: an event, or its next
 * visit in the next turn for flag (CONN_READABLE, CONN_WRITABLE), tells when to try again. Else it
 * is doomed.
 */
bool conn_failed(struct hub *hub, struct conn *conn, int err, uint16_t flag);

/* Closes a doomed conn, which is off the agenda. */
void conn_bury(struct hub *hub, struct conn *conn);

/* Has the conn visited when its turn comes, for CONN_READABLE or CONN_WRITABLE: the agenda is a
 * queue. */
void conn_later(struct hub *hub, struct conn *conn, uint16_t flag);

/* Sets since_ms to now; and the time since then, in ms, up to 49 days. */
void conn_touch(const struct hub *hub, struct conn *conn);
uint32_t conn_age_ms(const struct hub *hub, const struct conn *conn);

/*
 * The exchange of a conn, borrowed now if it has none. NULL when there is no memory, or when
 * unfinished requests hold --max-request-memory already.
 */
struct exchange *conn_exchange(struct hub *hub, struct conn *conn);

/*
 * How much of --max-request-memory may be in use when this conn asks for more: not all of it for
 * public ones, so that publishers and operators still come through.
 */
uint64_t conn_memory_max(const struct hub *hub, const struct conn *conn);

/* Gives the exchange back if nothing is left in it that somebody waits for. */
void conn_release(struct hub *hub, struct conn *conn);

/* Appends who the client is, for the log. */
void conn_name(const struct hub *hub, const struct conn *conn, struct buf *out);

#endif
