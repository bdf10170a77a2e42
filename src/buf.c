/*
 * buf: a growing byte buffer with a hard limit and a sticky error. See buf.h.
 */
#include "buf.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 256 };

void buf_init(struct buf *b, size_t max)
{
	/* No object is larger than PTRDIFF_MAX; and below it no sum in buf_reserve() overflows. */
	*b = (struct buf){ .max = max < PTRDIFF_MAX ? max : PTRDIFF_MAX };
}

void buf_done(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->err = 0;
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	char *p;

	if (b->err)
		return b->err;
	if (n > b->max - b->n)
		return b->err = -ENOBUFS;
	if (n <= b->cap - b->n)
		return 0;
	while (cap < b->n + n)
		cap += cap / 2;
	if (cap > b->max)
		cap = b->max;
	/* One byte more than is counted: for the NUL of vsnprintf(). */
	p = realloc(b->p, cap + 1);
	if (!p)
		return b->err = -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, struct str s)
{
	if (s.n == 0 || buf_reserve(b, s.n))
		return b->err;
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	return 0;
}

int buf_add_char(struct buf *b, char c)
{
	return buf_add(b, (struct str){ &c, 1 });
}

int buf_addv(struct buf *b, const char *format, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(n >= 0);
	if (n == 0 || buf_reserve(b, (size_t)n))
		return b->err;
	vsnprintf(b->p + b->n, (size_t)n + 1, format, args);
	b->n += (size_t)n;
	return 0;
}

int buf_addf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_addv(b, format, args);
	va_end(args);
	return b->err;
}

int buf_add_json(struct buf *b, struct str s)
{
	size_t plain = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char shortcut = (char)(c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(b, (struct str){ s.p + plain, i - plain });
		plain = i + 1;
		if (c == '"' || c == '\\' || shortcut != (char)c)
			buf_add(b, (struct str){ (char[]){ '\\', shortcut }, 2 });
		else
			buf_addf(b, "\\u%04x", c);
	}
	return buf_add(b, str_from(s, plain));
}

void buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->n);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

struct str buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}
