/*
 * client: see client.h.
 */
#include "client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	READ_SIZE = 65536,
	/* Two segments of the loopback interface: with less, TCP crawls on for other reasons than
	 * the tests'. */
	NARROW_BYTES = 128 * 1024,
};

static void client_connect(struct client *c, int family, const void *address, socklen_t size,
			   int receive_bytes)
{
	memset(c, 0, sizeof(*c));
	buf_init(&c->in, SIZE_MAX);
	c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(c->fd >= 0, "socket: %s", strerror(errno));
	if (receive_bytes)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	cr_assert(connect(c->fd, address, size) == 0, "connect: %s", strerror(errno));
}

static void open_tcp(struct client *c, int port, int receive_bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	client_connect(c, AF_INET, &address, sizeof(address), receive_bytes);
}

void client_open_port(struct client *c, int port)
{
	open_tcp(c, port, 0);
}

void client_open_narrow(struct client *c, const struct daemon *d)
{
	open_tcp(c, d->port, NARROW_BYTES);
}

void client_open_tiny(struct client *c, int port)
{
	open_tcp(c, port, 1);
}

void client_open(struct client *c, const struct daemon *d)
{
	client_open_port(c, d->port);
}

void client_open_control(struct client *c, const struct daemon *d)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", d->control);
	client_connect(c, AF_UNIX, &address, sizeof(address), 0);
}

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

void client_abort(struct client *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(c);
}

bool client_try_send(struct client *c, struct str bytes)
{
	while (bytes.n) {
		ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return false;
		cr_assert(n > 0, "send: %s", strerror(errno));
		bytes = str_from(bytes, (size_t)n);
	}
	return true;
}

void client_send(struct client *c, struct str bytes)
{
	cr_assert(client_try_send(c, bytes), "send: the other side has closed");
}

void client_sendf(struct client *c, const char *format, ...)
{
	struct buf text;
	va_list args;

	buf_init(&text, SIZE_MAX);
	va_start(args, format);
	cr_assert(buf_addv(&text, format, args) == 0, "no memory");
	va_end(args);
	client_send(c, buf_str(&text));
	buf_done(&text);
}

void client_end(struct client *c)
{
	cr_assert(shutdown(c->fd, SHUT_WR) == 0, "shutdown: %s", strerror(errno));
}

bool client_more(struct client *c, uint64_t deadline_ms)
{
	struct pollfd ready = { .fd = c->fd, .events = POLLIN };

	if (c->eof)
		return false;
	if (poll(&ready, 1, deadline_left(deadline_ms, "bytes from the daemon")) <= 0)
		return true;
	cr_assert(buf_reserve(&c->in, READ_SIZE) == 0, "no memory");
	ssize_t n = recv(c->fd, c->in.p + c->in.n, READ_SIZE, 0);

	c->reset = n < 0 && errno == ECONNRESET;
	cr_assert(n >= 0 || c->reset, "recv: %s", strerror(errno));
	c->eof = n <= 0;
	if (n > 0)
		c->in.n += (size_t)n;
	return !c->eof;
}

void client_need(struct client *c, size_t n)
{
	uint64_t deadline_ms = deadline();

	while (c->in.n < n)
		cr_assert(client_more(c, deadline_ms), "closed after %zu bytes of %zu: %.*s",
			  c->in.n, n, STR_ARG(buf_str(&c->in)));
}

void client_expect_eof(struct client *c)
{
	uint64_t deadline_ms = deadline();

	while (client_more(c, deadline_ms))
		continue;
	cr_assert(c->in.n == 0, "bytes where the end was expected: %.*s", STR_ARG(buf_str(&c->in)));
}

/* Takes n bytes off the input into out. */
static void take(struct client *c, struct buf *out, size_t n)
{
	client_need(c, n);
	cr_assert(buf_add(out, (struct str){ c->in.p, n }) == 0, "no memory");
	buf_drop(&c->in, n);
}

/* Takes a line that ends in CRLF, which goes to out with it; returns its length. */
static size_t take_line(struct client *c, struct buf *out)
{
	size_t n = 0;

	do {
		client_need(c, n + 1);
	} while (c->in.p[n++] != '\n');
	cr_assert(n >= 2 && c->in.p[n - 2] == '\r', "a line that does not end in CRLF: %.*s",
		  STR_ARG(buf_str(&c->in)));
	take(c, out, n);
	return n;
}

static void read_fields(struct response *r)
{
	struct str length = response_header(r, "Content-Length");

	r->chunked = response_is(r, "Transfer-Encoding", "chunked");
	cr_assert(r->chunked || !response_header(r, "Transfer-Encoding").p, "unknown coding");
	r->has_length = length.p;
	if (length.p)
		cr_assert(str_to_u64(length, UINT64_MAX, &r->length) == 0, "bad length");
	cr_assert(!(r->chunked && r->has_length), "chunked and a length");
	r->until_close = !r->chunked && !r->has_length;
}

