/*
 * stream: a subscriber's life after its response head. See stream.h.
 */
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "anchor.h"
#include "conn.h"
#include "own.h"
#include "reply.h"
#include "sock.h"

enum {
	WALK_BYTES = 256 * 1024, /* sent to one walker in one turn, some more or less */
	WALK_LOOKS = 4096,       /* comparisons of a selector with a topic for one, in one turn */
};

static struct audience *audience_of(const struct hub *hub, const struct conn *conn)
{
	return topics_audience(&hub->topics, conn->audience);
}

static enum topic_framing framing_of(const struct hub *hub, const struct conn *conn)
{
	return (enum topic_framing)audience_of(hub, conn)->framing;
}

void stream_frame(enum topic_framing framing, const struct buf *text, struct buf *out)
{
	/* What is half built is not sent; and a chunk of nothing would end the stream. */
	if (!out->err)
		out->err = text->err;
	if (framing == TOPIC_CHUNKED)
		buf_addf(out, "%zx\r\n", text->n);
	buf_add(out, buf_str(text));
	if (framing == TOPIC_CHUNKED)
		buf_add(out, STR("\r\n"));
}

void stream_gap(const struct hub *hub, struct str from, const char *reason, struct buf *out)
{
	char floor[EVENTID_TEXT_MAX];

	buf_add(out, STR("{\"from\":\""));
	/* What never was an id of ours is not repeated. */
	if (from.n <= SSE_ID_MAX && str_is_utf8(from))
		buf_add_json(out, from);
	buf_addf(out, "\",\"floor\":\"%.*s\",\"reason\":\"%s\"}",
		 (int)eventid_write(floor, hub->ring.header->floor), floor, reason);
}

void stream_retry(struct hub *hub, enum topic_framing framing, struct buf *out)
{
	uint64_t retry_ms = hub->config.retry_ms;
	uint64_t spread_ms = hub->draining ? hub->config.drain_retry_ms : retry_ms;
	struct buf text;

	/* Spread, so that those who leave together do not return together. */
	buf_init(&text, 64);
	buf_addf(&text, "retry: %llu\n\n",
		 (unsigned long long)(retry_ms + hub_random(hub, spread_ms + 1)));
	stream_frame(framing, &text, out);
	buf_done(&text);
}

/* What one system call will send. */
struct walk {
	struct sock_pieces pieces;
	uint64_t events, next; /* how many they are; the first record that was not looked at */
};

/*
 * Gathers what the walker gets next, from its cursor to the flushed head or to the budget. Records
 * that it did not ask for are left behind at once when nothing lies before them.
 */
static void walk_gather(struct hub *hub, struct conn *conn, struct walk *walk)
{
	const struct audience *audience = audience_of(hub, conn);
	uint64_t flushed = hub->ring.header->flushed, n = conn->cursor, looks = 0;

	walk->pieces.count = walk->pieces.bytes = 0;
	walk->events = 0;
	for (; n < flushed && looks < WALK_LOOKS && walk->pieces.bytes < WALK_BYTES; n++) {
		const struct record *record = ring_record(&hub->ring, n);
		struct str bytes;

		looks += (uint64_t)audience->look_cost * record->topic_count;
		if (!topics_wanted(&hub->topics, audience, record)) {
			if (walk->pieces.count == 0)
				conn->cursor = n + 1;
			continue;
		}
		bytes = topics_bytes(&hub->topics, audience, record);
		if (walk->pieces.count == 0)
			bytes = str_from(bytes, conn->offset);
		if (!sock_pieces_add(&walk->pieces, bytes))
			break;
		walk->events++;
	}
	walk->next = n;
}

/* Moves the cursor behind n bytes that the kernel took. */
static void walk_advance(struct hub *hub, struct conn *conn, const struct walk *walk, size_t n)
{
	const struct audience *audience = audience_of(hub, conn);

	if (n == walk->pieces.bytes) {
		conn->cursor = walk->next;
		conn->offset = 0;
		hub->stats.deliveries += walk->events;
		return;
	}
	while (n > 0) {
		const struct record *record = ring_record(&hub->ring, conn->cursor);
		size_t left;

		if (!topics_wanted(&hub->topics, audience, record)) {
			conn->cursor++;
			continue;
		}
		left = topics_bytes(&hub->topics, audience, record).n - conn->offset;
		if (n < left) {
			conn->offset += (uint32_t)n;
			return;
		}
		n -= left;
		conn->cursor++;
		conn->offset = 0;
		hub->stats.deliveries++;
	}
}

