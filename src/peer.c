/*
 * peer: a hash table of addresses with their number of conns. See peer.h.
 */
#include "peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_CAP = 64, NETWORK_BYTES = 8 };

int peers_init(struct peers *peers)
{
	*peers = (struct peers){ .count = 1, .cap = FIRST_CAP, .mask = FIRST_CAP - 1 };
	peers->table = calloc(FIRST_CAP, sizeof(*peers->table));
	peers->buckets = calloc(FIRST_CAP, sizeof(*peers->buckets));
	if (peers->table && peers->buckets &&
	    getrandom(peers->hash_key, sizeof(peers->hash_key), 0) == sizeof(peers->hash_key))
		return 0;
	peers_done(peers);
	return -ENOMEM;
}

void peers_done(struct peers *peers)
{
	free(peers->table);
	free(peers->buckets);
	*peers = (struct peers){ 0 };
}

static uint32_t *bucket_of(const struct peers *peers, const struct in6_addr *ip)
{
	struct str bytes = { (const char *)ip, sizeof(*ip) };

	return &peers->buckets[str_hash(bytes, peers->hash_key) & peers->mask];
}

/* Twice the entries and the buckets. 0 or -ENOMEM. */
static int peers_grow(struct peers *peers)
{
	uint32_t cap = peers->cap * 2;
	struct peer *table = realloc(peers->table, cap * sizeof(*table));
	uint32_t *buckets;

	if (!table)
		return -ENOMEM;
	peers->table = table;
	buckets = calloc(cap, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	free(peers->buckets);
	peers->buckets = buckets;
	peers->cap = cap;
	peers->mask = cap - 1;
	for (uint32_t i = 1; i < peers->count; i++) {
		uint32_t *bucket = bucket_of(peers, &table[i].ip);

		table[i].next = *bucket;
		*bucket = i;
	}
	return 0;
}

/* Counts one more for an entry, which may be new: its index, or 0. */
static uint32_t enter(struct peers *peers, const struct in6_addr *ip, bool is_network)
{
	uint32_t i = *bucket_of(peers, ip), *bucket;

	while (i && (peers->table[i].is_network != is_network ||
		     memcmp(&peers->table[i].ip, ip, sizeof(*ip)) != 0))
		i = peers->table[i].next;
	if (i) {
		peers->table[i].conns++;
		return i;
	}
	/* Growing needs every entry in use, so that the free list is empty. */
	if (!peers->free && peers->count == peers->cap && peers_grow(peers))
		return 0;
	i = peers->free;
	if (i)
		peers->free = peers->table[i].next;
	else
		i = peers->count++;
	bucket = bucket_of(peers, ip);
	peers->table[i] =
		(struct peer){ .ip = *ip, .conns = 1, .next = *bucket, .is_network = is_network };
	*bucket = i;
	return i;
}

/* Counts one less for an entry; the last one frees it. */
static void leave(struct peers *peers, uint32_t index)
{
	struct peer *peer = &peers->table[index];
	uint32_t *link;

	assert(peer->conns > 0);
	if (--peer->conns > 0)
		return;
	for (link = bucket_of(peers, &peer->ip); *link != index; link = &peers->table[*link].next)
		;
	*link = peer->next;
	peer->next = peers->free;
	peers->free = index;
}

uint32_t peers_enter(struct peers *peers, const struct in6_addr *ip)
{
	uint32_t index = enter(peers, ip, false), net;
	struct in6_addr prefix = { 0 };

	if (!index || IN6_IS_ADDR_V4MAPPED(ip))
		return index;
	memcpy(&prefix, ip, NETWORK_BYTES);
	net = enter(peers, &prefix, true);
	if (!net) {
		leave(peers, index);
		return 0;
	}
	peers->table[index].network = net;
	return index;
}

void peers_again(struct peers *peers, uint32_t index)
{
	if (!index)
		return;
	peers->table[index].conns++;
	if (peers->table[index].network)
		peers->table[peers->table[index].network].conns++;
}

void peers_leave(struct peers *peers, uint32_t index)
{
	uint32_t net = index ? peers->table[index].network : 0;

	if (index)
		leave(peers, index);
	if (net)
		leave(peers, net);
}

uint32_t peers_conns(const struct peers *peers, uint32_t index)
{
	uint32_t net = index ? peers->table[index].network : 0;

	return index ? peers->table[net ? net : index].conns : 0;
}
