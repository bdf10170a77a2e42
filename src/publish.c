/*
 * publish: from a request body to events. See publish.h.
 */
#include "publish.h"

#include <errno.h>

#include "broadcast.h"
#include "reply.h"
#include "uri.h"

static struct exchange *exchange_of(struct hub *hub, struct conn *conn)
{
	return exchange_at(&hub->conns.exchanges, conn->exchange);
}

/* Whether the request may publish; refuses it otherwise (RFC 6750 section 2.1). */
static bool is_allowed(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	const struct str *credentials = http_header(request, STR("Authorization"));
	struct str rest = credentials ? *credentials : STR(""), scheme;
	struct str token = buf_str(&hub->secrets.publish_token);

	if (conn->flags & CONN_CONTROL)
		return true;
	if (token.n == 0) {
		reply_text(hub, conn, 403,
			   "Publishing here is not set up: start the daemon with "
			   "--publish-token-file, or publish on a control listener.");
		return false;
	}
	if (str_cut(&rest, ' ', &scheme) && str_eq_nocase(scheme, STR("Bearer")) &&
	    str_eq_secret(str_trim(rest), token))
		return true;
	reply_text(hub, conn, 401, "Publishing here needs the right bearer token.");
	return false;
}

/* Appends a decoded topic: NULL, or what is wrong with it. */
static const char *form_topic(struct publish_form *form, struct str raw, bool plus)
{
	size_t begin = form->topics.n;

	if (form->topic_count == SSE_TOPICS_MAX)
		return "An event may have 1000 topics at the most.";
	if (uri_decode(raw, plus, &form->topics))
		return "The topic has a bad percent-encoding.";
	/* They are cut at their NULs later. */
	if (str_find(str_from(buf_str(&form->topics), begin), '\0') < form->topics.n - begin)
		return "A topic must not have control characters.";
	buf_add_char(&form->topics, '\0');
	form->topic_count++;
	return form->topics.err ? "The topics are too long." : NULL;
}

static const char *form_retry(struct publish_form *form, struct str query)
{
	struct buf text;
	int got;

	buf_init(&text, 32);
	form->retry_ms = SSE_NO_RETRY;
	got = uri_query_get(query, STR("retry"), &text);
	if (got == 1)
		got = str_to_u64(buf_str(&text), UINT32_MAX, &form->retry_ms);
	buf_done(&text);
	return got < 0 ? "retry must be a number of milliseconds." : NULL;
}

/* Reads the target: NULL, or what is wrong. */
static const char *form_read(struct publish_form *form, const struct http_request *request,
			     struct str path_topic)
{
	struct str query = request->query, name, value;
	const char *wrong = NULL;

	if (path_topic.p)
		wrong = form_topic(form, path_topic, false);
	while (!wrong && uri_query_next(&query, &name, &value))
		if (uri_eq(name, true, STR("topic")))
			wrong = form_topic(form, value, true);
	if (!wrong && form->topic_count == 0)
		wrong = form_topic(form, STR("broadcast"), false);
	if (!wrong && uri_query_get(request->query, STR("event"), &form->type) < 0)
		wrong = "The event type is too long or has a bad percent-encoding.";
	if (!wrong && uri_query_get(request->query, STR("id"), &form->id) < 0)
		wrong = "The id is too long or has a bad percent-encoding.";
	return wrong ? wrong : form_retry(form, request->query);
}

/* The daemon's own topics are not for publishers. Returns NULL or a sentence. */
static const char *check_topics(struct hub *hub, const struct event *event)
{
	for (size_t i = 0; i < event->topic_count; i++) {
		if (event->topics[i].n == 0 || event->topics[i].p[0] != '$')
			continue;
		hub->stats.events_refused++;
		return "Topics that begin with $ are the daemon's own.";
	}
	return NULL;
}

/* Publishes the form's event with that data, or only asks whether it could be. */
static const char *form_publish(struct hub *hub, const struct publish_form *form, struct str data,
				bool only_check, struct broadcast_receipt *receipt, int *status)
{
	struct str topics[SSE_TOPICS_MAX], rest = buf_str(&form->topics);
	struct event event = { .topics = topics,
			       .topic_count = form->topic_count,
			       .data = data,
			       .type = buf_str(&form->type),
			       .id = buf_str(&form->id),
			       .retry_ms = form->retry_ms };
	const char *wrong;

	for (size_t i = 0; i < form->topic_count; i++)
		str_cut(&rest, '\0', &topics[i]);
	*status = 400;
	wrong = check_topics(hub, &event);
	if (!wrong)
		wrong = only_check ? sse_check(&event)
				   : broadcast_event(hub, &event, receipt, status);
	return wrong;
}

static const char *feed_publish(void *context, const struct event *event);

/* The hub and the conn of a feed: what its callback needs. */
struct feed_context {
	struct hub *hub;
	struct conn *conn;
};

static void feed_open(struct hub *hub, struct conn *conn, enum feed_format format)
{
	struct exchange *exchange = exchange_of(hub, conn);

	/* The topic for events that name none: the first of the form, which ends in NUL. */
	feed_init(&exchange->feed, format, str_of(exchange->form.topics.p),
		  hub->config.body_bytes_max, feed_publish, NULL);
	exchange->sink = SINK_FEED;
}

void publish_feed_resume(struct exchange *exchange)
{
	exchange->feed.take = feed_publish;
}

static struct str media_type(const struct http_request *request)
{
	const struct str *field = http_header(request, STR("Content-Type"));
	struct str rest = field ? *field : STR(""), type;

	return str_cut(&rest, ';', &type) ? str_trim(type) : STR("");
}

