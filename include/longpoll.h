/*
 * longpoll: GET /sse?poll: the events since an id as one answer in JSON, waited for where there are
 * none yet.
 *
 *	{"last_id":"1763622735123-0",
 *	 "events":[{"id":"…","event":"message","data":"…","topic":"broadcast"}, …],
 *	 "gap":null}
 *
 * A poller is a subscriber for the length of one answer, in state CONN_POLL. While it looks for
 * events in the ring, it walks; when there are none, it waits as a live member of an audience with
 * the framing TOPIC_POLL. All who wait in one audience have had everything so far, so that the
 * flush answers all of them with the same body, made once. last_id is where the answer ends in the
 * ring, whatever ids the publishers chose: the next poll names it and misses nothing.
 */
#ifndef LONGPOLL_H
#define LONGPOLL_H

#include "hub.h"

/*
 * Begins a poll on a conn that has read its request. The membership of audience is taken. from:
 * what the client named, for a gap. gap: NULL, or why the promise of every later event is broken.
 */
void longpoll_open(struct hub *hub, struct conn *conn, uint32_t audience, uint64_t start,
		   struct str from, const char *gap);

/* Looks on, for a poller that does not wait yet. */
void longpoll_walk(struct hub *hub, struct conn *conn);

/* Answers with no events what has waited long enough, or cannot wait any longer. */
void longpoll_end(struct hub *hub, struct conn *conn);

/* The flush of an audience with that framing; pending is the first of its pending records. */
void longpoll_flush(struct hub *hub, struct audience *audience, uint32_t pending);

/* Answers all who wait in the audience with an event that is not in the ring. */
void longpoll_say(struct hub *hub, struct audience *audience, const struct event *event);

#endif
