/*
 * house: see house.h.
 */
#include "house.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conn.h"
#include "daemon.h"
#include "handover.h"
#include "log.h"
#include "options.h"
#include "request.h"
#include "upgrade.h"

enum { TURNS_MAX = 100000, SLICES_MAX = 64 };

int64_t house_ahead_ms, house_step_ms, house_stopped_s;

int __real_clock_gettime(clockid_t which, struct timespec *now);
int __wrap_clock_gettime(clockid_t which, struct timespec *now);

int __wrap_clock_gettime(clockid_t which, struct timespec *now)
{
	int64_t ahead_ms = house_ahead_ms + (which == CLOCK_REALTIME ? house_step_ms : 0);
	int err = __real_clock_gettime(which, now);
	int64_t ns;

	if (house_stopped_s)
		*now = (struct timespec){ .tv_sec = house_stopped_s };
	ns = now->tv_nsec + ahead_ms % 1000 * 1000000;
	now->tv_sec += (time_t)(ahead_ms / 1000);
	if (ns < 0) {
		now->tv_sec--;
		ns += 1000000000;
	}
	now->tv_sec += (time_t)(ns / 1000000000);
	now->tv_nsec = (long)(ns % 1000000000);
	return err;
}

size_t house_send_max;
uint64_t house_random = 1;
unsigned house_hurry;

uint64_t house_choose(uint64_t n)
{
	/* A counter, well mixed. */
	uint64_t x = house_random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (x ^ x >> 31) % n;
}

ssize_t __real_sock_send(int fd, const struct iovec *pieces, size_t count);
bool __wrap_hub_is_late(const struct hub *hub);

bool __wrap_hub_is_late(const struct hub *hub)
{
	(void)hub;
	return house_hurry && house_choose(100) < house_hurry;
}

ssize_t __wrap_sock_send(int fd, const struct iovec *pieces, size_t count);

ssize_t __wrap_sock_send(int fd, const struct iovec *pieces, size_t count)
{
	size_t left = house_send_max ? house_choose(house_send_max) : 0, kept = 0;
	struct iovec less[IOV_MAX];

	if (!house_send_max)
		return __real_sock_send(fd, pieces, count);
	assert(count <= IOV_MAX);
	while (kept < count && left) {
		less[kept] = pieces[kept];
		if (less[kept].iov_len > left)
			less[kept].iov_len = left;
		left -= less[kept++].iov_len;
	}
	return kept ? __real_sock_send(fd, less, kept) : -EAGAIN;
}

void house_poke(struct house *house)
{
	struct hub *hub = &house->server.hub;

	for (uint32_t slot = 1; slot < hub->conns.high; slot++) {
		const struct conn *conn = conns_at(&hub->conns, slot);

		if (conn->state != CONN_FREE)
			request_event(hub, slot, conn->generation, EPOLLOUT);
	}
	house_turn(house);
}

static bool has_option(const struct house *house, const char *name)
{
	for (int i = 1; i < house->argc; i++)
		if (strcmp(house->argv[i], name) == 0)
			return true;
	return false;
}

/* What main() does. */
static int begin(struct house *house, const struct handover *from)
{
	struct config config;
	int err;

	log_level = LOG_LEVEL_ERROR;
	if (config_init(&config) ||
	    config_read(&config, house->argc, house->argv, stdout, stderr) != CONFIG_RUN) {
		config_done(&config);
		return -EINVAL;
	}
	if (!has_option(house, "--listen"))
		value_clear(option_find(STR("listen")), &config);
	err = daemon_init(&house->server, &config, config.clients_max, house->argc, house->argv,
			  from);
	if (err)
		house_close(house);
	return err;
}

int house_try(struct house *house, const char *const *options)
{
	static const char *const defaults[] = { "./house", "--tick-interval", "0", "--max-clients",
						"100" };

	memset(house, 0, sizeof(*house));
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		house->argv[house->argc++] = (char *)(uintptr_t)defaults[i];
	for (; *options && house->argc < HOUSE_ARGS_MAX - 1; options++)
		house->argv[house->argc++] = (char *)(uintptr_t)*options;
	assert(!*options);
	return begin(house, NULL);
}

int house_go_on(struct house *house)
{
	struct handover from;
	int err = handover_read(&from, upgrade_state_fd()) ? -EINVAL : 0;

	if (!err)
		err = begin(house, &from);
	handover_done(&from);
	return err;
}

void house_open(struct house *house, const char *const *options)
{
	int err = house_try(house, options);

	assert(!err);
	house_turn(house);
}

void house_close(struct house *house)
{
	sigset_t none;

	daemon_done(&house->server);
	log_flush();
	/* The daemon has blocked what it wants to be told of. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int house_connect(struct house *house, uint16_t flags, int sndbuf)
{
	struct in6_addr ip = { .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };

	return house_connect_from(house, &ip, flags, sndbuf);
}

int house_connect_from(struct house *house, const struct in6_addr *ip, uint16_t flags, int sndbuf)
{
	struct hub *hub = &house->server.hub;
	int ends[2], err;

	err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
	assert(!err);
	if (sndbuf)
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	hub->stats.accepts++;
	err = conn_open(hub, ends[0], ip, flags);
	assert(!err);
	return ends[1];
}

void house_turn(struct house *house)
{
	int more = 1, idle = 0;

	/* What a turn's end has put on the agenda makes it say so; twice nothing is the end. */
	for (int turns = 0; idle < 2; turns++) {
		assert(turns < TURNS_MAX);
		more = daemon_turn(&house->server, 0);
		assert(more >= 0);
		idle = more ? 0 : idle + 1;
	}
}

void house_sweep(struct house *house)
{
	struct sweep *sweep = &house->server.sweep;

	/* Each slice comes when the timer has fired; here it fires when we want. */
	for (int slices = 0; slices < SLICES_MAX && sweep->running; slices++) {
		loop_set_timer(sweep->timer_fd, 1, 0);
		house_turn(house);
		if (sweep->at == 1)
			break;
	}
}

void house_expect_idle(const struct house *house)
{
	const struct hub *hub = &house->server.hub;
	uint64_t gone = 0;

	for (size_t i = 0; i < REASON_COUNT; i++)
		gone += hub->stats.disconnects[i];
	assert(gone == hub->stats.accepts + hub->stats.streams_recovered +
			       hub->stats.disconnects[REASON_CRASH]);
	assert(hub->conns.count == 0 && hub->conns.streams == 0 && hub->conns.live == 0);
	assert(hub->conns.doomed == 0 && hub->conns.agenda == 0);
	assert(hub->conns.exchanges.bytes == 0);
	assert(hub->topics.audiences.selectors.in_use == 0 && hub->topics.dirty == 0);
	assert(hub->topics.audiences.selectors.pattern_count == 0);
	assert(hub->ring.header->flushed == hub->ring.header->next);
}
