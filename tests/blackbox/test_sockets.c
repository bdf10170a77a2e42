/*
 * What the kernel holds for the daemon's sockets stays below what --print-limits says of it; and
 * comes near to it when clients do their worst. The kernel is asked (sock_diag), and only of this
 * daemon's port.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bounds.h"
#include "clock.h"
#include "metrics.h"
#include "reader.h"

#define HOST "Host: a\r\n"

static void begin(struct daemon *d, const char *const *options)
{
	const char *asked[32] = { "--print-limits" };
	struct sockets_held held;

	for (size_t i = 0; options[i]; i++)
		asked[i + 1] = options[i];
	daemon_init(d);
	cr_assert(daemon_run(d, asked) == 0, "%s", d->log.p);
	daemon_start(d, options);
	if (sockets_held(d->port, &held))
		return;
	daemon_stop(d);
	cr_skip_test("this kernel does not say what sockets hold");
}

/* What --print-limits says of one socket: `sending 81920000  81920 bytes each`. */
static uint64_t each_said(const struct daemon *d, const char *name)
{
	const char *at = strstr(d->log.p, name);
	char *end;

	cr_assert(at, "%s", d->log.p);
	strtoull(at + strlen(name), &end, 10);
	return strtoull(end, NULL, 10);
}

Test(sockets, streams_that_read_nothing)
{
	enum { CLIENTS = 1000, EVENTS = 10, EVENT_BYTES = 10000 };
	static char data[EVENT_BYTES + 1];
	static struct client clients[CLIENTS];
	struct sockets_held held;
	struct daemon d;

	begin(&d, OPTIONS(QUIET, "--max-clients", "1020", "--ring-bytes", "1M", "--sndbuf", "32K",
			  "--stall-timeout", "1h"));
	memset(data, 'x', EVENT_BYTES);
	for (int i = 0; i < CLIENTS; i++) {
		client_open_tiny(&clients[i], d.port);
		client_send(&clients[i], STR("GET /sse HTTP/1.1\r\n" HOST "\r\n"));
		client_need(&clients[i], 15);
	}
	for (int i = 0; i < EVENTS; i++)
		publish(&d, "/publish", data, NULL);
	metric_wait(&d, "ssecast_clients{state=\"walking\"}", CLIENTS);
	cr_assert(sockets_held(d.port, &held));
	cr_expect(held.count >= CLIENTS && held.sndbuf == 64 << 10);
	cr_expect(held.sent >= limit_said(&d, "\nsending ") / 2, "%llu",
		  (unsigned long long)held.sent);
	cr_expect(held.sent <= held.count * each_said(&d, "\nsending "), "%llu",
		  (unsigned long long)held.sent);
	cr_expect(held.bytes <= limit_said(&d, "\nkernel "), "%llu",
		  (unsigned long long)held.bytes);
	for (int i = 0; i < CLIENTS; i++)
		client_close(&clients[i]);
	daemon_stop(&d);
}

/* Who is cut because he does not read leaves nothing in the kernel. */
Test(sockets, who_is_cut_leaves_nothing_behind)
{
	enum { CLIENTS = 50 };
	static char data[100001];
	static struct client clients[CLIENTS];
	struct sockets_held held;
	struct daemon d;

	begin(&d, OPTIONS(QUIET, "--stall-timeout", "200ms"));
	memset(data, 'x', sizeof(data) - 1);
	for (int i = 0; i < CLIENTS; i++) {
		client_open_tiny(&clients[i], d.port);
		client_send(&clients[i], STR("GET /sse HTTP/1.1\r\n" HOST "\r\n"));
		client_need(&clients[i], 15);
	}
	for (int i = 0; i < 4; i++)
		publish(&d, "/publish", data, NULL);
	cr_assert(sockets_held(d.port, &held));
	cr_expect(held.sent > (uint64_t)CLIENTS * 100000);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"stalled\"}", CLIENTS);
	cr_assert(sockets_held(d.port, &held));
	cr_expect(held.count == 0, "%llu sockets, %llu bytes", (unsigned long long)held.count,
		  (unsigned long long)held.sent);
	for (int i = 0; i < CLIENTS; i++)
		client_close(&clients[i]);
	daemon_stop(&d);
}

enum { POURED = 100 }; /* fewer than net.core.somaxconn of any kernel */

/* Of what is sent, nearly all lies at the daemon's end. */
static void open_sparing(struct client *c, int port)
{
	int bytes = 4096;

	client_open_tiny(c, port);
	setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* Sends what each takes now; whether nobody took anything. */
static bool pour(const struct client *clients, size_t piece)
{
	static const char bytes[1 << 16];
	bool is_full = true;

	for (int i = 0; i < POURED; i++)
		while (send(clients[i].fd, bytes, piece, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			is_full = false;
	return is_full;
}

/* Sends until half of what is allowed is there, and then until nothing is taken: it is never more
 * than that. */
static void expect_filled(const struct daemon *d, int port, const struct client *clients,
			  size_t piece)
{
	uint64_t each = each_said(d, "\nreceiving "), deadline_ms = deadline();
	struct sockets_held held;
	bool is_full;

	do {
		is_full = pour(clients, piece);
		cr_assert(sockets_held(port, &held) && held.count >= POURED);
		cr_assert(held.received <= held.count * each, "%llu",
			  (unsigned long long)held.received);
		deadline_left(deadline_ms, "full receive buffers");
	} while (!is_full || held.received < POURED * each / 2);
}

/* Who does not read his answers is not read from either. */
static void expect_bounded(bool is_control, size_t piece)
{
	static struct client clients[POURED];
	static const char asks[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
	struct daemon d;
	int port;

	begin(&d, OPTIONS(QUIET, "--max-clients", "1000", "--sndbuf", "8K", "--stall-timeout", "1h",
			  is_control ? "--control" : NULL, "127.0.0.1:0"));
	port = is_control ? d.control_port : d.port;
	for (int i = 0; i < POURED; i++) {
		open_sparing(&clients[i], port);
		for (int k = 0; k < 8; k++)
			client_send(&clients[i], STR(asks));
		client_need(&clients[i], 15);
	}
	expect_filled(&d, port, clients, piece);
	for (int i = 0; i < POURED; i++)
		client_close(&clients[i]);
	daemon_stop(&d);
}

Test(sockets, public_connections_poured_full)
{
	expect_bounded(false, 1 << 16);
}

Test(sockets, public_connections_poured_full_by_drops)
{
	expect_bounded(false, 100);
}

Test(sockets, control_connections_poured_full)
{
	expect_bounded(true, 1 << 16);
}

/* Those that wait to be accepted. */
Test(sockets, waiting_connections_poured_full)
{
	static struct client clients[POURED];
	struct daemon d;

	begin(&d, OPTIONS(QUIET, "--max-clients", "1000"));
	daemon_signal(&d, SIGSTOP);
	for (int i = 0; i < POURED; i++)
		open_sparing(&clients[i], d.port);
	expect_filled(&d, d.port, clients, 1 << 16);
	daemon_signal(&d, SIGCONT);
	for (int i = 0; i < POURED; i++)
		client_close(&clients[i]);
	daemon_stop(&d);
}
