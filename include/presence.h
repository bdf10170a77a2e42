/*
 * presence: tells those who may know who subscribes to what (--mercure-subscriptions).
 *
 * When a stream of the Mercure protocol opens and after it has gone, a private event is published
 * for each of its selectors, on the topic
 *
 *	/.well-known/mercure/subscriptions/SELECTOR/SUBSCRIBER
 *
 * with both percent-encoded. presences.h has the table.
 */
#ifndef PRESENCE_H
#define PRESENCE_H

#include "hub.h"

/*
 * Tells of a stream that is about to open, with these selectors and payload (presences.h), and
 * keeps its entry in the conn. 0, -ENOMEM or -EIO.
 */
int presence_enter(struct hub *hub, struct conn *conn, struct str selectors, struct str payload);

/* Tells of those that have gone: at the end of a turn, behind its flush. */
void presence_tell_gone(struct hub *hub);

/*
 * Appends the JSON of the subscriptions: only those to that selector, and of that subscriber, where
 * these are not empty. context: with their @context, and the id of the last event. Returns how many
 * there are.
 */
size_t presence_list(const struct hub *hub, struct str selector, struct str subscriber,
		     bool has_context, struct buf *out);

/* The id of the last event, or `earliest`. */
struct str presence_last_id(const struct hub *hub);

#endif
