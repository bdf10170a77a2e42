/*
 * mercure: from forms to events, from queries to streams. See mercure.h.
 *
 * The order of the checks is the protocol's: first who it is, then whether it can be understood,
 * then what is asked for.
 */
#include "mercure.h"

#include "access.h"
#include "broadcast.h"
#include "form.h"
#include "names.h"
#include "publish.h"
#include "reply.h"
#include "subscribe.h"
#include "uri.h"

enum { SELECTOR_BYTES_MAX = 1024 }; /* topics that tell of subscriptions are long */

static struct exchange *exchange_of(struct hub *hub, struct conn *conn)
{
	return exchange_at(&hub->conns.exchanges, conn->exchange);
}

/* A newer dialect, of which nothing may be understood by half: parameters that begin with match. */
static bool is_newer(const struct http_request *request)
{
	struct str query = request->query, name, value;

	while (uri_query_next(&query, &name, &value))
		if (str_starts(name, STR("match")))
			return true;
	return false;
}

/* --- publishing --- */

/* What a form says. */
struct update {
	struct str topics[SSE_TOPICS_MAX];
	struct event event;
	struct str retry;
};

/* Takes one field; of those that count once, the first does. */
static const char *update_take(struct update *update, struct str name, struct str value,
			       unsigned *taken)
{
	struct event *event = &update->event;
	const struct {
		struct str name;
		struct str *value;
	} fields[] = { { STR("data"), &event->data },
		       { STR("id"), &event->id },
		       { STR("type"), &event->type },
		       { STR("retry"), &update->retry } };

	if (str_eq(name, STR("topic"))) {
		if (event->topic_count == SSE_TOPICS_MAX)
			return "An update may have 1000 topics at the most.";
		update->topics[event->topic_count++] = value;
	}
	if (str_eq(name, STR("private")))
		event->is_private = true;
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!str_eq(name, fields[i].name) || *taken & 1u << i)
			continue;
		*fields[i].value = value;
		*taken |= 1u << i;
	}
	return NULL;
}

/* Reads the form, which is decoded where it lies: NULL, or what is wrong. */
static const char *update_read(struct update *update, struct buf *content)
{
	struct form form = { content->p, content->n };
	const char *wrong = NULL;
	unsigned taken = 0;
	struct str name, value;
	int got;

	update->event = (struct event){ .topics = update->topics, .retry_ms = SSE_NO_RETRY };
	update->retry = (struct str){ NULL, 0 };
	while (!wrong && (got = form_next(&form, &name, &value))) {
		if (got < 0)
			return "The form has a bad percent-encoding.";
		wrong = update_take(update, name, value, &taken);
	}
	if (!wrong && update->event.topic_count == 0)
		wrong = "Missing \"topic\" parameter";
	if (!wrong && update->retry.n &&
	    str_to_u64(update->retry, UINT64_MAX, &update->event.retry_ms))
		wrong = "retry must be a number of milliseconds.";
	if (update->event.retry_ms == 0)
		update->event.retry_ms = SSE_NO_RETRY;
	return wrong;
}

/* What an id may not be here, though it could be sent: it would mean something else. */
static const char *id_check(struct str id)
{
	if (str_starts(id, STR("#")) || str_eq(id, STR("earliest")))
		return "An id must not begin with # nor be earliest.";
	return NULL;
}

void mercure_form_end(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct broadcast_receipt receipt;
	struct update update;
	int status = 400;
	const char *wrong = update_read(&update, &exchange->content);

	if (!wrong)
		wrong = id_check(update.event.id);
	if (wrong)
		hub->stats.events_refused++;
	else
		wrong = publish_check(hub, exchange, &update.event, &status);
	if (!wrong)
		wrong = broadcast_event(hub, &update.event, &receipt, &status);
	if (wrong)
		reply_text(hub, conn, status, "%s", wrong);
	else
		reply_body(hub, conn, 200, STR("text/plain"),
			   ring_id_text(&hub->ring, ring_record(&hub->ring, receipt.record)));
}

static bool is_form(const struct http_request *request)
{
	const struct str *field = http_header(request, STR("Content-Type"));
	struct str rest = field ? *field : STR(""), type;

	return str_cut(&rest, ';', &type) &&
	       str_eq_nocase(str_trim(type), STR("application/x-www-form-urlencoded"));
}

static void open_publish(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = exchange_of(hub, conn);

	exchange->route = ROUTE_PUBLISH;
	if (!hub->secrets.publisher_key.n && !(conn->flags & CONN_CONTROL)) {
		reply_text(hub, conn, 404, "Publishing here needs --mercure-publisher-key-file.");
		return;
	}
	if (!publish_by_token(hub, conn, request))
		return;
	if (is_newer(request)) {
		reply_text(hub, conn, 400, "Parameters that begin with match are not spoken here.");
	} else if (is_form(request)) {
		exchange->sink = SINK_FORM;
		buf_done(&exchange->content);
		buf_init(&exchange->content, hub->config.body_bytes_max);
	} else {
		reply_text(hub, conn, 400, "Missing \"topic\" parameter");
	}
}

/* --- subscribing --- */

/* Reads the selectors of the query: NULL, or what is wrong. */
static const char *selectors_read(struct buf *selectors, const struct hub *hub,
				  const struct conn *conn, const struct http_request *request)
{
	struct str query = request->query, name, value;
	const char *wrong = NULL;

	while (!wrong && uri_query_next(&query, &name, &value))
		if (uri_eq(name, true, STR("topic")))
			wrong = subscribe_add(selectors, hub, conn, value, true,
					      SELECTOR_BYTES_MAX);
	if (!wrong && selectors->n == 0)
		wrong = "Missing \"topic\" parameter";
	if (!wrong && names_count(buf_str(selectors)) > SELECTORS_MAX)
		wrong = "A stream may have 1000 topics at the most.";
	return wrong;
}

static void open_subscribe(struct hub *hub, struct conn *conn, const struct http_request *request,
			   const struct grant *grant)
{
	struct wish wish = { .grant = grant, .is_mercure = true };
	const char *wrong = NULL;
	struct buf selectors;

	buf_init(&selectors, 2 * HTTP_URI_MAX);
	if (is_newer(request))
		wrong = "Parameters that begin with match are not spoken here.";
	else
		wrong = selectors_read(&selectors, hub, conn, request);
	wish.selectors = buf_str(&selectors);
	if (wrong)
		reply_wrong(hub, conn, 400, wrong);
	else
		subscribe_stream(hub, conn, request, &wish);
	buf_done(&selectors);
}

void mercure_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		  struct str rest)
{
	bool has_token, is_set_up = hub->secrets.subscriber_key.n ||
				    hub->config.mercure_anonymous || conn->flags & CONN_CONTROL;
	struct grant grant;
	const char *wrong;

	(void)rest;
	if (request->method == HTTP_POST) {
		open_publish(hub, conn, request);
		return;
	}
	if (!is_set_up) {
		reply_text(hub, conn, 404,
			   "Subscribing here needs --mercure-subscriber-key-file or "
			   "--mercure-anonymous.");
		return;
	}
	wrong = access_read(hub, conn, request, ACCESS_SUBSCRIBE, &grant, &has_token);
	if (!wrong && !has_token && !hub->config.mercure_anonymous)
		wrong = "Subscribing here needs a token.";
	if (wrong)
		reply_text(hub, conn, 401, "%s", wrong);
	else
		open_subscribe(hub, conn, request, &grant);
	grant_done(&grant);
}
