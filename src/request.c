/*
 * request: from bytes to requests, and on to whoever answers. See request.h and the states in
 * conn.h.
 *
 * Reads go into one shared buffer; only what does not make a whole request yet is kept in the
 * conn's exchange. Answers of pipelined requests are collected and sent together.
 */
#include "request.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "conn.h"
#include "forwarded.h"
#include "longpoll.h"
#include "mercure.h"
#include "own.h"
#include "proxyproto.h"
#include "publish.h"
#include "reply.h"
#include "route.h"
#include "sock.h"
#include "stream.h"

enum {
	READS_PER_TURN = 4,                   /* of one conn: CONN_INPUT_BYTES each at the most */
	HEADS_PER_VISIT = 16,                 /* of one conn, … */
	HEAD_BYTES_PER_VISIT = HTTP_HEAD_MAX, /* … and some more or less than these */
	ANSWERS_TOGETHER = 64 * 1024, /* bytes of pipelined answers that wait for each other */
	REFUSALS_LOGGED = 10,         /* in ten seconds */
};

/* The response is complete: the next request, or the end. */
static void reply_finished(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);

	conn_touch(hub, conn);
	conn->flags |= CONN_SERVED;
	if (exchange->keep_alive) {
		if (conn->flags & CONN_TRUSTED)
			conn_serves(hub, conn, &in6addr_any);
		exchange_next(exchange);
		conn->state = CONN_HEAD;
		return;
	}
	if (!conn->reason)
		conn->reason = exchange->status < 400 ? REASON_DONE : REASON_REFUSED;
	buf_clear(&exchange->in);
	exchange_next(exchange);
	conn->state = CONN_LINGER;
	if (conn->flags & CONN_HUNG_UP || shutdown(conn->fd, SHUT_WR) < 0)
		conn_doom(hub, conn, (enum stats_reason)conn->reason);
}

/* Sends what there is: true when the response is out and the conn has left CONN_REPLY. */
static bool reply_send(struct hub *hub, struct conn *conn)
{
	if (!own_send(hub, conn) || conn->flags & CONN_DOOMED)
		return false;
	reply_finished(hub, conn);
	return conn->state == CONN_HEAD;
}

/* A request has been read and answered: send now, or together with the next answer. */
static void request_finished(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	bool can_wait = exchange->keep_alive && exchange->blob.n == 0 && exchange->file_left == 0;

	assert(exchange->status != 0);
	/* A response that lacks something would put all that follow it out of step. */
	if (exchange->out.err) {
		conn_doom(hub, conn, REASON_NO_MEMORY);
		return;
	}
	if (can_wait && exchange->out.n - exchange->out_sent < ANSWERS_TOGETHER) {
		reply_finished(hub, conn);
		return;
	}
	conn->state = CONN_REPLY;
	reply_send(hub, conn);
}

/* The whole body is there. */
static void body_finished(struct hub *hub, struct conn *conn, struct exchange *exchange)
{
	if (exchange->sink == SINK_EVENT)
		publish_event_end(hub, conn);
	else if (exchange->sink == SINK_FEED)
		publish_feed_end(hub, conn);
	else if (exchange->sink == SINK_FORM)
		mercure_form_end(hub, conn);
	request_finished(hub, conn);
}

/* What follows the head, once the route has had its say. */
static void request_begin(struct hub *hub, struct conn *conn, const struct http_request *request)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	bool has_body = request->framing == HTTP_CHUNKED || request->content_length > 0;

	if (!has_body) {
		body_finished(hub, conn, exchange);
		return;
	}
	if (exchange->status >= 400) {
		/* The body of a refused request is not worth reading. */
		exchange->keep_alive = false;
		request_finished(hub, conn);
		return;
	}
	if (exchange->status)
		exchange->sink = SINK_DISCARD;
	else if (request->content_length > hub->config.body_bytes_max &&
		 exchange->sink != SINK_FEED) {
		publish_too_large(hub, conn);
		request_finished(hub, conn);
		return;
	}
	conn->state = CONN_BODY;
	conn_touch(hub, conn);
	if (request->expect_continue && exchange->sink != SINK_DISCARD) {
		buf_add(&exchange->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
		own_send(hub, conn);
	}
}

static void refuse(struct hub *hub, struct conn *conn, int status, const char *why)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);

	if (!exchange->status) {
		exchange->route = ROUTE_NONE;
		reply_refuse(hub, conn, status, why);
	} else {
		/* It has its answer; a second one would be taken for that to the next request. */
		exchange->keep_alive = false;
		if (!conn->reason)
			conn->reason = REASON_REFUSED;
	}
	request_finished(hub, conn);
}

