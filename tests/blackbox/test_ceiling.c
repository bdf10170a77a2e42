/*
 * The ceiling of memory that --print-limits tells is one: each part is driven to its limit, with
 * the real binary. It stays below; and so much of the part is really reached that this says
 * something.
 *
 * What sanitizers add is not counted: with them, the same is done and nothing measured.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds.h"
#include "hubclient.h"
#include "metrics.h"

#define HOST     "Host: a\r\n"
#define SUCH     QUIET, "--no-crash-recovery", "--ring-bytes", "1M", "--head-timeout", "1h"
#define NO_ROOM  "ssecast_disconnects_total{reason=\"no_memory\"}"
#define NAME_LEN 256

/* A daemon with these options, after it has said in its log what its limits are. Returns what it
 * holds when nobody is there. */
static uint64_t begin(struct daemon *d, const char *const *options)
{
	const char *asked[32] = { "--print-limits" };

	for (size_t i = 0; options[i]; i++)
		asked[i + 1] = options[i];
	daemon_init(d);
	cr_assert(daemon_run(d, asked) == 0, "%s", d->log.p);
	daemon_start(d, options);
	return memory_held(d);
}

/* What has come since is at least so many hundredths of a part, and not much more, as the rest has
 * little to do with it; the whole is below the total. */
static void expect_filled(const struct daemon *d, uint64_t idle, const char *part,
			  uint64_t hundredths)
{
#ifndef TEST_UNCONFINED
	uint64_t total = limit_said(d, "\ntotal "), most = limit_said(d, part);
	uint64_t grown = memory_held(d) - idle, peak = memory_peak(d);

	cr_expect(grown >= most / 100 * hundredths, "%s %llu of %llu", part + 1,
		  (unsigned long long)grown, (unsigned long long)most);
	cr_expect(grown <= most / 2 * 3, "%s %llu of %llu", part + 1, (unsigned long long)grown,
		  (unsigned long long)most);
	cr_expect(peak <= total, "%llu of %llu", (unsigned long long)peak,
		  (unsigned long long)total);
#else
	(void)d, (void)idle, (void)part, (void)hundredths;
#endif
}

/* Connects from an address that nobody else has. */
static void open_from(struct client *c, const struct daemon *d, unsigned host)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(0x7f010001u + host) };

	*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	buf_init(&c->in, 1 << 20);
	cr_assert(bind(c->fd, (struct sockaddr *)&name, sizeof(name)) == 0);
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	name.sin_port = htons((uint16_t)d->port);
	cr_assert(connect(c->fd, (struct sockaddr *)&name, sizeof(name)) == 0);
}

static void close_all(struct client *clients, size_t count)
{
	for (size_t i = 0; i < count; i++)
		client_close(&clients[i]);
}

/* Each from its own address, with the longest names, which nobody else has. */
Test(ceiling, topics_of_the_longest_names)
{
	enum { CLIENTS = 1000, EACH = 20 };
	static struct client clients[CLIENTS];
	struct daemon d;
	struct buf target;
	uint64_t idle = begin(&d, OPTIONS(SUCH, "--max-clients", "1020", "--max-topics", "20000"));

	buf_init(&target, 1 << 14);
	for (int i = 0; i < CLIENTS; i++) {
		buf_clear(&target);
		for (int k = 0; k < EACH; k++)
			buf_addf(&target, "%ctopic=%0*d", k ? '&' : '?', NAME_LEN, i * EACH + k);
		open_from(&clients[i], &d, (unsigned)i);
		client_sendf(&clients[i], "GET /sse%.*s HTTP/1.1\r\n" HOST "\r\n",
			     STR_ARG(buf_str(&target)));
	}
	metric_wait(&d, "ssecast_topics", CLIENTS * EACH);
	expect_filled(&d, idle, "\ntopics ", 60);
	close_all(clients, CLIENTS);
	buf_done(&target);
	daemon_stop(&d);
}

enum { CROWD = 768, QUARTER = CROWD / 4, SET = 900 };

