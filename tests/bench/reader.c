/*
 * reader: see reader.h. The rules are those of RFC 9112 section 7.1 and of WHATWG HTML section
 * 9.2.6, except that lines end in LF or CRLF: a lone CR is rare enough to be taken for data.
 */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_MAX = 1 << 30 };

void reader_init(struct reader *reader, enum reader_framing framing)
{
	*reader = (struct reader){ .framing = framing };
}

void reader_done(struct reader *reader)
{
	free(reader->held);
	reader->held = NULL;
	reader->held_n = 0;
}

/* One byte of the lines between chunks. */
static void chunk_byte(struct reader *reader, char c)
{
	unsigned digit = c <= '9' ? (unsigned)c - '0' : ((unsigned)c | 0x20) - 'a' + 10;

	switch (reader->chunk) {
	case CHUNK_SIZE:
		if (digit < 16)
			reader->chunk_left = reader->chunk_left * 16 + digit;
		else
			reader->chunk = CHUNK_EXTENSION;
		reader->is_broken |= reader->chunk_left > CHUNK_MAX;
		if (c != '\n')
			break;
		/* fall through */
	case CHUNK_EXTENSION:
		if (c == '\n')
			reader->chunk = reader->chunk_left ? CHUNK_DATA : CHUNK_TRAILER;
		break;
	case CHUNK_END:
		reader->is_broken |= c != '\r' && c != '\n';
		if (c == '\n')
			reader->chunk = CHUNK_SIZE;
		break;
	case CHUNK_TRAILER: reader->is_ended = true; break;
	case CHUNK_DATA: break;
	}
}

/* Takes the chunks' framing out, in place; returns what is left of n. */
static size_t unchunk(struct reader *reader, char *bytes, size_t n)
{
	size_t in = 0, out = 0;

	while (in < n && !reader->is_broken) {
		size_t piece = reader->chunk_left < n - in ? reader->chunk_left : n - in;

		if (reader->chunk != CHUNK_DATA) {
			chunk_byte(reader, bytes[in++]);
			continue;
		}
		memmove(bytes + out, bytes + in, piece);
		in += piece;
		out += piece;
		reader->chunk_left -= piece;
		if (reader->chunk_left == 0)
			reader->chunk = CHUNK_END;
	}
	return out;
}

/* Takes a line without its end; false if there is no whole one. */
static bool line_next(struct str *rest, struct str *line)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;

	if (!end)
		return false;
	*line = (struct str){ rest->p, (size_t)(end - rest->p) };
	*rest = str_from(*rest, line->n + 1);
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* The value of a field of that name, or a NULL pointer. */
static struct str field(struct str line, struct str name)
{
	if (!str_starts(line, name))
		return (struct str){ NULL, 0 };
	line = str_from(line, name.n);
	return str_from(line, line.n && line.p[0] == ' ');
}

/* Takes whole events; returns how many bytes they have. */
static size_t take_sse(struct str text, reader_event *on_event, void *context, uint64_t *others)
{
	struct str rest = text, line, data = { NULL, 0 }, id = { NULL, 0 };
	size_t used = 0;

	while (line_next(&rest, &line)) {
		struct str value = field(line, STR("data:"));

		if (value.p && data.p)
			data.n = (size_t)(value.p + value.n - data.p);
		else if (value.p)
			data = value;
		else if ((value = field(line, STR("id:"))).p)
			id = value;
		if (line.n > 0)
			continue;
		if (data.p)
			on_event(context, data, id);
		else
			(*others)++;
		data = id = (struct str){ NULL, 0 };
		used = text.n - rest.n;
	}
	return used;
}

/*
 * Takes whole elements of the RESP protocol. Of a message only the payload is a bulk string in the
 * third place; counting is not needed, since the names of command and channel are told apart from a
 * payload by what is in them.
 */
static size_t take_redis(struct str text, reader_event *on_event, void *context, uint64_t *others)
{
	struct str rest = text, line;
	size_t used = 0;

	while (line_next(&rest, &line)) {
		uint64_t length;

		if (line.n && line.p[0] == '$' &&
		    !str_to_u64(str_from(line, 1), CHUNK_MAX, &length)) {
			if (rest.n < length + 2)
				break;
			on_event(context, (struct str){ rest.p, (size_t)length },
				 (struct str){ NULL, 0 });
			rest = str_from(rest, (size_t)length + 2);
		} else {
			(*others)++;
		}
		used = text.n - rest.n;
	}
	return used;
}

void reader_hold(struct reader *reader, struct str rest)
{
	char *held = NULL;

	if (rest.n > 0 && rest.n <= READER_HELD_MAX)
		held = malloc(rest.n);
	if (held)
		memcpy(held, rest.p, rest.n);
	reader->is_broken |= rest.n > 0 && !held;
	free(reader->held);
	reader->held = held;
	reader->held_n = held ? rest.n : 0;
}

uint64_t reader_take(struct reader *reader, char *bytes, size_t n, reader_event *on_event,
		     void *context)
{
	struct str text = { bytes, reader->held_n };
	uint64_t others = 0;
	size_t used;

	if (reader->held_n)
		memcpy(bytes, reader->held, reader->held_n);
	text.n +=
		reader->framing == READER_CHUNKED ? unchunk(reader, bytes + reader->held_n, n) : n;
	used = reader->framing == READER_REDIS ? take_redis(text, on_event, context, &others)
					       : take_sse(text, on_event, context, &others);
	reader_hold(reader, str_from(text, used));
	return others;
}