static const char *why_no_head(int status)
{
	switch (status) {
	case 414: return "The request target is longer than 8192 bytes.";
	case 431: return "The request head is larger than 16384 bytes.";
	default: return "The request head is malformed: lines must end in CRLF, without NUL.";
	}
}

/* Takes a request head out of bytes: how many were used, 0 if it is not complete. */
static size_t head_step(struct hub *hub, struct conn *conn, struct str bytes)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	struct http_request request;
	struct in6_addr client;
	const char *why = NULL;
	size_t head_len;
	int status;

	if (exchange->scanned == 0)
		conn_touch(hub, conn);
	status = http_find_head(bytes.p, bytes.n, &exchange->scanned, &head_len);
	if (status == -EAGAIN)
		return 0;
	exchange->scanned = 0;
	if (status > 0) {
		refuse(hub, conn, status, why_no_head(status));
		return bytes.n;
	}
	status = http_parse_head(bytes.p, head_len, &request, &why);
	if (status > 0) {
		refuse(hub, conn, status, why);
		return bytes.n;
	}
	http_body_init(&exchange->body, &request);
	exchange->keep_alive = request.keep_alive && !hub->draining;
	exchange->is_head = request.method == HTTP_HEAD;
	exchange->is_http10 = request.minor == 0;
	if (conn->flags & CONN_TRUSTED && forwarded_for(&request, &hub->trusted, &client))
		conn_serves(hub, conn, &client);
	route_request(hub, conn, &request);
	if (conn->state == CONN_HEAD)
		request_begin(hub, conn, &request);
	return head_len;
}

/* Takes the PROXY header out of bytes: how many were used, 0 if it is not complete. */
static size_t preface_step(struct hub *hub, struct conn *conn, struct str bytes)
{
	struct in6_addr ip;
	size_t len;
	int err = proxyproto_read(bytes, &len, &ip);

	if (err == -EAGAIN)
		return 0;
	if (err) {
		if (log_allow(&hub->cut_log, hub->now_ms, REFUSALS_LOGGED, "connections"))
			log_warning("a connection to a listener with ,proxy has no PROXY header");
		conn_doom(hub, conn, REASON_REFUSED);
		return bytes.n;
	}
	conn->flags &= (uint16_t)~CONN_PREFACE;
	/* A balancer that asks for itself is known by its socket. */
	if (!IN6_IS_ADDR_UNSPECIFIED(&ip) || sock_peer(conn->fd, &ip))
		conn_comes_from(hub, conn, &ip);
	return len;
}

/* Takes a piece of body out of bytes: how many were used. */
static size_t body_step(struct hub *hub, struct conn *conn, struct str bytes)
{
	struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	struct str data;
	size_t used;
	int done = http_body_next(&exchange->body, bytes, &used, &data);

	exchange->body_bytes += data.n;
	if (done > 1) {
		refuse(hub, conn, done, "The chunked body is malformed.");
		return bytes.n;
	}
	if (exchange->sink == SINK_EVENT || exchange->sink == SINK_FORM)
		publish_event_data(hub, conn, data, exchange->body.left);
	else if (exchange->sink == SINK_FEED)
		publish_feed_data(hub, conn, data);
	else if (exchange->body_bytes > hub->config.body_bytes_max)
		exchange->keep_alive = false;
	if (exchange->sink != SINK_DISCARD && exchange->status)
		request_finished(hub, conn);
	else if (done == 1 || (exchange->sink == SINK_DISCARD && !exchange->keep_alive))
		body_finished(hub, conn, exchange);
	return used;
}

static bool takes_input(const struct conn *conn)
{
	return (conn->state == CONN_HEAD || conn->state == CONN_BODY) &&
	       !(conn->flags & CONN_DOOMED);
}

/* Uses of bytes what makes whole steps; returns how many. */
static size_t input_use(struct hub *hub, struct conn *conn, struct str bytes)
{
	size_t total = 0, used = 1;
	int heads = 0;

	while (used && total < bytes.n && takes_input(conn)) {
		struct str rest = str_from(bytes, total);

		if (conn->state == CONN_HEAD &&
		    (heads++ == HEADS_PER_VISIT || total > HEAD_BYTES_PER_VISIT)) {
			conn_later(hub, conn, CONN_BACKLOG);
			break;
		}
		if (conn->flags & CONN_PREFACE)
			used = preface_step(hub, conn, rest);
		else
			used = conn->state == CONN_HEAD ? head_step(hub, conn, rest)
							: body_step(hub, conn, rest);
		total += used;
	}
	return total;
}