/* A stream with a set of topics, but for one: so it is an audience of its own. */
static void subscribe_to(struct client *c, const struct daemon *d, unsigned set, unsigned without)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct buf target;

	buf_init(&target, 1 << 14);
	for (unsigned i = 0; i < SET; i++)
		if (i != without)
			buf_addf(&target, "%ctopic=%c%c", target.n ? '&' : '?',
				 digits[(set * SET + i) / 62], digits[(set * SET + i) % 62]);
	client_open(c, d);
	client_sendf(c, "GET " HUB "%.*s HTTP/1.1\r\n" HOST "\r\n", STR_ARG(buf_str(&target)));
	client_need(c, 15);
	cr_assert(memcmp(c->in.p, "HTTP/1.1 200 OK", 15) == 0, "%.*s", STR_ARG(buf_str(&c->in)));
	buf_done(&target);
}

/* All come to one set of topics, most go on to the next: who stays has the lists of all. */
Test(ceiling, subscriptions_of_a_crowd_that_goes_from_topic_to_topic)
{
	static struct client clients[CROWD];
	struct daemon d;
	uint64_t idle = begin(&d, OPTIONS(SUCH, "--mercure-anonymous", "--max-clients", "780",
					  "--max-topics", "3600"));

	for (unsigned set = 0; set < 4; set++) {
		for (unsigned i = set * QUARTER; i < CROWD; i++)
			subscribe_to(&clients[i], &d, set, i);
		for (unsigned i = (set + 1) * QUARTER; i < CROWD; i++)
			client_close(&clients[i]);
		metric_wait_down(&d, "ssecast_clients{state=\"live\"}", (set + 1) * QUARTER);
	}
	expect_filled(&d, idle, "\nsubscriptions ", 40);
	close_all(clients, CROWD);
	daemon_stop(&d);
}

/* Topics and claims of tokens, and what is told of each subscriber. */
Test(ceiling, claims_and_presences)
{
	enum { CLIENTS = 300, TOPICS = 7, CLAIMS = 5, CLAIM_LEN = 1000 };
	static struct client clients[CLIENTS];
	struct daemon d;
	struct buf text, list;
	uint64_t idle;

	cr_assert(setenv("MERCURE_SUBSCRIBER_JWT_KEY", TOKEN_KEY, 1) == 0);
	idle = begin(&d, OPTIONS(SUCH, "--mercure-subscriptions", "--max-clients", "320",
				 "--max-topics", "3600"));
	unsetenv("MERCURE_SUBSCRIBER_JWT_KEY");
	buf_init(&text, 1 << 14);
	buf_init(&list, 1 << 14);
	for (int i = 0; i < CLIENTS; i++) {
		struct token token;

		buf_clear(&text);
		buf_clear(&list);
		for (int k = 0; k < TOPICS; k++)
			buf_addf(&text, "%ctopic=%01000d", k ? '&' : '?', i * TOPICS + k);
		for (int k = 0; k < CLAIMS; k++)
			buf_addf(&list, "%s\"c%0*d\"", k ? "," : "", CLAIM_LEN, i * CLAIMS + k);
		buf_add_char(&list, '\0');
		token = token_for("", list.p);
		client_open(&clients[i], &d);
		client_sendf(&clients[i], "GET " HUB "%.*s HTTP/1.1\r\n" HOST "%s\r\n",
			     STR_ARG(buf_str(&text)), bearer(&token));
		client_need(&clients[i], 15);
		cr_assert(memcmp(clients[i].in.p, "HTTP/1.1 200 OK", 15) == 0, "%.*s",
			  STR_ARG(buf_str(&clients[i].in)));
	}
	metric_wait(&d, "ssecast_topics", CLIENTS * (TOPICS + CLAIMS));
	expect_filled(&d, idle, "\npresences ", 60);
	close_all(clients, CLIENTS);
	buf_done(&text);
	buf_done(&list);
	daemon_stop(&d);
}

/* Heads and bodies that do not end, flows whose line does not, and polls: more than there is room
 * for, in any order. */
