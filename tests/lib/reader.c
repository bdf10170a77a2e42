/*
 * reader: see reader.h.
 */
#include "reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

static void add(struct buf *b, char c)
{
	cr_assert(buf_add_char(b, c) == 0, "no memory");
}

static char *text_of(const struct buf *b)
{
	char *text = strndup(b->n ? b->p : "", b->n);

	cr_assert(text, "no memory");
	return text;
}

/* An empty line: dispatches the event, if it has data. */
static void dispatch(struct reader *s)
{
	struct reader_event *event;

	if (s->data.n) {
		s->data.n--; /* the last LF */
		s->events = realloc(s->events, (s->count + 1) * sizeof(*s->events));
		cr_assert(s->events, "no memory");
		event = &s->events[s->count++];
		event->id = text_of(&s->id);
		event->type = s->type.n ? text_of(&s->type) : strdup("message");
		event->data = text_of(&s->data);
	}
	buf_clear(&s->data);
	buf_clear(&s->type);
}

static void set(struct buf *field, struct str value)
{
	buf_clear(field);
	cr_assert(buf_add(field, value) == 0, "no memory");
}

static void take_field(struct reader *s, struct str name, struct str value)
{
	if (str_eq(name, STR("data"))) {
		cr_assert(buf_add(&s->data, value) == 0, "no memory");
		add(&s->data, '\n');
	} else if (str_eq(name, STR("event"))) {
		set(&s->type, value);
	} else if (str_eq(name, STR("id"))) {
		if (str_find(value, '\0') == value.n)
			set(&s->id, value);
	} else if (str_eq(name, STR("retry"))) {
		if (str_to_u64(value, UINT64_MAX, &s->retry_ms) == 0)
			s->retries++;
	}
}

static void take_line(struct reader *s)
{
	struct str line = buf_str(&s->line);
	size_t colon = str_find(line, ':');
	struct str value = str_from(line, colon + 1);

	if (line.n == 0)
		dispatch(s);
	else if (colon == 0)
		s->comments++;
	else
		take_field(s, (struct str){ line.p, colon },
			   value.n && value.p[0] == ' ' ? str_from(value, 1) : value);
	buf_clear(&s->line);
}

/* A byte of the body. */
static void take_byte(struct reader *s, char c)
{
	bool after_cr = s->after_cr;

	add(&s->text, c);
	s->after_cr = c == '\r';
	if (c == '\n' && after_cr)
		return;
	if (c == '\n' || c == '\r')
		take_line(s);
	else
		add(&s->line, c);
}

/* A byte of a chunk's size line. */
static void take_size(struct reader *s, char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	if (c == '\r') {
		s->chunk_state = CHUNK_SIZE_LF;
		return;
	}
	cr_assert(digit, "chunk size with the byte 0x%02x", (unsigned)(unsigned char)c);
	s->chunk_left = s->chunk_left * 16 + (uint64_t)(digit - digits);
}

static void expect_byte(char c, char wanted)
{
	cr_assert(c == wanted, "chunk framing: 0x%02x where 0x%02x belongs",
		  (unsigned)(unsigned char)c, (unsigned)(unsigned char)wanted);
}

/* A byte of the connection. */
static void take_chunked(struct reader *s, char c)
{
	cr_assert(!s->ended, "bytes behind the last chunk");
	switch (s->chunk_state) {
	case CHUNK_SIZE: take_size(s, c); break;
	case CHUNK_SIZE_LF:
		expect_byte(c, '\n');
		s->chunk_state = s->chunk_left ? CHUNK_DATA : CHUNK_END;
		s->frames += s->chunk_left > 0;
		break;
	case CHUNK_DATA:
		take_byte(s, c);
		if (--s->chunk_left == 0)
			s->chunk_state = CHUNK_CR;
		break;
	case CHUNK_CR:
		expect_byte(c, '\r');
		s->chunk_state = CHUNK_LF;
		break;
	case CHUNK_LF:
		expect_byte(c, '\n');
		s->chunk_state = CHUNK_SIZE;
		break;
	case CHUNK_END:
		expect_byte(c, "\r\n"[s->end_at++]);
		s->ended = s->end_at == 2;
		break;
	}
}

