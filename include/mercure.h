/*
 * mercure: the routes of the Mercure protocol, for the clients that exist: /.well-known/mercure.
 *
 * One model, not two: a Mercure update is an event with several topics, and a subscription is a
 * stream whose topics are selectors. What is special here is how both are written down.
 * docs/mercure.md tells what is spoken, point by point.
 */
#ifndef MERCURE_H
#define MERCURE_H

#include "hub.h"

enum { MERCURE_SELECTOR_MAX = 1024 }; /* bytes: topics that tell of subscriptions are long */

/* GET subscribes, POST publishes. rest is empty. */
void mercure_open(struct hub *hub, struct conn *conn, const struct http_request *request,
		  struct str rest);

/*
 * GET of the subscriptions (presence.h). rest, undecoded: nothing, a selector, or a selector and a
 * subscriber.
 */
void mercure_subscriptions(struct hub *hub, struct conn *conn, const struct http_request *request,
			   struct str rest);

/* The form of a publish request is complete in the exchange's content. */
void mercure_form_end(struct hub *hub, struct conn *conn);

#endif
