/*
 * subscribe: GET /sse, /sse/TOPIC, /sse?topic=…: makes a conn a subscriber (WHATWG HTML
 * section 9.2), or with ?poll one for a single answer (longpoll.h).
 */
#ifndef SUBSCRIBE_H
#define SUBSCRIBE_H

#include "grant.h"
#include "hub.h"

enum { SUBSCRIBE_TOPICS_MAX = 64 }; /* of one stream */

/* Whether a request for a stream is for one answer instead. */
bool subscribe_is_poll(const struct http_request *request);

/* What a stream is asked for. */
struct wish {
	struct str selectors;      /* packed (names.h) */
	const struct grant *grant; /* whose private events it may see, and until when */
	bool is_mercure;           /* begins as that protocol has it: no welcome, a header more */
};

/*
 * Answers with the head of a stream and opens it, or refuses. topic: what follows the route in the
 * path, undecoded, or empty.
 */
void subscribe_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		    struct str topic);

/*
 * Appends a topic or selector of a query to a list: NULL, or what is wrong with it. plus: see
 * uri_decode().
 */
const char *subscribe_add(struct buf *selectors, const struct hub *hub, const struct conn *conn,
			  struct str raw, bool plus, size_t bytes_max);

/* Answers with the head of a stream that begins where the request says, and opens it; or refuses.
 */
void subscribe_stream(struct hub *hub, struct conn *conn, const struct http_request *request,
		      const struct wish *wish);

#endif
