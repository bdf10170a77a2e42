/*
 * stream: the life of a subscriber: walking at its own cursor, live, and ended.
 *
 * A live subscriber has had everything that is flushed; it is an entry in its audience's array and
 * the broadcast sends to it without looking at its conn. A walking one reads the ring at its cursor
 * as its client takes it, and becomes live when it reaches the flushed head.
 */
#ifndef STREAM_H
#define STREAM_H

#include "hub.h"

/* Sends what can be sent: own bytes, then the ring up to the flushed head; then it is live. */
void stream_pump(struct hub *hub, struct conn *conn);

/* Says something to a live subscriber that is not in the ring; bytes are framed for it. */
void stream_say(struct hub *hub, struct conn *conn, struct str bytes);

/* Sends the heartbeat comment. */
void stream_heartbeat(struct hub *hub, struct conn *conn);

/*
 * Ends a stream properly, once it has had everything that is flushed: a retry that tells the client
 * when to come back, the last chunk, the end of the connection for that reason.
 */
void stream_end(struct hub *hub, struct conn *conn, enum stats_reason reason);

/* Bytes of the ring between the subscriber and the flushed head. */
uint64_t stream_lag(const struct hub *hub, const struct conn *conn);

/*
 * The reason to cut a walking subscriber for its lag, and true; false where it may go on.
 */
bool stream_is_too_slow(struct hub *hub, struct conn *conn, enum stats_reason *reason);

/*
 * Answers a request for a stream that there is no room for, for that reason: a browser gives up for
 * good on anything but 200, so it gets a stream that says when to come back, and ends.
 */
void stream_refuse(struct hub *hub, struct conn *conn, enum stats_reason reason);

/*
 * Appends text, which is not empty, as stream bytes of that audience's framing: as one chunk, or
 * bare. Its sticky error becomes that of out.
 */
void stream_frame(enum topic_framing framing, const struct buf *text, struct buf *out);

/*
 * Appends what a client is told of a gap, a JSON object: what it named, the floor, and the reason.
 */
void stream_gap(const struct hub *hub, struct str from, const char *reason, struct buf *out);

/*
 * Appends `retry: N` and an empty line: N is from --retry to twice that, or while draining up to
 * --drain-retry more.
 */
void stream_retry(struct hub *hub, enum topic_framing framing, struct buf *out);

#endif
