/*
 * pack: numbers and byte strings, one behind the other, as they cross to the next binary of the
 * same machine. Pure.
 *
 * Every number takes eight bytes in the machine's order; a string is its length and its bytes. The
 * reader never looks behind the end: what is missing reads as 0 or as an empty string, and sets a
 * flag that the caller asks for once, at the end.
 */
#ifndef PACK_H
#define PACK_H

#include "buf.h"

/* Append to out, whose error sticks as always. */
void pack_u64(struct buf *out, uint64_t value);
void pack_str(struct buf *out, struct str s);

/* Reserves the length of a string that the caller appends next; pack_end() fills it in. */
size_t pack_begin(struct buf *out);
void pack_end(struct buf *out, size_t begun);

struct unpack {
	struct str rest; /* what has not been read; borrowed */
	bool is_damaged; /* something was missing, or larger than allowed */
};

/* The next number; one that is over max is damage, and reads as 0. */
uint64_t unpack_u64(struct unpack *in, uint64_t max);

/* The next number as yes or no. */
bool unpack_bool(struct unpack *in);

/* The next string: a slice of what is read. */
struct str unpack_str(struct unpack *in);

/* Appends the next string to out, whose limit is raised where the string needs it. 0 or -ENOMEM. */
int unpack_buf(struct unpack *in, struct buf *out);

#endif
