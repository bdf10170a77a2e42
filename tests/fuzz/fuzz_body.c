/* Request bodies: the data is the same however the bytes arrive, and no byte behind is touched. */
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

int FUZZ_TARGET(body)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	unsigned kind = fuzz_byte(&in);
	size_t step = fuzz_byte(&in) % 16 + 1, used[2];
	struct http_request request = { .framing = HTTP_NO_BODY };
	struct buf out[2];
	int done[2];

	if (kind & 1)
		request.framing = HTTP_CHUNKED;
	else if (kind & 2)
		request = (struct http_request){ .framing = HTTP_LENGTH,
						 .content_length = kind >> 2 };
	for (int i = 0; i < 2; i++)
		buf_init(&out[i], 1 << 20);
	done[0] = read_body(in, in.n + 1, &request, &out[0], &used[0]);
	done[1] = read_body(in, step, &request, &out[1], &used[1]);
	EXPECT(done[0] == done[1]);
	EXPECT(done[0] == 400 || used[0] == used[1]);
	EXPECT(done[0] == 400 || str_eq(buf_str(&out[0]), buf_str(&out[1])));
	if (request.framing == HTTP_LENGTH && done[0] == 1)
		EXPECT(out[0].n == request.content_length);
	for (int i = 0; i < 2; i++)
		buf_done(&out[i]);
	return 0;
}
