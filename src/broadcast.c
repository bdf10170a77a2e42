/*
 * broadcast: publishing and the flush. See broadcast.h.
 *
 * The flush is the one place where the daemon's time goes. For each audience with pending records
 * it gathers their bytes once, merging neighbours in the ring into one piece, and then makes one
 * system call for each live subscriber, reading nothing but the dense array of places.
 */
#include "broadcast.h"

#include <errno.h>

#include "anchor.h"
#include "clock.h"
#include "conn.h"
#include "longpoll.h"
#include "sock.h"

enum {
	FLUSH_BYTES_MAX = 1 << 20, /* published in one turn before an early flush, … */
	FLUSH_RING_SHARE = 8,      /* … or this part of the ring, if that is less */
};

static const char *why_not_appended(int err, int *status)
{
	*status = 400;
	switch (err) {
	case -EEXIST: return "An id of the form <ms>-<seq> must be larger than the last one.";
	case -ERANGE:
		return "An id of the form <ms>-<seq> may be a day ahead of the clock at most.";
	default: *status = 413; return "The event is larger than a quarter of --ring-bytes.";
	}
}

/* Whether live subscribers should get what there is before more is published. */
static bool wants_flush(const struct hub *hub)
{
	const struct ring_header *ring = hub->ring.header;
	uint64_t max = ring->data_size / FLUSH_RING_SHARE, pending;

	if (ring->flushed == ring->next)
		return false;
	pending = ring->head - ring_record(&hub->ring, ring->flushed)->pos;
	return pending >= (max < FLUSH_BYTES_MAX ? max : FLUSH_BYTES_MAX) ||
	       !topics_has_room(&hub->topics);
}

/* Appends a checked event and notes who waits for it. 0, or an error of ring_append(). */
static int append(struct hub *hub, const struct event *event, struct broadcast_receipt *receipt)
{
	uint64_t now_ms = clock_real_ms();
	int err;

	if (wants_flush(hub))
		broadcast_flush(hub);
	err = ring_append(&hub->ring, event, now_ms, &receipt->record);
	if (err == -EAGAIN) {
		broadcast_flush(hub);
		err = ring_append(&hub->ring, event, now_ms, &receipt->record);
	}
	if (err)
		return err;
	receipt->subscribers = topics_publish(&hub->topics, receipt->record);
	hub->stats.events++;
	hub->stats.event_bytes += ring_record(&hub->ring, receipt->record)->len;
	return 0;
}

const char *broadcast_event(struct hub *hub, const struct event *event,
			    struct broadcast_receipt *receipt, int *status)
{
	const char *wrong = sse_check(event);
	int err;

	*status = 400;
	if (!wrong) {
		err = append(hub, event, receipt);
		if (err)
			wrong = why_not_appended(err, status);
	}
	hub->stats.events_refused += wrong != NULL;
	return wrong;
}

void broadcast_own(struct hub *hub, const struct event *event)
{
	struct broadcast_receipt receipt;

	if (append(hub, event, &receipt))
		hub->stats.events_refused++;
}

/* Bytes that every live subscriber of an audience gets in one system call. */
struct round {
	struct sock_pieces pieces; /* records beyond them go out in a second round */
	uint32_t first, end;       /* pending entries: from first to before end */
	uint64_t events;
	uint64_t next; /* the record behind the last of them */
};

static void round_gather(const struct hub *hub, const struct audience *audience, uint32_t first,
			 struct round *round)
{
	uint32_t at = first;

	round->first = first;
	round->pieces.count = round->pieces.bytes = 0;
	round->events = 0;
	for (; at; at = hub->topics.pending[at].next) {
		const struct record *record =
			ring_record(&hub->ring, hub->topics.pending[at].record);

		if (!sock_pieces_add(&round->pieces, topics_bytes(&hub->topics, audience, record)))
			break;
		round->events++;
		round->next = hub->topics.pending[at].record + 1;
	}
	round->end = at;
}

/* The kernel took n bytes of the round, not all: where that leaves the subscriber. */
static void fall_behind(struct hub *hub, const struct audience *audience, const struct round *round,
			uint32_t slot, size_t n)
{
	struct conn *conn = conns_at(&hub->conns, slot);
	uint32_t at = round->first;
	size_t taken = n;

	for (;;) {
		const struct pending *pending = &hub->topics.pending[at];
		const struct record *record = ring_record(&hub->ring, pending->record);
		size_t len = topics_bytes(&hub->topics, audience, record).n;

		if (n < len) {
			conn_fall_behind(hub, conn, pending->record, (uint32_t)n, taken - n);
			return;
		}
		n -= len;
		hub->stats.deliveries++;
		at = pending->next;
	}
}

static void round_send(struct hub *hub, struct audience *audience, const struct round *round)
{
	uint32_t i = 0;

	while (i < audience->live_count) {
		struct place place = audience->live[i];
		ssize_t n = sock_send(place.fd, round->pieces.list, round->pieces.count);

		if (n == (ssize_t)round->pieces.bytes) {
			i++;
			continue;
		}
		/* Whoever leaves, the last one takes its place: i stands. */
		if (n < 0 &&
		    !conn_failed(hub, conns_at(&hub->conns, place.slot), (int)-n, CONN_WRITABLE))
			continue;
		hub->stats.short_writes++;
		hub->stats.sent_bytes += n > 0 ? (uint64_t)n : 0;
		fall_behind(hub, audience, round, place.slot, n > 0 ? (size_t)n : 0);
	}
	hub->stats.deliveries += round->events * audience->live_count;
	hub->stats.sent_bytes += round->pieces.bytes * audience->live_count;
}

void broadcast_flush(struct hub *hub)
{
	uint64_t begun_ns = clock_mono_ns();
	uint32_t index, pending;
	struct round round;

	if (hub->ring.header->flushed == hub->ring.header->next)
		return;
	ring_flushed(&hub->ring);
	while ((index = topics_next_dirty(&hub->topics, &pending))) {
		struct audience *audience = topics_audience(&hub->topics, index);

		if (audience->framing == TOPIC_POLL) {
			longpoll_flush(hub, audience, pending);
			continue;
		}
		while (pending && audience->live_count > 0) {
			round_gather(hub, audience, pending, &round);
			round_send(hub, audience, &round);
			anchor_count(hub, audience, round.pieces.bytes, round.next);
			pending = round.end;
		}
		audience->last_send_ms = hub->now_ms;
	}
	topics_flushed(&hub->topics);
	begun_ns = clock_mono_ns() - begun_ns;
	hub->flush_ns += begun_ns;
	stats_duration(&hub->stats.flush, begun_ns);
}
