/*
 * subscribe: from a request for a stream to a subscriber. See subscribe.h.
 */
#include "subscribe.h"

#include <errno.h>
#include <string.h>

#include "access.h"
#include "broadcast.h"
#include "clock.h"
#include "conn.h"
#include "httpvalue.h"
#include "longpoll.h"
#include "meter.h"
#include "names.h"
#include "presence.h"
#include "reply.h"
#include "stream.h"
#include "uri.h"
#include "uritemplate.h"

/* Instead of an id: everything that is retained. */
static const struct str EARLIEST = { "earliest", 8 };

/* Where a stream begins. */
struct start {
	uint64_t record;
	bool resumes;
	const char *gap; /* NULL, or why the promise of every later event cannot be kept */
	struct buf from; /* what the client named */
	bool is_id;      /* and it is an event, not a time */
};

/* Whether a topic of the daemon's own is for this client. */
static bool is_allowed(const struct hub *hub, const struct conn *conn, struct str topic)
{
	return conn->flags & CONN_CONTROL ||
	       (hub->config.public_stats && str_eq(topic, METER_TOPIC));
}

const char *subscribe_add(struct buf *selectors, const struct hub *hub, const struct conn *conn,
			  struct str raw, bool plus, size_t bytes_max)
{
	const char *wrong = NULL;
	struct str topic;
	struct buf text;
	int err;

	buf_init(&text, HTTP_URI_MAX);
	err = uri_decode(raw, plus, &text);
	if (err)
		wrong = err == -ENOMEM ? reply_no_memory : "The topic has a bad percent-encoding.";
	topic = buf_str(&text);
	if (!wrong)
		wrong = sse_check_topic(topic, bytes_max);
	if (!wrong && topic.p[0] == '$' && !is_allowed(hub, conn, topic))
		wrong = "Topics that begin with $ are for control listeners.";
	if (!wrong && uritemplate_is_costly(topic))
		wrong = "A template may have 10 expressions at the most.";
	if (!wrong && names_add(selectors, topic))
		wrong = reply_no_memory;
	buf_done(&text);
	return wrong;
}

/* Reads path and query: NULL, or what is wrong. */
static const char *topics_read(struct buf *topics, const struct hub *hub, const struct conn *conn,
			       const struct http_request *request, struct str path_topic)
{
	struct str query = request->query, name, value;
	const char *wrong = NULL;

	if (path_topic.p)
		wrong = subscribe_add(topics, hub, conn, path_topic, false, SSE_TOPIC_MAX);
	while (!wrong && uri_query_next(&query, &name, &value))
		if (uri_eq(name, true, STR("topic")))
			wrong = subscribe_add(topics, hub, conn, value, true, SSE_TOPIC_MAX);
	if (!wrong && topics->n == 0)
		wrong = names_add(topics, STR("broadcast")) ? reply_no_memory : NULL;
	if (!wrong && names_count(buf_str(topics)) > SUBSCRIBE_TOPICS_MAX)
		wrong = "A stream may have 64 topics at the most.";
	return wrong;
}

/* Everything retained after an id of the daemon's own shape. */
static void start_after(const struct hub *hub, struct start *start, struct eventid id)
{
	const struct ring_header *ring = hub->ring.header;

	start->record = ring_after(&hub->ring, id);
	if (eventid_cmp(id, ring->floor) < 0)
		start->gap = ring->evicted ? "evicted" : "restarted";
	else if (eventid_cmp(id, ring->last) > 0)
		start->gap = "unknown";
	if (start->gap)
		start->record = ring->first;
}

/* The client names the last event that it has. */
static void start_behind(const struct hub *hub, struct start *start, struct str text)
{
	struct eventid id;

	start->resumes = start->is_id = true;
	if (str_eq(text, EARLIEST)) {
		start->record = hub->ring.header->first;
	} else if (eventid_parse(text, &id)) {
		start_after(hub, start, id);
	} else if (ring_find_own_id(&hub->ring, text, &start->record)) {
		start->record++;
	} else {
		start->gap = "unknown";
		start->record = hub->ring.header->first;
	}
}

/* `?since=10m`: what was published in that time; `?since=ID`: what came after it. */
static void start_since(const struct hub *hub, struct start *start, struct str text)
{
	uint64_t now_ms = clock_real_ms(), span_ms;
	struct eventid id = { 0, 0 };

	if (value_parse_ms(text, &span_ms) || str_find(text, '-') < text.n) {
		start_behind(hub, start, text);
		return;
	}
	start->resumes = true;
	if (span_ms < now_ms)
		id.ms = now_ms - span_ms;
	start_after(hub, start, id);
	/* A time is not an event that the client has: one ahead of the last event is no surprise.
	 */
	if (start->gap && eventid_cmp(id, hub->ring.header->last) > 0) {
		start->gap = NULL;
		start->record = ring_after(&hub->ring, id);
	}
	if (start->gap) {
		char made[EVENTID_TEXT_MAX];

		buf_clear(&start->from);
		buf_add(&start->from, (struct str){ made, eventid_write(made, id) });
	}
}

