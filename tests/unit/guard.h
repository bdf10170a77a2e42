/*
 * guard: bytes placed so that the one behind them cannot be read. A parser that looks too far does
 * not get away with it.
 */
#ifndef GUARD_H
#define GUARD_H

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "str.h"

struct guard {
	char *map;
	size_t room; /* bytes before the page that cannot be read */
	size_t page;
};

static inline struct guard guard_new(size_t bytes_max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct guard guard = { .room = (bytes_max / page + 1) * page, .page = page };

	guard.map = mmap(NULL, guard.room + page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert(guard.map != MAP_FAILED);
	assert(mprotect(guard.map + guard.room, page, PROT_NONE) == 0);
	return guard;
}

static inline void guard_free(struct guard *guard)
{
	munmap(guard->map, guard->room + guard->page);
}

/* Copies s to the very end of the readable bytes. Valid until the next call. */
static inline struct str guard_place(struct guard *guard, struct str s)
{
	char *at = guard->map + guard->room - s.n;

	assert(s.n <= guard->room);
	if (s.n)
		memcpy(at, s.p, s.n);
	return (struct str){ at, s.n };
}

#endif
