/*
 * The ring of an earlier process, damaged: it is refused, or repaired to one whose invariants hold.
 *
 * The input is a list of patches, 12 bytes each: where in the header, the index or the buckets, and
 * the eight bytes that are written there.
 */
#include "fuzz.h"

#include <unistd.h>

#include "ring.h"

enum { EVENTS = 40, PATCH_BYTES = 12, TABLES_BYTES = 4096 + 1024 * 64 + 1024 * 8 };

static void fill(struct ring *ring)
{
	static const char filler[3000] = { 'x' };
	struct str topic = STR("a");
	struct event event = { .topics = &topic, .topic_count = 1, .retry_ms = SSE_NO_RETRY };
	uint64_t number;

	for (int i = 0; i < EVENTS; i++) {
		event.data = (struct str){ filler, i % 2 ? 1 : 0 };
		event.id = i % 3 ? STR("") : STR("own");
		EXPECT(ring_append(ring, &event, 2000, &number) == 0);
		if (i < EVENTS - 2)
			ring_flushed(ring);
	}
}

static void patch(int fd, struct str in)
{
	for (; in.n >= PATCH_BYTES; in = str_from(in, PATCH_BYTES)) {
		uint32_t at;

		memcpy(&at, in.p, sizeof(at));
		EXPECT(pwrite(fd, in.p + sizeof(at), 8, at % TABLES_BYTES / 8 * 8) == 8);
	}
}

/* Everything that is there can be read, and the ring goes on. */
static void expect_usable(struct ring *ring)
{
	const struct ring_header *header = ring->header;
	uint64_t found;

	EXPECT(header->first <= header->flushed && header->flushed <= header->next);
	for (uint64_t n = header->first; n < header->next; n++) {
		const struct record *record = ring_record(ring, n);
		struct str topic, frame = ring_frame(ring, record);
		volatile unsigned sum = 0;

		for (uint32_t at = 0; ring_next_topic(ring, record, &at, &topic);)
			EXPECT(topic.n > 0);
		for (size_t i = 0; i < frame.n; i++)
			sum += (unsigned char)frame.p[i];
		EXPECT(ring_id_text(ring, record).n <= frame.n);
	}
	ring_find_own_id(ring, STR("own"), &found);
	ring_after(ring, (struct eventid){ 1999, 0 });
	ring_flushed(ring);
}

int FUZZ_TARGET(adopt)(const uint8_t *bytes, size_t n)
{
	struct ring old, ring;
	int fd;

	EXPECT(ring_init(&old, RING_BYTES_MIN, 1000) == 0);
	fill(&old);
	fd = dup(old.fd);
	ring_done(&old);
	patch(fd, (struct str){ (const char *)bytes, n });
	if (ring_adopt(&ring, fd))
		return 0;
	if (ring_repair(&ring) == 0)
		expect_usable(&ring);
	ring_done(&ring);
	return 0;
}