/* Where the request wants the stream to begin: 0, or -EINVAL for a bad escape. */
static int start_read(const struct hub *hub, const struct http_request *request,
		      struct start *start)
{
	const struct str *header = http_header(request, STR("Last-Event-ID"));
	static const struct str names[] = { { "lastEventID", 11 },
					    { "Last-Event-ID", 13 },
					    { "last-event-id", 13 } };
	int got = 0;

	start->record = hub->ring.header->flushed;
	if (header && header->n) {
		buf_add(&start->from, *header);
		start_behind(hub, start, *header);
		return 0;
	}
	for (size_t i = 0; i < 3 && start->from.n == 0; i++) {
		got = uri_query_get(request->query, names[i], &start->from);
		if (got < 0)
			return got;
	}
	if (start->from.n) {
		start_behind(hub, start, buf_str(&start->from));
		return 0;
	}
	got = uri_query_get(request->query, STR("since"), &start->from);
	if (got < 0)
		return got;
	if (start->from.n)
		start_since(hub, start, buf_str(&start->from));
	return 0;
}

/* Appends an event of ours to the stream's first bytes, with the id that the client then stands at.
 */
static void say_event(struct buf *out, enum topic_framing framing, struct eventid id,
		      struct str type, struct str data)
{
	struct str topic = STR("broadcast");
	struct event event = { .topics = &topic,
			       .topic_count = 1,
			       .type = type,
			       .data = data,
			       .retry_ms = SSE_NO_RETRY };
	char text[EVENTID_TEXT_MAX];
	struct str id_text = { text, eventid_write(text, id) };
	size_t head, len;

	if (buf_reserve(out, sse_frame_bound(&event, id_text.n)))
		return;
	len = sse_write_frame(out->p + out->n, &event, id_text, &head);
	if (framing == TOPIC_PLAIN) {
		len -= head + RECORD_CHUNK_END;
		memmove(out->p + out->n, out->p + out->n + head, len);
	}
	out->n += len;
}

static void say_gap(struct hub *hub, struct buf *out, enum topic_framing framing,
		    const struct start *start)
{
	struct buf data;

	buf_init(&data, 1 << 16);
	stream_gap(hub, buf_str(&start->from), start->gap, &data);
	if (!out->err)
		out->err = data.err;
	say_event(out, framing, hub->ring.header->floor, STR("gap"), buf_str(&data));
	buf_done(&data);
	hub->stats.gaps++;
}

/* What a stream begins with: when to come back, where it stands, and a welcome or a gap. */
static void say_hello(struct hub *hub, struct buf *out, enum topic_framing framing,
		      const struct start *start, bool is_mercure)
{
	struct eventid here = ring_flushed_id(&hub->ring);
	bool has_welcome = hub->config.welcome[0] && !is_mercure;
	char id[EVENTID_TEXT_MAX];
	struct buf text;

	buf_init(&text, 256);
	/* A client that sees comments learns what silence means. */
	buf_addf(&text, ": heartbeat %llu\nretry: %llu\n",
		 (unsigned long long)hub->config.heartbeat_ms,
		 (unsigned long long)hub->config.retry_ms);
	/* An id without data is no event, but the client comes back to this place. */
	if (!start->resumes && !has_welcome)
		buf_addf(&text, "id: %.*s\n", (int)eventid_write(id, here), id);
	buf_add_char(&text, '\n');
	stream_frame(framing, &text, out);
	buf_done(&text);
	if (start->gap)
		say_gap(hub, out, framing, start);
	else if (!start->resumes && has_welcome)
		say_event(out, framing, here, STR(""), str_of(hub->config.welcome));
}

static void refuse_poll(struct hub *hub, struct conn *conn, int err)
{
	if (err == -ENOSPC)
		reply_text(hub, conn, 503,
			   "There are as many topics as --max-topics allows; try again later.");
	else
		reply_text(hub, conn, 503, "There is no memory for another client.");
}

/* Tells a client of the Mercure protocol from which event on it really gets everything. */
static void name_start(struct exchange *exchange, const struct start *start)
{
	struct str from = buf_str(&start->from);

	if (!start->is_id)
		return;
	if (start->gap)
		from = EARLIEST;
	if (http_is_value(from))
		buf_addf(&exchange->cors, "Last-Event-ID: %.*s\r\n", STR_ARG(from));
}

/*
 * Before somebody joins at that record: what was published in this turn is noted for the audiences
 * that were there, and a new one would not get it. And who has such an event already is ahead of
 * all others.
 */
static void flush_before(struct hub *hub, uint32_t audience, uint64_t start)
{
	if (start > hub->ring.header->flushed ||
	    topics_audience(&hub->topics, audience)->members == 1)
		broadcast_flush(hub);
}

