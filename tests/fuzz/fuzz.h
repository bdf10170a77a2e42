/*
 * fuzz: what the fuzz targets share.
 *
 * A target is a function over bytes that aborts when an invariant is broken. libFuzzer calls it as
 * LLVMFuzzerTestOneInput (make fuzz); replay.c calls all of them by their names, over the inputs
 * that are kept in tests/fuzz/corpus (make check).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

/* Name, in the order of the rooms. tests/fuzz/NAME.dict is its dictionary, where there is one. */
/* clang-format off */
#define FUZZ_TARGETS(X) \
	X(head) X(body) X(value) X(uri) X(sse) X(ndjson) X(id) X(template) X(token) X(config) \
	X(ring) X(adopt) X(handover) X(proxy) X(conversation)
/* clang-format on */

typedef int fuzz_target(const uint8_t *bytes, size_t n);

#ifdef FUZZ_ENGINE
#define FUZZ_TARGET(name) LLVMFuzzerTestOneInput
#else
#define FUZZ_TARGET(name) fuzz_##name
#endif

fuzz_target LLVMFuzzerTestOneInput;
#define FUZZ_DECLARE(name) fuzz_target fuzz_##name;
FUZZ_TARGETS(FUZZ_DECLARE)

/* An invariant, also in builds that turn assert() off. */
#define EXPECT(what)      \
	((what) ? (void)0 \
		: (fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #what), abort()))

/* A copy that ends where its memory ends, so that a byte too far is seen. To be freed. */
static inline char *fuzz_copy(struct str s)
{
	char *copy = malloc(s.n ? s.n : 1);

	EXPECT(copy);
	if (s.n)
		memcpy(copy, s.p, s.n);
	return copy;
}

/* Takes the first byte off, or 0 where there is none. */
static inline unsigned fuzz_byte(struct str *in)
{
	unsigned byte = in->n ? (unsigned char)in->p[0] : 0;

	*in = str_from(*in, 1);
	return byte;
}

static inline bool fuzz_inside(struct str part, struct str whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

#endif
