/*
 * json: the reader. See json.h.
 *
 * One scanner, scan_value(), both checks a text and finds the ends of values in a checked one, so
 * the two cannot disagree. It does not recurse: the containers around the place where it stands are
 * one bit each. A slice that shrinks from the front is the cursor everywhere.
 */
#include "json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { END = -1 };

struct scan {
	struct str in; /* what is left */
	uint64_t
		objects; /* bit 0: the innermost container is an object; bit 1: the one around it */
	unsigned depth;  /* containers around; bits in use */
};

_Static_assert(JSON_DEPTH_MAX <= 64, "a bit of struct scan for each level");

static int peek(struct str in)
{
	return in.n ? (unsigned char)in.p[0] : END;
}

static bool eat(struct str *in, char c)
{
	if (in->n == 0 || in->p[0] != c)
		return false;
	*in = str_from(*in, 1);
	return true;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct str *in)
{
	while (is_space(peek(*in)))
		*in = str_from(*in, 1);
}

/* RFC 8259 section 6: one digit at least. */
static bool skip_digits(struct str *in)
{
	size_t n = 0;

	while (n < in->n && in->p[n] >= '0' && in->p[n] <= '9')
		n++;
	*in = str_from(*in, n);
	return n > 0;
}

static bool scan_number(struct str *in)
{
	eat(in, '-');
	if (!eat(in, '0') && !skip_digits(in))
		return false;
	if (eat(in, '.') && !skip_digits(in))
		return false;
	if (eat(in, 'e') || eat(in, 'E')) {
		if (!eat(in, '+'))
			eat(in, '-');
		return skip_digits(in);
	}
	return true;
}

static bool read_hex4(struct str *in, uint32_t *code)
{
	*code = 0;
	if (in->n < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		char c = in->p[i], low = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			*code = *code << 4 | (uint32_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*code = *code << 4 | (uint32_t)(low - 'a' + 10);
		else
			return false;
	}
	*in = str_from(*in, 4);
	return true;
}

/* What follows "\u": one code unit, or a pair of surrogates with a second "\u" between them. */
static bool read_unicode(struct str *in, uint32_t *code)
{
	uint32_t low;

	if (!read_hex4(in, code))
		return false;
	if (*code < 0xd800 || *code > 0xdfff)
		return true;
	if (*code > 0xdbff || !eat(in, '\\') || !eat(in, 'u') || !read_hex4(in, &low))
		return false;
	if (low < 0xdc00 || low > 0xdfff)
		return false;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

/* What follows a backslash. */
static bool read_escape(struct str *in, uint32_t *code)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	int c = peek(*in);
	const char *at;

	if (c == 'u') {
		*in = str_from(*in, 1);
		return read_unicode(in, code);
	}
	if (c <= 0 || !(at = strchr(names, c)))
		return false;
	*in = str_from(*in, 1);
	*code = (uint32_t)meanings[at - names];
	return true;
}

static bool scan_string(struct str *in)
{
	uint32_t code;

	if (!eat(in, '"'))
		return false;
	for (;;) {
		size_t n = 0;

		while (n < in->n && (unsigned char)in->p[n] >= 0x20 && in->p[n] != '"' &&
		       in->p[n] != '\\')
			n++;
		*in = str_from(*in, n);
		if (eat(in, '"'))
			return true;
		if (!eat(in, '\\') || !read_escape(in, &code))
			return false;
	}
}

static bool scan_word(struct str *in, struct str word)
{
	if (!str_starts(*in, word))
		return false;
	*in = str_from(*in, word.n);
	return true;
}

static bool scan_scalar(struct str *in)
{
	switch (peek(*in)) {
	case '"': return scan_string(in);
	case 'n': return scan_word(in, STR("null"));
	case 't': return scan_word(in, STR("true"));
	case 'f': return scan_word(in, STR("false"));
	default: return scan_number(in);
	}
}

/* The steps of scan_value(): each returns 1 if a value must follow, 0 if one is complete, <0. */

/* At an item of a container; of an object, the key and the colon come before its value. */
static int item_begin(struct scan *scan)
{
	skip_space(&scan->in);
	if (!(scan->objects & 1))
		return 1;
	if (!scan_string(&scan->in))
		return -EINVAL;
	skip_space(&scan->in);
	if (!eat(&scan->in, ':'))
		return -EINVAL;
	skip_space(&scan->in);
	return 1;
}

static int value_begin(struct scan *scan)
{
	int c = peek(scan->in);

	if (c != '{' && c != '[')
		return scan_scalar(&scan->in) ? 0 : -EINVAL;
	if (scan->depth == JSON_DEPTH_MAX)
		return -E2BIG;
	scan->depth++;
	scan->objects = scan->objects << 1 | (c == '{');
	scan->in = str_from(scan->in, 1);
	skip_space(&scan->in);
	if (peek(scan->in) == (c == '{' ? '}' : ']'))
		return 0; /* nothing in it: value_end() closes it */
	return item_begin(scan);
}

static int value_end(struct scan *scan)
{
	while (scan->depth) {
		skip_space(&scan->in);
		if (eat(&scan->in, ','))
			return item_begin(scan);
		if (!eat(&scan->in, scan->objects & 1 ? '}' : ']'))
			return -EINVAL;
		scan->objects >>= 1;
		scan->depth--;
	}
	return 0;
}

/* Moves *in behind the value that it begins with: 0, -EINVAL or -E2BIG. */
static int scan_value(struct str *in)
{
	struct scan scan = { .in = *in };
	int more;

	do {
		more = value_begin(&scan);
		if (more == 0)
			more = value_end(&scan);
	} while (more > 0);
	*in = scan.in;
	return more;
}

int json_check(struct str text, struct str *value)
{
	const char *start;
	size_t len;
	int err;

	if (!str_is_utf8(text))
		return -EINVAL;
	skip_space(&text);
	start = text.p;
	err = scan_value(&text);
	if (err)
		return err;
	len = (size_t)(text.p - start);
	skip_space(&text);
	if (text.n)
		return -EINVAL;
	*value = (struct str){ start, len };
	return 0;
}

enum json_type json_type(struct str value)
{
	switch (peek(value)) {
	case '{': return JSON_OBJECT;
	case '[': return JSON_ARRAY;
	case '"': return JSON_STRING;
	case 'n': return JSON_NULL;
	case 't': return JSON_TRUE;
	case 'f': return JSON_FALSE;
	default: return JSON_NUMBER;
	}
}

/* Cuts the value at the front of a checked *at, and the white space behind it. */
static struct str cut_value(struct str *at)
{
	const char *start = at->p;
	int err = scan_value(at);
	struct str value = { start, (size_t)(at->p - start) };

	assert(err == 0);
	skip_space(at);
	return value;
}

/*
 * Moves *at, which stands at the container's begin or behind an item, to the next item. False at
 * the end; and for a value that is no such container.
 */
static bool next_item(struct str *at, char open)
{
	if (!eat(at, open) && !eat(at, ','))
		return false;
	skip_space(at);
	return peek(*at) != '}' && peek(*at) != ']';
}

bool json_next_member(struct str *at, struct str *key, struct str *value)
{
	if (!next_item(at, '{'))
		return false;
	*key = cut_value(at);
	eat(at, ':');
	skip_space(at);
	*value = cut_value(at);
	return true;
}

bool json_next_element(struct str *at, struct str *value)
{
	if (!next_item(at, '['))
		return false;
	*value = cut_value(at);
	return true;
}

bool json_get(struct str object, struct str key, struct str *value)
{
	struct str name, found;
	bool is_there = false;

	while (json_next_member(&object, &name, &found)) {
		if (!json_string_is(name, key))
			continue;
		*value = found;
		is_there = true;
	}
	return is_there;
}

static size_t utf8_write(char text[4], uint32_t code)
{
	size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint32_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = len - 1; i > 0; i--, code >>= 6)
		text[i] = (char)(0x80 | (code & 0x3f));
	text[0] = (char)(lead[len] | code);
	return len;
}

