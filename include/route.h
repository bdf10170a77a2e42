/*
 * route: which handler a request goes to: one table.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "hub.h"

/*
 * Answers the request, opens a stream, or sets up the exchange's sink for its body. Counts it under
 * its route.
 */
void route_request(struct hub *hub, struct conn *conn, const struct http_request *request);

#endif
