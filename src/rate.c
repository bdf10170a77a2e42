/*
 * rate: one number for each entry. See rate.h.
 *
 * Each who comes puts off the entry's due time by his share of a second; while it is no more than a
 * second ahead, he may come.
 */
#include "rate.h"

#include <string.h>
#include <sys/random.h>

enum { SECOND_US = 1000000, NETWORK_BYTES = 8 };

void rate_init(struct rate *rate)
{
	memset(rate, 0, sizeof(*rate));
	(void)!getrandom(rate->hash_key, sizeof(rate->hash_key), 0);
}

bool rate_allows(struct rate *rate, const struct in6_addr *ip, uint64_t now_ms, uint64_t per_second)
{
	size_t n = IN6_IS_ADDR_V4MAPPED(ip) ? sizeof(*ip) : NETWORK_BYTES;
	uint64_t hash = str_hash((struct str){ (const char *)ip, n }, rate->hash_key);
	uint64_t *due_us = &rate->due_us[hash % RATE_ENTRIES], now_us = now_ms * 1000;

	if (per_second == 0)
		return true;
	if (*due_us < now_us)
		*due_us = now_us;
	if (*due_us + SECOND_US / per_second > now_us + SECOND_US)
		return false;
	*due_us += SECOND_US / per_second;
	return true;
}
