/* damage: small changes to what another process has left, as the bytes of an input say. */
#ifndef DAMAGE_H
#define DAMAGE_H

#include "fuzz.h"

/* The eight bytes at a place: a little more or less, one bit, a small number, its negative, or what
 * is next in the input. */
static inline void damage_number(char *place, unsigned how, unsigned by, struct str *in)
{
	uint64_t value;

	memcpy(&value, place, sizeof(value));
	switch (how % 5) {
	case 0: value += (uint64_t)(int64_t)(signed char)by; break;
	case 1: value ^= (uint64_t)1 << by % 64; break;
	case 2: value = by; break;
	case 3: value = (uint64_t)0 - by; break;
	default:
		memcpy(&value, in->p, in->n < sizeof(value) ? in->n : sizeof(value));
		*in = str_from(*in, sizeof(value));
	}
	memcpy(place, &value, sizeof(value));
}

#endif
