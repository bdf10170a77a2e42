/*
 * The whole conversation: the daemon's own turn, with clients on socketpairs that do what the
 * fuzzer says.
 *
 * The first byte of the input names a configuration. The rest is cut at bytes 0xff; a piece is a
 * digit (which client), a letter (what it does, see acts) and bytes (what it sends). The clocks
 * stand still but for what the pieces say, so that ids are the same in each run. After each piece
 * the daemon's counts agree with what they count; after the last one everybody reads to the end and
 * goes: every answer was well-formed, the daemon has sent as many bytes as have come, it is as
 * empty as before, and no descriptor is left. What it has logged are lines that nobody has forged.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/house.h"
#include "answers.h"
#include "broadcast.h"
#include "counting.h"
#include "drain.h"

enum {
	CLIENTS = 6,
	SNDBUF_SMALL = 4608,
	CLOCK_S = 1700000000,
	ROUNDS_MAX = 2000, /* of reading, to the end */
	LOG_BYTES = 1 << 16,
	FILLER_BYTES = 1 << 14,
	EVENT_BYTES = 1500,
};

/* Where each comes from. The kernel keeps little for those with a small buffer. */
static const struct {
	uint16_t flags;
	const char *ip;
	int sndbuf;
} kinds[CLIENTS] = {
	{ CONN_CONTROL, "::ffff:127.0.0.1", 0 }, { 0, "::ffff:192.0.2.1", 0 },
	{ 0, "::ffff:192.0.2.1", SNDBUF_SMALL }, { 0, "::ffff:10.0.0.9", 0 },
	{ CONN_PREFACE, "::ffff:10.0.0.8", 0 },  { 0, "2001:db8::1", SNDBUF_SMALL },
};

struct talk {
	struct house house;
	int fds[CLIENTS];
	bool is_shut[CLIENTS];
	struct buf out[CLIENTS];
	uint64_t received;
	unsigned answers;
	bool has_lost; /* somebody went without having read everything */
};

