/*
 * Blocks of an event stream, and lines of text, and the frames that are made of them. A second
 * reader, plain and all at once, finds the same events.
 */
#include "feeding.h"

/* Takes a line off, which ends in LF, CRLF or CR. False at the end: *line is what has no end. */
static bool take_line(struct str *in, struct str *line)
{
	size_t n = 0, end;

	while (n < in->n && in->p[n] != '\r' && in->p[n] != '\n')
		n++;
	end = n + (n + 1 < in->n && in->p[n] == '\r' && in->p[n + 1] == '\n') + 1;
	*line = (struct str){ in->p, n };
	if (n == in->n)
		return false;
	*in = str_from(*in, end);
	return true;
}

static void skip_mark(struct str *in)
{
	if (in->n >= 3 && memcmp(in->p, "\xef\xbb\xbf", 3) == 0)
		*in = str_from(*in, 3);
}

static void note(struct feeding *seen, struct str topic, const struct event *block)
{
	struct event event = *block;

	event.topics = &topic;
	event.topic_count = 1;
	feeding_event(seen, &event);
}

static void read_lines(struct str in, unsigned events_max, struct feeding *seen)
{
	struct event event = { .retry_ms = SSE_NO_RETRY };

	skip_mark(&in);
	while (seen->events < events_max && take_line(&in, &event.data))
		note(seen, STR("broadcast"), &event);
	if (seen->events < events_max && in.n)
		note(seen, STR("broadcast"),
		     &(struct event){ .data = in, .retry_ms = SSE_NO_RETRY });
}

/* A retry of nothing but digits. */
static uint64_t number_of(struct str value, uint64_t else_ms)
{
	uint64_t number = 0;

	for (size_t i = 0; i < value.n; i++) {
		unsigned digit = (unsigned char)value.p[i] - '0';

		if (digit > 9 || number > (SSE_NO_RETRY - 1 - digit) / 10)
			return else_ms;
		number = number * 10 + digit;
	}
	return value.n ? number : else_ms;
}

/* The block's data: its lines, with an LF between. */
static void add_line(struct buf *data, struct str value, bool is_first)
{
	if (!is_first)
		buf_add_char(data, '\n');
	buf_add(data, value);
}

static void read_blocks(struct str in, unsigned events_max, struct feeding *seen)
{
	static const struct event empty = { .retry_ms = SSE_NO_RETRY };
	struct str line, topic = STR("broadcast");
	struct event block = empty;
	unsigned lines = 0;
	struct buf data;

	buf_init(&data, 1 << 20);
	skip_mark(&in);
	while (seen->events < events_max && take_line(&in, &line)) {
		size_t n = str_find(line, ':');
		struct str name = { line.p, n }, value = str_from(line, n < line.n ? n + 1 : n);

		if (value.n && value.p[0] == ' ')
			value = str_from(value, 1);
		if (line.n == 0) {
			block.data = buf_str(&data);
			if (lines)
				note(seen, topic, &block);
			block = empty;
			topic = STR("broadcast");
			lines = 0;
			buf_clear(&data);
		} else if (str_eq(name, STR("data"))) {
			add_line(&data, value, lines++ == 0);
		} else if (str_eq(name, STR("event"))) {
			block.type = value;
		} else if (str_eq(name, STR("id"))) {
			block.id = value.n && memchr(value.p, 0, value.n) ? block.id : value;
		} else if (str_eq(name, STR("retry"))) {
			block.retry_ms = number_of(value, block.retry_ms);
		} else if (str_eq(name, STR("topic"))) {
			topic = value;
		}
	}
	buf_done(&data);
}

int FUZZ_TARGET(sse)(const uint8_t *bytes, size_t n)
{
	feeding_check(FEED_SSE, bytes, n, read_blocks);
	feeding_check(FEED_LINES, bytes, n, read_lines);
	return 0;
}
