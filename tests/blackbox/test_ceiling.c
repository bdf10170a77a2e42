/*
 * The ceiling of memory that --print-limits tells is one: the daemon is filled to its limits.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "metrics.h"
#include "reader.h"

enum { CLIENTS = 300, TOPICS = 500, EACH = 64, HEADS = 200, EVENTS = 3000, EVENT_BYTES = 1000 };

#define LIMITS                                                               \
	"--max-clients", "600", "--ring-bytes", "1M", "--max-topics", "500", \
		"--max-request-memory", "1M", "--sndbuf", "16K", "--head-timeout", "1h"

/* A stream with a set of topics that nobody else has. */
static void subscribe(struct client *c, const struct daemon *d, int number)
{
	struct buf target;

	buf_init(&target, 1 << 14);
	buf_addf(&target, "GET /sse?topic=%032d", number);
	for (int i = 1; i < EACH; i++)
		buf_addf(&target, "&topic=%032d", (number * 7 + i) % TOPICS);
	buf_addf(&target, " HTTP/1.1\r\nHost: a\r\n\r\n");
	client_open(c, d);
	client_send(c, buf_str(&target));
	client_need(c, 15);
	buf_done(&target);
}

static void publish_much(const struct daemon *d)
{
	char data[EVENT_BYTES + 1];

	memset(data, 'x', EVENT_BYTES);
	data[EVENT_BYTES] = '\0';
	for (int i = 0; i < EVENTS; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/publish/%032d", i % TOPICS);
		publish(d, path, data, NULL);
	}
}

Test(ceiling, memory_stays_below_what_was_told)
{
	static struct client streams[CLIENTS], heads[HEADS];
	static char filler[10000];
	uint64_t ceiling, ring;
	struct daemon d;

	daemon_init(&d);
	cr_assert(daemon_run(&d, OPTIONS("--print-limits", LIMITS)) == 0);
	ceiling = limit_said(&d, "\ntotal ");
	ring = limit_said(&d, "ring ");
	cr_expect(limit_said(&d, "\nconnections ") > 600 * 40);
	cr_expect(limit_said(&d, "\nrequests ") == 1 << 20);
	cr_expect(ring > 1 << 20 && ceiling > ring && ceiling < 100 << 20);
	daemon_forget_log(&d);

	daemon_start(&d, OPTIONS(QUIET, LIMITS));
	for (int i = 0; i < CLIENTS; i++)
		subscribe(&streams[i], &d, i);
	publish_much(&d);
	memset(filler, 'x', sizeof(filler));
	for (int i = 0; i < HEADS; i++) {
		client_open(&heads[i], &d);
		client_send(&heads[i], STR("GET / HTTP/1.1\r\nHost: a\r\nX: "));
		client_try_send(&heads[i], (struct str){ filler, sizeof(filler) });
	}
	metric_wait(&d, "ssecast_disconnects_total{reason=\"no_memory\"}", 20);
	cr_expect(metric(&d, "ssecast_ring_evicted_total") > 0);
	cr_expect(memory_held(&d) > ring / 2, "%llu", (unsigned long long)memory_held(&d));
#ifndef TEST_UNCONFINED
	cr_expect(memory_held(&d) <= ceiling, "%llu of %llu", (unsigned long long)memory_held(&d),
		  (unsigned long long)ceiling);
#endif
	for (int i = 0; i < CLIENTS; i++)
		client_close(&streams[i]);
	for (int i = 0; i < HEADS; i++)
		client_close(&heads[i]);
	daemon_stop(&d);
}