/* --- what must be true --- */

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	EXPECT(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* The daemon's log goes into a pipe of ours. */
static int log_fd = -1;

static void open_log(void)
{
	int ends[2], err = dup(STDERR_FILENO);

	EXPECT(err >= 0 && pipe(ends) == 0);
	dup2(ends[1], STDERR_FILENO);
	log_init();
	dup2(err, STDERR_FILENO);
	close(err);
	close(ends[1]);
	log_fd = ends[0];
}

/* A line's only quotes are those around a request, whose token is not told. */
static void expect_line(struct str line)
{
	struct str query = str_from(line, str_find(line, '?'));
	unsigned quotes = 0;

	EXPECT(str_is_utf8(line));
	for (size_t i = 0; i < line.n; i++) {
		EXPECT((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
		quotes += line.p[i] == '"';
	}
	EXPECT(quotes == 0 || quotes == 2);
	EXPECT(line.n > 20 && line.p[0] == '2' && line.p[4] == '-');
	if (str_starts(query, STR("?authorization=")) && query.n > 18)
		EXPECT(query.p[15] == '*' || query.p[15] == '"');
}

static void expect_log(void)
{
	static char bytes[LOG_BYTES];
	struct str rest, line;
	int waits;

	log_flush();
	if (ioctl(log_fd, FIONREAD, &waits) < 0 || waits == 0)
		return;
	rest = (struct str){ bytes, (size_t)read(log_fd, bytes, sizeof(bytes)) };
	EXPECT(rest.n <= sizeof(bytes));
	while (str_find(rest, '\n') < rest.n && str_cut(&rest, '\n', &line))
		expect_line(line);
}

/* --- what the clients do --- */

static char filler[FILLER_BYTES];

/* At most n bytes of what is there: how many came. */
static size_t read_some(struct talk *talk, int i, size_t n)
{
	size_t before = talk->out[i].n;
	char bytes[16384];
	ssize_t got = 1;

	while (n > 0 && got > 0) {
		got = recv(talk->fds[i], bytes, n < sizeof(bytes) ? n : sizeof(bytes),
			   MSG_DONTWAIT);
		if (got > 0)
			buf_add(&talk->out[i], (struct str){ bytes, (size_t)got });
		n -= got > 0 ? (size_t)got : 0;
	}
	talk->received += talk->out[i].n - before;
	return talk->out[i].n - before;
}

static void join(struct talk *talk, int i)
{
	struct in6_addr ip;

	EXPECT(inet_pton(AF_INET6, kinds[i].ip, &ip) == 1);
	talk->fds[i] = house_connect_from(&talk->house, &ip, kinds[i].flags, kinds[i].sndbuf);
	talk->is_shut[i] = false;
	buf_clear(&talk->out[i]);
}

static void leave(struct talk *talk, int i)
{
	read_some(talk, i, SIZE_MAX);
	EXPECT(talk->out[i].err == 0);
	talk->answers += answers_check(buf_str(&talk->out[i]));
	close(talk->fds[i]);
}

static void reset(struct talk *talk, int i)
{
	talk->answers += answers_check(buf_str(&talk->out[i]));
	talk->has_lost = true;
	close(talk->fds[i]);
}

static void say(struct talk *talk, int i, struct str bytes)
{
	if (!talk->is_shut[i] && bytes.n)
		(void)!send(talk->fds[i], bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void publish(struct talk *talk, struct str topic, struct str data)
{
	struct event event = { .topics = &topic,
			       .topic_count = 1,
			       .data = data,
			       .retry_ms = SSE_NO_RETRY,
			       .is_private = topic.p[0] == 'p' };
	struct broadcast_receipt receipt;
	int status;

	broadcast_event(&talk->house.server.hub, &event, &receipt, &status);
}

/* A burst of events that the ring has room for only a few times. */
static void publish_many(struct talk *talk, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		publish(talk, STR("broadcast"), (struct str){ filler, i % 2 ? EVENT_BYTES : 0 });
}

/* So much time passes, and everybody is looked at. */
static void pass(struct talk *talk, unsigned ms)
{
	house_ahead_ms += ms;
	house_sweep(&talk->house);
}

static void fire_meter(struct talk *talk)
{
	loop_set_timer(talk->house.server.meter.timer_fd, 1, 0);
}

/* False for what takes no turn. */
static bool act(struct talk *talk, int i, char what, struct str rest)
{
	unsigned size = rest.n ? (unsigned char)rest.p[0] : 0;

	switch (what) {
	case 'S': say(talk, i, rest); break;
	case 'C': say(talk, i, rest); return false;
	case 'F': say(talk, i, (struct str){ filler, size * 64 }); break;
	case 'R': read_some(talk, i, SIZE_MAX); break;
	case 'r': read_some(talk, i, size * 16); break;
	case 'X':
		shutdown(talk->fds[i], SHUT_WR);
		talk->is_shut[i] = true;
		break;
	case 'N':
		leave(talk, i);
		join(talk, i);
		break;
	case 'K':
		reset(talk, i);
		join(talk, i);
		break;
	case 'T': pass(talk, size * 20); break;
	case 'J': house_step_ms += ((int)size - 128) * 1000; break;
	case 'P': publish(talk, STR("broadcast"), rest); break;
	case 'Q': publish(talk, STR("private"), rest); return false;
	case 'B': publish_many(talk, size); break;
	case 'W':
		house_send_max = size * 4;
		house_hurry = (unsigned)size % 100;
		break;
	case 'M': fire_meter(talk); break;
	case 'H': raise(SIGHUP); break;
	case 'D': drain_begin(&talk->house.server, "asked to"); break;
	default: break;
	}
	return true;
}

static void turn(struct talk *talk)
{
	const struct hub *hub = &talk->house.server.hub;

	house_turn(&talk->house);
	if (house_send_max)
		house_poke(&talk->house);
	counting_check(hub);
	EXPECT(hub->stats.events == hub->ring.header->next);
	expect_log();
}

/* Everybody reads to the end, and goes. */
static void finish(struct talk *talk)
{
	size_t got = 1;

	house_send_max = house_hurry = 0;
	house_poke(&talk->house);
	for (int rounds = 0; got && rounds < ROUNDS_MAX; rounds++) {
		got = 0;
		for (int i = 0; i < CLIENTS; i++)
			got += read_some(talk, i, SIZE_MAX);
		turn(talk);
	}
	for (int i = 0; i < CLIENTS; i++) {
		leave(talk, i);
		turn(talk);
		buf_done(&talk->out[i]);
	}
}

/* --- the daemon --- */

/* Set by hand, to be read as lists of options. */
/* clang-format off */
static const char *const configurations[][OPTIONS_MAX] = {
	/* Little of everything. */
	{ "--ring-bytes", "64K", "--max-clients", "4", "--max-clients-per-ip", "1",
	  "--max-topics", "4", "--max-request-memory", "64K", "--max-body", "4K",
	  "--head-timeout", "2s", "--body-timeout", "2s", "--idle-timeout", "3s",
	  "--stall-timeout", "3s", "--heartbeat", "1s", "--poll-timeout", "1s",
	  "--trusted-proxy", "10.0.0.9", NULL },
	/* The Mercure protocol, files, and a log. */
	{ "--ring-bytes", "64K", "--mercure-anonymous", "--mercure-subscriptions",
	  "--mercure-publish-origin", "http://b", "--cors-origin", "http://b",
	  "--root", "static", "--welcome", "", "--heartbeat", "1s", "--access-log",
	  "--trusted-proxy", "10.0.0.0/8", NULL },
	/* Only with a token; who lags goes soon. */
	{ "--ring-bytes", "64K", "--require-token", "--public-stats", "--lag-max", "8K",
	  "--heartbeat", "1s", "--poll-timeout", "1s", "--drain", "2s", "--access-log",
	  "--trusted-proxy", "10.0.0.9", NULL },
};
/* clang-format on */

enum { CONFIGURATIONS = sizeof(configurations) / sizeof(configurations[0]) };

static void open_house(struct talk *talk, unsigned which)
{
	struct hub *hub = &talk->house.server.hub;

	house_ahead_ms = house_step_ms = 0;
	house_stopped_s = CLOCK_S;
	house_send_max = house_hurry = 0;
	house_random = 1;
	memset(filler, 'x', sizeof(filler));
	if (which % CONFIGURATIONS) {
		setenv("MERCURE_PUBLISHER_JWT_KEY", "key", 1);
		setenv("MERCURE_SUBSCRIBER_JWT_KEY", "key", 1);
	}
	house_open(&talk->house, configurations[which % CONFIGURATIONS]);
	log_level = LOG_LEVEL_DEBUG;
	buf_add(&hub->secrets.publish_token, STR("secret"));
	/* What is random is not, so that each run of an input is the same. */
	hub->random = 1;
	memset(hub->ring.header->hash_key, 1, sizeof(hub->ring.header->hash_key));
	memset(hub->conns.peers.hash_key, 1, sizeof(hub->conns.peers.hash_key));
}

static void close_house(struct talk *talk)
{
	const struct hub *hub = &talk->house.server.hub;
	uint64_t requests = 0;

	house_expect_idle(&talk->house);
	for (int route = 0; route < ROUTE_COUNT; route++)
		for (int i = 0; i < STATS_STATUSES; i++)
			requests += hub->stats.requests[route][i];
	EXPECT(talk->answers <= requests);
	EXPECT(talk->received == hub->stats.sent_bytes ||
	       (talk->has_lost && talk->received < hub->stats.sent_bytes));
	house_close(&talk->house);
	log_level = LOG_LEVEL_ERROR;
	house_stopped_s = 0;
	unsetenv("MERCURE_PUBLISHER_JWT_KEY");
	unsetenv("MERCURE_SUBSCRIBER_JWT_KEY");
}

int FUZZ_TARGET(conversation)(const uint8_t *bytes, size_t n)
{
	struct str rest = { (const char *)bytes, n }, piece;
	static struct talk talk;
	unsigned fds;

	if (log_fd < 0)
		open_log();
	fds = count_fds();
	memset(&talk, 0, sizeof(talk));
	open_house(&talk, fuzz_byte(&rest));
	for (int i = 0; i < CLIENTS; i++) {
		buf_init(&talk.out[i], ANSWERS_BYTES_MAX);
		join(&talk, i);
	}
	while (rest.p && str_cut(&rest, '\xff', &piece)) {
		int i = (int)(fuzz_byte(&piece) % 16 % CLIENTS);

		if (act(&talk, i, (char)fuzz_byte(&piece), piece))
			turn(&talk);
	}
	finish(&talk);
	close_house(&talk);
	EXPECT(count_fds() == fds);
	return 0;
}
