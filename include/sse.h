/*
 * sse: events and their bytes on the wire (WHATWG HTML section 9.2, "Server-sent events").
 *
 * A frame is one chunk of HTTP/1.1 (RFC 9112 section 7.1) that holds one event:
 *
 *	51 CRLF                         chunk head: size of what follows, in hexadecimal
 *	id: 1763622735123-0 LF
 *	event: price LF                 if the event has a type
 *	retry: 3000 LF                  if it sets the reconnection time
 *	data: first line LF             one for each line of the data
 *	data: second line LF
 *	LF
 *	CRLF                            end of the chunk
 *
 * A client of HTTP/1.0 gets the same bytes without the chunk's head and end.
 */
#ifndef SSE_H
#define SSE_H

#include "buf.h"

enum {
	SSE_TOPIC_MAX = 256,   /* bytes of a topic */
	SSE_TOPICS_MAX = 1000, /* topics of an event */
	SSE_ID_MAX = 1024,     /* bytes of a publisher's own id, and of an event type */
};

#define SSE_NO_RETRY UINT64_MAX

/* What somebody publishes. All slices are borrowed. */
struct event {
	const struct str *topics; /* at least one; the first is the canonical one */
	size_t topic_count;
	struct str data;   /* any UTF-8 without NUL */
	struct str type;   /* empty = none, which a browser calls "message" */
	struct str id;     /* empty = the daemon makes one */
	uint64_t retry_ms; /* SSE_NO_RETRY = none */
	bool is_private;   /* only for subscribers that are authorised for one of its topics */
};

/*
 * Whether a topic, or a selector, can be one: NULL, or a sentence: it is empty, longer than
 * bytes_max, not UTF-8 or has control characters.
 */
const char *sse_check_topic(struct str topic, size_t bytes_max);

/*
 * Whether the event can be put on the wire. Returns NULL, or a sentence that says what is wrong,
 * a constant: no topic, a topic that is empty, too long, not UTF-8 or has control characters; data,
 * type or id that is not UTF-8 or has NUL; CR or LF in type or id; type or id too long.
 */
const char *sse_check(const struct event *event);

/*
 * Bytes that sse_write_frame() will write at most, for a checked event with an id of id_len bytes.
 * Counts the lines of the data, so that it is close: exact, but for CRLFs and the digits of retry.
 */
size_t sse_frame_bound(const struct event *event, size_t id_len);

/*
 * Writes the frame of a checked event with that id (empty: no id line) to out, which has room for
 * sse_frame_bound() bytes. Returns the frame's length; *chunk_head is the length of its chunk head
 * (its end is always 2 bytes).
 */
size_t sse_write_frame(char *out, const struct event *event, struct str id, size_t *chunk_head);

/*
 * What a frame says, without its chunk framing: type and id are slices, data is appended to out
 * with its lines joined by LF again. For long polling and for tests of what we wrote. Returns 0;
 * -EINVAL for what sse_write_frame() does not write; or data's sticky error.
 */
struct sse_parsed {
	struct str id;
	struct str type;
	uint64_t retry_ms; /* or SSE_NO_RETRY */
};
int sse_read_frame(struct str frame_body, struct sse_parsed *parsed, struct buf *data);

#endif
