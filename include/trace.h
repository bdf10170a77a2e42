/*
 * trace: what the next process has to know of every stream if this one dies between any two
 * instructions.
 *
 * In one memfd, free of pointers:
 *
 *	header | a mark for each slot of the table of conns | tallies of audiences | their terms
 *
 * A mark says where a stream stood on its socket: a byte position of the socket, and what comes
 * there. How much the socket has taken since then the kernel knows, so that a mark may be old. Of a
 * live stream, what comes where follows from its audience's tally, a running count of the bytes
 * that all its live subscribers got: the broadcast touches the tally and no mark. Whatever must
 * change together is written beside the old value, and a flip of one byte makes it valid.
 */
#ifndef TRACE_H
#define TRACE_H

#include "str.h"

/* In place of a record's number */
#define TRACE_LIVE    (UINT64_MAX - 1) /* base is where the audience's byte 0 would have been */
#define TRACE_UNKNOWN UINT64_MAX       /* nobody knows: own bytes are on their way */

enum { TRACE_CRASHES = 3 };

struct trace_position {
	uint64_t base;   /* position on the socket, in bytes, modulo 2^64 … */
	uint64_t record; /* … where this record begins, or would */
};

/* One stream. One cache line. */
struct mark {
	uint64_t cookie; /* SO_COOKIE of its socket; 0 = no stream */
	uint32_t tally;  /* of its audience */
	uint32_t expires_s;
	uint16_t flags; /* of its conn, as far as they stay */
	uint8_t which;  /* of the positions is valid */
	uint8_t unused;
	uint32_t saying; /* bytes, not of the ring, that are on their way to a live one */
	uint32_t unused_too[2];
	struct trace_position positions[2];
};

struct tally_count {
	uint64_t bytes;  /* that each live subscriber has got, of all records … */
	uint64_t record; /* … below this one */
};

struct tally {
	uint64_t terms; /* offset of the audience's terms; 0 = no audience */
	uint32_t which; /* of the counts is valid */
	uint32_t next;  /* in the free list of this process */
	struct tally_count counts[2];
};

struct trace_header {
	char magic[8];
	uint64_t version;
	uint64_t slots;                     /* marks; and tallies */
	uint64_t mark_high, tally_high;     /* slots ever used */
	uint64_t terms_used;                /* bytes */
	uint64_t crashes_ms[TRACE_CRASHES]; /* monotonic: the last ones, newest first */
	uint64_t has_left;                  /* the process ended in order, for the next to go on */
};

struct trace {
	int fd;
	struct trace_header *header; /* NULL = nothing is traced */
	struct mark *marks;
	struct tally *tallies;
	char *terms;
	size_t mapped;
	uint32_t tally_free;
	uint64_t terms_free[16]; /* by size: the first free piece; 0 = none */
};

/* An empty trace for so many slots: 0 or -errno. */
int trace_init(struct trace *trace, uint32_t slots);

/* Bytes of memory that it takes when all slots are in use, with terms of so many bytes each. */
uint64_t trace_bytes(uint64_t slots, uint64_t terms_bytes);

/* That of an earlier process; takes fd, also when it fails. 0, -EINVAL or -errno. */
int trace_adopt(struct trace *trace, int fd);
void trace_done(struct trace *trace);

/* The mark of a slot. */
struct mark *trace_mark(const struct trace *trace, uint32_t slot);

/* Where the stream of a mark stands; and says so anew, in one step. */
struct trace_position trace_position(const struct mark *mark);
void trace_set(struct mark *mark, uint64_t base, uint64_t record);

/* The mark is whole: from now on it counts. */
void trace_publish(struct mark *mark, uint64_t cookie);

/* A new tally for an audience with these terms: its index, or 0 where there is no room. */
uint32_t trace_define(struct trace *trace, struct str terms);
void trace_undefine(struct trace *trace, uint32_t tally);

/* The terms of a tally; empty where it has none. Borrows until it is undefined. */
struct str trace_terms(const struct trace *trace, uint32_t tally);

struct tally_count trace_count(const struct trace *trace, uint32_t tally);
void trace_set_count(struct trace *trace, uint32_t tally, struct tally_count count);

/*
 * Notes a crash at now_ms (monotonic): true if it was the third within ten seconds.
 */
bool trace_crashed(struct trace *trace, uint64_t now_ms);

#endif
