/*
 * reader: takes a stream apart as it arrives, whatever its framing: chunked HTTP, HTTP that ends by
 * close, or what redis sends to a subscriber.
 *
 * Only an event that is incomplete at the end of a read is kept, at the next one it stands before
 * the new bytes. So a stream that arrives in whole events, as it mostly does, is never copied.
 */
#ifndef READER_H
#define READER_H

#include "str.h"

enum reader_framing { READER_PLAIN, READER_CHUNKED, READER_REDIS };

enum reader_chunk { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER };

struct reader {
	enum reader_framing framing;
	enum reader_chunk chunk;
	size_t chunk_left; /* bytes of the chunk; while its size is read, that size so far */
	char *held;        /* owned: the incomplete event; NULL = none */
	size_t held_n;
	bool is_broken; /* what came was no stream */
	bool is_ended;  /* the last chunk has come */
};

/* An event: its data (the lines joined as they stand) and id; empty where it has none. */
typedef void reader_event(void *context, struct str data, struct str id);

enum { READER_HELD_MAX = 2 << 20 };

void reader_init(struct reader *reader, enum reader_framing framing);
void reader_done(struct reader *reader);

/* Keeps a copy of rest, to stand before what is read next; it may point into what is held. */
void reader_hold(struct reader *reader, struct str rest);

/*
 * Takes n bytes that were read to bytes + reader->held_n; the held ones are put before them, and
 * everything is changed in place. Returns the number of comments and fields that are no event (such
 * as heartbeats); calls on_event for each event.
 */
uint64_t reader_take(struct reader *reader, char *bytes, size_t n, reader_event *on_event,
		     void *context);

#endif
