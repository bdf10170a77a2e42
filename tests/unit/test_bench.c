/*
 * What the load generator believes: it must see what is wrong with a stream.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../bench/histogram.h"
#include "../bench/payload.h"
#include "../bench/reader.h"

enum { SIZE = 200, EVENTS = 3 };

struct seen {
	struct payload payloads[8];
	unsigned ours, torn, foreign;
	char last_id[32];
};

static void see(void *context, struct str data, struct str id)
{
	struct seen *seen = context;
	struct payload payload;

	snprintf(seen->last_id, sizeof(seen->last_id), "%.*s", STR_ARG(id));
	switch (payload_read(data, SIZE, &payload)) {
	case PAYLOAD_OURS: seen->payloads[seen->ours++ % 8] = payload; break;
	case PAYLOAD_TORN: seen->torn++; break;
	case PAYLOAD_FOREIGN: seen->foreign++; break;
	}
}

/* A stream of three events, a comment and a tick, each in a chunk of its own; or without chunks. */
static size_t make_stream(char *out, bool chunked)
{
	size_t n = 0;

	for (unsigned i = 0; i < EVENTS + 2; i++) {
		struct payload payload = { 1, i, 1000 + i };
		char text[SIZE + 64], data[SIZE];
		int len;

		payload_write(&payload, data, SIZE);
		if (i == EVENTS)
			len = sprintf(text, ":\n\n");
		else if (i > EVENTS)
			len = sprintf(text, "data: the time\n\n");
		else
			len = sprintf(text, "id: %u-0\ndata: %.*s\n\n", i, SIZE, data);
		if (chunked)
			n += (size_t)sprintf(out + n, "%x\r\n%s\r\n", (unsigned)len, text);
		else
			n += (size_t)sprintf(out + n, "%s", text);
	}
	return n;
}

/* Gives a stream to a reader in pieces of so many bytes. */
static void take_in_pieces(const char *stream, size_t n, size_t piece, bool chunked,
			   struct seen *seen, uint64_t *others)
{
	static char input[8192];
	struct reader reader;

	*seen = (struct seen){ .ours = 0 };
	*others = 0;
	reader_init(&reader, chunked ? READER_CHUNKED : READER_PLAIN);
	for (size_t at = 0; at < n; at += piece) {
		size_t len = n - at < piece ? n - at : piece;

		memcpy(input + reader.held_n, stream + at, len);
		*others += reader_take(&reader, input, len, see, seen);
		cr_assert(!reader.is_broken);
	}
	cr_expect(reader.held_n == 0);
	reader_done(&reader);
}

Test(bench, events_are_found_wherever_reads_end)
{
	char stream[4096];

	for (int chunked = 0; chunked < 2; chunked++) {
		size_t n = make_stream(stream, chunked);

		for (size_t piece = 1; piece <= n; piece++) {
			struct seen seen;
			uint64_t others;

			take_in_pieces(stream, n, piece, chunked, &seen, &others);
			cr_assert(seen.ours == EVENTS && seen.torn == 0 && seen.foreign == 1,
				  "pieces of %zu", piece);
			cr_assert(others == 1);
			for (unsigned i = 0; i < EVENTS; i++)
				cr_assert(seen.payloads[i].seq == i &&
					  seen.payloads[i].publisher == 1 &&
					  seen.payloads[i].sent_ns == 1000 + i);
		}
	}
}

Test(bench, one_wrong_byte_is_noticed_wherever_it_is)
{
	struct payload payload = { 1, 7, 1000 }, read;
	char data[SIZE];

	payload_write(&payload, data, SIZE);
	for (size_t i = 0; i < SIZE; i++) {
		char was = data[i];
		enum payload_kind kind;

		data[i] = was == '1' ? '2' : '1';
		kind = payload_read((struct str){ data, SIZE }, SIZE, &read);
		cr_expect(kind != PAYLOAD_OURS || read.publisher != 1 || read.seq != 7 ||
				  read.sent_ns != 1000,
			  "byte %zu", i);
		data[i] = was;
	}
	for (size_t n = PAYLOAD_MIN; n < SIZE; n++)
		cr_expect(payload_read((struct str){ data, n }, SIZE, &read) == PAYLOAD_TORN);
	cr_expect(payload_read((struct str){ data, SIZE }, SIZE, &read) == PAYLOAD_OURS);
}

Test(bench, two_events_mixed_are_torn)
{
	struct payload one = { 0, 1, 1000 }, other = { 0, 2, 1000 }, read;
	char a[SIZE], b[SIZE];

	payload_write(&one, a, SIZE);
	payload_write(&other, b, SIZE);
	memcpy(a + SIZE / 2, b + SIZE / 2, SIZE - SIZE / 2);
	cr_expect(payload_read((struct str){ a, SIZE }, SIZE, &read) == PAYLOAD_TORN);
}

Test(bench, histogram_knows_a_value_to_two_percent)
{
	static struct histogram h;

	for (uint64_t ns = 1; ns < (uint64_t)1 << 39; ns = ns * 5 / 4 + 1) {
		memset(&h, 0, sizeof(h));
		histogram_add(&h, ns);
		histogram_add(&h, (uint64_t)1 << 39);
		cr_assert((double)histogram_at(&h, 0.5) <= (double)ns * 1.02 &&
				  histogram_at(&h, 0.5) >= ns,
			  "%llu", (unsigned long long)ns);
		cr_assert(histogram_below(&h, ns) == 1);
	}
	cr_expect(histogram_at(&h, 1) == (uint64_t)1 << 39);
}

Test(bench, histogram_of_many_values_has_their_shares)
{
	static struct histogram h;

	for (uint64_t ns = 1; ns <= 100000; ns++)
		histogram_add(&h, ns);
	for (int percent = 1; percent <= 100; percent++) {
		double value = (double)histogram_at(&h, percent / 100.0);

		cr_expect(value >= percent * 1000.0 && value <= percent * 1020.0, "%d %%: %f",
			  percent, value);
	}
}
