/*
 * route: the table of routes. See route.h.
 */
#include "route.h"

#include <arpa/inet.h>
#include <string.h>

#include "access.h"
#include "mercure.h"
#include "publish.h"
#include "reply.h"
#include "sock.h"
#include "staticfile.h"
#include "stream.h"
#include "subscribe.h"

typedef void handler(struct hub *hub, struct conn *conn, const struct http_request *request,
		     struct str rest);

struct route {
	struct str path;  /* exact; with a rest, also everything below it */
	bool takes_rest;  /* what follows "/" is given to the handler; NULL = not even the slash */
	bool is_control;  /* only on control listeners */
	bool has_cors;    /* pages of other origins may use it, as --cors-origin says */
	unsigned methods; /* set of enum http_method; OPTIONS is always answered */
	enum stats_route counted;
	handler *handle;
};

static void healthz(struct hub *hub, struct conn *conn, const struct http_request *request,
		    struct str rest)
{
	(void)request;
	(void)rest;
	reply_text(hub, conn, hub->draining ? 503 : 200, "%s", hub->draining ? "draining" : "ok");
}

static void metrics(struct hub *hub, struct conn *conn, const struct http_request *request,
		    struct str rest)
{
	struct stats_gauges gauges;
	struct buf text;

	(void)request;
	(void)rest;
	buf_init(&text, 1 << 18);
	hub_gauges(hub, &gauges);
	if (stats_write(&hub->stats, &gauges, &text))
		reply_text(hub, conn, 503, "There is no memory for the metrics.");
	else
		reply_body(hub, conn, 200, STR("text/plain; version=0.0.4; charset=utf-8"),
			   buf_str(&text));
	buf_done(&text);
}

static void page(struct hub *hub, struct conn *conn, const struct http_request *request,
		 struct str rest)
{
	(void)rest;
	staticfile_serve(hub, conn, request);
}

enum { READ = HTTP_GET | HTTP_HEAD, WRITE = HTTP_POST | HTTP_PUT };

#define PATH(literal) .path = { (literal), sizeof(literal) - 1 }

/* The first that fits; the last one fits everything. */
static const struct route routes[] = {
	/* path, below it, control, CORS, methods, counted as, handler */
	{ PATH("/sse"), true, false, true, READ, ROUTE_STREAM, subscribe_open },
	{ PATH("/events"), true, false, true, READ, ROUTE_STREAM, subscribe_open },
	{ PATH("/.well-known/mercure/subscriptions"), true, false, true, READ, ROUTE_MERCURE,
	  mercure_subscriptions },
	{ PATH("/.well-known/mercure"), false, false, true, READ | HTTP_POST, ROUTE_STREAM,
	  mercure_open },
	{ PATH("/publish"), true, false, true, WRITE, ROUTE_PUBLISH, publish_open },
	{ PATH("/healthz"), false, false, false, READ, ROUTE_HEALTHZ, healthz },
	{ PATH("/metrics"), false, true, false, READ, ROUTE_METRICS, metrics },
	{ PATH(""), true, false, false, READ, ROUTE_STATIC, page },
};

static bool route_fits(const struct route *route, const struct conn *conn, struct str path,
		       struct str *rest)
{
	if (route->is_control && !(conn->flags & CONN_CONTROL))
		return false;
	if (!str_starts(path, route->path))
		return false;
	*rest = str_from(path, route->path.n);
	if (rest->n == 0) {
		rest->p = NULL;
		return true;
	}
	if (!route->takes_rest || rest->p[0] != '/')
		return false;
	*rest = str_from(*rest, 1);
	return true;
}

static const struct route *route_find(const struct conn *conn, struct str path, struct str *rest)
{
	const struct route *route = routes;

	while (route->path.n && !route_fits(route, conn, path, rest))
		route++;
	return route;
}

/* OPTIONS, and the preflight of a page of another origin (Fetch standard, section 4.8). */
static void answer_options(struct hub *hub, struct conn *conn, const struct route *route)
{
	struct buf fields;

	buf_init(&fields, 1024);
	buf_add(&fields, STR("Allow: "));
	reply_methods(&fields, route->methods | HTTP_OPTIONS);
	buf_add(&fields, STR("\r\n"));
	if (route->has_cors) {
		buf_add(&fields, STR("Access-Control-Allow-Methods: "));
		reply_methods(&fields, route->methods);
		buf_add(&fields, STR("\r\nAccess-Control-Allow-Headers: Authorization, "
				     "Cache-Control, Content-Type, Last-Event-ID\r\n"
				     "Access-Control-Max-Age: 86400\r\n"));
	}
	reply_head(hub, conn, 204, UINT64_MAX, &fields);
	buf_done(&fields);
}

