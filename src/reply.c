/*
 * reply: response heads and small responses, as own bytes of the conn. See reply.h.
 */
#include "reply.h"

#include <stdarg.h>
#include <time.h>

#include "conn.h"
#include "httpvalue.h"
#include "log.h"

enum {
	SENTENCE_MAX = 1024,
	REQUEST_MAX =
		900, /* of a request in the access log, escaped: who and status need room, too */
};

static struct exchange *exchange_of(struct hub *hub, struct conn *conn)
{
	return exchange_at(&hub->conns.exchanges, conn->exchange);
}

/*
 * `192.0.2.7 "GET /sse HTTP/1.1" 200`. A target that is too long for a line is cut, so that it
 * cannot push out the status; the log would escape no more than is escaped here.
 */
static void access_log(struct hub *hub, const struct conn *conn, const struct exchange *exchange)
{
	char line[REQUEST_MAX];
	struct buf who;

	if (!hub->config.access_log)
		return;
	buf_init(&who, 64);
	conn_name(hub, conn, &who);
	log_info("%.*s \"%.*s\" %d", STR_ARG(buf_str(&who)),
		 (int)log_escape(line, sizeof(line), buf_str(&exchange->line)), line,
		 exchange->status);
	buf_done(&who);
}

static void status_line(struct hub *hub, struct conn *conn, int status)
{
	struct exchange *exchange = exchange_of(hub, conn);
	char date[HTTP_DATE_LEN];

	exchange->status = status;
	stats_request(&hub->stats, (enum stats_route)exchange->route, status);
	access_log(hub, conn, exchange);
	http_date_write(date, (int64_t)time(NULL));
	buf_addf(&exchange->out, "HTTP/1.1 %d %s\r\nDate: %.*s\r\n", status, http_reason(status),
		 HTTP_DATE_LEN, date);
}

/* Half a field would make nonsense of the head: what could not be built is no response. */
static void add_fields(struct buf *out, const struct buf *fields)
{
	if (!out->err)
		out->err = fields->err;
	buf_add(out, buf_str(fields));
}

void reply_head(struct hub *hub, struct conn *conn, int status, uint64_t length,
		const struct buf *fields)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct buf *out = &exchange->out;

	status_line(hub, conn, status);
	if (length != UINT64_MAX)
		buf_addf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
	if (!exchange->keep_alive)
		buf_add(out, STR("Connection: close\r\n"));
	else if (exchange->is_http10)
		buf_add(out, STR("Connection: keep-alive\r\n"));
	buf_add(out, STR("X-Content-Type-Options: nosniff\r\n"));
	add_fields(out, &exchange->cors);
	add_fields(out, fields);
	buf_add(out, STR("\r\n"));
}

void reply_body(struct hub *hub, struct conn *conn, int status, struct str type, struct str body)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct buf fields;

	buf_init(&fields, SENTENCE_MAX);
	buf_addf(&fields, "Content-Type: %.*s\r\nCache-Control: no-store\r\n", STR_ARG(type));
	if (status == 503)
		buf_addf(&fields, "Retry-After: %llu\r\n",
			 (unsigned long long)(hub->config.retry_ms / 1000 + 1));
	if (status == 401)
		buf_add(&fields, STR("WWW-Authenticate: Bearer\r\n"));
	reply_head(hub, conn, status, body.n, &fields);
	buf_done(&fields);
	if (!exchange->is_head)
		buf_add(&exchange->out, body);
}

void reply_text(struct hub *hub, struct conn *conn, int status, const char *format, ...)
{
	struct buf text;
	va_list args;

	buf_init(&text, SENTENCE_MAX);
	va_start(args, format);
	buf_addv(&text, format, args);
	va_end(args);
	buf_add_char(&text, '\n');
	reply_body(hub, conn, status, STR("text/plain; charset=utf-8"), buf_str(&text));
	buf_done(&text);
}

const char reply_no_memory[] = "There is no memory for this request now.";

void reply_wrong(struct hub *hub, struct conn *conn, int status, const char *sentence)
{
	reply_text(hub, conn, sentence == reply_no_memory ? 503 : status, "%s", sentence);
}

void reply_refuse(struct hub *hub, struct conn *conn, int status, const char *sentence)
{
	exchange_of(hub, conn)->keep_alive = false;
	reply_text(hub, conn, status, "%s", sentence);
}

void reply_methods(struct buf *out, unsigned methods)
{
	static const struct {
		enum http_method method;
		const char *name;
	} names[] = { { HTTP_GET, "GET" },
		      { HTTP_HEAD, "HEAD" },
		      { HTTP_POST, "POST" },
		      { HTTP_PUT, "PUT" },
		      { HTTP_OPTIONS, "OPTIONS" } };
	const char *comma = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(methods & names[i].method))
			continue;
		buf_addf(out, "%s%s", comma, names[i].name);
		comma = ", ";
	}
}

void reply_stream_head(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange = exchange_of(hub, conn);
	struct buf *out = &exchange->out;

	status_line(hub, conn, 200);
	buf_add(out, STR("Content-Type: text/event-stream\r\n"
			 "Cache-Control: no-cache, no-transform\r\n"
			 "X-Accel-Buffering: no\r\n"
			 "X-Content-Type-Options: nosniff\r\n"));
	buf_add(out, exchange->is_http10 ? STR("Connection: close\r\n")
					 : STR("Connection: keep-alive\r\n"
					       "Transfer-Encoding: chunked\r\n"));
	add_fields(out, &exchange->cors);
	buf_add(out, STR("\r\n"));
}

void reply_cors(const struct hub *hub, const struct http_request *request, struct buf *out)
{
	const struct value_list *allowed = &hub->config.cors_origin;
	const struct str *origin = http_header(request, STR("Origin"));
	bool by_origin = false;

	if (allowed->count > 0)
		buf_add(out, STR("Access-Control-Expose-Headers: Last-Event-ID\r\n"));
	for (size_t i = 0; i < allowed->count; i++) {
		if (str_eq(str_of(allowed->items[i]), STR("*"))) {
			buf_add(out, STR("Access-Control-Allow-Origin: *\r\n"));
			return;
		}
		by_origin = true;
	}
	for (size_t i = 0; origin && i < allowed->count; i++) {
		if (!str_eq(str_of(allowed->items[i]), *origin))
			continue;
		buf_addf(out, "Access-Control-Allow-Origin: %s\r\n", allowed->items[i]);
		/* null is the name of too many. */
		if (!str_eq(*origin, STR("null")))
			buf_add(out, STR("Access-Control-Allow-Credentials: true\r\n"));
		break;
	}
	if (by_origin)
		buf_add(out, STR("Vary: Origin\r\n"));
}