/* Sends one gathering: true if the kernel took all of it. */
static bool walk_send(struct hub *hub, struct conn *conn, struct walk *walk)
{
	ssize_t n = sock_send(conn->fd, walk->pieces.list, walk->pieces.count);

	if (n < 0 && !conn_failed(hub, conn, (int)-n, CONN_WRITABLE))
		return false;
	if (n > 0) {
		uint64_t had = conn->offset;

		hub->stats.sent_bytes += (uint64_t)n;
		walk_advance(hub, conn, walk, (size_t)n);
		anchor_walked(hub, conn, had + (uint64_t)n);
		conn_touch(hub, conn);
	}
	if (n == (ssize_t)walk->pieces.bytes)
		return true;
	hub->stats.short_writes++;
	return false;
}

uint64_t stream_lag(const struct hub *hub, const struct conn *conn)
{
	uint64_t first = hub->ring.header->first;

	if (conn->flags & CONN_LIVE)
		return 0;
	/* What it has had of a record that is gone does not count any more. */
	if (conn->cursor < first)
		return ring_lag(&hub->ring, first);
	return ring_lag(&hub->ring, conn->cursor) - conn->offset;
}

bool stream_is_too_slow(struct hub *hub, struct conn *conn, enum stats_reason *reason)
{
	uint64_t max = hub->config.lag_bytes_max;

	*reason = REASON_LAGGED;
	if (conn->flags & CONN_LIVE)
		return false;
	if (conn->cursor < hub->ring.header->first)
		return true;
	if (max && stream_lag(hub, conn) > max)
		return !(conn->flags & CONN_REPLAYING);
	conn->flags &= (uint16_t)~CONN_REPLAYING;
	return false;
}

/* When to come back, and the end. */
static void say_farewell(struct hub *hub, enum topic_framing framing, struct buf *out)
{
	stream_retry(hub, framing, out);
	if (framing == TOPIC_CHUNKED)
		buf_add(out, STR("0\r\n\r\n"));
}

/* It has had everything, and its own end is near: the farewell goes out as a last response. */
static void say_goodbye(struct hub *hub, struct conn *conn)
{
	enum topic_framing framing = framing_of(hub, conn);
	struct exchange *exchange = conn_exchange(hub, conn);

	if (!exchange) {
		conn_doom(hub, conn, (enum stats_reason)conn->reason);
		return;
	}
	say_farewell(hub, framing, &exchange->out);
	exchange->keep_alive = false;
	conn_unsubscribe(hub, conn);
	conn->state = CONN_REPLY;
	conn_later(hub, conn, CONN_WRITABLE);
}

void stream_refuse(struct hub *hub, struct conn *conn, enum stats_reason reason)
{
	struct exchange *exchange = conn_exchange(hub, conn);
	enum topic_framing framing = exchange->is_http10 ? TOPIC_PLAIN : TOPIC_CHUNKED;

	conn->reason = (uint8_t)reason;
	exchange->keep_alive = false;
	reply_stream_head(hub, conn);
	say_farewell(hub, framing, &exchange->out);
}

void stream_end(struct hub *hub, struct conn *conn, enum stats_reason reason)
{
	if (conn->flags & (CONN_DOOMED | CONN_ENDING))
		return;
	if (conn->flags & CONN_LIVE)
		conn_fall_behind(hub, conn, hub->ring.header->flushed, 0, 0);
	conn->flags |= CONN_ENDING;
	conn->reason = (uint8_t)reason;
	conn_later(hub, conn, CONN_WRITABLE);
}

void stream_pump(struct hub *hub, struct conn *conn)
{
	enum stats_reason reason;
	struct walk walk;
	uint64_t cursor;

	if (conn->flags & (CONN_LIVE | CONN_DOOMED) || !own_send(hub, conn) ||
	    conn->flags & CONN_DOOMED)
		return;
	conn_release(hub, conn);
	anchor_begin(hub, conn);
	if (stream_is_too_slow(hub, conn, &reason)) {
		conn_doom(hub, conn, reason);
		return;
	}
	cursor = conn->cursor;
	walk_gather(hub, conn, &walk);
	if (conn->cursor != cursor)
		anchor_walked(hub, conn, conn->offset);
	if (walk.pieces.count > 0 && !walk_send(hub, conn, &walk))
		return;
	if (conn->cursor < hub->ring.header->flushed)
		conn_later(hub, conn, CONN_WRITABLE);
	else if (conn->flags & CONN_ENDING)
		say_goodbye(hub, conn);
	else
		conn_go_live(hub, conn);
}

void stream_say(struct hub *hub, struct conn *conn, struct str bytes)
{
	anchor_say(hub, conn, bytes.n);
	if (own_say(hub, conn, bytes) || conn->flags & CONN_DOOMED)
		return;
	anchor_said(hub, conn, !conn->exchange);
	/* Not all of it went out: it walks until it has. */
	if (conn->exchange)
		conn_fall_behind(hub, conn, hub->ring.header->flushed, 0, 0);
}

void stream_heartbeat(struct hub *hub, struct conn *conn)
{
	hub->stats.heartbeats++;
	stream_say(hub, conn, topic_heartbeat(framing_of(hub, conn)));
}
