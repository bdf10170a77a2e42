/*
 * ceiling: the ceiling, computed. See ceiling.h.
 *
 * Everything that grows with what clients do has a limit; here each is multiplied by what one of it
 * takes. A table that doubles lies in memory once, but may leave the place of its last size behind.
 * tests/blackbox/test_ceiling.c drives the daemon to each of its limits and holds it to this.
 */
#include "ceiling.h"

#include <inttypes.h>
#include <unistd.h>

#include "array.h"
#include "conns.h"
#include "listener.h"
#include "loop.h"
#include "mercure.h"
#include "presences.h"
#include "secret.h"
#include "subscribe.h"
#include "topic.h"
#include "trace.h"

enum {
	MALLOC_LEAST = 32,      /* the smallest piece of malloc() */
	MALLOC_BYTES = 24,      /* that it adds to another, with what it rounds up */
	MALLOC_WASTE = 4,       /* and this part of all lies between the pieces */
	LIST_BYTES = 16,        /* and that much to a list of numbers, whose room it rounds up to */
	LEFT_BEHIND = 32 << 20, /* larger tables move without a trace: see M_MMAP_THRESHOLD */
	PENDING_TIMES = 2,      /* of audiences: records that wait for a flush */
	TOKEN_OF_HEAD = 4,      /* a token says three bytes with four (base64) */
	NO_NAMES = 64,          /* bytes of a target at the least, beside the names in it */
	NUMBERS_PARKED = 6,     /* of a parked socket: twice its number, and room to grow */
	PROGRAM_BYTES = 2 << 20, /* when nobody is there, and to answer one */
	/*
	 * In the kernel (Linux 6.18, x86-64, /proc/slabinfo, see also docs/scaling.md): tcp6_sock
	 * 2520, sock_inode_cache 862, filp 195, dentry 195, eventpoll_epi 128, eventpoll_pwq 96,
	 * security blobs 56: 4052. One that waits to be accepted has a request_sock (340) instead
	 * of the last six.
	 */
	SOCKET_BYTES = 4608,
	PACKET_BYTES = 16 << 10, /* the last packet may go beyond a buffer's size */
};

struct account {
	FILE *out;
	const struct config *config;
	uint64_t clients;   /* with those that are only told that there is no room */
	uint64_t selectors; /* that one of them may ask for */
	uint64_t claims;    /* that its token may name */
	uint64_t names;     /* bytes of both */
	uint64_t total;
	uint64_t pieces; /* of the total, what is in small pieces */
};

