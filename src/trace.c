/*
 * trace: see trace.h.
 *
 * Terms lie in pieces of a power of two. Free pieces and free tallies are known to this process
 * only: the next one begins behind the highest that is in use.
 */
#include "trace.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TRACE_VERSION = 1,
	PAGE = 4096,
	PIECE_MIN = 64, /* bytes */
	PIECE_SIZES = 11,
	TERMS_FIRST = 64, /* offset of the first piece: 0 means none */
	CRASH_WINDOW_MS = 10000,
};

#define TERMS_MAX ((uint64_t)1 << 28) /* bytes; beyond, audiences have no tally */

static const char MAGIC[8] = { 's', 's', 'e', 't', 'r', 'a', 'c', '1' };

_Static_assert(sizeof(struct mark) == 64, "a mark is one cache line");
_Static_assert(sizeof(struct trace_header) <= PAGE, "the header is one page");

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static uint64_t size_of(uint64_t slots)
{
	return PAGE + whole_pages(slots * sizeof(struct mark)) +
	       whole_pages(slots * sizeof(struct tally)) + TERMS_MAX;
}

static int map_all(struct trace *trace, uint64_t slots)
{
	uint64_t size = size_of(slots);
	char *base =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, trace->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	trace->mapped = size;
	trace->header = (struct trace_header *)(void *)base;
	base += PAGE;
	trace->marks = (struct mark *)(void *)base;
	base += whole_pages(slots * sizeof(struct mark));
	trace->tallies = (struct tally *)(void *)base;
	trace->terms = base + whole_pages(slots * sizeof(struct tally));
	return 0;
}