Test(ceiling, requests_that_do_not_end)
{
	enum { CLIENTS = 400, FILLER = 9000 };
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\n" HOST "X: ",
		"POST /publish HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n",
		"POST /publish HTTP/1.1\r\n" HOST "Content-Type: application/x-ndjson\r\n"
		"Content-Length: 100000\r\n\r\n",
		"GET /sse?poll HTTP/1.1\r\n" HOST "\r\n",
	};
	static struct client clients[CLIENTS];
	static char filler[FILLER];
	struct daemon d;
	uint64_t idle = begin(&d, OPTIONS(SUCH, "--max-clients", "1000", "--max-request-memory",
					  "2M", "--max-body", "100K"));

	memset(filler, 'x', sizeof(filler));
	for (int i = 0; i < CLIENTS; i++) {
		client_open_control(&clients[i], &d);
		client_send(&clients[i], str_of(heads[i % 4]));
		client_try_send(&clients[i], (struct str){ filler, sizeof(filler) });
	}
	metric_wait(&d, NO_ROOM, 20);
	cr_expect(metric(&d, "ssecast_request_bytes") <= (2 << 20) + 4096);
	cr_expect(metric(&d, "ssecast_request_bytes") > 1 << 20);
	expect_filled(&d, idle, "\nrequests ", 50);
	close_all(clients, CLIENTS);
	metric_wait_down(&d, "ssecast_request_bytes", 64 * 1024);
	daemon_stop(&d);
}

/* With everything that a flow can let grow: each field as large as a body may be. */
Test(ceiling, one_request_that_grows)
{
	enum { PIECE = 3 << 20 };
	static const char *const fields[] = { "event: ", "topic: ", "id: ", "data: " };
	static char piece[PIECE];
	struct client c;
	struct daemon d;
	uint64_t idle = begin(&d, OPTIONS(SUCH, "--max-clients", "100", "--max-body", "4M",
					  "--max-request-memory", "64M"));

	memset(piece, 'x', sizeof(piece));
	client_open_control(&c, &d);
	client_sendf(&c, "POST /publish HTTP/1.1\r\n" HOST "Content-Type: text/event-stream\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 4; i++) {
		client_sendf(&c, "%zx\r\n%s", strlen(fields[i]) + PIECE + 1, fields[i]);
		client_send(&c, (struct str){ piece, PIECE });
		client_send(&c, STR("\n\r\n"));
	}
	client_sendf(&c, "%x\r\n:", PIECE);
	client_send(&c, (struct str){ piece, PIECE - 1 });
	client_send(&c, STR("\r\n"));
	metric_wait(&d, "ssecast_request_bytes", 5 * PIECE);
	expect_filled(&d, idle, "\none request ", 40);
	client_close(&c);
	daemon_stop(&d);
}

/* Small events fill the index, those with many topics the names, large ones the rest. */
Test(ceiling, ring_of_the_smallest_and_the_largest_events)
{
	enum { SMALL = 5000, NAMED = 300, TOPICS = 30, LARGE = 8, LARGE_BYTES = 200 << 10 };
	static char large[LARGE_BYTES + 1];
	struct response r;
	struct daemon d;
	struct buf text;
	uint64_t idle = begin(&d, OPTIONS(SUCH, "--max-clients", "100")), shared, ring;

	buf_init(&text, 1 << 20);
	buf_addf(&text,
		 "POST /publish HTTP/1.1\r\n" HOST "Content-Type: application/x-ndjson\r\n"
		 "Content-Length: %d\r\n\r\n",
		 SMALL * 12);
	for (int i = 0; i < SMALL; i++)
		buf_add(&text, STR("{\"data\":\"\"}\n"));
	cr_expect(request_control(&d, &r, text.p) == 200);
	response_done(&r);
	for (int i = 0; i < NAMED; i++) {
		buf_clear(&text);
		for (int k = 0; k < TOPICS; k++)
			buf_addf(&text, "%stopic=%0*d", k ? "&" : "/publish?", NAME_LEN, k);
		publish(&d, text.p, "x", NULL);
	}
	memset(large, 'x', LARGE_BYTES);
	for (int i = 0; i < LARGE; i++)
		publish(&d, "/publish", large, NULL);
	cr_expect(metric(&d, "ssecast_ring_evicted_total") > (double)SMALL);
	expect_filled(&d, idle, "ring ", 90);
	shared = memory_shared(&d);
	ring = limit_said(&d, "ring ");
	cr_expect(shared >= ring / 100 * 98, "%llu", (unsigned long long)shared);
	cr_expect(shared <= ring + limit_said(&d, "\nconnections ") + 4096, "%llu",
		  (unsigned long long)shared);
	buf_done(&text);
	daemon_stop(&d);
}
