/*
 * sse: what we write, read as others read it: the chunk by RFC 9112 section 7.1, the stream by a
 * parser that follows WHATWG HTML section 9.2.6 step by step and knows nothing of sse.c.
 */
#include "sse.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The browser */

struct browser {
	struct buf data, type, last_id;
	uint64_t reconnection_ms;
	/* what was dispatched last, and how often something was */
	struct buf seen_data, seen_type, seen_id;
	unsigned dispatched;
};

static void browser_init(struct browser *b)
{
	struct buf *bufs[] = { &b->data,      &b->type,      &b->last_id,
			       &b->seen_data, &b->seen_type, &b->seen_id };

	*b = (struct browser){ .reconnection_ms = SSE_NO_RETRY };
	for (size_t i = 0; i < 6; i++)
		buf_init(bufs[i], 1 << 20);
}

static void browser_done(struct browser *b)
{
	buf_done(&b->data);
	buf_done(&b->type);
	buf_done(&b->last_id);
	buf_done(&b->seen_data);
	buf_done(&b->seen_type);
	buf_done(&b->seen_id);
}

static void copy(struct buf *to, struct str s)
{
	buf_clear(to);
	cr_assert(buf_add(to, s) == 0);
}

static void browser_dispatch(struct browser *b)
{
	copy(&b->seen_id, buf_str(&b->last_id));
	if (b->data.n == 0) {
		buf_clear(&b->type);
		return;
	}
	if (b->data.p[b->data.n - 1] == '\n')
		b->data.n--;
	copy(&b->seen_data, buf_str(&b->data));
	copy(&b->seen_type, b->type.n ? buf_str(&b->type) : STR("message"));
	buf_clear(&b->data);
	buf_clear(&b->type);
	b->dispatched++;
}

static void browser_field(struct browser *b, struct str name, struct str value)
{
	if (str_eq(name, STR("event"))) {
		copy(&b->type, value);
	} else if (str_eq(name, STR("data"))) {
		buf_add(&b->data, value);
		buf_add_char(&b->data, '\n');
	} else if (str_eq(name, STR("id"))) {
		if (str_find(value, '\0') == value.n)
			copy(&b->last_id, value);
	} else if (str_eq(name, STR("retry"))) {
		str_to_u64(value, UINT64_MAX, &b->reconnection_ms);
	}
}

static void browser_line(struct browser *b, struct str line)
{
	size_t colon = str_find(line, ':');
	struct str value;

	if (line.n == 0) {
		browser_dispatch(b);
	} else if (colon == line.n) {
		browser_field(b, line, STR(""));
	} else if (colon > 0) {
		value = str_from(line, colon + 1);
		if (value.n && value.p[0] == ' ')
			value = str_from(value, 1);
		browser_field(b, (struct str){ line.p, colon }, value);
	}
}

/* A whole stream, from its first byte; an incomplete last line is discarded. */
static void browser_read(struct browser *b, struct str s)
{
	if (str_starts(s, STR("\xef\xbb\xbf")))
		s = str_from(s, 3);
	for (size_t i = 0, start = 0; i < s.n; i++) {
		if (s.p[i] != '\r' && s.p[i] != '\n')
			continue;
		browser_line(b, (struct str){ s.p + start, i - start });
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			i++;
		start = i + 1;
	}
}

/* The chunk */

static struct str unchunk(struct str frame, size_t chunk_head)
{
	char minimal[20];
	size_t size = 0, at = 0;

	for (; at < frame.n && frame.p[at] != '\r'; at++) {
		const char *digit = strchr("0123456789abcdef", frame.p[at]);
		cr_assert(digit && *digit);
		size = size * 16 + (size_t)(digit - "0123456789abcdef");
	}
	cr_assert(at == (size_t)snprintf(minimal, sizeof(minimal), "%zx", size));
	cr_assert(str_starts(str_from(frame, at), STR("\r\n")));
	cr_assert(chunk_head == at + 2);
	cr_assert(frame.n == chunk_head + size + 2);
	cr_assert(str_eq(str_from(frame, chunk_head + size), STR("\r\n")));
	return (struct str){ frame.p + chunk_head, size };
}

