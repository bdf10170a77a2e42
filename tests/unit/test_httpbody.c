/*
 * Bodies in every piece that they can arrive in: in one go, byte by byte, cut at every place;
 * always with the end of the input at a page that cannot be read.
 */
#include <criterion/criterion.h>

#include "buf.h"
#include "guard.h"
#include "httpbody.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { SOME = 1 << 16 };

static struct http_body chunked_body(void)
{
	static const struct http_request request = { .framing = HTTP_CHUNKED };
	struct http_body body;

	http_body_init(&body, &request);
	return body;
}

static struct http_body length_body(uint64_t length)
{
	struct http_request request = { .framing = HTTP_LENGTH, .content_length = length };
	struct http_body body;

	http_body_init(&body, &request);
	return body;
}

/*
 * Feeds what the body takes of in and appends the data to out. Returns the last result; *used is
 * how much was taken altogether.
 */
static int feed(struct http_body *body, struct str in, size_t *used, struct buf *out)
{
	int result;

	*used = 0;
	do {
		size_t step;
		struct str data;

		result = http_body_next(body, str_from(in, *used), &step, &data);
		cr_assert_leq(step, in.n - *used);
		cr_assert(data.n <= step, "data is part of what was used");
		*used += step;
		buf_add(out, data);
		if (result == 0 && *used < in.n)
			cr_assert_gt(step, 0, "it gets on");
	} while (result == 0 && *used < in.n);
	return result;
}

/* The same, with in cut into a first piece of `first` bytes and then pieces of `piece` bytes. */
static int feed_pieces(struct http_body *body, struct str in, size_t first, size_t piece,
		       size_t *used, struct buf *out)
{
	struct guard guard = guard_new(in.n);
	size_t at = 0, n = first;
	int result = 0;

	while (result == 0 && at < in.n) {
		size_t step;
		struct str some = { in.p + at, n < in.n - at ? n : in.n - at };

		result = feed(body, guard_place(&guard, some), &step, out);
		cr_assert(result != 0 || step == some.n);
		at += step;
		n = piece;
	}
	*used = at;
	guard_free(&guard);
	return result;
}

static void check(struct http_body body, struct str in, struct str want, size_t extra, size_t first,
		  size_t piece)
{
	struct buf out;
	size_t used;
	int result;

	buf_init(&out, SOME);
	result = feed_pieces(&body, in, first, piece, &used, &out);
	cr_assert_eq(result, 1, "\"%.*s\", first %zu, then %zu: got %d", STR_ARG(in), first, piece,
		     result);
	cr_assert(str_eq(buf_str(&out), want), "\"%.*s\", first %zu, then %zu: got \"%.*s\"",
		  STR_ARG(in), first, piece, STR_ARG(buf_str(&out)));
	cr_assert_eq(used, in.n - extra, "what is behind the body stays");
	buf_done(&out);
}

/* In one go, byte by byte, and cut in two at every place. */
static void check_all(struct http_body body, struct str in, struct str want, size_t extra)
{
	check(body, in, want, extra, in.n, in.n);
	for (size_t piece = 1; piece < 8; piece++)
		check(body, in, want, extra, piece, piece);
	for (size_t first = 1; first < in.n; first++)
		check(body, in, want, extra, first, in.n);
}

static const struct {
	const char *in, *data;
} good[] = {
	{ "0\r\n\r\n", "" },
	{ "5\r\nhello\r\n0\r\n\r\n", "hello" },
	{ "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef" },
	{ "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a" },
	{ "00000000000000000000003\r\nabc\r\n000\r\n\r\n", "abc" },
	{ "2\r\n\r\n\r\n0\r\n\r\n", "\r\n" },
	{ "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n" },
	/* Extensions */
	{ "3;a\r\nabc\r\n0;b=c\r\n\r\n", "abc" },
	{ "3;a=\"x;y\\\"z\";b\r\nabc\r\n0\r\n\r\n", "abc" },
	{ "3 \t; a = b \r\nabc\r\n0\r\n\r\n", "abc" },
	{ "3;\xc3\xa9\r\nabc\r\n0\r\n\r\n", "abc" },
	/* Trailers */
	{ "3\r\nabc\r\n0\r\nA: b\r\n\r\n", "abc" },
	{ "0\r\nA:\r\nB-C: \td\t\r\nE:\xff:\r\n\r\n", "" },
};

