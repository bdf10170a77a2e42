/*
 * anchor: keeps the trace of streams true, so that they can go on after a crash.
 *
 * Called at the turns of a stream's life; each call does nothing while nothing is traced, or for a
 * stream that is not: one on a unix socket, or one that found no room. The broadcast itself only
 * counts, once for each audience.
 */
#ifndef ANCHOR_H
#define ANCHOR_H

#include "hub.h"

/* A walking stream whose own bytes are all out: from here on it is known where it stands. */
void anchor_begin(struct hub *hub, struct conn *conn);

/* It walked: `bytes` is what it has now had since the record began at which it stood before. */
void anchor_walked(struct hub *hub, struct conn *conn, uint64_t bytes);

/* It has become live; and it is no more, from that record on, with so many bytes of a flush that
 * is not counted yet before it. */
void anchor_live(struct hub *hub, struct conn *conn);
void anchor_behind(struct hub *hub, struct conn *conn, uint64_t record, uint64_t bytes);

/* A live one will get bytes that are not in the ring; and has got all of them, or not. */
void anchor_say(struct hub *hub, struct conn *conn, size_t len);
void anchor_said(struct hub *hub, struct conn *conn, bool all);

/* A flush has given the audience's live ones so many bytes, of the records below that one. */
void anchor_count(struct hub *hub, const struct audience *audience, uint64_t bytes,
		  uint64_t record);

/* It is a stream no more. Before its membership is given back. */
void anchor_forget(struct hub *hub, struct conn *conn);

/* The descriptor of a parked conn by its number, or -1: a park_find. context: the hub. */
int anchor_find(void *context, uint64_t number);

/*
 * After a crash: where the stream of a mark stands, whose socket has taken `written` bytes. True
 * with *record, *offset and the number of bytes of a heartbeat that it still has to get; false
 * where that cannot be told.
 */
bool anchor_locate(const struct hub *hub, const struct mark *mark, const struct audience *audience,
		   uint64_t written, uint64_t *record, uint32_t *offset, size_t *heartbeat_left);

#endif
