/*
 * handover: what one process packs, another one unpacks; and nothing that is damaged gets in.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "handover.h"
#include "names.h"
#include "pack.h"

enum { START_MS = 1000000 };

Test(pack, gives_back_what_it_got)
{
	struct buf out;
	struct unpack in;
	size_t begun;

	buf_init(&out, 1 << 16);
	pack_u64(&out, UINT64_MAX);
	pack_str(&out, STR("a string"));
	begun = pack_begin(&out);
	buf_add(&out, STR("of any "));
	buf_add(&out, STR("length"));
	pack_end(&out, begun);
	pack_u64(&out, 1);
	in = (struct unpack){ .rest = buf_str(&out) };
	cr_expect_eq(unpack_u64(&in, UINT64_MAX), UINT64_MAX);
	cr_expect(str_eq(unpack_str(&in), STR("a string")));
	cr_expect(str_eq(unpack_str(&in), STR("of any length")));
	cr_expect(unpack_bool(&in));
	cr_expect(!in.is_damaged && in.rest.n == 0);
	cr_expect_eq(unpack_u64(&in, 1), 0);
	cr_expect(in.is_damaged);
	buf_done(&out);
}

Test(pack, notes_what_is_cut_or_too_large)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	pack_str(&out, STR("twelve bytes"));
	for (size_t n = 0; n < out.n; n++) {
		struct unpack in = { .rest = { out.p, n } };
		struct str s = unpack_str(&in);

		cr_expect(in.is_damaged, "%zu", n);
		cr_expect(s.n <= n);
	}
	buf_clear(&out);
	pack_u64(&out, 2);
	struct unpack in = { .rest = buf_str(&out) };

	cr_expect_eq(unpack_bool(&in), false);
	cr_expect(in.is_damaged);
	buf_done(&out);
}

/* A server with two audiences, a peer, and a request in the middle of a flow. */
static void fill(struct server *server, struct config *config)
{
	struct hub *hub = &server->hub;
	struct conn *conn;
	struct exchange *exchange;
	struct buf names;
	uint32_t audience;

	cr_assert_eq(config_init(config), 0);
	memset(server, 0, sizeof(*server));
	server->source.fd = -1;
	hub->config = *config;
	cr_assert_eq(loop_init(&hub->loop), 0);
	cr_assert_eq(ring_init(&hub->ring, RING_BYTES_MIN, START_MS), 0);
	cr_assert_eq(topics_init(&hub->topics, &hub->ring), 0);
	cr_assert_eq(conns_init(&hub->conns, 10), 0);
	buf_init(&names, 1 << 10);
	names_add(&names, STR("one"));
	names_add(&names, STR("tw{o}"));
	struct audience_terms terms = { .selectors = buf_str(&names),
					.claims = buf_str(&names),
					.framing = TOPIC_PLAIN };

	cr_assert_eq(topics_join(&hub->topics, &terms, 10, &audience), 0);
	terms.claims.n = 0;
	cr_assert_eq(topics_join(&hub->topics, &terms, 10, &audience), 0);
	buf_done(&names);

	hub->conns.high = 2;
	conn = conns_at(&hub->conns, 1);
	*conn = (struct conn){ .fd = -1, .state = CONN_BODY };
	exchange = conn_exchange(hub, conn);
	buf_add(&exchange->in, STR("not used yet"));
	buf_add(&exchange->out, STR("sent, not sent"));
	exchange->out_sent = 6;
	exchange->blob = STR(" blob");
	buf_add(&exchange->form.topics, (struct str){ "t\0u", 4 });
	exchange->form.topic_count = 2;
	exchange->sink = SINK_FEED;
	feed_init(&exchange->feed, FEED_SSE, STR("t"), 1000, NULL, NULL);
	feed_push(&exchange->feed, STR("data: a\nid: 7\ndata: b\nev"));
}

static void clear(struct server *server)
{
	topics_done(&server->hub.topics);
	conns_at(&server->hub.conns, 1)->state = CONN_FREE;
	conns_done(&server->hub.conns);
	ring_done(&server->hub.ring);
	loop_done(&server->hub.loop);
	config_done(&server->hub.config);
}