/* The inside of a checked string. */
static struct str string_inside(struct str value)
{
	assert(value.n >= 2 && value.p[0] == '"');
	return (struct str){ value.p + 1, value.n - 2 };
}

/*
 * Takes the next piece of decoded content off *inside: what stands there as it is up to the next
 * backslash, or what an escape means, which is then in text. False at the end.
 */
static bool next_piece(struct str *inside, char text[4], struct str *piece)
{
	size_t at = str_find(*inside, '\\');
	uint32_t code;

	if (at) {
		*piece = (struct str){ inside->p, at };
		*inside = str_from(*inside, at);
		return true;
	}
	if (!eat(inside, '\\') || !read_escape(inside, &code))
		return false;
	*piece = (struct str){ text, utf8_write(text, code) };
	return true;
}

int json_string(struct str value, struct buf *out)
{
	struct str inside = string_inside(value), piece;
	char text[4];

	while (next_piece(&inside, text, &piece))
		buf_add(out, piece);
	return out->err;
}

bool json_string_is(struct str value, struct str s)
{
	struct str inside = string_inside(value), piece;
	char text[4];

	while (next_piece(&inside, text, &piece)) {
		if (!str_starts(s, piece))
			return false;
		s = str_from(s, piece.n);
	}
	return s.n == 0;
}

int json_u64(struct str value, uint64_t *out)
{
	return str_to_u64(value, UINT64_MAX, out) ? -ERANGE : 0;
}

double json_double(struct str value)
{
	char text[128], *heap = NULL;
	double number;

	if (value.n < sizeof(text)) {
		memcpy(text, value.p, value.n);
		text[value.n] = '\0';
		return strtod(text, NULL);
	}
	heap = strndup(value.p, value.n);
	number = heap ? strtod(heap, NULL) : (double)NAN;
	free(heap);
	return number;
}