void client_read_head(struct client *c, struct response *r)
{
	char *end;

	memset(r, 0, sizeof(*r));
	buf_init(&r->head, SIZE_MAX);
	buf_init(&r->body, SIZE_MAX);
	take_line(c, &r->head);
	cr_assert(r->head.n > 15 && memcmp(r->head.p, "HTTP/1.1 ", 9) == 0, "no status line: %.*s",
		  STR_ARG(buf_str(&r->head)));
	r->status = (int)strtol(r->head.p + 9, &end, 10);
	cr_assert(end == r->head.p + 12 && *end == ' ', "no status: %.*s",
		  STR_ARG(buf_str(&r->head)));
	while (take_line(c, &r->head) > 2)
		continue;
	read_fields(r);
}

static void read_chunks(struct client *c, struct response *r)
{
	struct buf line;
	uint64_t size;

	buf_init(&line, SIZE_MAX);
	do {
		char *end;

		buf_clear(&line);
		take_line(c, &line);
		size = strtoull(line.p, &end, 16);
		cr_assert(end > line.p && *end == '\r', "bad chunk size: %.*s",
			  STR_ARG(buf_str(&line)));
		take(c, &r->body, size);
		if (size) {
			buf_clear(&line);
			cr_assert(take_line(c, &line) == 2, "a chunk longer than it said");
		}
	} while (size);
	buf_clear(&line);
	cr_assert(take_line(c, &line) == 2, "trailers");
	buf_done(&line);
}

static bool has_body(const struct response *r)
{
	return r->status >= 200 && r->status != 204 && r->status != 304;
}

void client_read(struct client *c, struct response *r)
{
	uint64_t deadline_ms = deadline();

	client_read_head(c, r);
	if (!has_body(r))
		return;
	if (r->chunked) {
		read_chunks(c, r);
	} else if (r->has_length) {
		take(c, &r->body, r->length);
	} else {
		while (client_more(c, deadline_ms))
			continue;
		take(c, &r->body, c->in.n);
	}
}

void client_read_bodiless(struct client *c, struct response *r)
{
	client_read_head(c, r);
}

void response_done(struct response *r)
{
	buf_done(&r->head);
	buf_done(&r->body);
}

struct str response_header(const struct response *r, const char *name)
{
	struct str rest = buf_str(&r->head), line, found = { NULL, 0 };
	size_t n = strlen(name);

	while (str_cut(&rest, '\n', &line)) {
		if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
			continue;
		cr_assert(!found.p, "%s is there twice", name);
		line.n--;
		found = str_trim(str_from(line, n + 1));
	}
	return found;
}

bool response_is(const struct response *r, const char *name, const char *value)
{
	return str_eq(response_header(r, name), str_of(value)) && response_header(r, name).p;
}

bool response_has(const struct response *r, const char *text)
{
	return r->body.n && memmem(r->body.p, r->body.n, text, strlen(text));
}

/* One request on a fresh connection, which is then closed. */
static int ask(struct client *c, struct response *r, const char *bytes)
{
	struct response unwanted;
	struct response *answer = r ? r : &unwanted;

	client_send(c, str_of(bytes));
	if (strncmp(bytes, "HEAD ", 5) == 0)
		client_read_bodiless(c, answer);
	else
		client_read(c, answer);
	client_close(c);
	int status = answer->status;

	if (!r)
		response_done(&unwanted);
	return status;
}

int request(const struct daemon *d, struct response *r, const char *bytes)
{
	struct client c;

	client_open(&c, d);
	return ask(&c, r, bytes);
}

int request_control(const struct daemon *d, struct response *r, const char *bytes)
{
	struct client c;

	client_open_control(&c, d);
	return ask(&c, r, bytes);
}

void publish(const struct daemon *d, const char *path, const char *data, char id[ID_TEXT])
{
	struct client c;
	struct response r;
	char text[ID_TEXT];

	client_open_control(&c, d);
	client_sendf(&c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", path,
		     strlen(data), data);
	client_read(&c, &r);
	cr_assert(buf_add_char(&r.body, '\0') == 0, "no memory");
	cr_assert(r.status == 200, "publish %s: %d %s", path, r.status, r.body.p);
	cr_assert(sscanf(r.body.p, "{\"id\":\"%63[^\"]\",\"subscribers\":", text) == 1,
		  "publish answered %s", r.body.p);
	if (id)
		snprintf(id, ID_TEXT, "%s", text);
	response_done(&r);
	client_close(&c);
}
