/*
 * conn: the table of accepted sockets, and the life of one from accept to close.
 *
 * A conn is one cache line in a table that lives in a memfd and has no pointers, so that another
 * process can adopt it. What only a conn with an unfinished request or unsent own bytes needs lies
 * in an exchange, which it borrows: an idle stream has none.
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
 * Closing is deferred to the end of the turn: conn_doom() takes a conn out of its audience at once,
 * conns_bury() closes it. So a handler may doom any conn, and nobody holds one that is gone.
 */
#ifndef CONN_H
#define CONN_H

#include "exchange.h"
#include "peer.h"
#include "sock.h"
#include "stats.h"

struct hub;

/*
 * The numbers of states and flags, and the layout of a conn, cross to the next binary: new ones go
 * to the end, and with any other change CONN_LAYOUT grows.
 */
enum { CONN_LAYOUT = 1 };

enum conn_state {
	CONN_FREE,
	CONN_HEAD,   /* between requests, or reading a head */
	CONN_BODY,   /* reading a body */
	CONN_REPLY,  /* sending a response; reads nothing meanwhile */
	CONN_STREAM, /* a subscriber */
	CONN_POLL,   /* a subscriber for one response; reads nothing meanwhile */
	CONN_LINGER, /* all is said; waits for the client's end, so that it reads our last bytes */
};

enum conn_flag {
	CONN_LIVE = 1 << 0,       /* in its audience's array of live subscribers */
	CONN_DOOMED = 1 << 1,     /* to be closed at the end of the turn */
	CONN_ON_AGENDA = 1 << 2,  /* to be visited in the next turn without a kernel event */
	CONN_READABLE = 1 << 3,   /* the kernel said so, and we have not read to the end */
	CONN_WRITABLE = 1 << 4,   /* the kernel said so, and we have not been refused since */
	CONN_CONTROL = 1 << 5,    /* came in on a control listener */
	CONN_OVER_LIMIT = 1 << 6, /* accepted only to be told that there is no room */
	CONN_REPLAYING =
		1 << 7,         /* began beyond the lag limit by its own wish: until it is within */
	CONN_ENDING = 1 << 8,   /* a stream to be ended once it has had everything */
	CONN_HUNG_UP = 1 << 9,  /* the client has shut its end; what it sent may be unread */
	CONN_SERVED = 1 << 10,  /* has had an answer: it may be idle for a while */
	CONN_BACKLOG = 1 << 11, /* has sent more requests than one turn takes */
	CONN_PREFACE = 1 << 12, /* its first bytes are a PROXY header, which has not come yet */
	CONN_TRUSTED = 1 << 13, /* a proxy's: each request says for whom it is */
	CONN_PARKED = 1 << 14,  /* a duplicate of its socket lies in the park */
	CONN_PARK_TRIED = 1 << 15, /* and that was tried */
};

struct conn {
	int32_t fd;
	uint32_t generation;
	uint16_t flags;    /* set of enum conn_flag */
	uint8_t state;     /* enum conn_state */
	uint8_t reason;    /* enum stats_reason, once it is known why it will end */
	uint32_t exchange; /* 0 = none borrowed */
	uint32_t next;     /* on the agenda, or in the free list */
	uint32_t peer;     /* 0 = none: a unix socket, or a proxy that asks for nobody now */
	uint32_t audience; /* of a stream; 0 = none */
	uint32_t place;    /* of a live stream, in its audience's array */
	uint64_t cursor;   /* of a walking stream: the next record to look at */
	uint32_t offset;   /* bytes of that record that it has had */
	/*
	 * 32 bits of monotonic time. HEAD: the first byte of the head, or the end of the last
	 * request. BODY: its beginning. REPLY, walking: the last progress. LINGER: its beginning.
	 * Live: the last byte that did not come from its audience's flush.
	 */
	uint32_t since_ms;
	uint32_t expires_s; /* of a stream, a poll or a flow: Unix time when its token ends; 0 =
			       never */
	uint32_t presence;  /* of a stream: its entry in presence.h; 0 = none */
};

struct conns {
	int fd;               /* the memfd */
	struct conn *table;   /* slot 0 is nobody */
	uint32_t capacity;    /* slots, 0 included */
	uint32_t high;        /* slots ever used, 0 included: where the sweep ends */
	uint32_t free;        /* first of the free list */
	uint32_t count;       /* conns that are not free */
	uint32_t refused;     /* of them, those that are over a limit */
	uint32_t streams;     /* of them, subscribers */
	uint32_t live;        /* of those, live */
	uint32_t agenda;      /* first of the queue of conns to be visited; 0 = none … */
	uint32_t agenda_last; /* … and its last */
	uint32_t doomed;      /* conns on the agenda that are to be closed */
	struct exchanges exchanges;
	struct peers peers;
	char *input; /* CONN_INPUT_BYTES: where every read goes first */
};

enum {
	CONN_INPUT_BYTES = 65536,
	CONN_SPARE =
		256, /* slots beyond the limit, for those that are told that there is no room */
};

/* A table for clients_max conns and CONN_SPARE more; memory is used as slots are. 0 or -errno. */
int conns_init(struct conns *conns, uint64_t clients_max);
/*
 * Goes on with the table of an earlier binary (fd is taken, also when it fails), whose first `high`
 * slots have been used. It has room for clients_max conns at least. Nothing is linked yet: see
 * conns_take_over(). 0, -EINVAL for a table that cannot be, or -errno.
 */
int conns_adopt(struct conns *conns, int fd, uint32_t high, uint64_t clients_max);

void conns_done(struct conns *conns);

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

struct conn *conns_at(const struct conns *conns, uint32_t slot);
uint32_t conns_slot(const struct conns *conns, const struct conn *conn);

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
void conns_link_free(struct conns *conns);

/* The conn will be closed at the end of the turn; leaves its audience now. Safe to repeat. */
void conn_doom(struct hub *hub, struct conn *conn, enum stats_reason reason);

/*
 * A send or receive has failed with that errno. True if the conn lives on: an event, or its next
 * visit in the next turn for flag (CONN_READABLE, CONN_WRITABLE), tells when to try again. Else it
 * is doomed.
 */
bool conn_failed(struct hub *hub, struct conn *conn, int err, uint16_t flag);

/* Closes the doomed: how many. */
uint32_t conns_bury(struct hub *hub);

/* Has the conn visited when its turn comes, for CONN_READABLE or CONN_WRITABLE: the agenda is a
 * queue. */
void conn_later(struct hub *hub, struct conn *conn, uint16_t flag);

/* Takes the first conn off the agenda, which is not empty: its slot. */
uint32_t conns_agenda_take(struct conns *conns);

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
