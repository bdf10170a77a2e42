/*
 * What the binary before has left, damaged: the packed state is refused with a sentence, or
 * restored into rooms that can be closed again; conns of a damaged table go on or are closed, and
 * everything is counted as it is.
 *
 * The first byte says what is damaged: the state, as a trial before an upgrade reads it, or the
 * table of conns, as the next binary takes it over. Then come patches, 4 bytes each: two for where,
 * how, and by how much; some take the 8 bytes behind.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/house.h"
#include "broadcast.h"
#include "conn.h"
#include "counting.h"
#include "damage.h"
#include "handover.h"
#include "presence.h"
#include "request.h"

enum { STATE_MAX = 1 << 18, PATCH_BYTES = 4, SLOTS_MAX = 16, EVENTS = 5, CLOCK_S = 1700000000 };

static struct {
	char bytes[STATE_MAX];
	size_t n;
	struct conn table[SLOTS_MAX];
	uint32_t high;
} state;

/* Who is there: streams and polls that are live or walk, and requests in each of their states. */
static const struct {
	uint16_t flags;
	const char *text;
} clients[] = {
	{ CONN_CONTROL, "GET /sse?topic=a&topic=b HTTP/1.1\r\nHost: a\r\n\r\n" },
	{ CONN_CONTROL, "GET / HTTP/1.1\r\nHo" },
	{ CONN_CONTROL,
	  "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"data\":1\r\n" },
	{ CONN_CONTROL, "PUT /publish/b?topic=c HTTP/1.1\r\nHost: a\r\nContent-Type: "
			"text/event-stream\r\nContent-Length: 90\r\n\r\nid: 1\nevent: e\ndata: x" },
	{ CONN_CONTROL, "POST /publish/b?topic=c&event=e&id=i&private HTTP/1.1\r\nHost: a\r\n"
			"Content-Length: 10\r\n\r\nhell" },
	{ 0, "GET /.well-known/mercure?topic=b&topic=/a{/x} HTTP/1.1\r\nHost: a\r\n\r\n" },
	{ 0, "GET /sse?poll&topic=c HTTP/1.1\r\nHost: a\r\n\r\n" },
	{ 0, "GET /sse?topic=* HTTP/1.0\r\nLast-Event-ID: 1-0\r\n\r\n" },
	{ CONN_PREFACE, "PROXY TCP4 192.0.2.9 192" },
	{ CONN_CONTROL, "POST /.well-known/mercure HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n"
			"Content-Type: application/x-www-form-urlencoded\r\n\r\ntopic=b&da" },
};

enum { CLIENTS = sizeof(clients) / sizeof(clients[0]) };

static void publish(struct hub *hub)
{
	struct str topic = STR("b");
	struct event event = {
		.topics = &topic, .topic_count = 1, .data = STR("x"), .retry_ms = SSE_NO_RETRY
	};
	struct broadcast_receipt receipt;
	int status;

	EXPECT(!broadcast_event(hub, &event, &receipt, &status));
}

/* Keeps what a daemon with all of them would leave. */
static void make_state(void)
{
	static const char *const options[] = { "--ring-bytes", "64K", "--mercure-anonymous",
					       "--mercure-subscriptions", NULL };
	struct house *house = calloc(1, sizeof(*house));
	struct conns *conns;
	int fds[CLIENTS], fd;

	EXPECT(house);
	house_stopped_s = CLOCK_S;
	house_open(house, options);
	conns = &house->server.hub.conns;
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = house_connect(house, clients[i].flags, 0);
		EXPECT(send(fds[i], clients[i].text, strlen(clients[i].text), 0) > 0);
	}
	house_turn(house);
	publish(&house->server.hub);
	house_turn(house);
	fd = handover_write(&house->server, 1);
	EXPECT(fd >= 0);
	state.n = (size_t)pread(fd, state.bytes, sizeof(state.bytes), 0);
	EXPECT(state.n > 0 && state.n < sizeof(state.bytes));
	close(fd);
	state.high = conns->high;
	EXPECT(state.high <= SLOTS_MAX && conns->streams > 3);
	memcpy(state.table, conns->table, state.high * sizeof(struct conn));
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	house_turn(house);
	house_close(house);
	house_stopped_s = 0;
	free(house);
}

/* Patches n bytes. Leaves the last ones: a number is eight. */
static void patch(char *bytes, size_t n, struct str in)
{
	while (in.n >= PATCH_BYTES) {
		unsigned at = fuzz_byte(&in);
		unsigned how;

		at |= fuzz_byte(&in) << 8;
		how = fuzz_byte(&in);
		damage_number(bytes + at % (n - 7), how, fuzz_byte(&in), &in);
	}
}

static int sealed(const char *bytes, size_t n)
{
	int fd = memfd_create("state", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	EXPECT(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
	       0);
	return fd;
}

static struct hub *hub_open(void)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	EXPECT(hub && config_init(&hub->config) == 0);
	EXPECT(ring_init(&hub->ring, RING_BYTES_MIN, 1) == 0);
	EXPECT(topics_init(&hub->topics, &hub->ring) == 0);
	presences_init(&hub->presences);
	return hub;
}

