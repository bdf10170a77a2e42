/*
 * subscribe: GET /sse, /sse/TOPIC, /sse?topic=…: makes a conn a subscriber (WHATWG HTML
 * section 9.2).
 */
#ifndef SUBSCRIBE_H
#define SUBSCRIBE_H

#include "hub.h"

/*
 * Answers with the head of a stream and opens it, or refuses. topic: what follows the route in the
 * path, undecoded, or empty.
 */
void subscribe_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		    struct str topic);

#endif
