/*
 * client: a client of HTTP/1.x over a raw socket, for tests.
 *
 * It says exactly the bytes that the test gives it, and reads the answers by rules of its own,
 * strictly: nothing here shares code with the daemon's parser. Whatever goes wrong fails the test.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "daemon.h"

struct client {
	int fd;
	struct buf in; /* received and not yet taken */
	bool eof;      /* nothing more will come */
	bool reset;    /* and it ended by a reset */
};

struct response {
	int status;
	int minor;        /* of its version */
	struct buf head;  /* from the status line up to and including the empty line */
	struct buf body;  /* without its framing */
	bool chunked;     /* by its fields */
	bool until_close; /* its end is the connection's */
	uint64_t length;  /* of its Content-Length, if it has one */
	bool has_length;
};

/* Connects to the public port, the control socket, any TCP port of 127.0.0.1. */
void client_open(struct client *c, const struct daemon *d);
void client_open_control(struct client *c, const struct daemon *d);
void client_open_port(struct client *c, int port);

/* Connects to the public port with little room for what it does not read; to a port with the least.
 */
void client_open_narrow(struct client *c, const struct daemon *d);
void client_open_tiny(struct client *c, int port);

void client_close(struct client *c);

/* Closes with a reset, so that the other side sees an error. */
void client_abort(struct client *c);

/* Sends all of it. */
void client_send(struct client *c, struct str bytes);
void client_sendf(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends as much as the other side takes before it closes; whether that was all. */
bool client_try_send(struct client *c, struct str bytes);

/* No more will be sent; answers still come. */
void client_end(struct client *c);

/* Waits for more bytes: false when the other side has closed. */
bool client_more(struct client *c, uint64_t deadline_ms);

/* Reads until n bytes are there. */
void client_need(struct client *c, size_t n);

/* Reads until the other side closes, and expects nothing but that. */
void client_expect_eof(struct client *c);

/* Reads one answer's head, or the whole answer; interim answers (1xx) come like any other. */
void client_read_head(struct client *c, struct response *r);
void client_read(struct client *c, struct response *r);

/* The same where the answer has no body whatever its fields say (to HEAD). */
void client_read_bodiless(struct client *c, struct response *r);

void response_done(struct response *r);

/* The value of a field; a NULL pointer where there is none. Fails if the field is repeated. */
struct str response_header(const struct response *r, const char *name);

/* Whether the field has that value. */
bool response_is(const struct response *r, const char *name, const char *value);

/* Whether the body contains it. */
bool response_has(const struct response *r, const char *text);

/* One connection, one request, one answer. The first on the public port, the second on the control
 * socket. Returns the status; r may be NULL. */
int request(const struct daemon *d, struct response *r, const char *bytes);
int request_control(const struct daemon *d, struct response *r, const char *bytes);

/* Publishes data on the control socket to path ("/publish?event=a") and expects 200. The id of the
 * event goes into id, if that is not NULL. */
enum { ID_TEXT = 64 };
void publish(const struct daemon *d, const char *path, const char *data, char id[ID_TEXT]);

#endif
