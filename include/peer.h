/*
 * peer: how many conns each address has.
 *
 * One entry for each address that has at least one; a conn keeps its index. Who has one address of
 * IPv6 has a whole /64 of them: so these have an entry for their network, too, and that is what
 * counts. Knows addresses, no sockets.
 */
#ifndef PEER_H
#define PEER_H

#include <netinet/in.h>

#include "str.h"

/* An IP address as 16 bytes, IPv4 mapped to ::ffff:a.b.c.d. */
struct peer {
	struct in6_addr ip;
	uint32_t conns;
	uint32_t next;    /* in its bucket, or in the free list */
	uint32_t network; /* index of its /64; 0 = none: of IPv4, or a network itself */
	bool is_network;
};

struct peers {
	struct peer *table; /* by index; 0 is nobody */
	uint32_t count, cap, free;
	uint32_t *buckets;
	uint32_t mask; /* buckets - 1 */
	uint64_t hash_key[2];
};

/* 0 or -ENOMEM. */
int peers_init(struct peers *peers);
void peers_done(struct peers *peers);

/* Counts one more conn of that address: its index, or 0 when memory ran out. */
uint32_t peers_enter(struct peers *peers, const struct in6_addr *ip);

/* Counts one more conn of an address that has some. */
void peers_again(struct peers *peers, uint32_t index);

/* Counts one less; index 0 is ignored. */
void peers_leave(struct peers *peers, uint32_t index);

/* Conns of the address now; of IPv6, of its /64. */
uint32_t peers_conns(const struct peers *peers, uint32_t index);

#endif