/* Writes a frame into memory that ends where the bound says, and takes it out of its chunk. */
static char *write_event(const struct event *event, struct str id, struct str *body)
{
	size_t bound = sse_frame_bound(event, id.n), chunk_head = 0;
	char *out = malloc(bound + 16);

	memset(out, '#', bound + 16);
	size_t n = sse_write_frame(out, event, id, &chunk_head);
	cr_assert(n <= bound, "%zu bytes, bound %zu", n, bound);
	for (size_t i = bound; i < bound + 16; i++)
		cr_assert(out[i] == '#');
	*body = unchunk((struct str){ out, n }, chunk_head);
	return out;
}

static struct event event_of(struct str data)
{
	static const struct str topic = { "t", 1 };

	return (struct event){
		.topics = &topic, .topic_count = 1, .data = data, .retry_ms = SSE_NO_RETRY
	};
}

/* data with CR and CRLF as LF, into a new buffer. */
static struct buf normalised(struct str data)
{
	struct buf out;

	buf_init(&out, data.n);
	for (size_t i = 0; i < data.n; i++) {
		if (data.p[i] == '\r' && i + 1 < data.n && data.p[i + 1] == '\n')
			continue;
		buf_add_char(&out, data.p[i] == '\r' ? '\n' : data.p[i]);
	}
	return out;
}

/* Writes the event, reads it as a browser and with sse_read_frame(), and wants the same. */
static void check_round(const struct event *event, struct str id)
{
	struct buf want = normalised(event->data), again;
	struct sse_parsed parsed;
	struct browser browser;
	struct str body;
	char *frame = write_event(event, id, &body);

	browser_init(&browser);
	browser_read(&browser, body);
	cr_assert(browser.dispatched == 1);
	cr_assert(str_eq(buf_str(&browser.seen_data), buf_str(&want)));
	cr_assert(str_eq(buf_str(&browser.seen_id), id));
	cr_assert(
		str_eq(buf_str(&browser.seen_type), event->type.n ? event->type : STR("message")));
	cr_assert(browser.reconnection_ms == event->retry_ms);

	buf_init(&again, 1 << 20);
	cr_assert(sse_read_frame(body, &parsed, &again) == 0);
	cr_assert(str_eq(buf_str(&again), buf_str(&want)));
	cr_assert(str_eq(parsed.id, id));
	cr_assert(str_eq(parsed.type, event->type));
	cr_assert(parsed.retry_ms == event->retry_ms);

	browser_done(&browser);
	buf_done(&want);
	buf_done(&again);
	free(frame);
}

static bool body_is(struct event event, struct str id, struct str want)
{
	struct str body;
	char *frame = write_event(&event, id, &body);
	bool is = str_eq(body, want);

	free(frame);
	return is;
}

Test(sse, frame_as_documented)
{
	struct event event = event_of(STR("first line\nsecond line"));
	char out[200];
	size_t chunk_head;

	event.type = STR("price");
	event.retry_ms = 3000;
	size_t n = sse_write_frame(out, &event, STR("1763622735123-0"), &chunk_head);
	cr_assert(str_eq((struct str){ out, n },
			 STR("51\r\nid: 1763622735123-0\nevent: price\nretry: 3000\n"
			     "data: first line\ndata: second line\n\n\r\n")));
	cr_assert(chunk_head == 4);
}

Test(sse, fields_that_are_not_there)
{
	struct event event = event_of(STR("x"));

	cr_assert(body_is(event, STR("1-0"), STR("id: 1-0\ndata: x\n\n")));
	cr_assert(body_is(event, STR(""), STR("data: x\n\n")));
	event.retry_ms = 0;
	cr_assert(body_is(event, STR(""), STR("retry: 0\ndata: x\n\n")));
}

