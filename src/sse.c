/*
 * sse: from events to frames, and back. See sse.h.
 *
 * A frame is written once, here, and then only ever sent: whatever could break the framing (line
 * ends in an id, bytes that are not UTF-8) has been refused by sse_check() before. Line ends in the
 * data need no refusal: each line goes out behind its own "data: ". The space is always written,
 * because a browser takes one away, and so a line that begins with a space keeps it.
 */
#include "sse.h"

#include <errno.h>
#include <string.h>

static const struct str ID = { "id: ", 4 };
static const struct str TYPE = { "event: ", 7 };
static const struct str RETRY = { "retry: ", 7 };
static const struct str DATA = { "data: ", 6 };
static const struct str CRLF = { "\r\n", 2 };

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool has_nul(struct str s)
{
	return str_find(s, '\0') < s.n;
}

const char *sse_check_topic(struct str topic, size_t bytes_max)
{
	if (topic.n == 0)
		return "A topic must not be empty.";
	if (topic.n > bytes_max)
		return "A topic is too long.";
	if (has_control(topic))
		return "A topic must not have control characters.";
	return str_is_utf8(topic) ? NULL : "A topic is not UTF-8.";
}

static const char *check_topics(const struct event *event)
{
	const char *why = NULL;

	if (event->topic_count == 0)
		return "An event needs a topic.";
	if (event->topic_count > SSE_TOPICS_MAX)
		return "An event may have 1000 topics at the most.";
	for (size_t i = 0; i < event->topic_count && !why; i++)
		why = sse_check_topic(event->topics[i], SSE_TOPIC_MAX);
	return why;
}

const char *sse_check(const struct event *event)
{
	const char *why = check_topics(event);

	if (why)
		return why;
	if (event->type.n > SSE_ID_MAX)
		return "The event type may have 1024 bytes at the most.";
	if (str_find_eol(event->type) < event->type.n || has_nul(event->type))
		return "The event type must not have CR, LF or NUL.";
	if (!str_is_utf8(event->type))
		return "The event type is not UTF-8.";
	if (event->id.n > SSE_ID_MAX)
		return "The id may have 1024 bytes at the most.";
	/* A browser sends it back as the value of a header field. */
	if (has_control(event->id) || str_trim(event->id).n != event->id.n)
		return "The id must not have control characters, nor white space at its ends.";
	if (str_eq(event->id, STR("earliest")))
		return "The id must not be earliest, which means everything retained.";
	if (!str_is_utf8(event->id))
		return "The id is not UTF-8.";
	if (has_nul(event->data))
		return "The data must not have NUL.";
	if (!str_is_utf8(event->data))
		return "The data is not UTF-8.";
	return NULL;
}

/*
 * Takes the first line off *rest, without its end. False if it was the last one: data that ends in
 * a line end has one more line, an empty one.
 */
static bool cut_line(struct str *rest, struct str *line)
{
	size_t at = str_find_eol(*rest);
	bool more = at < rest->n;

	*line = (struct str){ rest->p, at };
	*rest = str_from(*rest, at);
	if (more)
		*rest = str_from(*rest, str_starts(*rest, CRLF) ? 2 : 1);
	return more;
}

/* The most that the body takes if the data has that many lines: a CRLF or a short retry take less.
 */
static size_t body_bound(const struct event *event, size_t id_len, size_t lines)
{
	size_t n = lines * DATA.n + event->data.n + 2; /* LF of the last line; the empty line */

	if (id_len)
		n += ID.n + id_len + 1;
	if (event->type.n)
		n += TYPE.n + event->type.n + 1;
	if (event->retry_ms != SSE_NO_RETRY)
		n += RETRY.n + STR_U64_MAX + 1;
	return n;
}

static size_t hex_len(size_t value)
{
	size_t digits = 1;

	while (value >>= 4)
		digits++;
	return digits;
}

size_t sse_frame_bound(const struct event *event, size_t id_len)
{
	struct str rest = event->data, line;
	size_t lines = 1, body;

	while (cut_line(&rest, &line))
		lines++;
	body = body_bound(event, id_len, lines);
	return hex_len(body) + CRLF.n + body + CRLF.n;
}

static char *put(char *at, struct str s)
{
	if (s.n)
		memcpy(at, s.p, s.n);
	return at + s.n;
}

static char *put_field(char *at, struct str name, struct str value)
{
	at = put(put(at, name), value);
	*at++ = '\n';
	return at;
}

static char *put_body(char *at, const struct event *event, struct str id)
{
	struct str rest = event->data, line;
	bool more;

	if (id.n)
		at = put_field(at, ID, id);
	if (event->type.n)
		at = put_field(at, TYPE, event->type);
	if (event->retry_ms != SSE_NO_RETRY) {
		at = put(at, RETRY);
		at += str_write_u64(at, event->retry_ms);
		*at++ = '\n';
	}
	do {
		more = cut_line(&rest, &line);
		at = put_field(at, DATA, line);
	} while (more);
	*at++ = '\n';
	return at;
}

static void put_chunk_head(char *out, size_t size, size_t digits)
{
	put(out + digits, CRLF);
	for (; digits; size >>= 4)
		out[--digits] = "0123456789abcdef"[size & 15];
}

/*
 * The chunk head stands before the body and tells its size, which depends on the number of lines.
 * Counting them first would be a second pass; so the head gets the digits that a single line needs,
 * and the body is moved in the rare case that this was not enough.
 */
size_t sse_write_frame(char *out, const struct event *event, struct str id, size_t *chunk_head)
{
	size_t guess = hex_len(body_bound(event, id.n, 1)) + CRLF.n;
	size_t size = (size_t)(put_body(out + guess, event, id) - (out + guess));
	size_t digits = hex_len(size);

	*chunk_head = digits + CRLF.n;
	if (*chunk_head != guess)
		memmove(out + *chunk_head, out + guess, size);
	put_chunk_head(out, size, digits);
	put(out + *chunk_head + size, CRLF);
	return *chunk_head + size + CRLF.n;
}

/* Whether line begins with name; takes it off then. */
static bool is_field(struct str *line, struct str name)
{
	if (!str_starts(*line, name))
		return false;
	*line = str_from(*line, name.n);
	return true;
}

int sse_read_frame(struct str frame_body, struct sse_parsed *parsed, struct buf *data)
{
	struct str line;
	bool has_data = false;

	*parsed = (struct sse_parsed){ .retry_ms = SSE_NO_RETRY };
	while (str_cut(&frame_body, '\n', &line) && line.n) {
		if (is_field(&line, DATA)) {
			if (has_data)
				buf_add_char(data, '\n');
			buf_add(data, line);
			has_data = true;
		} else if (is_field(&line, ID)) {
			parsed->id = line;
		} else if (is_field(&line, TYPE)) {
			parsed->type = line;
		} else if (!is_field(&line, RETRY) ||
			   str_to_u64(line, SSE_NO_RETRY - 1, &parsed->retry_ms)) {
			return -EINVAL;
		}
	}
	/* The empty line has ended the frame if, and only if, an empty rest is left behind it. */
	if (!frame_body.p || frame_body.n)
		return -EINVAL;
	return data->err;
}