int trace_init(struct trace *trace, uint32_t slots)
{
	int err;

	*trace = (struct trace){ .fd = memfd_create("ssecast-trace", MFD_CLOEXEC) };
	if (trace->fd < 0)
		return -errno;
	err = ftruncate(trace->fd, (off_t)size_of(slots)) < 0 ? -errno : map_all(trace, slots);
	if (err) {
		trace_done(trace);
		return err;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a failure has an errno */
	*trace->header = (struct trace_header){ .version = TRACE_VERSION,
						.slots = slots,
						.mark_high = 1,
						.tally_high = 1,
						.terms_used = TERMS_FIRST };
	memcpy(trace->header->magic, MAGIC, sizeof(MAGIC));
	return 0;
}

/* Which size of piece n bytes with their length need: PIECE_SIZES if none is enough. */
static unsigned piece_size(size_t n)
{
	unsigned size = 0;

	while (size < PIECE_SIZES && ((uint64_t)PIECE_MIN << size) < n + sizeof(uint32_t))
		size++;
	return size;
}

uint64_t trace_bytes(uint64_t slots, uint64_t terms_bytes)
{
	/* Pieces of one size are never used for another: there may be as many of each. */
	uint64_t terms = slots * 2 * ((uint64_t)PIECE_MIN << piece_size(terms_bytes));

	return size_of(slots) - (terms < TERMS_MAX ? TERMS_MAX - terms : 0);
}

static bool is_sound(const struct trace_header *header, uint64_t size)
{
	return memcmp(header->magic, MAGIC, sizeof(MAGIC)) == 0 &&
	       header->version == TRACE_VERSION && header->slots <= UINT32_MAX &&
	       size_of(header->slots) == size && header->mark_high >= 1 &&
	       header->mark_high <= header->slots && header->tally_high >= 1 &&
	       header->tally_high <= header->slots && header->terms_used >= TERMS_FIRST &&
	       header->terms_used <= TERMS_MAX;
}

int trace_adopt(struct trace *trace, int fd)
{
	struct trace_header header;
	struct stat st;
	int err = -EINVAL;

	*trace = (struct trace){ .fd = fd };
	if (fstat(fd, &st) == 0 &&
	    pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	    is_sound(&header, (uint64_t)st.st_size))
		err = map_all(trace, header.slots);
	if (err)
		trace_done(trace);
	return err;
}

void trace_done(struct trace *trace)
{
	if (trace->header)
		munmap(trace->header, trace->mapped);
	if (trace->fd >= 0)
		close(trace->fd);
	*trace = (struct trace){ .fd = -1 };
}

struct mark *trace_mark(const struct trace *trace, uint32_t slot)
{
	assert(slot > 0 && slot < trace->header->slots);
	if (slot >= trace->header->mark_high)
		trace->header->mark_high = slot + 1;
	return &trace->marks[slot];
}

struct trace_position trace_position(const struct mark *mark)
{
	return mark->positions[mark->which & 1];
}

void trace_set(struct mark *mark, uint64_t base, uint64_t record)
{
	uint8_t which = (mark->which & 1) ^ 1;

	mark->positions[which] = (struct trace_position){ base, record };
	atomic_signal_fence(memory_order_seq_cst);
	mark->which = which;
	atomic_signal_fence(memory_order_seq_cst);
}

void trace_publish(struct mark *mark, uint64_t cookie)
{
	atomic_signal_fence(memory_order_seq_cst);
	mark->cookie = cookie;
}

/* A piece: its offset, or 0. */
static uint64_t piece_take(struct trace *trace, unsigned size)
{
	uint64_t offset = trace->terms_free[size];

	if (offset) {
		memcpy(&trace->terms_free[size], trace->terms + offset, sizeof(uint64_t));
		return offset;
	}
	offset = trace->header->terms_used;
	if (offset + ((uint64_t)PIECE_MIN << size) > TERMS_MAX)
		return 0;
	trace->header->terms_used += (uint64_t)PIECE_MIN << size;
	return offset;
}

uint32_t trace_define(struct trace *trace, struct str terms)
{
	unsigned size = piece_size(terms.n);
	uint32_t index = trace->tally_free, len = (uint32_t)terms.n;
	struct tally *tally;
	uint64_t offset;

	if (size == PIECE_SIZES || (!index && trace->header->tally_high == trace->header->slots))
		return 0;
	offset = piece_take(trace, size);
	if (!offset)
		return 0;
	if (!index)
		index = (uint32_t)trace->header->tally_high++;
	tally = &trace->tallies[index];
	if (index == trace->tally_free)
		trace->tally_free = tally->next;
	memcpy(trace->terms + offset, &len, sizeof(len));
	memcpy(trace->terms + offset + sizeof(len), terms.p, terms.n);
	*tally = (struct tally){ .terms = 0 };
	atomic_signal_fence(memory_order_seq_cst);
	tally->terms = offset;
	return index;
}

void trace_undefine(struct trace *trace, uint32_t index)
{
	struct tally *tally = &trace->tallies[index];
	uint64_t offset = tally->terms;
	unsigned size = piece_size(trace_terms(trace, index).n);

	if (!offset)
		return;
	tally->terms = 0;
	tally->next = trace->tally_free;
	trace->tally_free = index;
	if (size == PIECE_SIZES)
		return;
	memcpy(trace->terms + offset, &trace->terms_free[size], sizeof(uint64_t));
	trace->terms_free[size] = offset;
}

struct str trace_terms(const struct trace *trace, uint32_t index)
{
	uint64_t offset = index < trace->header->tally_high ? trace->tallies[index].terms : 0;
	uint32_t len;

	if (offset < TERMS_FIRST || offset > TERMS_MAX - sizeof(len))
		return (struct str){ NULL, 0 };
	memcpy(&len, trace->terms + offset, sizeof(len));
	if (len > TERMS_MAX - sizeof(len) - offset)
		return (struct str){ NULL, 0 };
	return (struct str){ trace->terms + offset + sizeof(len), len };
}

struct tally_count trace_count(const struct trace *trace, uint32_t index)
{
	const struct tally *tally = &trace->tallies[index];

	return tally->counts[tally->which & 1];
}

void trace_set_count(struct trace *trace, uint32_t index, struct tally_count count)
{
	struct tally *tally = &trace->tallies[index];
	uint32_t which = (tally->which & 1) ^ 1;

	tally->counts[which] = count;
	atomic_signal_fence(memory_order_seq_cst);
	tally->which = which;
	atomic_signal_fence(memory_order_seq_cst);
}

bool trace_crashed(struct trace *trace, uint64_t now_ms)
{
	uint64_t *crashes_ms = trace->header->crashes_ms;

	memmove(crashes_ms + 1, crashes_ms, (TRACE_CRASHES - 1) * sizeof(*crashes_ms));
	crashes_ms[0] = now_ms;
	return crashes_ms[TRACE_CRASHES - 1] &&
	       now_ms - crashes_ms[TRACE_CRASHES - 1] < CRASH_WINDOW_MS;
}
