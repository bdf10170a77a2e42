/*
 * publish: from a request body to events. See publish.h.
 */
#include "publish.h"

#include <errno.h>

#include "access.h"
#include "broadcast.h"
#include "names.h"
#include "reply.h"
#include "selector.h"
#include "uri.h"

static struct exchange *exchange_of(struct hub *hub, struct conn *conn)
{
	return exchange_at(&hub->conns.exchanges, conn->exchange);
}

/* Whether the request carries the secret of --publish-token-file (RFC 6750 section 2.1). */
static bool has_publish_token(const struct hub *hub, const struct http_request *request)
{
	const struct str *credentials = http_header(request, STR("Authorization"));
	struct str rest = credentials ? *credentials : STR(""), scheme;
	struct str token = buf_str(&hub->secrets.publish_token);

	return token.n && str_cut(&rest, ' ', &scheme) && str_eq_nocase(scheme, STR("Bearer")) &&
	       str_eq_secret(str_trim(rest), token);
}

/* Whether the request may publish, and what to; refuses it otherwise. */
static bool is_allowed(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	const struct secrets *secrets = &hub->secrets;

	conn->expires_s = 0;
	if (conn->flags & CONN_CONTROL || has_publish_token(hub, request)) {
		names_add(&exchange_of(hub, conn)->rights, STR("*"));
		return true;
	}
	if (secrets->publisher_key.n)
		return publish_by_token(hub, conn, request);
	if (secrets->publish_token.n)
		reply_text(hub, conn, 401, "Publishing here needs the right bearer token.");
	else
		reply_text(hub, conn, 403,
			   "Publishing here is not set up: start the daemon with "
			   "--publish-token-file, or publish on a control listener.");
	return false;
}

bool publish_by_token(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct grant grant;
	bool has_token;
	const char *wrong = access_read(hub, conn, request, ACCESS_PUBLISH, &grant, &has_token);

	if (!wrong && !has_token)
		wrong = "Publishing here needs a token.";
	if (!wrong && !grant.has_publish)
		wrong = "The token does not allow to publish.";
	if (!wrong && buf_add(&exchange->rights, buf_str(&grant.publish)))
		wrong = "There is no memory for the token.";
	conn->expires_s = grant_expiry(&grant);
	if (wrong)
		reply_text(hub, conn, 401, "%s", wrong);
	grant_done(&grant);
	return !wrong;
}

/* Appends a decoded topic: NULL, or what is wrong with it. */
static const char *form_topic(struct publish_form *form, struct str raw, bool plus)
{
	size_t begin = form->topics.n;
	int err;

	if (form->topic_count == SSE_TOPICS_MAX)
		return "An event may have 1000 topics at the most.";
	err = uri_decode(raw, plus, &form->topics);
	if (err)
		return err == -ENOMEM ? reply_no_memory : "The topic has a bad percent-encoding.";
	/* They are cut at their NULs later. */
	if (str_find(str_from(buf_str(&form->topics), begin), '\0') < form->topics.n - begin)
		return "A topic must not have control characters.";
	buf_add_char(&form->topics, '\0');
	form->topic_count++;
	if (form->topics.err)
		return form->topics.err == -ENOMEM ? reply_no_memory : "The topics are too long.";
	return NULL;
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
	if (got == -ENOMEM)
		return reply_no_memory;
	return got < 0 ? "retry must be a number of milliseconds." : NULL;
}

static bool query_has(struct str query, struct str name)
{
	struct str found, value;

	while (uri_query_next(&query, &found, &value))
		if (uri_eq(found, true, name))
			return true;
	return false;
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
	form->is_private = query_has(request->query, STR("private"));
	if (form->type.err == -ENOMEM || form->id.err == -ENOMEM)
		return reply_no_memory;
	return wrong ? wrong : form_retry(form, request->query);
}

/* Whether a topic is one of those that tell who subscribes to what. */
static bool is_about_subscriptions(struct str topic)
{
	static const struct str path = { "/.well-known/mercure", 20 };

	return str_starts(topic, path) && (topic.n == path.n || topic.p[path.n] == '/');
}

bool publish_is_ours(struct str topic)
{
	return str_starts(topic, STR("$")) || is_about_subscriptions(topic);
}

