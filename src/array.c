/*
 * array: see array.h.
 */
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_CAP = 64, /* entries that a table begins with */
	FEW = 3,        /* and a list: three of eight bytes are the least that malloc() has */
};

int array_grow(void *items, uint32_t *cap, uint32_t need, size_t size)
{
	uint32_t to = *cap ? *cap : FIRST_CAP;
	void **at = items;
	char *grown;

	if (need <= *cap)
		return 0;
	while (to < need)
		to *= 2;
	grown = realloc(*at, to * size);
	if (!grown)
		return -ENOMEM;
	memset(grown + *cap * size, 0, (to - *cap) * size);
	*at = grown;
	*cap = to;
	return 0;
}

uint64_t array_bytes(uint64_t need, size_t size)
{
	uint64_t cap = FIRST_CAP;

	while (cap < need)
		cap *= 2;
	return cap * size;
}

/* 0 or -ENOMEM, with nothing changed. */
static int resize(void *items, uint32_t *cap, uint32_t to, size_t size)
{
	void **at = items, *moved = realloc(*at, to * size);

	if (!moved)
		return -ENOMEM;
	*at = moved;
	*cap = to;
	return 0;
}

int array_make_room(void *items, uint32_t *cap, uint32_t count, size_t size)
{
	return count < *cap ? 0 : resize(items, cap, *cap ? *cap * 2 : FEW, size);
}

void array_give_back(void *items, uint32_t *cap, uint32_t count, size_t size)
{
	if (*cap > ARRAY_FEW && count < *cap / ARRAY_LOOSE)
		(void)!resize(items, cap, *cap / 2, size);
}