static void take_all(struct reader *s)
{
	for (size_t i = 0; i < s->client.in.n; i++) {
		if (s->head.chunked)
			take_chunked(s, s->client.in.p[i]);
		else
			take_byte(s, s->client.in.p[i]);
	}
	buf_clear(&s->client.in);
}

void reader_begin(struct reader *s, struct client *c)
{
	struct buf *const bufs[] = { &s->line, &s->data, &s->type, &s->id, &s->text };

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		buf_init(bufs[i], SIZE_MAX);
	s->client = *c;
	client_read_head(&s->client, &s->head);
	cr_assert(s->head.status == 200, "no stream: %.*s", STR_ARG(buf_str(&s->head.head)));
	take_all(s);
}

void reader_open(struct reader *s, const struct daemon *d, const char *target, const char *fields)
{
	struct client c;

	client_open(&c, d);
	client_sendf(&c, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields);
	reader_begin(s, &c);
}

bool reader_more(struct reader *s, uint64_t deadline_ms)
{
	bool more = client_more(&s->client, deadline_ms);

	take_all(s);
	if (!more && !s->head.chunked && !s->client.reset)
		s->ended = true;
	return more && !s->ended;
}

/* Reads on, for what the caller waits for. */
static void need_more(struct reader *s, uint64_t deadline_ms, const char *what)
{
	struct str text = buf_str(&s->text);
	size_t shown = text.n > 2000 ? 2000 : text.n;

	cr_assert(clock_mono_ms() < deadline_ms, "no %s in time; %zu events; the end is: %.*s",
		  what, s->count, STR_ARG(str_from(text, text.n - shown)));
	bool more = reader_more(s, deadline_ms + 1);

	cr_assert(more || s->ended, "the stream broke off while %s was waited for", what);
}

void reader_wait(struct reader *s, size_t events)
{
	uint64_t deadline_ms = deadline();

	while (s->count < events) {
		cr_assert(!s->ended, "the stream ended with %zu events of %zu", s->count, events);
		need_more(s, deadline_ms, "next event");
	}
}

void reader_expect_numbers(struct reader *s, size_t events, size_t bytes)
{
	reader_wait(s, events);
	for (size_t i = 0; i < events; i++) {
		const char *data = s->events[i].data;

		cr_expect((size_t)atoi(data) == i && strlen(data) == bytes, "event %zu: %.20s", i,
			  data);
	}
}

void reader_wait_comments(struct reader *s, size_t comments)
{
	uint64_t deadline_ms = deadline();

	while (s->comments < comments) {
		cr_assert(!s->ended, "the stream ended");
		need_more(s, deadline_ms, "comment");
	}
}

size_t reader_wait_data(struct reader *s, const char *data)
{
	uint64_t deadline_ms = deadline();

	for (size_t i = 0;; i++) {
		while (i >= s->count) {
			cr_assert(!s->ended, "the stream ended without '%s'", data);
			need_more(s, deadline_ms, data);
		}
		if (strcmp(s->events[i].data, data) == 0)
			return i;
	}
}

void reader_wait_end(struct reader *s)
{
	uint64_t deadline_ms = deadline();

	while (!s->ended)
		need_more(s, deadline_ms, "end");
}

void reader_wait_cut(struct reader *s)
{
	uint64_t deadline_ms = deadline();

	while (!s->client.eof) {
		client_more(&s->client, deadline_ms);
		take_all(s);
	}
}

static void reader_free(struct reader *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->events[i].id);
		free(s->events[i].type);
		free(s->events[i].data);
	}
	free(s->events);
	response_done(&s->head);
	buf_done(&s->line);
	buf_done(&s->data);
	buf_done(&s->type);
	buf_done(&s->id);
	buf_done(&s->text);
}

void reader_close(struct reader *s)
{
	client_close(&s->client);
	reader_free(s);
}

void reader_abort(struct reader *s)
{
	client_abort(&s->client);
	reader_free(s);
}