Test(sse, lines_of_data)
{
	static const struct {
		struct str data, body;
	} cases[] = {
		{ { "", 0 }, { "data: \n\n", 8 } },
		{ { NULL, 0 }, { "data: \n\n", 8 } },
		{ { " a", 2 }, { "data:  a\n\n", 10 } },
		{ { ":a", 2 }, { "data: :a\n\n", 10 } },
		{ { "\n", 1 }, { "data: \ndata: \n\n", 15 } },
		{ { "\r\n", 2 }, { "data: \ndata: \n\n", 15 } },
		{ { "\n\r", 2 }, { "data: \ndata: \ndata: \n\n", 22 } },
		{ { "a\r\r\nb\n", 6 }, { "data: a\ndata: \ndata: b\ndata: \n\n", 31 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert(body_is(event_of(cases[i].data), STR(""), cases[i].body), "case %zu", i);
}

/* All strings up to six long of what can matter to a parser of lines and fields. */
Test(sse, browser_gets_what_was_published)
{
	static const struct str letters[] = { { "\n", 1 }, { "\r", 1 }, { " ", 1 },
					      { ":", 1 },  { "a", 1 },  { "\xef\xbb\xbf", 3 } };

	for (unsigned len = 0, count = 1; len <= 6; len++, count *= 6)
		for (unsigned i = 0; i < count; i++) {
			char data[18];
			size_t n = 0;

			for (unsigned j = 0, rest = i; j < len; j++, rest /= 6) {
				memcpy(data + n, letters[rest % 6].p, letters[rest % 6].n);
				n += letters[rest % 6].n;
			}
			struct event event = event_of((struct str){ data, n });
			check_round(&event, STR("1-2"));
		}
}

Test(sse, browser_gets_every_field)
{
	static const struct str types[] = {
		{ "", 0 }, { "price", 5 }, { " a: b ", 6 }, { "data", 4 }, { "\xef\xbb\xbf", 3 }
	};
	static const struct str ids[] = {
		{ "1-0", 3 }, { " ", 1 }, { "a b:c", 5 }, { "id: x", 5 }, { ":", 1 }
	};
	static const uint64_t retries[] = { 0, 9, 3000, SSE_NO_RETRY - 1, SSE_NO_RETRY };

	for (unsigned i = 0; i < 125; i++) {
		struct event event = event_of(STR("id: 5\n\nevent: x\r\rretry: 7\r\n"));

		event.type = types[i % 5];
		event.retry_ms = retries[i / 25];
		check_round(&event, ids[i / 5 % 5]);
	}
}

/* Sizes across the borders where the chunk head gets a digit, with few and with many lines. */
Test(sse, chunk_heads_of_all_sizes)
{
	char data[70000];

	for (size_t n = 0; n < sizeof(data); n += n < 300 || n % 4096 < 8 ? 1 : 4096 - n % 4096)
		for (unsigned way = 0; way < 4; way++) {
			memset(data, way == 0 ? 'a' : way == 1 ? '\n' : '\r', n);
			for (size_t i = 0; way == 3 && i < n; i += 2)
				data[i] = '\n';
			struct event event = event_of((struct str){ data, n });
			check_round(&event, STR("1763622735123-0"));
		}
}

Test(sse, bound_is_close)
{
	struct event event = event_of(STR("one\ntwo\n\nthree"));
	char out[200];
	size_t chunk_head;

	cr_assert(sse_frame_bound(&event, 3) ==
		  sse_write_frame(out, &event, STR("1-0"), &chunk_head));
	event.type = STR("type");
	event.retry_ms = UINT64_MAX - 1;
	cr_assert(sse_frame_bound(&event, 3) ==
		  sse_write_frame(out, &event, STR("1-0"), &chunk_head));
}

Test(sse, frames_that_are_not_ours_are_refused)
{
	static const char *const wrong[] = {
		"",
		"\n\n",
		"data: x",
		"data: x\n",
		"data: x\n\n\n",
		"data:x\n\n",
		"data\n\n",
		": c\n\n",
		"foo: x\n\n",
		"retry: \n\n",
		"retry: x\n\n",
		"retry: 18446744073709551615\n\n",
		"data: x\n\ndata: y\n\n",
	};
	struct sse_parsed parsed;
	struct buf data;

	buf_init(&data, 100);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert(sse_read_frame(str_of(wrong[i]), &parsed, &data) == -EINVAL, "case %zu",
			  i);
	cr_assert(sse_read_frame((struct str){ NULL, 0 }, &parsed, &data) == -EINVAL);
	buf_done(&data);
}

Test(sse, read_frame_tells_when_data_does_not_fit)
{
	struct sse_parsed parsed;
	struct buf data;

	buf_init(&data, 3);
	cr_assert(sse_read_frame(STR("data: ab\ndata: \n\n"), &parsed, &data) == 0);
	cr_assert(str_eq(buf_str(&data), STR("ab\n")));
	buf_clear(&data);
	cr_assert(sse_read_frame(STR("data: ab\ndata: c\n\n"), &parsed, &data) == -ENOBUFS);
	buf_done(&data);
}

/* The checks */

static bool topic_is_fine(struct str topic)
{
	struct event event = event_of(STR("x"));

	event.topics = &topic;
	return sse_check(&event) == NULL;
}

Test(sse, check_topics)
{
	static char many[SSE_TOPIC_MAX + 1];
	struct str topics[SSE_TOPICS_MAX + 1];
	struct event event = event_of(STR("x"));

	memset(many, 'a', sizeof(many));
	cr_assert(topic_is_fine(STR("a b/c*\xc3\xa4")));
	cr_assert(topic_is_fine((struct str){ many, SSE_TOPIC_MAX }));
	cr_assert(!topic_is_fine((struct str){ many, SSE_TOPIC_MAX + 1 }));
	cr_assert(!topic_is_fine(STR("")));
	cr_assert(!topic_is_fine(STR("a\nb")));
	cr_assert(!topic_is_fine(STR("a\0b")));
	cr_assert(!topic_is_fine(STR("a\x1f")));
	cr_assert(!topic_is_fine(STR("a\x7f")));
	cr_assert(!topic_is_fine(STR("a\xff")));
	for (size_t i = 0; i <= SSE_TOPICS_MAX; i++)
		topics[i] = STR("t");
	event.topics = topics;
	event.topic_count = SSE_TOPICS_MAX;
	cr_assert(!sse_check(&event));
	event.topic_count++;
	cr_assert(sse_check(&event));
	event.topic_count = 0;
	cr_assert(sse_check(&event));
	event.topic_count = 2;
	topics[1] = STR("");
	cr_assert(sse_check(&event), "not only the first");
}

static bool data_is_fine(struct str data)
{
	struct event event = event_of(data);

	return sse_check(&event) == NULL;
}

Test(sse, check_data)
{
	cr_assert(data_is_fine((struct str){ NULL, 0 }));
	cr_assert(data_is_fine(STR("a\r\n\t\x01\x7f \xf0\x9f\x98\x80")));
	cr_assert(!data_is_fine(STR("a\0b")));
	cr_assert(!data_is_fine(STR("\xed\xa0\x80")));
	cr_assert(!data_is_fine(STR("long enough and then \xc3")));
}

Test(sse, check_type_and_id)
{
	static char many[SSE_ID_MAX + 1];

	memset(many, 'a', sizeof(many));
	const struct {
		struct str s;
		bool is_fine, is_fine_id;
	} cases[] = {
		{ STR(""), true, true },
		{ STR("a b:\xc3\xa4"), true, true },
		{ { many, SSE_ID_MAX }, true, true },
		{ { many, SSE_ID_MAX + 1 }, false, false },
		{ STR("a\n"), false, false },
		{ STR("\rb"), false, false },
		{ STR("a\0b"), false, false },
		{ STR("a\x80"), false, false },
		/* A header field would not bring these back as they are. */
		{ STR("a\tb"), true, false },
		{ STR("a\x01"), true, false },
		{ STR("\x7f"), true, false },
		{ STR(" a"), true, false },
		{ STR("a "), true, false },
		/* And this would mean something else. */
		{ STR("earliest"), true, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event event = event_of(STR("x"));

		event.type = cases[i].s;
		cr_assert((sse_check(&event) == NULL) == cases[i].is_fine, "type %zu", i);
		event.type = STR("");
		event.id = cases[i].s;
		cr_assert((sse_check(&event) == NULL) == cases[i].is_fine_id, "id %zu", i);
	}
}
