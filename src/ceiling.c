/*
 * ceiling: the ceiling, computed. See ceiling.h.
 *
 * Everything that grows with what clients do has a limit; here each is multiplied by what one of it
 * takes. Arrays double when they grow, and for a moment the old one is there beside the new one:
 * both are counted, and what malloc() adds. tests/blackbox/test_ceiling.c holds the daemon to it.
 */
#include "ceiling.h"

#include <inttypes.h>

#include "conn.h"
#include "loop.h"
#include "peer.h"
#include "topic.h"

enum {
	MALLOC_BYTES = 16,       /* that malloc() adds to what is asked for, … */
	MALLOC_WASTE = 4,        /* … and this part of it lies between the pieces */
	ARRAY_TIMES = 3,         /* an array that has just doubled, and the old one */
	PATTERNS_BYTES = 12,     /* of a selector in its hash table and in the list of patterns */
	PENDING_TIMES = 4,       /* twice the audiences, rounded up to a power of two */
	PROGRAM_BYTES = 4 << 20, /* heap at the start, stack, logs, buffers of the loop */
};

struct tally {
	FILE *out;
	uint64_t total;
};

__attribute__((format(printf, 4, 5))) static void part(struct tally *tally, const char *name,
						       uint64_t bytes, const char *why, ...)
{
	va_list args;

	fprintf(tally->out, "%-14s %15" PRIu64 "  ", name, bytes);
	va_start(args, why);
	vfprintf(tally->out, why, args);
	va_end(args);
	fputc('\n', tally->out);
	tally->total += bytes;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The names that are subscribed to: as many as --max-topics, no longer than targets can name. */
static void topics(struct tally *tally, const struct config *config, uint64_t clients)
{
	uint64_t count = least(config->topics_max, clients * HTTP_URI_MAX / 2);
	uint64_t each = ARRAY_TIMES * (sizeof(struct selector) + PATTERNS_BYTES) + MALLOC_BYTES;
	uint64_t names = least(count * HTTP_URI_MAX, clients * HTTP_URI_MAX);

	part(tally, "topics", count * each + names,
	     "%" PRIu64 " names that are subscribed to, and their bytes", count);
}

/* At the worst each client subscribes to as many topics as it can, and nobody else to the same. */
static void subscriptions(struct tally *tally, const struct config *config, uint64_t clients)
{
	uint64_t selectors = least(config->topics_max, SELECTORS_MAX);
	uint64_t lists = selectors * sizeof(uint32_t) * (1 + ARRAY_TIMES) + 2 * MALLOC_BYTES;
	uint64_t each = ARRAY_TIMES * (sizeof(struct audience) + sizeof(uint32_t)) +
			ARRAY_TIMES * sizeof(struct place) + MALLOC_BYTES +
			PENDING_TIMES * sizeof(struct pending);

	part(tally, "subscriptions", clients * (each + lists),
	     "%" PRIu64 " clients with up to %" PRIu64 " topics each", clients, selectors);
}

static void requests(struct tally *tally, const struct config *config)
{
	part(tally, "requests", config->requests_bytes_max,
	     "--max-request-memory, for unfinished ones");
	part(tally, "one request", exchange_bytes_max(config->body_bytes_max),
	     "that may have grown beyond that before it is refused");
	part(tally, "spare", exchanges_spare_bytes(), "kept for the requests that come next");
}

/* The largest number of the three in a file of /proc/sys, or 0. */
static uint64_t kernel_number(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t number = 0;

	if (file && fscanf(file, "%*u %*u %" SCNu64, &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

static void kernel(struct tally *tally, const struct config *config, uint64_t clients)
{
	uint64_t send = config->sndbuf_bytes ? 2 * config->sndbuf_bytes
					     : kernel_number("/proc/sys/net/ipv4/tcp_wmem");
	uint64_t receive = kernel_number("/proc/sys/net/ipv4/tcp_rmem");
	uint64_t pages = kernel_number("/proc/sys/net/ipv4/tcp_mem");

	part(tally, "kernel", clients * (send + receive),
	     "%" PRIu64 " sockets with %" PRIu64 " bytes to send (%s) and %" PRIu64
	     " received (tcp_rmem); all of the machine's TCP together: %" PRIu64 " (tcp_mem)",
	     clients, send, config->sndbuf_bytes ? "--sndbuf, doubled" : "tcp_wmem", receive,
	     pages * 4096);
}

void ceiling_print(const struct config *config, uint64_t clients_max, FILE *out)
{
	struct tally tally = { .out = out };
	uint64_t clients = clients_max + CONN_SPARE;
	uint64_t heap;

	part(&tally, "ring", ring_bytes(config->ring_bytes),
	     "--ring-bytes, and the index and topics of its events");
	part(&tally, "connections", (clients + 1) * sizeof(struct conn),
	     "%" PRIu64 " of %zu bytes: --max-clients, or what descriptors allow", clients,
	     sizeof(struct conn));
	heap = tally.total;
	part(&tally, "addresses", clients * ARRAY_TIMES * (sizeof(struct peer) + sizeof(uint32_t)),
	     "each client from another one");
	topics(&tally, config, clients);
	subscriptions(&tally, config, clients);
	requests(&tally, config);
	part(&tally, "program", PROGRAM_BYTES, "what it has when nobody is there");
	heap = tally.total - heap;
	part(&tally, "between", heap / MALLOC_WASTE, "what malloc() cannot use");
	fprintf(out, "%-14s %15" PRIu64 "  in user space, code not counted\n", "total",
		tally.total);
	kernel(&tally, config, clients);
}