Test(httpbody, takes_chunks_however_they_arrive)
{
	for (size_t i = 0; i < COUNT(good); i++)
		check_all(chunked_body(), str_of(good[i].in), str_of(good[i].data), 0);
}

Test(httpbody, leaves_the_next_request_alone)
{
	check_all(chunked_body(), STR("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), STR("abc"), 16);
	check_all(chunked_body(), STR("0\r\nA: b\r\n\r\n\r\n\r\n"), STR(""), 4);
	check_all(length_body(3), STR("abcGET / HTTP/1.1\r\n"), STR("abc"), 16);
	check_all(length_body(19), STR("GET / HTTP/1.1\r\n\r\n\0"), STR("GET / HTTP/1.1\r\n\r\n\0"),
		  0);
}

Test(httpbody, says_with_the_last_byte_that_it_is_complete)
{
	struct http_body body = length_body(3);
	struct str data;
	size_t used;

	cr_assert_eq(http_body_next(&body, STR("ab"), &used, &data), 0);
	cr_assert(used == 2 && data.n == 2);
	cr_assert_eq(http_body_next(&body, STR("cd"), &used, &data), 1);
	cr_assert(used == 1 && str_eq(data, STR("c")));
	cr_assert_eq(http_body_next(&body, STR("d"), &used, &data), 1, "and stays so");
	cr_assert(used == 0 && data.n == 0);
}

Test(httpbody, is_complete_at_once_without_a_body)
{
	static const struct http_request none = { .framing = HTTP_NO_BODY };
	struct http_body body;
	struct str data;
	size_t used;

	http_body_init(&body, &none);
	cr_assert_eq(http_body_next(&body, (struct str){ NULL, 0 }, &used, &data), 1);
	cr_assert_eq(http_body_next(&body, STR("next"), &used, &data), 1);
	cr_assert(used == 0 && data.n == 0);
	body = length_body(0);
	cr_assert_eq(http_body_next(&body, (struct str){ NULL, 0 }, &used, &data), 1);
}

Test(httpbody, waits_for_more_at_every_prefix)
{
	struct str in = STR("3;x\r\nabc\r\n0\r\nA: b\r\n\r\n");
	struct buf out;

	buf_init(&out, SOME);
	for (size_t n = 0; n < in.n; n++) {
		struct http_body body = chunked_body();
		size_t used;

		cr_assert_eq(feed(&body, (struct str){ in.p, n }, &used, &out), 0, "%zu bytes", n);
		cr_assert_eq(used, n);
	}
	buf_done(&out);
}

Test(httpbody, counts_beyond_32_bits)
{
	struct http_body body = chunked_body();
	struct str data;
	size_t used;

	cr_assert_eq(http_body_next(&body, STR("ffffffffffffffff\r\nabc"), &used, &data), 0);
	cr_assert(str_eq(data, STR("abc")));
	cr_assert_eq(body.left, UINT64_MAX - 3);
	body = length_body(UINT64_MAX);
	cr_assert_eq(http_body_next(&body, STR("abc"), &used, &data), 0);
	cr_assert_eq(body.left, UINT64_MAX - 3);
}

static const char *const bad[] = {
	/* Sizes */
	"\r\n",
	"g\r\n",
	" 1\r\n",
	"-1\r\n",
	"+1\r\n",
	"0x1\r\n",
	"1 2\r\n",
	"1 \r\n",
	"1,\r\n",
	";a\r\n",
	"10000000000000000\r\n",
	"fffffffffffffffff\r\n",
	"0000000000000000010000000000000000\r\n",
	/* Line ends */
	"1\na\r\n",
	"1\r\r\n",
	"1\rx",
	"1;a\nb",
	"1;a\rb",
	"1\r\na\n",
	"1\r\nab",
	"1\r\na\r\r",
	"1\r\na\rb",
	"1\r\na\r\n\r\n",
	"0\n\n",
	"0\r\n\n",
	"0\r\n\r\r",
	/* Extensions */
	"1;a\x01\r\n",
	"1;\x7f\r\n",
	/* Trailers */
	"0\r\nA\r\n",
	"0\r\n: b\r\n",
	"0\r\nA : b\r\n",
	"0\r\n A: b\r\n",
	"0\r\nA: b\r\n c\r\n",
	"0\r\nA: b\n",
	"0\r\nA: b\rc",
	"0\r\nA: \x01\r\n",
	"0\r\nA(: b\r\n",
	"0\r\nA: b\r\n\n",
};

static void check_bad(struct str in, size_t piece)
{
	struct http_body body = chunked_body();
	struct buf out;
	size_t used;
	int result;

	buf_init(&out, SOME);
	result = feed_pieces(&body, in, piece, piece, &used, &out);
	cr_assert_eq(result, 400, "\"%.*s\" in pieces of %zu: got %d", STR_ARG(in), piece, result);
	buf_done(&out);
}

Test(httpbody, refuses_what_is_malformed)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		check_bad(str_of(bad[i]), strlen(bad[i]));
		check_bad(str_of(bad[i]), 1);
	}
	check_bad(STR("1;\0\r\n"), 5);
	check_bad(STR("0\r\nA: \0\r\n"), 1);
}