/*
 * Requests hold too much together, and this one has just asked for more: it gives back all that it
 * has, at once.
 */
static void give_up(struct hub *hub, struct conn *conn)
{
	struct exchanges *exchanges = &hub->conns.exchanges;

	conn->reason = REASON_NO_MEMORY;
	if (takes_input(conn) && !exchange_at(exchanges, conn->exchange)->status)
		refuse(hub, conn, 503, "There is no memory for this request now.");
	if (conn->state != CONN_LINGER)
		conn_doom(hub, conn, REASON_NO_MEMORY);
	exchange_return(exchanges, conn->exchange);
	conn->exchange = 0;
}

/* Without an exchange only a constant can be said, and only as far as the socket takes it. */
static void refuse_without_memory(struct hub *hub, struct conn *conn)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
				   "Retry-After: 5\r\nContent-Type: text/plain\r\n"
				   "Content-Length: 46\r\n\r\n"
				   "There is no memory for another request: busy.\n";

	if (send(conn->fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		stats_request(&hub->stats, ROUTE_NONE, 503);
	conn_doom(hub, conn, REASON_NO_MEMORY);
}

/* Uses the bytes that have come, behind those that were kept, and keeps what is left. */
static void input_add(struct hub *hub, struct conn *conn, struct exchange *exchange,
		      struct str bytes)
{
	size_t used;

	if (exchange->in.n == 0) {
		used = input_use(hub, conn, bytes);
		bytes = str_from(bytes, used);
	} else {
		buf_add(&exchange->in, bytes);
		used = input_use(hub, conn, buf_str(&exchange->in));
		buf_drop(&exchange->in, used < exchange->in.n ? used : exchange->in.n);
		bytes.n = 0;
	}
	if (conn->flags & CONN_DOOMED)
		return;
	if (conn->state == CONN_STREAM)
		buf_clear(&exchange->in);
	else if (conn->state != CONN_LINGER)
		buf_add(&exchange->in, bytes);
	if (exchange->in.err)
		conn_doom(hub, conn, REASON_NO_MEMORY);
}

/* Bytes have come, or there are some left from before (bytes is empty then). */
static void input_take(struct hub *hub, struct conn *conn, struct str bytes)
{
	struct exchanges *exchanges = &hub->conns.exchanges;
	struct exchange *exchange = conn_exchange(hub, conn);
	uint64_t before;

	if (!exchange) {
		refuse_without_memory(hub, conn);
		return;
	}
	before = exchange->counted;
	input_add(hub, conn, exchange, bytes);
	if (conn->flags & CONN_DOOMED)
		return;
	exchange_count(exchanges, exchange);
	if (conn->state == CONN_STREAM)
		stream_pump(hub, conn);
	/* Answers do not wait for the rest of the next request. */
	else if (takes_input(conn) && !own_send(hub, conn) && conn->state == CONN_HEAD)
		conn->state = CONN_REPLY;
	if (conn->flags & CONN_DOOMED)
		return;
	conn_release(hub, conn);
	if (conn->exchange && exchange->counted > before && conn->state != CONN_LINGER &&
	    exchanges->bytes > conn_memory_max(hub, conn))
		give_up(hub, conn);
}

/* The client has shut its end. */
static void input_end(struct hub *hub, struct conn *conn)
{
	conn->flags |= CONN_HUNG_UP;
	conn->flags &= (uint16_t)~CONN_READABLE;
	/* A response that is still on its way is finished: the other direction may be open. */
	if (conn->state == CONN_REPLY)
		return;
	conn_doom(hub, conn,
		  conn->state == CONN_LINGER ? (enum stats_reason)conn->reason : REASON_CLIENT);
}

/* One read. True if there may be more to read at once. */
static bool input_read(struct hub *hub, struct conn *conn)
{
	struct str bytes = { hub->conns.input, 0 };
	/* What is read of heads that have to wait would only lie about. */
	size_t room = conn->state == CONN_HEAD ? HTTP_HEAD_MAX : CONN_INPUT_BYTES;
	ssize_t n = recv(conn->fd, hub->conns.input, room, MSG_DONTWAIT);

	if (n == 0) {
		input_end(hub, conn);
		return false;
	}
	if (n < 0) {
		conn->flags &= (uint16_t)~CONN_READABLE;
		conn_failed(hub, conn, errno, CONN_READABLE);
		return false;
	}
	/* A short read has emptied the socket, unless its end lies behind. */
	if ((size_t)n < room && !(conn->flags & CONN_HUNG_UP))
		conn->flags &= (uint16_t)~CONN_READABLE;
	bytes.n = (size_t)n;
	/* A stream has nothing to say, and whoever lingers is not listened to. */
	if (takes_input(conn))
		input_take(hub, conn, bytes);
	return conn->flags & CONN_READABLE;
}

static void conn_write(struct hub *hub, struct conn *conn)
{
	conn->flags &= (uint16_t)~CONN_WRITABLE;
	if (conn->state == CONN_STREAM) {
		stream_pump(hub, conn);
	} else if (conn->state == CONN_POLL) {
		longpoll_walk(hub, conn);
	} else if (conn->state == CONN_REPLY) {
		/* Then what came behind the request has waited long enough. */
		if (reply_send(hub, conn))
			input_take(hub, conn, (struct str){ NULL, 0 });
	} else if (conn->state == CONN_BODY) {
		own_send(hub, conn);
	}
}

static void conn_read(struct hub *hub, struct conn *conn)
{
	for (int reads = 0; reads < READS_PER_TURN; reads++) {
		if (conn->state == CONN_POLL && conn->flags & CONN_HUNG_UP)
			conn_doom(hub, conn, REASON_CLIENT);
		if (conn->state == CONN_REPLY || conn->state == CONN_POLL ||
		    conn->flags & (CONN_DOOMED | CONN_BACKLOG))
			return;
		if (!input_read(hub, conn))
			return;
	}
	conn_later(hub, conn, CONN_READABLE);
}

static void conn_serve(struct hub *hub, struct conn *conn)
{
	if (conn->flags & CONN_WRITABLE)
		conn_write(hub, conn);
	if (conn->flags & CONN_BACKLOG) {
		conn->flags &= (uint16_t)~CONN_BACKLOG;
		if (takes_input(conn))
			input_take(hub, conn, (struct str){ NULL, 0 });
	}
	if (conn->flags & CONN_READABLE)
		conn_read(hub, conn);
	if (!(conn->flags & CONN_DOOMED))
		conn_release(hub, conn);
}

void request_timed_out(struct hub *hub, struct conn *conn, enum stats_reason reason)
{
	conn->reason = (uint8_t)reason;
	refuse(hub, conn, 408, "The request took too long to arrive.");
}

void request_stop_flow(struct hub *hub, struct conn *conn, int status, const char *why)
{
	if (conn->state != CONN_BODY || conn->flags & CONN_DOOMED ||
	    exchange_at(&hub->conns.exchanges, conn->exchange)->sink != SINK_FEED)
		return;
	publish_feed_stop(hub, conn, status, why);
	request_finished(hub, conn);
}

void request_event(struct hub *hub, uint32_t slot, uint32_t generation, uint32_t bits)
{
	struct conn *conn = conns_at(&hub->conns, slot);

	if (conn->state == CONN_FREE || conn->generation != generation || conn->flags & CONN_DOOMED)
		return;
	if (bits & (EPOLLERR | EPOLLHUP)) {
		conn_doom(hub, conn,
			  conn->state == CONN_LINGER ? (enum stats_reason)conn->reason
						     : REASON_CLIENT);
		return;
	}
	if (bits & EPOLLRDHUP)
		conn->flags |= CONN_HUNG_UP;
	if (bits & (EPOLLIN | EPOLLRDHUP))
		conn->flags |= CONN_READABLE;
	if (bits & EPOLLOUT)
		conn->flags |= CONN_WRITABLE;
	/* Publishers and operators do not queue with everybody. */
	if (conn->flags & CONN_CONTROL)
		conn_serve(hub, conn);
	else
		conn_later(hub, conn, 0);
}

bool request_run_agenda(struct hub *hub)
{
	uint32_t last = hub->conns.agenda_last, slot;

	if (!hub->conns.agenda)
		return false;
	do {
		struct conn *conn;

		slot = conns_agenda_take(&hub->conns);
		conn = conns_at(&hub->conns, slot);
		if (conn->flags & CONN_DOOMED)
			conn_bury(hub, conn);
		else
			conn_serve(hub, conn);
	} while (slot != last && !hub_is_late(hub));
	return slot != last;
}
