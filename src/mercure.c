/*
 * mercure: from forms to events, from queries to streams. See mercure.h.
 *
 * The order of the checks is the protocol's: first who it is, then whether it can be understood,
 * then what is asked for.
 */
#include "mercure.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access.h"
#include "broadcast.h"
#include "conn.h"
#include "form.h"
#include "httpvalue.h"
#include "names.h"
#include "presence.h"
#include "publish.h"
#include "reply.h"
#include "selector.h"
#include "subscribe.h"
#include "uri.h"

enum {
	LIST_BYTES_MAX = 256 << 20, /* of all subscriptions in one answer */
	INLINE_BYTES_MAX = 1 << 18, /* of an answer among the conn's own bytes */
};

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
	return str_starts(id, STR("#")) ? "An id must not begin with #." : NULL;
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
					      MERCURE_SELECTOR_MAX);
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

/* --- who subscribes --- */

/* Cuts and decodes what stands behind the route: false where that is no subscription's path. */
static bool path_read(struct str rest, struct buf *selector, struct buf *subscriber)
{
	struct str part;

	if (!rest.p)
		return true;
	if (!str_cut(&rest, '/', &part) || part.n == 0 || uri_decode(part, false, selector))
		return false;
	if (!rest.p)
		return true;
	return str_cut(&rest, '/', &part) && part.n && !rest.p &&
	       uri_decode(part, false, subscriber) == 0;
}

/* Appends the answer: how many subscriptions there are in it. */
static size_t list_write(const struct hub *hub, const struct http_request *request,
			 const struct buf *selector, const struct buf *subscriber, struct buf *out)
{
	size_t count;

	if (subscriber->n)
		return presence_list(hub, buf_str(selector), buf_str(subscriber), true, out);
	buf_add(out, STR("{\"@context\":\"https://mercure.rocks/\",\"id\":\""));
	buf_add_json(out, request->path);
	buf_add(out, STR("\",\"type\":\"Subscriptions\",\"lastEventID\":\""));
	buf_add_json(out, presence_last_id(hub));
	buf_add(out, STR("\",\"subscriptions\":["));
	count = presence_list(hub, buf_str(selector), buf_str(subscriber), false, out);
	buf_add(out, STR("]}"));
	return count;
}

/* Has the exchange send bytes that are too many for its own. 0 or -errno. */
static int send_as_file(struct exchange *exchange, struct str bytes)
{
	int fd = memfd_create("ssecast-list", MFD_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	exchange->file_fd = fd;
	exchange->file_at = 0;
	exchange->file_left = exchange->file_held = bytes.n;
	while (bytes.n && (n = write(fd, bytes.p, bytes.n)) > 0)
		bytes = str_from(bytes, (size_t)n);
	return bytes.n ? -errno : 0;
}

static void list_reply(struct hub *hub, struct conn *conn, const struct http_request *request,
		       struct str list)
{
	const struct str *known = http_header(request, STR("If-None-Match"));
	struct exchange *exchange = exchange_of(hub, conn);
	struct buf fields, etag;

	buf_init(&fields, 4 * SSE_ID_MAX);
	buf_init(&etag, 2 * SSE_ID_MAX);
	buf_addf(&etag, "\"%.*s\"", STR_ARG(presence_last_id(hub)));
	buf_add(&fields, STR("Content-Type: application/ld+json\r\nCache-Control: no-cache\r\n"));
	if (http_is_value(buf_str(&etag)))
		buf_addf(&fields, "ETag: %.*s\r\n", STR_ARG(buf_str(&etag)));
	if (known && http_etag_listed(*known, buf_str(&etag))) {
		reply_head(hub, conn, 304, UINT64_MAX, &fields);
	} else {
		reply_head(hub, conn, 200, list.n, &fields);
		if (exchange->is_head)
			list.n = 0;
		if (list.n <= INLINE_BYTES_MAX)
			buf_add(&exchange->out, list);
		else if (send_as_file(exchange, list))
			conn_doom(hub, conn, REASON_NO_MEMORY);
	}
	buf_done(&fields);
	buf_done(&etag);
}

/* What a list may take: for a moment it lies in memory twice. */
static size_t list_bytes_max(const struct hub *hub)
{
	uint64_t held = hub->conns.exchanges.bytes, max = hub->config.requests_bytes_max;
	uint64_t room = held < max ? (max - held) / 2 : 0;

	return room < LIST_BYTES_MAX ? (size_t)room : LIST_BYTES_MAX;
}

static void open_list(struct hub *hub, struct conn *conn, const struct http_request *request,
		      struct str rest)
{
	struct buf selector, subscriber, list;
	size_t count = 0;

	buf_init(&selector, HTTP_URI_MAX);
	buf_init(&subscriber, HTTP_URI_MAX);
	buf_init(&list, list_bytes_max(hub));
	if (path_read(rest, &selector, &subscriber))
		count = list_write(hub, request, &selector, &subscriber, &list);
	if (list.err)
		reply_text(hub, conn, 503, "There is no memory for the list.");
	else if (list.n == 0 || (subscriber.n && count == 0))
		reply_text(hub, conn, 404, "There is no such subscription.");
	else
		list_reply(hub, conn, request, buf_str(&list));
	buf_done(&selector);
	buf_done(&subscriber);
	buf_done(&list);
}

void mercure_subscriptions(struct hub *hub, struct conn *conn, const struct http_request *request,
			   struct str rest)
{
	struct grant grant;
	const char *wrong;
	bool has_token;

	if (!hub->config.mercure_subscriptions) {
		reply_text(hub, conn, 404, "Subscriptions are told with --mercure-subscriptions.");
		return;
	}
	wrong = access_read(hub, conn, request, ACCESS_SUBSCRIBE, &grant, &has_token);
	if (!wrong && !has_token)
		wrong = "This needs a token.";
	if (wrong)
		reply_text(hub, conn, 401, "%s", wrong);
	else if (!selectors_ask(buf_str(&grant.subscribe), request->path))
		reply_text(hub, conn, 403, "The token does not allow to see this.");
	else
		open_list(hub, conn, request, rest);
	grant_done(&grant);
}