__attribute__((format(printf, 4, 5))) static void part(struct account *account, const char *name,
						       uint64_t bytes, const char *why, ...)
{
	va_list args;

	fprintf(account->out, "%-14s %15" PRIu64 "  ", name, bytes);
	va_start(args, why);
	vfprintf(account->out, why, args);
	va_end(args);
	fputc('\n', account->out);
	account->total += bytes;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A table that has grown to so many entries, with the place of its last size. */
static uint64_t table_bytes(uint64_t entries, size_t size)
{
	uint64_t bytes = array_bytes(entries, size);

	return bytes + least(bytes / 2, LEFT_BEHIND);
}

static uint64_t buckets_bytes(uint64_t entries)
{
	return table_bytes(entries, sizeof(uint32_t));
}

/* What one client may ask for: only Mercure's streams have more than a few topics, and claims. */
static void read_rights(struct account *account)
{
	const struct config *config = account->config;
	bool has_key = secrets_have_subscribers(config);

	account->selectors = SUBSCRIBE_TOPICS_MAX;
	if (has_key || config->mercure_anonymous || config->control.count > 0)
		account->selectors = SELECTORS_MAX;
	account->claims = has_key ? SELECTORS_MAX : config->control.count > 0;
	account->names = HTTP_URI_MAX;
	if (has_key)
		account->names += (HTTP_HEAD_MAX - HTTP_URI_MAX) / TOKEN_OF_HEAD * 3;
}

/* The names that are subscribed to: as many as --max-topics, no longer than requests can be. */
static void topics(struct account *account)
{
	uint64_t each = account->selectors + account->claims;
	uint64_t count = least(account->config->topics_max, account->clients * each);
	uint64_t tables = table_bytes(count + 1, sizeof(struct selector)) + buckets_bytes(count) +
			  table_bytes(count, sizeof(uint32_t));
	uint64_t longest = SSE_TOPIC_MAX;
	uint64_t names;

	if (account->selectors == SELECTORS_MAX)
		longest = account->claims > 1 ? account->names : MERCURE_SELECTOR_MAX;
	names = least(count * longest, account->clients * account->names) + count * MALLOC_LEAST;
	part(account, "topics", tables + names,
	     "%" PRIu64 " names that are subscribed to, and their bytes", count);
	account->pieces += names;
}

/* At the worst each client's topics are such as nobody else has together. */
static void subscriptions(struct account *account)
{
	uint64_t clients = account->clients, topics = account->config->topics_max;
	uint64_t selectors = least(topics, account->selectors);
	uint64_t tables = table_bytes(clients + 1, sizeof(struct audience)) +
			  buckets_bytes(clients + 1) +
			  table_bytes((clients + 2) * PENDING_TIMES, sizeof(struct pending));
	uint64_t own = (2 * selectors + least(topics, account->claims)) * sizeof(uint32_t) +
		       MALLOC_BYTES + MALLOC_LEAST + ARRAY_LOOSE * sizeof(struct place);
	/* The lists of who asks for a topic. */
	uint64_t lists = least(topics, clients * selectors) * LIST_BYTES +
			 clients * selectors * ARRAY_LOOSE * sizeof(uint32_t);

	part(account, "subscriptions", tables + clients * own + lists,
	     "%" PRIu64 " clients with up to %" PRIu64 " topics each", clients, selectors);
	account->pieces += clients * own + lists;
}

static void presences(struct account *account)
{
	uint64_t each = (account->names + account->names / 2) + 2 * MALLOC_BYTES;
	uint64_t table = table_bytes(account->clients + 1, sizeof(struct presence));

	if (!account->config->mercure_subscriptions)
		return;
	part(account, "presences", table + account->clients * each,
	     "--mercure-subscriptions: topics and token of each client");
	account->pieces += account->clients * each;
}

static void requests(struct account *account)
{
	const struct config *config = account->config;
	uint64_t one = exchange_bytes_max(config->body_bytes_max);
	uint64_t most = config->requests_bytes_max;
	uint64_t spare =
		exchanges_bytes(least(account->clients, most / sizeof(struct exchange) + 1));

	part(account, "requests", most, "--max-request-memory, for unfinished ones");
	part(account, "one request", one,
	     "that may have grown beyond that before it is refused (--max-body)");
	part(account, "spare", spare, "kept for the requests that come next");
	if (config->stdin_format != CONFIG_STDIN_OFF)
		part(account, "stdin", one, "an event from there in the making");
	account->pieces += most;
}

static void recovery(struct account *account)
{
	uint64_t slots = account->clients + 1;

	if (account->config->crash_recovery_off)
		return;
	part(account, "recovery",
	     trace_bytes(slots, account->names - NO_NAMES) +
		     slots * NUMBERS_PARKED * sizeof(uint64_t),
	     "what a crash needs, where a service manager keeps it (else none)");
}

static void user_space(struct account *account)
{
	uint64_t clients = account->clients;

	part(account, "ring", ring_bytes(account->config->ring_bytes),
	     "--ring-bytes, and the index and topics of its events");
	part(account, "connections", (clients + 1) * sizeof(struct conn),
	     "%" PRIu64 " of %zu bytes: --max-clients, or what descriptors allow", clients,
	     sizeof(struct conn));
	part(account, "addresses",
	     table_bytes(2 * clients + 1, sizeof(struct peer)) + buckets_bytes(2 * clients + 1),
	     "each client from another network");
	topics(account);
	subscriptions(account);
	presences(account);
	requests(account);
	recovery(account);
	part(account, "program", PROGRAM_BYTES, "what it has when nobody is there");
	part(account, "between", account->pieces / MALLOC_WASTE, "what malloc() cannot use");
}

/* The last number in a file of /proc/sys, or 0. */
static uint64_t kernel_number(const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t number = 0, next;

	while (file && fscanf(file, "%" SCNu64, &next) == 1)
		number = next;
	if (file)
		fclose(file);
	return number;
}

/* What the kernel makes of a size that is asked for. */
static uint64_t buffer_bytes(uint64_t asked, const char *max_path)
{
	uint64_t max = kernel_number(max_path);

	return 2 * (max ? least(asked, max) : asked) + PACKET_BYTES;
}

static bool has_tcp(const struct value_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (!str_starts(str_of(list->items[i]), STR("unix:")))
			return true;
	return false;
}

static void kernel(struct account *account)
{
	const struct config *config = account->config;
	uint64_t clients = account->clients, before = account->total;
	uint64_t queue = kernel_number("/proc/sys/net/core/somaxconn") + 1;
	uint64_t waiting = (config->listen.count + config->control.count) * queue;
	uint64_t rcvbuf = has_tcp(&config->control) ? LISTENER_CONTROL_RCVBUF : LISTENER_RCVBUF;
	uint64_t receive = buffer_bytes(rcvbuf, "/proc/sys/net/core/rmem_max"), send;

	if (config->sndbuf_bytes)
		send = buffer_bytes(config->sndbuf_bytes, "/proc/sys/net/core/wmem_max");
	else
		send = kernel_number("/proc/sys/net/ipv4/tcp_wmem") + PACKET_BYTES;
	part(account, "sockets", (clients + waiting) * SOCKET_BYTES,
	     "of clients, and %" PRIu64 " that wait to be accepted (net.core.somaxconn)", waiting);
	part(account, "sending", clients * send, "%" PRIu64 " bytes each (%s)", send,
	     config->sndbuf_bytes ? "--sndbuf, doubled" : "net.ipv4.tcp_wmem");
	part(account, "receiving", (clients + waiting) * receive,
	     "%" PRIu64 " bytes each, of those that wait, too", receive);
	fprintf(account->out, "%-14s %15" PRIu64 "  in the kernel, for sockets\n", "kernel",
		account->total - before);
}

void ceiling_print(const struct config *config, uint64_t clients_max, FILE *out)
{
	struct account account = { .out = out,
				   .config = config,
				   .clients = clients_max + CONN_SPARE };
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	read_rights(&account);
	user_space(&account);
	fprintf(out, "%-14s %15" PRIu64 "  in user space, code not counted\n", "total",
		account.total);
	kernel(&account);
	fprintf(out, "%-14s %15" PRIu64 "  both\n", "all", account.total);
	fprintf(out,
		"%-14s %15" PRIu64 "  bytes that all TCP of this machine may send and receive "
		"ahead (net.ipv4.tcp_mem): where this is less, so is what is above\n",
		"tcp_mem", page * kernel_number("/proc/sys/net/ipv4/tcp_mem"));
}
