/*
 * subscribe: GET /sse, /sse/TOPIC, /sse?topic=…: makes a conn a subscriber (WHATWG HTML
 * section 9.2), or with ?poll one for a single answer (longpoll.h).
 */
#ifndef SUBSCRIBE_H
#define SUBSCRIBE_H

#include "hub.h"

/* Whether a request for a stream is for one answer instead. */
bool subscribe_is_poll(const struct http_request *request);

/*
 * Answers with the head of a stream and opens it, or refuses. topic: what follows the route in the
 * path, undecoded, or empty.
 */
void subscribe_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		    struct str topic);

#endif