/* begin, then c until there are n bytes, then end. */
static struct str padded(struct buf *b, const char *begin, char c, size_t n, const char *end)
{
	buf_clear(b);
	buf_add(b, str_of(begin));
	while (b->n < n - strlen(end))
		buf_add_char(b, c);
	buf_add(b, str_of(end));
	return buf_str(b);
}

Test(httpbody, bounds_size_lines_and_trailers)
{
	struct buf b;

	buf_init(&b, SOME);
	for (size_t over = 0; over < 2; over++) {
		struct http_body body = chunked_body();
		struct buf out;
		size_t used;
		struct str in;

		buf_init(&out, SOME);
		in = padded(&b, "5;", 'x', HTTP_CHUNK_LINE_MAX + over, "\r\n");
		cr_assert_eq(feed(&body, in, &used, &out), over ? 400 : 0);
		body = chunked_body();
		in = padded(&b, "1\r\nx\r\n5;", 'x', 6 + HTTP_CHUNK_LINE_MAX + over, "\r\n");
		cr_assert_eq(feed(&body, in, &used, &out), over ? 400 : 0);
		body = chunked_body();
		in = padded(&b, "", '0', HTTP_CHUNK_LINE_MAX + over, "\r\n");
		cr_assert_eq(feed(&body, in, &used, &out), over ? 400 : 0);
		body = chunked_body();
		in = padded(&b, "0\r\nA: ", 'x', 3 + HTTP_TRAILERS_MAX + over, "\r\n\r\n");
		cr_assert_eq(feed(&body, in, &used, &out), over ? 400 : 1);
		buf_done(&out);
	}
	buf_done(&b);
}

Test(httpbody, counts_each_size_line_anew)
{
	struct http_body body = chunked_body();
	struct buf out;
	size_t used;

	buf_init(&out, SOME);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(feed(&body, STR("1;extension\r\nx\r\n"), &used, &out), 0);
	cr_assert_eq(feed(&body, STR("0\r\n\r\n"), &used, &out), 1);
	cr_assert_eq(out.n, 1000);
	buf_done(&out);
}
