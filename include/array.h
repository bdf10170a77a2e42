/*
 * array: growing arrays of plain data, kept as a pointer and a capacity.
 */
#ifndef ARRAY_H
#define ARRAY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Grows *items (the address of a pointer; NULL at first) to at least need entries of size bytes;
 * new ones are zeroed, *cap doubles. The entries may move. 0, or -ENOMEM with nothing changed.
 */
int array_grow(void *items, uint32_t *cap, uint32_t need, size_t size);

#endif
