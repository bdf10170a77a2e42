/*
 * The ring of an earlier process, damaged: it is refused, or repaired to one whose invariants hold,
 * and which can be gone on with.
 *
 * The first bytes say what the earlier process has put in, and whether the damage is sealed with
 * correct checksums, as an attacker would. Then come patches, 4 bytes each: where and how, which,
 * what of it, and by how much; some take the 8 bytes behind.
 */
#include "damage.h"
#include "ringing.h"

#include <unistd.h>

enum {
	NOW_MS = 2000,
	PUTS_MAX = 60,
	HEADER_FIELDS = 20,
	RECORD_FIELDS = 8,
	MORE = 80,
	NAMES_BYTES = 1 << 12
};

static const char filler[3000] = { 'x' };

/* What the earlier process has left, before the damage. */
static struct {
	struct ring_header header;
	struct record index[PUTS_MAX];
	char names[NAMES_BYTES], data[RING_BYTES_MIN];
} was;

/* Events of many shapes; the last ones are not flushed. */
static void fill(struct ring *ring, unsigned count, unsigned shape, unsigned unflushed)
{
	struct str topics[2] = { STR("a"), STR("bb") };
	uint64_t number;

	for (unsigned i = 0; i < count; i++) {
		unsigned kind = shape >> i % 4;
		struct event event = { .topics = topics,
				       .topic_count = 1 + (kind & 1),
				       .data = { filler, kind & 2 ? sizeof(filler) : i % 2 },
				       .id = kind & 4 ? STR("own") : STR(""),
				       .retry_ms = SSE_NO_RETRY,
				       .is_private = kind & 8 };

		EXPECT(ring_append(ring, &event, NOW_MS + i, &number) == 0);
		if (i + unflushed < count)
			ring_flushed(ring);
	}
}

/* The eight bytes that a patch is for. */
static char *place_of(const struct ring *ring, unsigned where, unsigned which, unsigned what)
{
	/* As it was: the header may be damaged already. */
	uint64_t record = which % PUTS_MAX;

	switch (where % 8) {
	case 0:
	case 1: return (char *)ring->header + (size_t)(which % HEADER_FIELDS) * 8;
	case 2:
	case 3:
	case 4: return (char *)&ring->index[record] + (size_t)(what % RECORD_FIELDS) * 8;
	case 5: return (char *)&ring->buckets[which * 4 + what % 4];
	case 6: return ring->names + which * 2;
	default: return ring->data + which * 64 + what % 64;
	}
}

static void patch(const struct ring *ring, struct str in)
{
	while (in.n >= 4) {
		unsigned where = fuzz_byte(&in), which = fuzz_byte(&in), what = fuzz_byte(&in);
		char *place = place_of(ring, where, which, what);

		damage_number(place, where / 8, fuzz_byte(&in), &in);
	}
}

static void keep(const struct ring *ring)
{
	was.header = *ring->header;
	EXPECT(was.header.next <= PUTS_MAX && was.header.names_head <= NAMES_BYTES);
	memcpy(was.index, ring->index, sizeof(was.index));
	memcpy(was.names, ring->names, sizeof(was.names));
	memcpy(was.data, ring->data, sizeof(was.data));
}

/* Makes the checksums right, where what they are over lies in the ring. */
static void seal(const struct ring *ring)
{
	const uint64_t *key = ring->header->hash_key;

	for (uint64_t n = was.header.first; n < was.header.next; n++) {
		struct record *record = &ring->index[n];
		struct str names = { ring->names + record->names_pos % was.header.names_size,
				     record->names_len };
		struct str frame = { ring->data + record->pos % was.header.data_size, record->len };
		uint64_t sum;

		if (names.n > was.header.names_size || frame.n > was.header.data_size)
			continue;
		record->sum = 0;
		sum = str_hash((struct str){ (const char *)record, sizeof(*record) }, key) ^
		      str_hash(names, key) << 1 ^ str_hash(frame, key) << 2;
		record->sum = (uint32_t)sum;
	}
}

/* Nobody has made new checksums: what is there is what was there. */
static void expect_same(const struct ring *ring)
{
	const struct ring_header *header = ring->header;

	for (uint64_t n = header->first; n < header->next; n++) {
		const struct record *record = ring_record(ring, n);
		struct str frame = ring_frame(ring, record);
		size_t at = record->pos % RING_BYTES_MIN, end = RING_BYTES_MIN - at;

		end = end < frame.n ? end : frame.n;
		EXPECT(n < PUTS_MAX && memcmp(record, &was.index[n], sizeof(*record)) == 0);
		EXPECT(memcmp(frame.p, was.data + at, end) == 0);
		EXPECT(memcmp(frame.p + end, was.data, frame.n - end) == 0);
		EXPECT(memcmp(ring->names + record->names_pos, was.names + record->names_pos,
			      record->names_len) == 0);
	}
}

/* Everything that is there can be read, and the ring goes on until all of it is gone. */
static void expect_usable(struct ring *ring)
{
	uint64_t found, count = ring->header->next - ring->header->first;

	ringing_header(ring);
	ringing_records(ring);
	if (ring_find_own_id(ring, STR("own"), &found))
		EXPECT(str_eq(ring_id_text(ring, ring_record(ring, found)), STR("own")));
	ring_after(ring, (struct eventid){ NOW_MS - 1, 0 });
	ring_flushed(ring);
	ring_lag(ring, ring->header->first);
	for (unsigned i = 0; i < count + MORE; i++) {
		struct str topic = STR("a");
		struct event event = { .topics = &topic,
				       .topic_count = 1,
				       .data = { filler, sizeof(filler) },
				       .id = STR("own"),
				       .retry_ms = SSE_NO_RETRY };

		EXPECT(ring_append(ring, &event, NOW_MS, &found) == 0);
		ring_flushed(ring);
	}
	ringing_header(ring);
	ringing_records(ring);
}

int FUZZ_TARGET(adopt)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	unsigned count = fuzz_byte(&in) % PUTS_MAX, shape = fuzz_byte(&in), last = fuzz_byte(&in);
	struct ring old, ring;
	int err;

	EXPECT(ring_init(&old, RING_BYTES_MIN, NOW_MS) == 0);
	fill(&old, count, shape, last % 8);
	keep(&old);
	patch(&old, in);
	if (last & 8)
		seal(&old);
	err = ring_adopt(&ring, dup(old.fd));
	if (!err && ring_repair(&ring) == 0) {
		if (!(last & 8))
			expect_same(&ring);
		expect_usable(&ring);
	}
	if (!err)
		ring_done(&ring);
	/* Its sizes are what it is unmapped by. */
	*old.header = was.header;
	ring_done(&old);
	return 0;
}
