/*
 * anchor: see anchor.h.
 */
#include "anchor.h"

#include "sock.h"

enum { TERMS_MAX = 1 << 20 /* bytes of an audience's terms, packed */ };

/* The mark of a stream that is traced, or NULL. */
static struct mark *mark_of(const struct hub *hub, const struct conn *conn)
{
	if (!hub->trace.header || !(conn->flags & CONN_PARKED))
		return NULL;
	return trace_mark(&hub->trace, conns_slot(&hub->conns, conn));
}

static uint64_t number_of(const struct hub *hub, const struct conn *conn)
{
	return (uint64_t)conn->generation << 32 | conns_slot(&hub->conns, conn);
}

int anchor_find(void *context, uint64_t number)
{
	const struct hub *hub = context;
	uint32_t slot = (uint32_t)number;
	const struct conn *conn;

	if (slot == 0 || slot >= hub->conns.high)
		return -1;
	conn = &hub->conns.table[slot];
	if (conn->state == CONN_FREE || !(conn->flags & CONN_PARKED) ||
	    number_of(hub, conn) != number)
		return -1;
	return conn->fd;
}

/* The tally of the conn's audience, made now if it has none. 0 where there is no room. */
static uint32_t tally_of(struct hub *hub, const struct conn *conn)
{
	struct audience *audience = topics_audience(&hub->topics, conn->audience);
	struct tally_count now = { 0, hub->ring.header->flushed };
	struct buf terms;

	if (audience->tally)
		return audience->tally;
	buf_init(&terms, TERMS_MAX);
	topics_pack(&hub->topics, conn->audience, &terms);
	if (!terms.err)
		audience->tally = trace_define(&hub->trace, buf_str(&terms));
	if (audience->tally)
		trace_set_count(&hub->trace, audience->tally, now);
	buf_done(&terms);
	return audience->tally;
}

/* Parks the socket and makes its mark. */
static void park(struct hub *hub, struct conn *conn)
{
	uint32_t slot = conns_slot(&hub->conns, conn), tally;
	uint64_t cookie = sock_cookie(conn->fd);
	struct mark *mark;

	conn->flags |= CONN_PARK_TRIED;
	if (!conn->peer || !cookie || slot >= hub->trace.header->slots)
		return;
	tally = tally_of(hub, conn);
	if (!tally || !park_add(&hub->park, conn->fd, number_of(hub, conn)))
		return;
	conn->flags |= CONN_PARKED;
	mark = trace_mark(&hub->trace, slot);
	mark->cookie = 0;
	trace_set(mark, 0, TRACE_UNKNOWN);
	mark->tally = tally;
	mark->expires_s = conn->expires_s;
	mark->flags = conn->flags & (CONN_CONTROL | CONN_TRUSTED);
	mark->saying = 0;
	trace_publish(mark, cookie);
}

void anchor_begin(struct hub *hub, struct conn *conn)
{
	uint64_t written;
	struct mark *mark;

	if (!hub->trace.header || conn->state != CONN_STREAM)
		return;
	if (!(conn->flags & CONN_PARK_TRIED))
		park(hub, conn);
	mark = mark_of(hub, conn);
	if (mark && trace_position(mark).record == TRACE_UNKNOWN &&
	    !sock_written(conn->fd, &written))
		trace_set(mark, written - conn->offset, conn->cursor);
}

void anchor_walked(struct hub *hub, struct conn *conn, uint64_t bytes)
{
	struct mark *mark = mark_of(hub, conn);
	struct trace_position was;

	if (!mark)
		return;
	was = trace_position(mark);
	if (was.record != TRACE_UNKNOWN)
		trace_set(mark, was.base + bytes - conn->offset, conn->cursor);
}

