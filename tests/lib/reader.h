/*
 * reader: an event stream as a browser would read it, for tests.
 *
 * The chunks are taken off strictly (RFC 9112 section 7.1), and the lines are read by the parsing
 * rules of WHATWG HTML section 9.2.6; both byte by byte, independent of the daemon's code. Events
 * are collected in the order in which they were dispatched.
 */
#ifndef READER_H
#define READER_H

#include "client.h"

/* All owned and NUL-terminated. */
struct reader_event {
	char *id;   /* the last event id when it was dispatched: "" at first */
	char *type; /* "message" where the event names none */
	char *data;
};

enum chunk_state { CHUNK_SIZE, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_CR, CHUNK_LF, CHUNK_END };

struct reader {
	struct client client;
	struct response head;
	enum chunk_state chunk_state;
	uint64_t chunk_left;
	size_t end_at; /* bytes of the closing CRLF seen */
	bool ended;    /* the last chunk has come, or the connection has ended where there are no
			  chunks */

	struct buf line, data, type, id; /* of the parser */
	bool after_cr;
	struct buf text; /* all of the body */

	struct reader_event *events;
	size_t count;
	size_t comments; /* lines that begin with a colon */
	size_t frames;   /* chunks */
	uint64_t retry_ms;
	size_t retries; /* fields that set it */
};

/* Sends "GET target HTTP/1.1" with these header fields (lines that end in CRLF; may be "") to the
 * public port, and expects 200. */
void reader_open(struct reader *s, const struct daemon *d, const char *target, const char *fields);

/* Reads the head of a stream that was asked for on an open client, which it takes over. */
void reader_begin(struct reader *s, struct client *c);

/* Reads what there is, at least something: false when the stream has ended. */
bool reader_more(struct reader *s, uint64_t deadline_ms);

/* Reads until so many events, comments have come. */
void reader_wait(struct reader *s, size_t events);
void reader_wait_comments(struct reader *s, size_t comments);

/* The same, and expects that their data are the numbers from 0 on, each of so many bytes. */
void reader_expect_numbers(struct reader *s, size_t events, size_t bytes);

/* Reads until an event with that data has come; returns its index. */
size_t reader_wait_data(struct reader *s, const char *data);

/* Reads until the stream ends properly: with the last chunk. */
void reader_wait_end(struct reader *s);

/* Reads until the connection is gone, however. */
void reader_wait_cut(struct reader *s);

/* Closes, properly or by a reset, and frees everything. */
void reader_close(struct reader *s);
void reader_abort(struct reader *s);

/* The options of a daemon whose streams hold nothing but what the test publishes. */
#define QUIET "--welcome", ""

#endif
