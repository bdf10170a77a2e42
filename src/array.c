/*
 * array: see array.h.
 */
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 }; /* entries that an array begins with */

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