void anchor_live(struct hub *hub, struct conn *conn)
{
	const struct audience *audience = topics_audience(&hub->topics, conn->audience);
	struct mark *mark = mark_of(hub, conn);
	struct tally_count count;

	if (!mark || trace_position(mark).record == TRACE_UNKNOWN)
		return;
	count = trace_count(&hub->trace, mark->tally);
	/* While nobody was live, nothing was counted: the count stands where the ring does now. */
	if (audience->live_count == 1) {
		count.record = hub->ring.header->flushed;
		trace_set_count(&hub->trace, mark->tally, count);
	}
	trace_set(mark, trace_position(mark).base - count.bytes, TRACE_LIVE);
}

void anchor_behind(struct hub *hub, struct conn *conn, uint64_t record, uint64_t bytes)
{
	struct mark *mark = mark_of(hub, conn);

	if (mark && trace_position(mark).record == TRACE_LIVE)
		trace_set(mark,
			  trace_position(mark).base + trace_count(&hub->trace, mark->tally).bytes +
				  bytes,
			  record);
}

void anchor_say(struct hub *hub, struct conn *conn, size_t len)
{
	struct mark *mark = mark_of(hub, conn);

	if (mark)
		mark->saying = (uint32_t)len;
}

void anchor_said(struct hub *hub, struct conn *conn, bool all)
{
	struct mark *mark = mark_of(hub, conn);

	if (!mark)
		return;
	if (!all)
		trace_set(mark, 0, TRACE_UNKNOWN);
	else if (trace_position(mark).record == TRACE_LIVE)
		trace_set(mark, trace_position(mark).base + mark->saying, TRACE_LIVE);
	mark->saying = 0;
}

void anchor_count(struct hub *hub, const struct audience *audience, uint64_t bytes, uint64_t record)
{
	struct tally_count count;

	if (!audience->tally)
		return;
	count = trace_count(&hub->trace, audience->tally);
	trace_set_count(&hub->trace, audience->tally,
			(struct tally_count){ count.bytes + bytes, record });
}

void anchor_forget(struct hub *hub, struct conn *conn)
{
	struct audience *audience = topics_audience(&hub->topics, conn->audience);
	struct mark *mark = mark_of(hub, conn);

	if (mark)
		mark->cookie = 0;
	if (audience->tally && audience->members == 1) {
		trace_undefine(&hub->trace, audience->tally);
		audience->tally = 0;
	}
}

/* Where a stream stands by its mark: the socket's position at which a record begins. */
static bool begin_of(const struct hub *hub, const struct mark *mark, struct trace_position *begin)
{
	uint64_t first = hub->ring.header->first;

	*begin = trace_position(mark);
	if (begin->record == TRACE_UNKNOWN)
		return false;
	if (begin->record == TRACE_LIVE) {
		struct tally_count count = trace_count(&hub->trace, mark->tally);

		/* Of what has been evicted since, nothing was for this audience. */
		begin->base += count.bytes;
		begin->record = count.record > first ? count.record : first;
	}
	return begin->record >= first && begin->record <= hub->ring.header->flushed;
}

bool anchor_locate(const struct hub *hub, const struct mark *mark, const struct audience *audience,
		   uint64_t written, uint64_t *record, uint32_t *offset, size_t *heartbeat_left)
{
	size_t heartbeat = topic_heartbeat((enum topic_framing)audience->framing).n;
	struct trace_position begin;
	uint64_t left;

	if (!begin_of(hub, mark, &begin))
		return false;
	left = written - begin.base;
	*offset = 0;
	*heartbeat_left = 0;
	for (*record = begin.record; *record < hub->ring.header->flushed; ++*record) {
		const struct record *at = ring_record(&hub->ring, *record);
		size_t len = topics_bytes(&hub->topics, audience, at).n;

		if (!topics_wanted(&hub->topics, audience, at))
			continue;
		if (left < len) {
			*offset = (uint32_t)left;
			return true;
		}
		left -= len;
	}
	/* All of what was being said, or nothing of it; or a part, which only a heartbeat may be.
	 */
	if (left == 0 || left == mark->saying)
		return true;
	if (mark->saying != heartbeat || left > heartbeat)
		return false;
	*heartbeat_left = heartbeat - (size_t)left;
	return true;
}
