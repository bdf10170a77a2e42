/*
 * Lines of JSON, and JSON itself: what the reader walks is what the check has accepted, and strings
 * are what a second decoder makes of them.
 */
#include "feeding.h"

#include "json.h"

enum { LINES_MAX = 50 };

static unsigned hex4(const char *p)
{
	char text[5] = "";

	memcpy(text, p, 4);
	return (unsigned)strtoul(text, NULL, 16);
}

static void add_utf8(struct buf *out, unsigned c)
{
	unsigned bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (bytes == 1)
		buf_add_char(out, (char)c);
	else
		buf_add_char(out, (char)(0xf00u >> bytes | c >> 6 * (bytes - 1)));
	for (unsigned i = bytes - 1; i > 0; i--)
		buf_add_char(out, (char)(0x80 | (c >> 6 * (i - 1) & 0x3f)));
}

/* Another decoder, of a string that was accepted. */
static void decode(struct str string, struct buf *out)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	const char *at = string.p + 1, *end = string.p + string.n - 1;

	while (at < end) {
		const char *letter;
		unsigned c;

		if (*at != '\\') {
			buf_add_char(out, *at++);
			continue;
		}
		letter = strchr(letters, at[1]);
		if (at[1] != 'u') {
			buf_add_char(out, letter ? meant[letter - letters] : at[1]);
			at += 2;
			continue;
		}
		c = hex4(at + 2);
		at += 6;
		if (c >= 0xd800 && c < 0xe000) {
			EXPECT(c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u');
			EXPECT(hex4(at + 2) >= 0xdc00 && hex4(at + 2) < 0xe000);
			c = 0x10000 + ((c - 0xd800) << 10) + (hex4(at + 2) - 0xdc00);
			at += 6;
		}
		add_utf8(out, c);
	}
}

static void walk(struct str value, int depth)
{
	struct str at = value, key, inner;
	struct buf text, plain;
	uint64_t number;

	EXPECT(depth <= JSON_DEPTH_MAX);
	EXPECT(value.n > 0 && json_check(value, &inner) == 0 && str_eq(inner, value));
	switch (json_type(value)) {
	case JSON_OBJECT:
		while (json_next_member(&at, &key, &inner)) {
			EXPECT(fuzz_inside(key, value) && fuzz_inside(inner, value));
			walk(key, depth + 1);
		}
		break;
	case JSON_ARRAY:
		while (json_next_element(&at, &inner))
			EXPECT(fuzz_inside(inner, value));
		break;
	case JSON_STRING:
		buf_init(&text, 1 << 20);
		EXPECT(json_string(value, &text) == 0 && text.n <= value.n);
		EXPECT(str_is_utf8(buf_str(&text)) && json_string_is(value, buf_str(&text)));
		buf_init(&plain, 1 << 20);
		decode(value, &plain);
		EXPECT(str_eq(buf_str(&text), buf_str(&plain)));
		buf_done(&plain);
		buf_done(&text);
		break;
	case JSON_NUMBER:
		json_u64(value, &number);
		json_double(value);
		break;
	default: break;
	}
}

static void expect_string(const struct buf *string, struct str plain)
{
	struct str value;
	struct buf text;

	buf_init(&text, 1 << 20);
	EXPECT(json_check(buf_str(string), &value) == 0);
	EXPECT(json_string(value, &text) == 0 && str_eq(buf_str(&text), plain));
	buf_done(&text);
}

/* Strings by the rules, of the characters that the bytes are, in all spellings. */
static void make_strings(struct str in)
{
	struct buf plain, escaped, ours;

	buf_init(&plain, 1 << 20);
	buf_init(&escaped, 1 << 20);
	buf_init(&ours, 1 << 20);
	buf_add_char(&escaped, '"');
	for (; in.n >= 3; in = str_from(in, 3)) {
		unsigned how = (unsigned char)in.p[0];
		unsigned c = (unsigned char)in.p[1] << 8 | (unsigned char)in.p[2];

		c <<= how % 5;
		if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
			continue;
		add_utf8(&plain, c);
		if (c >= 0x10000)
			buf_addf(&escaped, how & 64 ? "\\u%04x\\u%04X" : "\\u%04X\\u%04x",
				 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
		else if (how & 128 || c < ' ' || c == '"' || c == '\\')
			buf_addf(&escaped, how & 64 ? "\\u%04x" : "\\u%04X", c);
		else
			add_utf8(&escaped, c);
	}
	buf_add_char(&escaped, '"');
	buf_add_char(&ours, '"');
	buf_add_json(&ours, buf_str(&plain));
	buf_add_char(&ours, '"');
	expect_string(&escaped, buf_str(&plain));
	expect_string(&ours, buf_str(&plain));
	buf_done(&plain);
	buf_done(&escaped);
	buf_done(&ours);
}

/* Where what is wrong is left out, each line has the events that it has alone. */
static void read_alone(struct str in)
{
	struct feeding all = { .skips = true }, alone = { 0 };
	unsigned events = 0, lines = 0;
	uint64_t line;

	feeding_run(FEED_NDJSON, in, in.n + 1, false, &all, &line);
	while (in.n && lines++ < LINES_MAX) {
		size_t n = str_find_eol(in);
		/* With the line end before it, so that it is not the first. */
		struct str one =
			lines == 1 ? (struct str){ in.p, n } : (struct str){ in.p - 1, n + 1 };

		feeding_run(FEED_NDJSON, one, one.n + 1, false, &alone, &line);
		events += alone.events;
		in = str_from(in, n + 1);
	}
	EXPECT(lines > LINES_MAX || events == all.events);
}

int FUZZ_TARGET(ndjson)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n }, value;
	char *copy = fuzz_copy(in);

	feeding_check(FEED_NDJSON, bytes, n, NULL);
	make_strings(in);
	read_alone(str_from(in, 1));
	in.p = copy;
	in = str_from(in, 1);
	if (json_check(in, &value) == 0)
		walk(value, 0);
	free(copy);
	return 0;
}
