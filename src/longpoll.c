/*
 * longpoll: events as JSON, for clients that ask again and again. See longpoll.h.
 */
#include "longpoll.h"

#include "conn.h"
#include "own.h"
#include "reply.h"
#include "stream.h"

enum {
	LOOKS_MAX = 4096,         /* comparisons of names for one poller in one turn */
	BODY_ENOUGH = 256 * 1024, /* an answer of so many bytes waits for no further event */
	EVENTS_MAX = 768 * 1024,  /* bytes of its events at the most */
	ANSWERS_OF_MEMORY = 4,    /* that --max-request-memory should hold at the least */
};

/* An answer in the making. */
struct answer {
	struct buf events; /* the inside of its array */
	struct buf data;   /* of the event at hand */
	struct buf gap;    /* an object, or nothing */
	uint64_t count;    /* events */
	struct eventid last;
};

static size_t bytes_max(const struct hub *hub, size_t bytes)
{
	uint64_t share = hub->config.requests_bytes_max / ANSWERS_OF_MEMORY;

	return bytes < share ? bytes : (size_t)share;
}

/* The id of the last record before n; the floor where that is gone. */
static struct eventid id_before(const struct hub *hub, uint64_t n)
{
	const struct ring_header *ring = hub->ring.header;

	return n > ring->first ? ring_record(&hub->ring, n - 1)->id : ring->floor;
}

static void answer_init(const struct hub *hub, struct answer *answer, uint64_t start)
{
	*answer = (struct answer){ .last = id_before(hub, start) };
	buf_init(&answer->events, bytes_max(hub, EVENTS_MAX));
	buf_init(&answer->data, ring_frame_max(&hub->ring));
	buf_init(&answer->gap, HTTP_HEAD_MAX * 8);
}

static void answer_done(struct answer *answer)
{
	buf_done(&answer->events);
	buf_done(&answer->data);
	buf_done(&answer->gap);
}

static void answer_gap(struct hub *hub, struct answer *answer, struct str from, const char *reason)
{
	stream_gap(hub, from, reason, &answer->gap);
	hub->stats.gaps++;
}

/* Appends an event: false, and nothing appended, if there is no room for it. */
static bool answer_event(struct answer *answer, struct str id, const struct event *event)
{
	struct buf *out = &answer->events;
	size_t before = out->n;

	buf_add(out, answer->count ? STR(",{\"id\":\"") : STR("{\"id\":\""));
	buf_add_json(out, id);
	buf_add(out, STR("\",\"event\":\""));
	buf_add_json(out, event->type.n ? event->type : STR("message"));
	buf_add(out, STR("\",\"data\":\""));
	buf_add_json(out, event->data);
	buf_add(out, STR("\",\"topic\":\""));
	buf_add_json(out, event->topics[0]);
	buf_add(out, STR("\"}"));
	if (!out->err) {
		answer->count++;
		return true;
	}
	out->n = before;
	out->err = 0;
	return false;
}

/* Appends record n: false when the answer is to be sent before more is looked at. */
static bool answer_record(struct hub *hub, struct answer *answer, uint64_t n)
{
	const struct record *record = ring_record(&hub->ring, n);
	struct str topic = { NULL, 0 };
	struct event event = { .topics = &topic, .topic_count = 1 };
	struct sse_parsed parsed;
	uint32_t at = 0;
	bool fits;

	ring_next_topic(&hub->ring, record, &at, &topic);
	buf_clear(&answer->data);
	fits = sse_read_frame(ring_event(&hub->ring, record), &parsed, &answer->data) == 0;
	event.type = parsed.type;
	event.data = buf_str(&answer->data);
	fits = fits && answer_event(answer, parsed.id, &event);
	if (!fits && answer->count > 0)
		return false;
	answer->last = record->id;
	/* Not even alone: then it is left out, but not in silence. */
	if (!fits)
		answer_gap(hub, answer, parsed.id, "too_large");
	return fits && answer->events.n < bytes_max(hub, BODY_ENOUGH);
}

/* Appends the whole answer to body; returns body->err. */
static int answer_body(const struct answer *answer, struct buf *body)
{
	char id[EVENTID_TEXT_MAX];

	buf_addf(body, "{\"last_id\":\"%.*s\",\"events\":[", (int)eventid_write(id, answer->last),
		 id);
	buf_add(body, buf_str(&answer->events));
	buf_add(body, STR("],\"gap\":"));
	buf_add(body, answer->gap.n ? buf_str(&answer->gap) : STR("null"));
	return buf_add(body, STR("}\n"));
}

/* The poller leaves its audience, and its response goes out in the next turn. */
static void poller_answer(struct hub *hub, struct conn *conn, struct str body, uint64_t count)
{
	struct exchanges *exchanges = &hub->conns.exchanges;
	struct exchange *exchange = exchange_at(exchanges, conn->exchange);

	conn_unsubscribe(hub, conn);
	conn->state = CONN_REPLY;
	exchange->keep_alive &= !hub->draining;
	if (body.n == 0 || exchanges->bytes + body.n > conn_memory_max(hub, conn)) {
		reply_text(hub, conn, 503, "There is no memory for the answer; try again later.");
	} else {
		reply_body(hub, conn, 200, STR("application/json"), body);
		hub->stats.deliveries += count;
	}
	exchange_count(exchanges, exchange);
	if (exchange->out.err)
		conn_doom(hub, conn, REASON_NO_MEMORY);
	else
		conn_later(hub, conn, CONN_WRITABLE);
}

