/*
 * feed: turns a flow of bytes into events, as they arrive: lines of text, lines of JSON (ndjson),
 * or blocks of a text/event-stream. Pure: the bytes come from a request body or from standard
 * input.
 *
 * A feed keeps the unfinished line or block (bounded), hands over each finished event, and stops at
 * the first that is wrong: what came before it has been handed over, nothing behind it will be. Or,
 * where nobody could be told that it has stopped, it leaves out the line or block that is wrong.
 */
#ifndef FEED_H
#define FEED_H

#include "pack.h"
#include "sse.h"

enum feed_format { FEED_LINES, FEED_NDJSON, FEED_SSE };

/*
 * Takes a finished event; the event borrows from the feed until it returns. The topic for events
 * that name none is already filled in; sse_check() has not been asked yet. Returns NULL, or a
 * sentence (a constant) why it is refused: the feed then stops.
 */
typedef const char *feed_take(void *context, const struct event *event);

/* Is told what is wrong (a constant) with the line `line`, which is left out. */
typedef void feed_complain(void *context, const char *why);

struct feed {
	enum feed_format format;
	struct str topic; /* for events that name none; borrowed */
	feed_take *take;
	feed_complain *complain; /* NULL: the feed stops at what is wrong; set behind feed_init() */
	void *context;
	uint64_t line;       /* number of the line now being read, from 1 */
	uint64_t error_line; /* where it stopped; of an SSE block its last line, the empty one */
	const char *error;   /* NULL, or why it stopped */
	int err;             /* 0, or what feed_push() returns from now on */
	struct buf text;     /* the unfinished line */
	struct buf data, type, id, named; /* sse: the block's fields so far; named is its topic */
	struct buf scratch;               /* ndjson: decoded strings of the line */
	uint64_t retry_ms;                /* sse: of the block */
	bool has_data, has_topic;         /* sse: which may be there and empty */
	bool skips;    /* the rest of this line, or (sse) all up to an empty one, is left out */
	bool after_cr; /* an LF now belongs to the CR before it */
};

/* event_max: bytes that one line, or one event's data, may have. */
void feed_init(struct feed *feed, enum feed_format format, struct str topic, size_t event_max,
	       feed_take *take, void *context);
void feed_done(struct feed *feed);

/*
 * An unfinished feed, packed; and the same feed in another process, into one that feed_init() has
 * made with the same format. 0, -EINVAL for what is no packed feed, or -ENOMEM.
 */
void feed_pack(const struct feed *feed, struct buf *out);
int feed_unpack(struct feed *feed, struct unpack *in);

/*
 * Takes the next bytes. Returns 0, or -EINVAL when the feed has stopped, or -ENOMEM, which stops it
 * too (error and error_line say why and where).
 *
 * Lines end in LF, CRLF or CR, in every format; a U+FEFF at the very beginning is skipped.
 *
 * FEED_LINES: each line is the data of one event. Empty lines are events with empty data.
 *
 * FEED_NDJSON: each line is {"topic","event","id","retry","data","private"}, all optional; topic a
 * string or an array of strings; private true or false; data a string, or any JSON value, which is
 * then sent as its JSON text as it stands. null is the same as nothing, but for data. Lines of
 * white space are skipped. Unknown members are ignored; of equal members the last counts.
 *
 * FEED_SSE: the parsing rules of WHATWG HTML section 9.2.6; additionally a field `topic` names the
 * topic. An id, a type, a retry or a topic is the block's own and does not outlive it. A block
 * without data is no event (as in a browser) and is dropped, whatever else it has.
 */
int feed_push(struct feed *feed, struct str bytes);

/*
 * The end of the input: an unfinished last line (lines, ndjson) is an event; an unfinished block
 * (sse) is dropped, as the standard says. Returns as feed_push().
 */
int feed_end(struct feed *feed);

#endif
