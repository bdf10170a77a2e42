/* counting: what the daemon counts as it goes, counted anew. */
#ifndef COUNTING_H
#define COUNTING_H

#include "fuzz.h"
#include "hub.h"

/* Between two turns. */
static inline void counting_check(const struct hub *hub)
{
	uint32_t count = 0, refused = 0, streams = 0, live = 0, members = 0, places = 0;
	uint32_t from = 0, peers = 0, inside = 0, networks = 0;
	uint64_t bytes = 0;

	for (uint32_t slot = 1; slot < hub->conns.high; slot++) {
		const struct conn *conn = conns_at(&hub->conns, slot);
		bool is_stream = conn->state == CONN_STREAM || conn->state == CONN_POLL;

		if (conn->state == CONN_FREE)
			continue;
		count++;
		refused += !!(conn->flags & CONN_OVER_LIMIT);
		streams += is_stream;
		live += !!(conn->flags & CONN_LIVE);
		from += conn->peer != 0;
		inside += conn->peer && hub->conns.peers.table[conn->peer].network;
		EXPECT(is_stream == (conn->audience != 0));
		EXPECT(is_stream || !(conn->flags & CONN_LIVE));
		if (conn->exchange)
			bytes += exchange_at(&hub->conns.exchanges, conn->exchange)->counted;
	}
	for (uint32_t i = 1; i < hub->topics.audiences.count; i++) {
		const struct audience *audience = &hub->topics.audiences.table[i];

		if (!audience->selectors)
			continue;
		members += audience->members;
		places += audience->live_count;
	}
	EXPECT(count == hub->conns.count && refused == hub->conns.refused);
	EXPECT(streams == hub->conns.streams && streams == members);
	EXPECT(live == hub->conns.live && live == places);
	for (uint32_t i = 1; i < hub->conns.peers.count; i++) {
		const struct peer *peer = &hub->conns.peers.table[i];

		*(peer->is_network ? &networks : &peers) += peer->conns;
	}
	EXPECT(bytes == hub->conns.exchanges.bytes);
	EXPECT(from == peers && inside == networks);
}

#endif
