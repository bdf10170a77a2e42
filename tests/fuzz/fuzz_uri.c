/*
 * Targets: nothing that comes out of a path leads out of a root, and decoding is one thing: a
 * second decoder and a second reader of queries find the same, and what is encoded comes back.
 */
#include "fuzz.h"

#include <errno.h>

#include "uri.h"

static void expect_below(struct str path)
{
	struct str rest = path, segment;

	EXPECT(path.n == 0 || path.p[0] != '/');
	EXPECT(str_find(path, '\0') == path.n);
	while (str_cut(&rest, '/', &segment)) {
		EXPECT(segment.n == 0 || segment.p[0] != '.');
		EXPECT(segment.n > 0 || !rest.p);
	}
}

/* Another decoder: false for a bad escape. */
static bool decode_plain(struct str in, bool plus, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		char hex[3] = "", *end = hex + 2;
		int c = (unsigned char)in.p[i];

		if (c == '%') {
			if (in.n - i < 3)
				return false;
			memcpy(hex, in.p + i + 1, 2);
			if (!strchr("0123456789abcdefABCDEF", hex[0]) || !hex[0])
				return false;
			c = (int)strtol(hex, &end, 16);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		if (end != hex + 2)
			return false;
		buf_add_char(out, (char)c);
	}
	return true;
}

static void decode_both(struct str in)
{
	for (int plus = 0; plus < 2; plus++) {
		char *copy = fuzz_copy(in);
		size_t n = in.n;
		struct buf out, plain;
		int err;

		buf_init(&out, 1 << 16);
		buf_init(&plain, 1 << 16);
		err = uri_decode(in, plus, &out);
		EXPECT(err == (decode_plain(in, plus, &plain) ? 0 : -EINVAL));
		EXPECT(out.n <= in.n && str_eq(buf_str(&out), buf_str(&plain)));
		EXPECT(err || uri_eq(in, plus, buf_str(&out)));
		EXPECT(!out.n || !uri_eq(in, plus, (struct str){ out.p, out.n - 1 }));
		EXPECT(uri_decode_in_place(copy, &n, plus) == err);
		EXPECT(str_eq((struct str){ copy, n }, buf_str(&out)));
		buf_done(&plain);
		buf_done(&out);
		free(copy);
	}
}

/* What is encoded, in capitals or not, comes back. */
static void encode_and_decode(struct str in)
{
	struct buf encoded, out;

	buf_init(&encoded, 1 << 18);
	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < in.n; i++)
		buf_addf(&encoded, i % 2 ? "%%%02x" : "%%%02X", (unsigned char)in.p[i]);
	EXPECT(uri_decode(buf_str(&encoded), true, &out) == 0 && str_eq(buf_str(&out), in));
	EXPECT(uri_eq(buf_str(&encoded), false, in));
	buf_done(&encoded);
	buf_done(&out);
}

/* The first value of a name, by another reader: 1, 0 if there is none, -EINVAL. */
static int get_plain(struct str in, struct str name, struct buf *out)
{
	struct str piece;
	struct buf key;
	int got = 0;

	buf_init(&key, 1 << 16);
	while (got == 0 && str_cut(&in, '&', &piece)) {
		size_t n = str_find(piece, '=');

		buf_clear(&key);
		if (piece.n && decode_plain((struct str){ piece.p, n }, true, &key) &&
		    str_eq(buf_str(&key), name))
			got = decode_plain(str_from(piece, n + 1), true, out) ? 1 : -EINVAL;
	}
	buf_done(&key);
	return got;
}

static void walk_query(struct str in)
{
	struct str query = in, pieces = in, piece, name, value;
	struct buf out, plain;
	size_t count = 0;

	while (str_cut(&pieces, '&', &piece))
		count += piece.n > 0;
	for (; uri_query_next(&query, &name, &value); count--) {
		EXPECT(fuzz_inside(name, in) && fuzz_inside(value, in));
		EXPECT(str_find(name, '=') == name.n && str_find(value, '&') == value.n);
	}
	EXPECT(count == 0);
	buf_init(&out, 1 << 16);
	buf_init(&plain, 1 << 16);
	EXPECT(uri_query_get(in, STR("topic"), &out) == get_plain(in, STR("topic"), &plain));
	EXPECT(str_eq(buf_str(&out), buf_str(&plain)));
	buf_done(&out);
	buf_done(&plain);
}

/* A path to a file is what is decoded of it; and plain names are taken. */
static void walk_path(struct str in)
{
	bool is_plain = in.n > 1 && in.p[0] == '/';
	struct buf out, plain;

	buf_init(&out, 1 << 16);
	buf_init(&plain, 1 << 16);
	for (size_t i = 1; i < in.n; i++)
		is_plain = is_plain && ((in.p[i] >= 'a' && in.p[i] <= 'z') ||
					(in.p[i] == '/' && in.p[i - 1] != '/'));
	if (uri_file_path(in, &out) == 0) {
		expect_below(buf_str(&out));
		EXPECT(decode_plain(str_from(in, 1), false, &plain));
		EXPECT(str_eq(buf_str(&out), buf_str(&plain)));
	} else {
		EXPECT(!is_plain);
	}
	buf_done(&out);
	buf_done(&plain);
}

int FUZZ_TARGET(uri)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n < 60000 ? n : 60000 };
	char *copy = fuzz_copy(in);

	in.p = copy;
	walk_path(in);
	decode_both(in);
	encode_and_decode(in);
	walk_query(in);
	if (uri_is_host(in))
		EXPECT(in.n > 0 && str_find(in, '@') == in.n && str_find(in, ' ') == in.n);
	free(copy);
	return 0;
}