const char *publish_check(struct hub *hub, const struct exchange *exchange,
			  const struct event *event, int *status)
{
	const char *wrong = NULL;

	*status = 403;
	for (size_t i = 0; i < event->topic_count && !wrong; i++) {
		struct str topic = event->topics[i];

		if (topic.n == 0)
			continue; /* it is told so later */
		if (topic.p[0] == '$') {
			*status = 400;
			wrong = "Topics that begin with $ are the daemon's own.";
		} else if (!selectors_ask(buf_str(&exchange->rights), topic)) {
			wrong = "The token does not allow to publish to this topic.";
		} else if (is_about_subscriptions(topic)) {
			wrong = "Topics below /.well-known/mercure are the daemon's own.";
		}
	}
	hub->stats.events_refused += wrong != NULL;
	return wrong;
}

/* Publishes the form's event with that data, or only asks whether it could be. */
static const char *form_publish(struct hub *hub, const struct exchange *exchange, struct str data,
				bool only_check, struct broadcast_receipt *receipt, int *status)
{
	const struct publish_form *form = &exchange->form;
	struct str topics[SSE_TOPICS_MAX], rest = buf_str(&form->topics);
	struct event event = { .topics = topics,
			       .topic_count = form->topic_count,
			       .data = data,
			       .type = buf_str(&form->type),
			       .id = buf_str(&form->id),
			       .retry_ms = form->retry_ms,
			       .is_private = form->is_private };
	const char *wrong;

	for (size_t i = 0; i < form->topic_count; i++)
		str_cut(&rest, '\0', &topics[i]);
	wrong = publish_check(hub, exchange, &event, status);
	if (wrong)
		return wrong;
	*status = 400;
	return only_check ? sse_check(&event) : broadcast_event(hub, &event, receipt, status);
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
	int status = 400;

	if (!is_allowed(hub, conn, request))
		return;
	wrong = form_read(&exchange->form, request, topic);
	if (!wrong)
		wrong = form_publish(hub, exchange, STR(""), true, &receipt, &status);
	if (wrong) {
		hub->stats.events_refused++;
		reply_wrong(hub, conn, status, wrong);
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

/* Answers with JSON. One that lacks something is not sent, and the connection ends: whoever has
 * published does not know, and is not told wrong. */
static void answer_json(struct hub *hub, struct conn *conn, int status, const struct buf *text)
{
	reply_body(hub, conn, status, STR("application/json"), buf_str(text));
	if (text->err)
		exchange_of(hub, conn)->out.err = text->err;
}

void publish_event_end(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct broadcast_receipt receipt;
	const char *wrong;
	struct buf answer;
	int status;

	wrong = form_publish(hub, exchange, buf_str(&exchange->content), false, &receipt, &status);
	if (wrong) {
		reply_text(hub, conn, status, "%s", wrong);
		return;
	}
	buf_init(&answer, 4 * SSE_ID_MAX * 2 + 256);
	buf_add(&answer, STR("{\"id\":\""));
	buf_add_json(&answer, ring_id_text(&hub->ring, ring_record(&hub->ring, receipt.record)));
	buf_addf(&answer, "\",\"subscribers\":%llu}\n", (unsigned long long)receipt.subscribers);
	answer_json(hub, conn, 200, &answer);
	buf_done(&answer);
}

/* One event of a flow. */
static const char *feed_publish(void *context, const struct event *event)
{
	const struct feed_context *feed = context;
	struct exchange *exchange = exchange_of(feed->hub, feed->conn);
	struct broadcast_receipt receipt;
	const char *wrong = publish_check(feed->hub, exchange, event, &exchange->refused);

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
	if (exchange->last_id.err)
		answer->err = exchange->last_id.err;
	answer_json(hub, conn, status, answer);
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

void publish_feed_stop(struct hub *hub, struct conn *conn, int status, const char *why)
{
	struct buf answer;

	buf_init(&answer, 1 << 16);
	buf_addf(&answer, "{\"error\":\"%s\",", why);
	exchange_of(hub, conn)->keep_alive = false;
	feed_answer(hub, conn, status, &answer);
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