void publish_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		  struct str topic)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct str type = media_type(request);
	struct broadcast_receipt receipt;
	const char *wrong;
	int status;

	if (!is_allowed(hub, conn, request))
		return;
	wrong = form_read(&exchange->form, request, topic);
	if (!wrong)
		wrong = form_publish(hub, &exchange->form, STR(""), true, &receipt, &status);
	if (wrong) {
		hub->stats.events_refused++;
		reply_text(hub, conn, 400, "%s", wrong);
	} else if (str_eq_nocase(type, STR("application/x-ndjson"))) {
		feed_open(hub, conn, FEED_NDJSON);
	} else if (str_eq_nocase(type, STR("text/event-stream"))) {
		feed_open(hub, conn, FEED_SSE);
	} else {
		exchange->sink = SINK_EVENT;
		buf_done(&exchange->content);
		buf_init(&exchange->content, hub->config.body_bytes_max);
	}
}

void publish_too_large(struct hub *hub, struct conn *conn)
{
	hub->stats.events_refused++;
	reply_refuse(hub, conn, 413, "The body is larger than --max-body allows.");
}

void publish_event_data(struct hub *hub, struct conn *conn, struct str data, uint64_t announced)
{
	struct exchange *exchange = exchange_of(hub, conn);
	int err = buf_add(&exchange->content, data);

	if (err == -ENOBUFS || announced > exchange->content.max - exchange->content.n)
		publish_too_large(hub, conn);
	else if (err)
		reply_refuse(hub, conn, 503, "There is no memory for the body.");
}

void publish_event_end(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct broadcast_receipt receipt;
	const char *wrong;
	struct buf answer;
	int status;

	wrong = form_publish(hub, &exchange->form, buf_str(&exchange->content), false, &receipt,
			     &status);
	if (wrong) {
		reply_text(hub, conn, status, "%s", wrong);
		return;
	}
	buf_init(&answer, 4 * SSE_ID_MAX * 2 + 256);
	buf_add(&answer, STR("{\"id\":\""));
	buf_add_json(&answer, ring_id_text(&hub->ring, ring_record(&hub->ring, receipt.record)));
	buf_addf(&answer, "\",\"subscribers\":%llu}\n", (unsigned long long)receipt.subscribers);
	reply_body(hub, conn, 200, STR("application/json"), buf_str(&answer));
	buf_done(&answer);
}

/* One event of a flow. */
static const char *feed_publish(void *context, const struct event *event)
{
	const struct feed_context *feed = context;
	struct exchange *exchange = exchange_of(feed->hub, feed->conn);
	struct broadcast_receipt receipt;
	const char *wrong = check_topics(feed->hub, event);

	exchange->refused = 400;
	if (!wrong)
		wrong = broadcast_event(feed->hub, event, &receipt, &exchange->refused);
	if (wrong)
		return wrong;
	exchange->refused = 0;
	exchange->accepted++;
	buf_clear(&exchange->last_id);
	buf_add(&exchange->last_id,
		ring_id_text(&feed->hub->ring, ring_record(&feed->hub->ring, receipt.record)));
	return NULL;
}

/* `"accepted":N,"last_id":"…"}`, behind what has been said already. */
static void feed_answer(struct hub *hub, struct conn *conn, int status, struct buf *answer)
{
	struct exchange *exchange = exchange_of(hub, conn);

	buf_addf(answer, "\"accepted\":%llu,\"last_id\":", (unsigned long long)exchange->accepted);
	if (exchange->accepted) {
		buf_add_char(answer, '"');
		buf_add_json(answer, buf_str(&exchange->last_id));
		buf_add(answer, STR("\"}\n"));
	} else {
		buf_add(answer, STR("null}\n"));
	}
	reply_body(hub, conn, status, STR("application/json"), buf_str(answer));
}

/* The feed has stopped: says at which line and why; the rest of the body is not read. */
static void feed_refuse(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_of(hub, conn);
	const struct feed *feed = &exchange->feed;
	struct buf answer;

	buf_init(&answer, 1 << 16);
	buf_add(&answer, STR("{\"error\":\""));
	buf_add_json(&answer, str_of(feed->error));
	buf_addf(&answer, "\",\"line\":%llu,", (unsigned long long)feed->error_line);
	exchange->keep_alive = false;
	if (!exchange->refused)
		exchange->refused = feed->err == -ENOMEM ? 503 : 400;
	feed_answer(hub, conn, exchange->refused, &answer);
	buf_done(&answer);
}

void publish_feed_stop(struct hub *hub, struct conn *conn)
{
	struct buf answer;

	buf_init(&answer, 1 << 16);
	buf_add(&answer, STR("{\"error\":\"The daemon is ending.\","));
	exchange_of(hub, conn)->keep_alive = false;
	feed_answer(hub, conn, 503, &answer);
	buf_done(&answer);
}

void publish_feed_data(struct hub *hub, struct conn *conn, struct str data)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct feed_context context = { hub, conn };
	int err;

	exchange->feed.context = &context;
	err = feed_push(&exchange->feed, data);
	exchange->feed.context = NULL;
	if (err)
		feed_refuse(hub, conn);
}

void publish_feed_end(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct feed_context context = { hub, conn };
	struct buf answer;
	int err;

	exchange->feed.context = &context;
	err = feed_end(&exchange->feed);
	exchange->feed.context = NULL;
	if (err) {
		feed_refuse(hub, conn);
		return;
	}
	buf_init(&answer, 1 << 16);
	buf_add_char(&answer, '{');
	feed_answer(hub, conn, 200, &answer);
	buf_done(&answer);
}
