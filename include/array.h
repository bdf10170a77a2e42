/*
 * array: arrays of plain data, kept as a pointer and a capacity: tables that only grow, and lists
 * whose members come and go.
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

/* The bytes that it then has. */
uint64_t array_bytes(uint64_t need, size_t size);

/*
 * A list of count members gets room for one more, which may move it: 0, or -ENOMEM with nothing
 * changed. After some have gone it is made smaller, where it can: so it never has room for more
 * than ARRAY_LOOSE times its members, and for ARRAY_FEW where there are fewer.
 */
enum { ARRAY_LOOSE = 4, ARRAY_FEW = 6 };
int array_make_room(void *items, uint32_t *cap, uint32_t count, size_t size);
void array_give_back(void *items, uint32_t *cap, uint32_t count, size_t size);

#endif
