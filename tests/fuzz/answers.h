/*
 * answers: reads what the daemon has sent to one client, and aborts where that is not well-formed:
 * heads, lengths and chunks fit, JSON is JSON, a stream has only fields that we send, and ids that
 * only grow. What was cut off at the end is accepted.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "eventid.h"
#include "fuzz.h"
#include "json.h"

enum { ANSWERS_BYTES_MAX = 8 << 20 };

/* The ids of the daemon's own shape that one stream, or one poll, has. */
static inline void answers_note_id(struct str text, struct eventid *last)
{
	struct eventid id;

	if (!eventid_parse(text, &id))
		return;
	EXPECT(eventid_cmp(id, *last) > 0);
	*last = id;
}

static inline void answers_stream(struct str text)
{
	static const struct str fields[] = {
		{ "id: ", 4 }, { "event: ", 7 }, { "data: ", 6 }, { "retry: ", 7 }, { ":", 1 }
	};
	struct eventid last = { 0, 0 };
	struct str line;

	/* What is not ended may have been cut. */
	while (str_find(text, '\n') < text.n && str_cut(&text, '\n', &line)) {
		bool known = line.n == 0;

		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			known = known || str_starts(line, fields[i]);
		EXPECT(known);
		EXPECT(str_is_utf8(line) && str_find(line, '\r') == line.n);
		if (str_starts(line, fields[0]))
			answers_note_id(str_from(line, fields[0].n), &last);
	}
}

/* Takes a chunked body off *out: false where it is cut off. */
static inline bool answers_chunks(struct str *out, struct buf *text)
{
	for (;;) {
		size_t end = str_find(*out, '\n'), size = 0;

		if (end == out->n)
			return false;
		EXPECT(end > 1 && out->p[end - 1] == '\r');
		EXPECT(sscanf(out->p, "%zx", &size) == 1);
		*out = str_from(*out, end + 1);
		if (out->n < size + 2) {
			buf_add(text, (struct str){ out->p, out->n < size ? out->n : size });
			return false;
		}
		buf_add(text, (struct str){ out->p, size });
		EXPECT(memcmp(out->p + size, "\r\n", 2) == 0);
		*out = str_from(*out, size + 2);
		if (size == 0)
			return true;
	}
}

/* A poll's answer: what it has is in order, and its last id is where that ends. */
static inline void answers_poll(struct str events, struct str last_text)
{
	struct eventid last = { 0, 0 }, end;
	struct str event, text;
	struct buf id;

	buf_init(&id, 1 << 16);
	while (json_next_element(&events, &event)) {
		buf_clear(&id);
		EXPECT(json_get(event, STR("id"), &text) && json_string(text, &id) == 0);
		EXPECT(json_get(event, STR("data"), &text) && json_type(text) == JSON_STRING);
		answers_note_id(buf_str(&id), &last);
	}
	buf_clear(&id);
	json_string(last_text, &id);
	EXPECT(eventid_parse(buf_str(&id), &end) && eventid_cmp(end, last) >= 0);
	buf_done(&id);
}

static inline void answers_json(struct str body)
{
	struct str value, events, last;

	EXPECT(json_check(body, &value) == 0);
	if (json_get(value, STR("events"), &events) && json_get(value, STR("last_id"), &last))
		answers_poll(events, last);
}

static inline struct str answers_field(struct str head, const char *name)
{
	struct str line;

	while (str_cut(&head, '\n', &line)) {
		struct str value = line, key;

		if (str_cut(&value, ':', &key) && value.p && str_eq_nocase(key, str_of(name)))
			return (struct str){ value.p + 1, value.n - 2 };
	}
	return (struct str){ NULL, 0 };
}

