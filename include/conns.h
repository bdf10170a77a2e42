/*
 * conns: the table of accepted sockets.
 *
 * A conn is one cache line in a table that lives in a memfd and has no pointers, so that another
 * process can adopt it. What only a conn with an unfinished request or unsent own bytes needs lies
 * in an exchange, which it borrows: an idle stream has none. conn.h has what happens to a conn.
 *
 * Slots are given out last in, first out, so that the part of the table that is touched stays
 * dense. A slot's generation changes with each conn, so that a kernel event for an earlier one is
 * recognised.
 */
#ifndef CONNS_H
#define CONNS_H

#include "exchange.h"
#include "peer.h"

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
	CONN_DOOMED = 1 << 1,     /* to be closed by who visits the agenda */
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
	uint32_t presence;  /* of a stream: its entry in presences.h; 0 = none */
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

struct conn *conns_at(const struct conns *conns, uint32_t slot);
uint32_t conns_slot(const struct conns *conns, const struct conn *conn);

/* A slot for a new conn, whose generation stands, or NULL if the table is full. */
struct conn *conns_take(struct conns *conns);
void conns_give_back(struct conns *conns, struct conn *conn);

/* Links the free slots anew, after conns have been put into slots of somebody else's choice. */
void conns_link_free(struct conns *conns);

/* Puts the conn at the end of the agenda, which is a queue; once. */
void conns_agenda_add(struct conns *conns, struct conn *conn);

/* Takes the first conn off the agenda, which is not empty: its slot. */
uint32_t conns_agenda_take(struct conns *conns);

#endif