static void hub_close(struct hub *hub)
{
	presences_done(&hub->presences);
	topics_done(&hub->topics);
	ring_done(&hub->ring);
	config_done(&hub->config);
	free(hub);
}

/* A request's topics are as many as it says, each with its end. */
static void expect_forms(const struct exchanges *exchanges)
{
	for (uint32_t i = 1; i < exchanges->count; i++) {
		const struct exchange *exchange = exchanges->table[i];
		size_t ends = 0;

		if (!exchange || !exchange->counted)
			continue;
		for (size_t at = 0; at < exchange->form.topics.n; at++)
			ends += exchange->form.topics.p[at] == '\0';
		EXPECT(ends == exchange->form.topic_count);
		EXPECT(ends == 0 || exchange->form.topics.p[exchange->form.topics.n - 1] == '\0');
	}
}

/* As a trial before an upgrade does it: no descriptor of the state is touched. */
static void try_state(struct str in)
{
	static char bytes[STATE_MAX];
	struct handover handover;
	struct hub *hub;
	uint32_t closed;

	memcpy(bytes, state.bytes, state.n);
	patch(bytes, state.n, in);
	if (!handover_read(&handover, sealed(bytes, state.n))) {
		hub = hub_open();
		hub->conns.fd = -1;
		EXPECT(peers_init(&hub->conns.peers) == 0);
		exchanges_init(&hub->conns.exchanges);
		if (handover_restore(&handover, hub, &closed) == 0)
			expect_forms(&hub->conns.exchanges);
		else
			EXPECT(in.n);
		exchanges_done(&hub->conns.exchanges);
		peers_done(&hub->conns.peers);
		hub_close(hub);
	}
	handover_done(&handover);
}

/* A table in a memfd, as it is inherited. Its descriptors are nobody's: none is closed. */
static int inherited(struct conn *table)
{
	int fd = memfd_create("conns", MFD_CLOEXEC);
	size_t n = state.high * sizeof(struct conn);

	for (uint32_t slot = 0; slot < state.high; slot++)
		table[slot].fd = -1;
	EXPECT(fd >= 0 && write(fd, table, n) == (ssize_t)n);
	return fd;
}

static void bury(struct hub *hub)
{
	while (hub->conns.agenda) {
		struct conn *conn = conns_at(&hub->conns, conns_agenda_take(&hub->conns));

		if (conn->flags & CONN_DOOMED)
			conn_bury(hub, conn);
	}
}

/* As the next binary goes on, for a while: everybody is visited, an event, everybody's end. */
static void go_on(struct hub *hub)
{
	bury(hub);
	presence_tell_gone(hub);
	broadcast_flush(hub);
	counting_check(hub);
	for (uint32_t slot = 1; slot < hub->conns.high; slot++)
		request_event(hub, slot, hub->conns.table[slot].generation,
			      slot % 2 ? EPOLLOUT : EPOLLIN);
	request_run_agenda(hub);
	bury(hub);
	counting_check(hub);
	publish(hub);
	broadcast_flush(hub);
	for (uint32_t slot = 1; slot < hub->conns.high; slot++)
		if (conns_at(&hub->conns, slot)->state != CONN_FREE)
			conn_doom(hub, conns_at(&hub->conns, slot), REASON_CLIENT);
	bury(hub);
	presence_tell_gone(hub);
	counting_check(hub);
	EXPECT(hub->conns.count == 0 && hub->topics.audiences.selectors.in_use == 0);
}

/* Who has lost something does not go on. */
static void expect_whole(const struct conn *was, const struct conn *conn)
{
	bool is_whole = !was->exchange == !conn->exchange && !was->peer == !conn->peer;

	EXPECT(was->state == CONN_FREE || is_whole || conn->flags & CONN_DOOMED);
}

static void take_over(struct str in)
{
	struct conn table[SLOTS_MAX];
	struct handover handover;
	struct hub *hub = hub_open();
	uint32_t closed, here = 0;

	memcpy(table, state.table, sizeof(table));
	patch((char *)table, state.high * sizeof(struct conn), in);
	EXPECT(!handover_read(&handover, sealed(state.bytes, state.n)));
	EXPECT(conns_adopt(&hub->conns, inherited(table), state.high, SLOTS_MAX) == 0);
	for (int i = 0; i < EVENTS; i++)
		publish(hub);
	broadcast_flush(hub);
	for (uint32_t slot = 1; slot < state.high; slot++)
		here += table[slot].state != CONN_FREE;
	EXPECT(handover_restore(&handover, hub, &closed) == 0);
	EXPECT(hub->conns.count == here && (closed == 0 || in.n));
	for (uint32_t slot = 1; slot < state.high; slot++)
		expect_whole(&table[slot], conns_at(&hub->conns, slot));
	go_on(hub);
	conns_done(&hub->conns);
	hub_close(hub);
	handover_done(&handover);
}

int FUZZ_TARGET(handover)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };

	if (!state.n)
		make_state();
	if (fuzz_byte(&in) % 2)
		take_over(in);
	else
		try_state(in);
	return 0;
}
