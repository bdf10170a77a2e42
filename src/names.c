/*
 * names: packed lists of names. See names.h.
 */
#include "names.h"

#include <errno.h>
#include <string.h>

int names_add(struct buf *list, struct str name)
{
	uint16_t len = (uint16_t)name.n;

	if (name.n > UINT16_MAX)
		return -EMSGSIZE;
	/* Both or nothing: a list is never left with half a name. */
	if (buf_reserve(list, sizeof(len) + name.n))
		return list->err;
	buf_add(list, (struct str){ (const char *)&len, sizeof(len) });
	return buf_add(list, name);
}

bool names_next(struct str *list, struct str *name)
{
	uint16_t len;

	if (list->n < sizeof(len))
		return false;
	memcpy(&len, list->p, sizeof(len));
	*list = str_from(*list, sizeof(len));
	if (len > list->n)
		return false;
	*name = (struct str){ list->p, len };
	*list = str_from(*list, len);
	return true;
}

size_t names_count(struct str list)
{
	struct str name;
	size_t count = 0;

	while (names_next(&list, &name))
		count++;
	return count;
}