static void open_stream(struct hub *hub, struct conn *conn, const struct wish *wish,
			const struct start *start)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	enum topic_framing framing = exchange->is_http10 ? TOPIC_PLAIN : TOPIC_CHUNKED;
	struct audience_terms terms = { wish->selectors, buf_str(&wish->grant->subscribe),
					framing };
	uint64_t record = start->record;
	uint32_t audience;
	int err = 0;

	if (wish->is_mercure)
		name_start(exchange, start);
	if (exchange->is_head) {
		exchange->keep_alive = exchange->keep_alive && !exchange->is_http10;
		reply_stream_head(hub, conn);
		return;
	}
	if (wish->is_mercure && hub->config.mercure_subscriptions) {
		/* Before it is there, so that it does not see its own. */
		err = presence_enter(hub, conn, wish->selectors, buf_str(&wish->grant->payload));
		if (!start->resumes)
			record = hub->ring.header->next;
	}
	if (!err)
		err = topics_join(&hub->topics, &terms, hub->config.topics_max, &audience);
	if (err) {
		presences_leave(&hub->presences, &conn->presence);
		stream_refuse(hub, conn, err == -ENOSPC ? REASON_OVER_LIMIT : REASON_NO_MEMORY);
		return;
	}
	reply_stream_head(hub, conn);
	say_hello(hub, &exchange->out, framing, start, wish->is_mercure);
	flush_before(hub, audience, record);
	conn_subscribe(hub, conn, audience, record);
	conn->expires_s = grant_expiry(wish->grant);
	if (exchange->out.err)
		conn_doom(hub, conn, REASON_NO_MEMORY);
	else if (hub->draining)
		stream_end(hub, conn, REASON_DRAIN);
}

/* One answer instead of a stream. */
static void open_poll(struct hub *hub, struct conn *conn, const struct http_request *request,
		      const struct wish *wish, const struct start *start)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	struct audience_terms terms = { wish->selectors, buf_str(&wish->grant->subscribe),
					TOPIC_POLL };
	uint32_t audience;
	int err;

	exchange->route = ROUTE_POLL;
	if (exchange->is_head) {
		reply_body(hub, conn, 200, STR("application/json"), STR(""));
		return;
	}
	/* A body has no meaning here, and what follows it is not looked for. */
	if (request->framing == HTTP_CHUNKED || request->content_length > 0)
		exchange->keep_alive = false;
	err = topics_join(&hub->topics, &terms, hub->config.topics_max, &audience);
	conn->expires_s = grant_expiry(wish->grant);
	if (err) {
		refuse_poll(hub, conn, err);
		return;
	}
	flush_before(hub, audience, start->record);
	longpoll_open(hub, conn, audience, start->record, buf_str(&start->from), start->gap);
}

bool subscribe_is_poll(const struct http_request *request)
{
	struct str query = request->query, name, value;

	while (uri_query_next(&query, &name, &value))
		if (uri_eq(name, true, STR("poll")))
			return true;
	return false;
}

void subscribe_stream(struct hub *hub, struct conn *conn, const struct http_request *request,
		      const struct wish *wish)
{
	struct start start = { .record = 0 };
	int err;

	buf_init(&start.from, HTTP_HEAD_MAX);
	err = start_read(hub, request, &start);
	if (err == -ENOMEM || start.from.err)
		reply_wrong(hub, conn, 503, reply_no_memory);
	else if (err)
		reply_wrong(hub, conn, 400, "The query has a bad percent-encoding.");
	else if (!wish->is_mercure && subscribe_is_poll(request))
		open_poll(hub, conn, request, wish, &start);
	else
		open_stream(hub, conn, wish, &start);
	buf_done(&start.from);
}

/* What the client may see; refuses it where it needs a token and has none that is right. */
static bool read_grant(struct hub *hub, struct conn *conn, const struct http_request *request,
		       struct grant *grant)
{
	bool is_control = conn->flags & CONN_CONTROL, has_token = false;
	const char *wrong = NULL;

	grant_init(grant);
	/* Without a key, what looks like a token may be somebody else's business. */
	if (hub->secrets.subscriber_key.n || is_control)
		wrong = access_read(hub, conn, request, ACCESS_SUBSCRIBE, grant, &has_token);
	if (!wrong && !has_token && hub->config.require_token)
		wrong = "Subscribing here needs a token.";
	if (wrong)
		reply_text(hub, conn, 401, "%s", wrong);
	return !wrong;
}

void subscribe_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		    struct str topic)
{
	struct grant grant;
	struct buf topics;
	const char *wrong;

	buf_init(&topics, 2 * HTTP_URI_MAX);
	if (read_grant(hub, conn, request, &grant)) {
		struct wish wish = { .grant = &grant };

		wrong = topics_read(&topics, hub, conn, request, topic);
		wish.selectors = buf_str(&topics);
		if (wrong)
			reply_wrong(hub, conn, 400, wrong);
		else
			subscribe_stream(hub, conn, request, &wish);
	}
	grant_done(&grant);
	buf_done(&topics);
}
