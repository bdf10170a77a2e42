/*
 * pack: see pack.h.
 */
#include "pack.h"

#include <string.h>

void pack_u64(struct buf *out, uint64_t value)
{
	buf_add(out, (struct str){ (const char *)&value, sizeof(value) });
}

void pack_str(struct buf *out, struct str s)
{
	pack_u64(out, s.n);
	buf_add(out, s);
}

size_t pack_begin(struct buf *out)
{
	pack_u64(out, 0);
	return out->n;
}

void pack_end(struct buf *out, size_t begun)
{
	uint64_t n = out->n - begun;

	if (!out->err)
		memcpy(out->p + begun - sizeof(n), &n, sizeof(n));
}

uint64_t unpack_u64(struct unpack *in, uint64_t max)
{
	uint64_t value = 0;

	if (in->rest.n < sizeof(value)) {
		in->is_damaged = true;
		in->rest.n = 0;
		return 0;
	}
	memcpy(&value, in->rest.p, sizeof(value));
	in->rest = str_from(in->rest, sizeof(value));
	if (value <= max)
		return value;
	in->is_damaged = true;
	return 0;
}

bool unpack_bool(struct unpack *in)
{
	return unpack_u64(in, 1) == 1;
}

struct str unpack_str(struct unpack *in)
{
	struct str s = { in->rest.p, unpack_u64(in, UINT64_MAX) };

	s.p = in->rest.p;
	if (s.n > in->rest.n) {
		in->is_damaged = true;
		s.n = in->rest.n;
	}
	in->rest = str_from(in->rest, s.n);
	return s;
}

int unpack_buf(struct unpack *in, struct buf *out)
{
	struct str s = unpack_str(in);

	if (out->max < out->n + s.n)
		out->max = out->n + s.n;
	return buf_add(out, s);
}