/* A hub to restore into, for a trial. */
static void open_trial(struct hub *hub)
{
	memset(hub, 0, sizeof(*hub));
	hub->config.body_bytes_max = 1000;
	cr_assert_eq(ring_init(&hub->ring, RING_BYTES_MIN, START_MS), 0);
	cr_assert_eq(topics_init(&hub->topics, &hub->ring), 0);
	cr_assert_eq(peers_init(&hub->conns.peers), 0);
	exchanges_init(&hub->conns.exchanges);
}

static void close_trial(struct hub *hub)
{
	exchanges_done(&hub->conns.exchanges);
	peers_done(&hub->conns.peers);
	topics_done(&hub->topics);
	ring_done(&hub->ring);
}

Test(handover, restores_a_request_to_the_byte)
{
	static struct server server;
	struct config config;
	struct handover state;
	struct hub hub;
	uint32_t closed;

	fill(&server, &config);
	int fd = handover_write(&server, clock_mono_ns());

	cr_assert_geq(fd, 0);
	cr_assert_null(handover_read(&state, fd));
	open_trial(&hub);
	cr_assert_eq(handover_restore(&state, &hub, &closed), 0);
	const struct exchange *exchange = exchange_at(&hub.conns.exchanges, 1);

	cr_expect(str_eq(buf_str(&exchange->in), STR("not used yet")));
	cr_expect(str_eq(buf_str(&exchange->out), STR("not sent blob")), "%.*s",
		  STR_ARG(buf_str(&exchange->out)));
	cr_expect_eq(exchange->sink, SINK_FEED);
	cr_expect(str_eq(exchange->feed.topic, STR("t")));
	cr_expect(str_eq(buf_str(&exchange->feed.text), STR("ev")));
	cr_expect(str_eq(buf_str(&exchange->feed.data), STR("a\nb")));
	cr_expect(str_eq(buf_str(&exchange->feed.id), STR("7")));
	cr_expect_eq(exchange->feed.line, 4);
	handover_done(&state);
	close_trial(&hub);
	clear(&server);
}

/* A sealed memfd with these bytes. */
static int seal(struct str bytes, int seals)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING);

	cr_assert_eq(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

enum { ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* Every prefix, and every byte changed: refused, or restored; never a crash. */
Test(handover, damaged_state_is_refused_or_harmless)
{
	static struct server server;
	static char bytes[1 << 16];
	struct config config;
	size_t refused = 0;

	fill(&server, &config);
	int fd = handover_write(&server, 0);
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);

	close(fd);
	cr_assert(n > 200 && n < (ssize_t)sizeof(bytes));
	for (ssize_t i = 0; i < 2 * n; i += i < 400 || i > n ? 1 : 97) {
		struct handover state;
		struct hub hub;
		uint32_t closed;
		bool is_cut = i < n;

		if (!is_cut)
			bytes[i - n] = (char)~bytes[i - n];
		fd = seal((struct str){ bytes, is_cut ? (size_t)i : (size_t)n }, ALL_SEALS);
		if (!is_cut)
			bytes[i - n] = (char)~bytes[i - n];
		open_trial(&hub);
		if (handover_read(&state, fd) || handover_restore(&state, &hub, &closed))
			refused++;
		else
			cr_expect(!is_cut, "%zd bytes of %zd are enough", i, n);
		handover_done(&state);
		close_trial(&hub);
	}
	cr_expect(refused > (size_t)n / 50, "%zu", refused);
	clear(&server);
}

Test(handover, state_that_could_still_change_is_refused)
{
	static struct server server;
	struct config config;
	struct handover state;

	fill(&server, &config);
	int fd = handover_write(&server, 0);
	static char bytes[1 << 16];
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);

	close(fd);
	cr_expect_not_null(handover_read(
		&state, seal((struct str){ bytes, (size_t)n }, ALL_SEALS & ~F_SEAL_WRITE)));
	handover_done(&state);
	/* A version to come. */
	bytes[8]++;
	const char *why = handover_read(&state, seal((struct str){ bytes, (size_t)n }, ALL_SEALS));

	cr_assert_not_null(why);
	cr_expect(strstr(why, "newer"), "%s", why);
	handover_done(&state);
	clear(&server);
}
