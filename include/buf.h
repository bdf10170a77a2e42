/*
 * buf: a growing byte buffer with a hard limit.
 *
 * Errors stick: once an append did not fit (-ENOBUFS) or memory ran out (-ENOMEM), further appends
 * do nothing and `err` tells; so a caller that builds something checks once, at the end. All that
 * was appended before the error is still there.
 */
#ifndef BUF_H
#define BUF_H

#include <stdarg.h>

#include "str.h"

struct buf {
	char *p;    /* owned; NULL while nothing was appended */
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated */
	size_t max; /* bytes allowed */
	int err;    /* 0, -ENOBUFS or -ENOMEM */
};

/* An empty buffer that may hold max bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);

/* Frees the bytes; b is empty again with the same limit. Safe on a zeroed struct. */
void buf_done(struct buf *b);

/* Forgets the bytes and the error, keeps the memory. */
void buf_clear(struct buf *b);

/* Room for n more bytes at b->p + b->n, to be filled by the caller: 0, or the sticky error. */
int buf_reserve(struct buf *b, size_t n);

/* Append; each returns b->err. */
int buf_add(struct buf *b, struct str s);
int buf_add_char(struct buf *b, char c);
int buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_addv(struct buf *b, const char *format, va_list args);

/* Appends s as the inside of a JSON string (RFC 8259 section 7), without the quotes. */
int buf_add_json(struct buf *b, struct str s);

/* Removes the first n bytes (n <= b->n); the rest moves to the front. */
void buf_drop(struct buf *b, size_t n);

/* What is in it. Borrows from b until it is changed. */
struct str buf_str(const struct buf *b);

#endif