/* The body of an answer; empty when there was no memory for it. The caller's to free. */
static struct buf answer_whole(const struct answer *answer)
{
	struct buf body;

	buf_init(&body, (size_t)EVENTS_MAX + HTTP_HEAD_MAX * 9);
	if (answer_body(answer, &body))
		buf_done(&body);
	return body;
}

static void answer_one(struct hub *hub, const struct answer *answer, struct conn *conn)
{
	struct buf body = answer_whole(answer);

	poller_answer(hub, conn, buf_str(&body), answer->count);
	buf_done(&body);
}

/* All who wait in the audience. The last one who leaves frees it: nobody is live in it then. */
static void reply_all(struct hub *hub, struct audience *audience, struct str body, uint64_t count)
{
	while (audience->live_count > 0)
		poller_answer(hub, conns_at(&hub->conns, audience->live[0].slot), body, count);
}

static void answer_all(struct hub *hub, const struct answer *answer, struct audience *audience)
{
	struct buf body = answer_whole(answer);

	reply_all(hub, audience, buf_str(&body), answer->count);
	buf_done(&body);
}

/* Whether an answer with that record could be kept for the first who waits. */
static bool has_memory_for(struct hub *hub, const struct audience *audience, uint64_t record)
{
	const struct conn *conn = conns_at(&hub->conns, audience->live[0].slot);

	return hub->conns.exchanges.bytes + ring_record(&hub->ring, record)->len <=
	       conn_memory_max(hub, conn);
}

/* Where a poller stands, as the beginning of its answer: also that the ring has left it behind. */
static void poller_begin(struct hub *hub, struct conn *conn, struct answer *answer)
{
	const struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	const struct ring_header *ring = hub->ring.header;
	bool is_behind;

	if (conn->flags & CONN_LIVE)
		conn->cursor = ring->flushed;
	is_behind = conn->cursor < ring->first;
	if (is_behind)
		conn->cursor = ring->first;
	answer_init(hub, answer, conn->cursor);
	if (is_behind)
		answer_gap(hub, answer, buf_str(&exchange->last_id), "evicted");
}

/* One turn's look at the ring. A gap is said at once, events as soon as there are some. */
static void look(struct hub *hub, struct conn *conn, struct answer *answer)
{
	const struct audience *audience = topics_audience(&hub->topics, conn->audience);
	uint64_t flushed = hub->ring.header->flushed, n = conn->cursor, looks = 0;
	bool wants_more = true;

	while (n < flushed && looks < LOOKS_MAX && wants_more) {
		const struct record *record = ring_record(&hub->ring, n);

		looks += (uint64_t)audience->look_cost * record->topic_count;
		if (topics_wanted(&hub->topics, audience, record))
			wants_more = answer_record(hub, answer, n);
		else
			answer->last = record->id;
		n++;
	}
	conn->cursor = n;
	if (answer->count || answer->gap.n)
		answer_one(hub, answer, conn);
	else if (n < flushed)
		conn_later(hub, conn, CONN_WRITABLE);
	else
		conn_go_live(hub, conn);
}

void longpoll_open(struct hub *hub, struct conn *conn, uint32_t audience, uint64_t start,
		   struct str from, const char *gap)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	struct answer answer;

	buf_add(&exchange->last_id, from);
	conn_subscribe(hub, conn, audience, start);
	conn->state = CONN_POLL;
	own_send(hub, conn);
	if (conn->flags & CONN_DOOMED)
		return;
	poller_begin(hub, conn, &answer);
	if (gap)
		answer_gap(hub, &answer, from, gap);
	if (hub->draining)
		answer_one(hub, &answer, conn);
	else
		look(hub, conn, &answer);
	answer_done(&answer);
}

void longpoll_walk(struct hub *hub, struct conn *conn)
{
	struct answer answer;

	/* Answers to earlier requests do not wait with it. */
	own_send(hub, conn);
	if (conn->flags & (CONN_LIVE | CONN_DOOMED))
		return;
	poller_begin(hub, conn, &answer);
	look(hub, conn, &answer);
	answer_done(&answer);
}

void longpoll_end(struct hub *hub, struct conn *conn)
{
	struct answer answer;

	if (conn->flags & CONN_DOOMED)
		return;
	poller_begin(hub, conn, &answer);
	answer_one(hub, &answer, conn);
	answer_done(&answer);
}

void longpoll_flush(struct hub *hub, struct audience *audience, uint32_t pending)
{
	struct answer answer;
	bool wants_more = true;

	if (audience->live_count == 0)
		return;
	/* Very many audiences, each with an answer of its own that nobody would get, take time. */
	if (!has_memory_for(hub, audience, hub->topics.pending[pending].record)) {
		reply_all(hub, audience, (struct str){ NULL, 0 }, 0);
		return;
	}
	answer_init(hub, &answer, hub->ring.header->first);
	while (pending && wants_more) {
		wants_more = answer_record(hub, &answer, hub->topics.pending[pending].record);
		pending = hub->topics.pending[pending].next;
	}
	answer_all(hub, &answer, audience);
	answer_done(&answer);
}

void longpoll_say(struct hub *hub, struct audience *audience, const struct event *event)
{
	struct answer answer;

	answer_init(hub, &answer, hub->ring.header->flushed);
	if (answer_event(&answer, STR(""), event))
		answer_all(hub, &answer, audience);
	answer_done(&answer);
}