/* The fields that we send, each of them once. */
static inline void answers_name(struct str line, unsigned *seen)
{
	static const char *const names[] = { "Date",
					     "Content-Length",
					     "Content-Type",
					     "Content-Encoding",
					     "Content-Range",
					     "Transfer-Encoding",
					     "Connection",
					     "Cache-Control",
					     "X-Content-Type-Options",
					     "X-Accel-Buffering",
					     "Content-Security-Policy",
					     "Referrer-Policy",
					     "Access-Control-Expose-Headers",
					     "Access-Control-Allow-Origin",
					     "Access-Control-Allow-Credentials",
					     "Access-Control-Allow-Methods",
					     "Access-Control-Allow-Headers",
					     "Access-Control-Max-Age",
					     "Last-Event-ID",
					     "Last-Modified",
					     "Accept-Ranges",
					     "Retry-After",
					     "WWW-Authenticate",
					     "Location",
					     "Allow",
					     "ETag",
					     "Vary" };
	enum { NAMES = sizeof(names) / sizeof(names[0]) };
	struct str name = { line.p, str_find(line, ':') };
	unsigned i = 0;

	while (i < NAMES && !str_eq(name, str_of(names[i])))
		i++;
	EXPECT(i < NAMES && (!(*seen & 1u << i) || str_eq(name, STR("Vary"))));
	*seen |= 1u << i;
}

static inline void answers_head(struct str head)
{
	unsigned lengths = 0, seen = 0;
	struct str line;

	str_cut(&head, '\n', &line);
	EXPECT(str_starts(line, STR("HTTP/1.1 ")) && line.n > 13 && line.p[12] == ' ');
	while (str_cut(&head, '\n', &line) && head.p) {
		EXPECT(line.n > 0 && line.p[line.n - 1] == '\r');
		if (line.n > 1)
			answers_name(line, &seen);
		for (size_t i = 0; i + 1 < line.n; i++)
			EXPECT((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
		lengths += str_starts(line, STR("Content-Length:")) ||
			   str_starts(line, STR("Transfer-Encoding:"));
	}
	EXPECT(lengths <= 1);
}

/* Takes the body off *out, if there is all of it, and looks at it. False where it was cut. */
static inline bool answers_body(struct str *out, struct str head)
{
	struct str length = answers_field(head, "Content-Length");
	struct str type = answers_field(head, "Content-Type");
	struct buf text;
	uint64_t n;

	if (length.p) {
		EXPECT(str_to_u64(length, ANSWERS_BYTES_MAX, &n) == 0);
		if (n > out->n)
			return false;
		if (n && (str_eq(type, STR("application/json")) ||
			  str_eq(type, STR("application/ld+json"))))
			answers_json((struct str){ out->p, (size_t)n });
		*out = str_from(*out, (size_t)n);
	} else if (str_eq(answers_field(head, "Transfer-Encoding"), STR("chunked"))) {
		buf_init(&text, ANSWERS_BYTES_MAX);
		bool is_whole = answers_chunks(out, &text);

		answers_stream(buf_str(&text));
		buf_done(&text);
		return is_whole;
	} else if (str_eq(type, STR("text/event-stream"))) {
		answers_stream(*out);
		return false;
	}
	return true;
}

/* All that one client has got: how many requests were answered. */
static inline unsigned answers_check(struct str out)
{
	unsigned count = 0;

	while (out.n) {
		const char *end = memmem(out.p, out.n, "\r\n\r\n", 4);
		struct str head;
		bool is_last;

		if (!end)
			break;
		head = (struct str){ out.p, (size_t)(end + 4 - out.p) };
		answers_head(head);
		count += !str_starts(head, STR("HTTP/1.1 1"));
		out = str_from(out, head.n);
		is_last = str_eq(answers_field(head, "Connection"), STR("close"));
		/* Of an answer to HEAD the body is missing: the next answer follows then. */
		if (!str_starts(out, STR("HTTP/1.1 ")) && !answers_body(&out, head))
			break;
		EXPECT(!is_last || out.n == 0);
	}
	return count;
}

#endif
