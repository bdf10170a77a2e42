/*
 * Request bodies: the data is the same however the bytes arrive, and no byte behind is touched. A
 * second reader, plain and all at once, finds the same data in what is accepted; and what is made
 * by the rules is accepted.
 */
#include "fuzz.h"

#include "httpbody.h"

/* Reads a body from in, in pieces of step bytes. Returns the verdict and how many were used. */
static int read_body(struct str in, size_t step, const struct http_request *request,
		     struct buf *out, size_t *total)
{
	struct http_body body;
	int done = 0;

	http_body_init(&body, request);
	*total = 0;
	while (done == 0) {
		struct str rest = str_from(in, *total), data = { NULL, 0 };
		size_t used = 0;

		if (rest.n > step)
			rest.n = step;
		char *copy = fuzz_copy(rest);

		done = http_body_next(&body, (struct str){ copy, rest.n }, &used, &data);
		EXPECT(used <= rest.n && data.n <= used);
		EXPECT(fuzz_inside(data, (struct str){ copy, rest.n }));
		EXPECT(done == 0 || done == 1 || done == 400);
		buf_add(out, data);
		free(copy);
		*total += used;
		if (rest.n == 0 || (done == 0 && used == 0))
			break;
	}
	return done;
}

/* A size line of that many bytes at the most: hexadecimal digits first. */
static size_t read_size(struct str *in)
{
	struct str line = { in->p, str_find(*in, '\n') };
	size_t n = 0, digits = 0;

	EXPECT(line.n < in->n && line.n < HTTP_CHUNK_LINE_MAX && line.p[line.n - 1] == '\r');
	while (strchr("0123456789abcdefABCDEF", line.p[digits])) {
		EXPECT(n <= SIZE_MAX >> 4);
		n = n << 4 | (size_t)strtoul((char[]){ line.p[digits++], '\0' }, NULL, 16);
	}
	EXPECT(digits > 0);
	*in = str_from(*in, line.n + 1);
	return n;
}

/* Reads a body that was accepted. */
static void read_plain(struct str in, struct buf *out)
{
	size_t n;

	while ((n = read_size(&in)) > 0) {
		EXPECT(n < in.n && in.n - n >= 2 && memcmp(in.p + n, "\r\n", 2) == 0);
		buf_add(out, (struct str){ in.p, n });
		in = str_from(in, n + 2);
	}
	/* Trailers: lines with a colon, and an empty one at the end. */
	EXPECT(in.n <= HTTP_TRAILERS_MAX);
	while (!str_starts(in, STR("\r\n"))) {
		struct str line = { in.p, str_find(in, '\n') };

		EXPECT(line.n < in.n && line.n > 1 && line.p[line.n - 1] == '\r');
		EXPECT(str_find(line, ':') < line.n && str_find(line, ':') > 0);
		in = str_from(in, line.n + 1);
	}
	EXPECT(in.n == 2);
}

/* One reading from end to end, and one in pieces of step bytes. */
static void read_both(struct str in, size_t step, const struct http_request *request)
{
	struct buf out[2], plain;
	size_t used[2];
	int done[2];

	for (int i = 0; i < 2; i++)
		buf_init(&out[i], 1 << 20);
	done[0] = read_body(in, in.n + 1, request, &out[0], &used[0]);
	done[1] = read_body(in, step, request, &out[1], &used[1]);
	EXPECT(done[0] == done[1]);
	EXPECT(done[0] == 400 || used[0] == used[1]);
	EXPECT(done[0] == 400 || str_eq(buf_str(&out[0]), buf_str(&out[1])));
	if (request->framing == HTTP_LENGTH && done[0] == 1)
		EXPECT(out[0].n == request->content_length);
	if (request->framing == HTTP_LENGTH)
		EXPECT(done[0] == (in.n >= request->content_length));
	if (request->framing == HTTP_CHUNKED && done[0] == 1) {
		buf_init(&plain, 1 << 20);
		read_plain((struct str){ in.p, used[0] }, &plain);
		EXPECT(str_eq(buf_str(&plain), buf_str(&out[0])));
		buf_done(&plain);
	}
	for (int i = 0; i < 2; i++)
		buf_done(&out[i]);
}

/* The same bytes as chunks, whose sizes and extensions they choose, and what follows is not read.
 */
static void make_and_read(struct str in, size_t step)
{
	static const char *const ends[] = { "\r\n", ";a\r\n", " \t;b=\"\xe4\"\r\n", "\t; c\r\n" };
	struct http_request request = { .framing = HTTP_CHUNKED };
	struct str data = in;
	struct buf made, out;
	size_t used;

	buf_init(&made, 1 << 22);
	buf_init(&out, 1 << 22);
	while (in.n) {
		size_t how = (unsigned char)in.p[0], n = how / 4 + 1;

		n = n < in.n ? n : in.n;
		buf_addf(&made, how % 3 ? "%zx%s" : "0%zX%s", n, ends[how % 4]);
		buf_add(&made, (struct str){ in.p, n });
		buf_add(&made, STR("\r\n"));
		in = str_from(in, n);
	}
	buf_addf(&made, step % 2 ? "0%s\r\n" : "000%sA-b:\r\nc: d\r\n\r\n", ends[step % 4]);
	EXPECT(read_body(buf_str(&made), step, &request, &out, &used) == 1);
	EXPECT(used == made.n && str_eq(buf_str(&out), data));
	buf_clear(&out);
	buf_add(&made, data);
	EXPECT(read_body(buf_str(&made), step, &request, &out, &used) == 1);
	EXPECT(used == made.n - data.n && str_eq(buf_str(&out), data));
	buf_done(&made);
	buf_done(&out);
}

int FUZZ_TARGET(body)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	unsigned kind = fuzz_byte(&in);
	size_t step = fuzz_byte(&in) % 16 + 1;
	struct http_request request = { .framing = HTTP_NO_BODY };

	if (kind & 1)
		request.framing = HTTP_CHUNKED;
	else if (kind & 2)
		request = (struct http_request){ .framing = HTTP_LENGTH,
						 .content_length = kind >> 2 };
	read_both(in, step, &request);
	if (kind & 1 && kind & 4)
		make_and_read(in, step);
	return 0;
}