static void answer_not_allowed(struct hub *hub, struct conn *conn, const struct route *route)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	struct buf allow, fields;

	buf_init(&allow, 128);
	buf_init(&fields, 256);
	reply_methods(&allow, route->methods | HTTP_OPTIONS);
	buf_addf(&fields, "Allow: %.*s\r\nContent-Type: text/plain; charset=utf-8\r\n",
		 STR_ARG(buf_str(&allow)));
	buf_addf(&allow, " is what can be done here.\n");
	reply_head(hub, conn, 405, allow.n, &fields);
	if (!exchange->is_head)
		buf_add(&exchange->out, buf_str(&allow));
	buf_done(&allow);
	buf_done(&fields);
}

/* Whether a host (with or without a port) is a number or this machine, and so not in anybody's DNS.
 */
static bool is_fixed_host(struct str host)
{
	struct in_addr v4;
	char text[INET_ADDRSTRLEN] = "";
	struct str name = { host.p, str_find(host, ':') };

	if (host.n && host.p[0] == '[')
		return true;
	if (str_eq_nocase(name, STR("localhost")))
		return true;
	if (name.n >= sizeof(text))
		return false;
	memcpy(text, name.p, name.n);
	return inet_pton(AF_INET, text, &v4) == 1;
}

/*
 * Whether a page of another site is behind the request: a browser then names its Origin, which is
 * not where the request went to. A name that somebody's DNS turned into our address does not help.
 */
static bool is_from_elsewhere(const struct http_request *request)
{
	const struct str *origin = http_header(request, STR("Origin"));
	struct str host;

	if (!origin)
		return false;
	if (str_starts(*origin, STR("http://")))
		host = str_from(*origin, sizeof("http://") - 1);
	else if (str_starts(*origin, STR("https://")))
		host = str_from(*origin, sizeof("https://") - 1);
	else
		return true;
	return !str_eq_nocase(host, request->host) || !is_fixed_host(host);
}

/* Whether it is the name of a control listener, as the configuration has it. */
static bool is_our_name(const struct config *config, struct str host)
{
	struct str name = { host.p, str_find(host, ':') };
	struct sock_address address;

	for (size_t i = 0; i < config->control.count; i++)
		if (!sock_parse(config->control.items[i], &address) && !address.is_unix &&
		    str_eq_nocase(str_of(address.host), name))
			return true;
	return false;
}

/*
 * Whether a page may be behind the request that got here by a name of its own, which somebody's DNS
 * turned into our address: when it only reads, it names no Origin. What a control listener has of
 * events, private ones too, is not for it.
 */
static bool is_read_by_strange_name(const struct hub *hub, const struct conn *conn,
				    const struct route *route, const struct http_request *request)
{
	struct in6_addr ip;

	if (!(conn->flags & CONN_CONTROL) ||
	    (route->counted != ROUTE_STREAM && route->counted != ROUTE_MERCURE))
		return false;
	if (request->host.n == 0 || is_fixed_host(request->host) ||
	    is_our_name(&hub->config, request->host))
		return false;
	/* No browser comes in through a unix socket. */
	return sock_peer(conn->fd, &ip) && !IN6_IS_ADDR_UNSPECIFIED(&ip);
}

static void answer_no_room(struct hub *hub, struct conn *conn, const struct route *route,
			   const struct http_request *request)
{
	if (route->counted == ROUTE_STREAM && request->method == HTTP_GET &&
	    !subscribe_is_poll(request)) {
		stream_refuse(hub, conn, REASON_OVER_LIMIT);
		return;
	}
	conn->reason = REASON_OVER_LIMIT;
	reply_refuse(hub, conn, 503, "There is no room for another client.");
}

static void note_line(struct hub *hub, struct exchange *exchange,
		      const struct http_request *request)
{
	if (!hub->config.access_log)
		return;
	buf_addf(&exchange->line, "%.*s ", STR_ARG(request->method_name));
	access_redact(request, &exchange->line);
	buf_addf(&exchange->line, " HTTP/1.%u", request->minor);
	/* A quote has no place in a target (RFC 3986), and would end the one around it early. */
	for (size_t i = 0; i < exchange->line.n; i++)
		if (exchange->line.p[i] == '"')
			exchange->line.p[i] = '\'';
}

void route_request(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	struct str rest = { NULL, 0 };
	const struct route *route = route_find(conn, request->path, &rest);

	exchange->route = (uint8_t)route->counted;
	note_line(hub, exchange, request);
	if (route->has_cors && !(conn->flags & CONN_CONTROL))
		reply_cors(hub, request, &exchange->cors);
	if (conn->flags & CONN_OVER_LIMIT)
		answer_no_room(hub, conn, route, request);
	else if (conn->flags & CONN_CONTROL && is_from_elsewhere(request))
		reply_refuse(hub, conn, 403,
			     "A page of another origin may not use a control listener.");
	else if (is_read_by_strange_name(hub, conn, route, request))
		reply_refuse(hub, conn, 403,
			     "A control listener tells events to who names it by its number, as "
			     "localhost, or as in --control.");
	else if (request->method == HTTP_OPTIONS)
		answer_options(hub, conn, route);
	else if (!(route->methods & request->method))
		answer_not_allowed(hub, conn, route);
	else
		route->handle(hub, conn, request, rest);
}
