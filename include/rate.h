/*
 * rate: how often each address may come.
 *
 * A table of fixed size, each entry of which stands for all addresses that hash to it: no flood can
 * make it grow, and who shares an entry with somebody who floods waits with him. IPv6 addresses
 * count by their /64, which is what one customer has.
 */
#ifndef RATE_H
#define RATE_H

#include <netinet/in.h>

#include "str.h"

enum { RATE_ENTRIES = 8192 };

struct rate {
	uint64_t hash_key[2];
	uint64_t due_us[RATE_ENTRIES]; /* monotonic: when all that came would have come, evenly */
};

/* Without a random key, if there is none to be had. */
void rate_init(struct rate *rate);

/*
 * Whether one more from that address may come now: on average per_second of them (0 = any number),
 * and as many at once.
 */
bool rate_allows(struct rate *rate, const struct in6_addr *ip, uint64_t now_ms,
		 uint64_t per_second);

#endif
