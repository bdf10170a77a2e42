/*
 * publish: POST /publish: a body that is one event, or a flow of them.
 */
#ifndef PUBLISH_H
#define PUBLISH_H

#include "hub.h"

/*
 * Checks who publishes and how; refuses, or sets up the exchange for the body. topic: what follows
 * the route in the path, undecoded, or empty.
 */
void publish_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		  struct str topic);

/*
 * Whether the request's token (access.h) allows to publish; what to, is in the exchange's rights
 * then. Refuses it otherwise.
 */
bool publish_by_token(struct hub *hub, struct conn *conn, const struct http_request *request);

/* Whether nobody but the daemon publishes to that topic. */
bool publish_is_ours(struct str topic);

/*
 * Whether the event's topics are among those rights, and not the daemon's own: NULL, or a sentence,
 * a constant, and *status. Counts a refusal.
 */
const char *publish_check(struct hub *hub, const struct exchange *exchange,
			  const struct event *event, int *status);

/*
 * The next bytes of the body, and its end. Each may refuse: then exchange->status is set.
 * announced: bytes that will follow, as far as is known (of the body, or of its present chunk).
 */
void publish_event_data(struct hub *hub, struct conn *conn, struct str data, uint64_t announced);
void publish_event_end(struct hub *hub, struct conn *conn);
void publish_feed_data(struct hub *hub, struct conn *conn, struct str data);
void publish_feed_end(struct hub *hub, struct conn *conn);

/* Nothing more of a feed is taken: this status, why, and how much of it is published. */
void publish_feed_stop(struct hub *hub, struct conn *conn, int status, const char *why);

/* 413, and the connection ends. */
void publish_too_large(struct hub *hub, struct conn *conn);

/* A feed that came from an earlier binary is this binary's to go on with. */
void publish_feed_resume(struct exchange *exchange);

#endif
