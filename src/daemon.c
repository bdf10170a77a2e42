/*
 * daemon: the turn. See daemon.h.
 *
 * One turn: collect kernel events and handle them; visit whose time has come, and the agenda; read
 * a slice of standard input; flush what was published; accept; write the log. Only the wait at its
 * beginning ever blocks.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "anchor.h"
#include "broadcast.h"
#include "clock.h"
#include "conn.h"
#include "drain.h"
#include "log.h"
#include "presence.h"
#include "recovery.h"
#include "request.h"
#include "upgrade.h"
#include "version.h"

enum {
	DRAIN_STEP_MS = 10,     /* between two looks at whose time has come */
	UPGRADE_CHECK_MS = 100, /* whether the new binary takes too long to answer */
	SLICE_NS_MIN = 100000,  /* of a turn, for each of: the sweep, the agenda, accepting; … */
	SLICE_OF_FLUSH = 8,     /* … or this part of the last flush, if that is more */
};

/* Blocks the signals that we want as events, ignores SIGPIPE. 0 or -errno. */
static int signals_open(struct server *server)
{
	const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	signal(SIGPIPE, SIG_IGN);
	/* Whoever has started us may have ignored it: nobody could wait for a child then. */
	signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	server->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (server->signal_fd < 0)
		return -errno;
	return loop_add(&server->hub.loop, server->signal_fd, EPOLLIN,
			(struct loop_key){ .kind = LOOP_SIGNAL });
}

static int fail(const char *what, int err)
{
	log_error("cannot %s: %s", what, strerror(-err));
	return err;
}

/* The conns that there must be room for: also for those of a process before. */
static uint64_t conns_needed(const struct hub *hub)
{
	uint64_t before = hub->trace.header ? hub->trace.header->slots : 0;

	return before > hub->clients_max + CONN_SPARE + 1 ? before - CONN_SPARE - 1
							  : hub->clients_max;
}

/* What the binary before has prepared for a crash. */
static int adopt_trace(struct server *server, const struct handover *from)
{
	struct hub *hub = &server->hub;
	int err;

	if (from->trace_fd < 0)
		return 0;
	park_adopt(&hub->park, from->park_ends, anchor_find, hub);
	err = trace_adopt(&hub->trace, from->trace_fd);
	if (!err)
		err = park_unpack(&hub->park, from->park);
	return err ? fail("take over what was prepared for a crash", err) : 0;
}

/* What is large, and what must not stop: new, or that of the binary before. */
static int init_tables(struct server *server, const struct handover *from)
{
	struct hub *hub = &server->hub;
	int err;

	err = from ? loop_adopt(&hub->loop, from->epoll_fd) : loop_init(&hub->loop);
	if (err)
		return fail("make an epoll instance", err);
	server->recovers = !from && recovery_begin(server);
	if (from)
		err = ring_adopt(&hub->ring, from->ring_fd);
	else if (!server->recovers)
		err = ring_init(&hub->ring, hub->config.ring_bytes, clock_real_ms());
	if (err)
		return fail("make a ring of --ring-bytes", err);
	if ((err = topics_init(&hub->topics, &hub->ring)))
		return fail("make the table of topics", err);
	err = from ? conns_adopt(&hub->conns, from->conns_fd, from->high, hub->clients_max)
		   : conns_init(&hub->conns, conns_needed(hub));
	if (err)
		return fail("make a table for --max-clients", err);
	return from ? adopt_trace(server, from) : 0;
}

/* What needs no name from outside. */
static int init_inside(struct server *server, const struct handover *from)
{
	struct hub *hub = &server->hub;
	int err = init_tables(server, from);

	if (err)
		return err;
	err = from ? ticker_adopt(&server->ticker, hub, from->tick_fd, from->tick_interval_ms)
		   : ticker_init(&server->ticker, hub);
	if (err || (err = sweep_init(&server->sweep, hub)) ||
	    (err = meter_init(&server->meter, hub)) ||
	    (err = pulse_init(&server->pulse, &server->systemd, hub)))
		return fail("make a timer", err);
	if ((err = signals_open(server)))
		return fail("receive signals", err);
	return 0;
}

/* The sockets that the manager has opened, by their names. 0 or -ENOMEM. */
static int pass_listeners(struct systemd_passed *passed, struct listeners *old)
{
	int err = 0;

	for (size_t i = 0; i < passed->count && err != -ENOMEM; i++) {
		bool is_control = str_eq(passed->names[i], STR("control"));

		if (passed->fds[i] < 0)
			continue;
		/* A socket unit without a name for it is known by its own. */
		err = listeners_pass(old, passed->fds[i], is_control);
		if (!err)
			passed->fds[i] = -1;
		else
			log_warning("what the manager has passed as '%.*s' does not listen: %s",
				    STR_ARG(passed->names[i]), strerror(-err));
	}
	return err == -ENOMEM ? err : 0;
}

/* Opens the listeners that are not open yet, and closes those that are not wanted any more. */
static int init_listeners(struct server *server, const struct handover *from)
{
	struct listeners old = { .count = 0 };
	int err = from ? listeners_unpack(&old, from->listeners) : 0;

	if (!err)
		err = pass_listeners(&server->passed, &old);
	if (err) {
		listeners_done(&old);
		return err;
	}
	err = listeners_open(&server->listeners, &server->hub, &old);
	/* Who is connected goes on, even if nobody new can come in there: that has been said. */
	return from ? 0 : err;
}

/* Standard input: where the binary before had the same format, its reader goes on. */
static int init_source(struct server *server, const struct handover *from)
{
	struct hub *hub = &server->hub;
	int err;

	if (from && (err = source_adopt(&server->source, hub, from->source)))
		return err;
	if (from && from->stdin_format == hub->config.stdin_format)
		return 0;
	if (from)
		source_done(&server->source);
	return source_init(&server->source, hub);
}

/* The streams and requests of the binary before. */
static int init_conns(struct server *server, const struct handover *from)
{
	struct hub *hub = &server->hub;
	uint32_t closed;
	int err = handover_restore(from, hub, &closed);

	if (err)
		return fail("go on from the state of the binary before", err);
	handover_inherit(server, false);
	log_info("upgraded from %.*s to %s: %u connections go on, %u were closed; nothing was "
		 "sent for %.1f ms",
		 STR_ARG(from->from), SSECAST_VERSION, hub->conns.count - closed, closed,
		 (double)(clock_mono_ns() - from->begun_ns) / 1e6);
	if (from->ring_bytes != hub->config.ring_bytes)
		log_warning("ring-bytes: the new value needs a restart");
	return 0;
}

int daemon_init(struct server *server, const struct config *config, uint64_t clients_max, int argc,
		char **argv, const struct handover *from)
{
	struct hub *hub = &server->hub;
	int err;

	*server = (struct server){ .signal_fd = -1, .argc = argc, .argv = argv };
	server->sweep.timer_fd = server->ticker.timer_fd = server->source.fd = -1;
	server->meter.timer_fd = server->pulse.timer_fd = -1;
	server->files.root_fd = hub->loop.epoll_fd = hub->ring.fd = hub->conns.fd = -1;
	hub->trace.fd = -1;
	for (int i = 0; i < PARK_ENDS; i++)
		hub->park.ends[i] = -1;
	hub->config = *config;
	hub_trust(hub);
	hub->clients_max = clients_max;
	hub->listeners = &server->listeners;
	hub->files = &server->files;
	hub->now_ms = hub->started_ms = clock_mono_ms();
	secrets_init(&hub->secrets);
	presences_init(&hub->presences);
	rate_init(&hub->rate);
	if (getrandom(&hub->random, sizeof(hub->random), 0) < 0 || hub->random == 0)
		hub->random = 1;
	systemd_init(&server->systemd);
	upgrade_init(&server->upgrade, argv[0]);
	/* Without their names, what was kept would stay open and unserved. */
	if ((err = systemd_take(&server->passed)))
		return fail("take what the manager passes", err);
	if ((err = init_inside(server, from)))
		return err;
	if ((err = secrets_read(&hub->secrets, config)))
		return err;
	if ((err = staticfiles_init(&server->files, config->root))) {
		log_error("cannot serve --root %s: %s", config->root, strerror(-err));
		return err;
	}
	if ((err = init_listeners(server, from)))
		return err;
	if ((err = init_source(server, from)))
		return fail("read standard input", err);
	recovery_prepare(server);
	if (server->recovers)
		recovery_finish(server);
	return from ? init_conns(server, from) : 0;
}

void daemon_done(struct server *server)
{
	struct hub *hub = &server->hub;

	source_done(&server->source);
	listeners_done(&server->listeners);
	staticfiles_done(&server->files);
	ticker_done(&server->ticker);
	meter_done(&server->meter);
	pulse_done(&server->pulse);
	sweep_done(&server->sweep);
	if (server->signal_fd >= 0)
		close(server->signal_fd);
	conns_done(&hub->conns);
	park_done(&hub->park);
	trace_done(&hub->trace);
	presences_done(&hub->presences);
	topics_done(&hub->topics);
	ring_done(&hub->ring);
	loop_done(&hub->loop);
	secrets_done(&hub->secrets);
	systemd_passed_done(&server->passed);
	systemd_done(&server->systemd);
	upgrade_done(&server->upgrade);
	config_done(&hub->config);
}

/* Takes over what may change while running, and says what may not. */
static void reload(struct server *server)
{
	struct hub *hub = &server->hub;
	struct str rest, line;
	struct buf kept;

	buf_init(&kept, 1 << 16);
	if (config_reload(&hub->config, server->argc, server->argv, &kept)) {
		log_error("the configuration stays as it is: %.*s", STR_ARG(buf_str(&kept)));
		buf_clear(&kept);
	} else {
		log_info("the configuration has been read again");
	}
	log_level = (enum log_level)hub->config.log_level;
	rest = buf_str(&kept);
	while (str_cut(&rest, '\n', &line) && line.n)
		log_warning("%.*s", STR_ARG(line));
	secrets_read(&hub->secrets, &hub->config);
	hub_trust(hub);
	ticker_set(&server->ticker, hub);
	buf_done(&kept);
}

/* The next signal that waits: true if there is one. */
static bool read_signal(int signal_fd, struct signalfd_siginfo *info)
{
	ssize_t n;

	do
		n = read(signal_fd, info, sizeof(*info));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*info);
}

static void on_signal(struct server *server)
{
	struct signalfd_siginfo info;

	while (read_signal(server->signal_fd, &info)) {
		switch (info.ssi_signo) {
		case SIGHUP: reload(server); break;
		case SIGUSR1: recovery_leave(server); break;
		case SIGUSR2: upgrade_ask(server); break;
		case SIGCHLD: upgrade_answered(server); break;
		case SIGINT: drain_begin(server, "interrupted"); break;
		default: drain_begin(server, "terminated"); break;
		}
	}
}

static void on_event(struct server *server, struct loop_key key, uint32_t bits)
{
	struct hub *hub = &server->hub;

	switch (key.kind) {
	case LOOP_CONN: request_event(hub, key.index, key.generation, bits); break;
	case LOOP_LISTENER: listener_event(&server->listeners, key.index); break;
	case LOOP_TICK: ticker_fire(&server->ticker, hub); break;
	case LOOP_SWEEP: sweep_fire(&server->sweep, hub); break;
	case LOOP_PULSE: pulse_fire(&server->pulse, &server->systemd, hub); break;
	case LOOP_METER: meter_fire(&server->meter, hub); break;
	case LOOP_SIGNAL: on_signal(server); break;
	case LOOP_STDIN: server->source.is_ready = true; break;
	case LOOP_KINDS: break;
	}
}

/*
 * How long each kind of guest may keep the others from getting their events, in nanoseconds: a part
 * of what it took to send the last ones. A binary that ends leaves no conn half closed.
 */
static uint64_t slice_ns(struct server *server)
{
	struct hub *hub = &server->hub;
	uint64_t slice = hub->flush_ns / SLICE_OF_FLUSH;

	hub->flush_ns = 0;
	if (server->upgrade.is_accepted)
		return UINT32_MAX;
	return slice > SLICE_NS_MIN ? slice : SLICE_NS_MIN;
}

/* The end of the turn, and whether something is left to do at once. */
static bool turn_end(struct server *server, uint64_t accept_ns)
{
	struct hub *hub = &server->hub;
	bool more;

	broadcast_flush(hub);
	presence_tell_gone(hub);
	hub_begin_slice(hub, accept_ns);
	more = listeners_accept(&server->listeners, hub);
	sweep_wake(&server->sweep, hub);
	meter_wake(&server->meter, hub);
	drain_turn(server);
	log_flush();
	/* Of what conns that were just buried leave behind, others are told in the next turn. */
	return more || hub->conns.agenda || hub->presences.gone ||
	       hub->ring.header->flushed < hub->ring.header->next;
}

static bool is_source_at_end(const struct server *server)
{
	const struct config *config = &server->hub.config;

	return config->stdin_format != CONFIG_STDIN_OFF && config->stdin_eof_exits &&
	       server->source.fd < 0;
}

/* How long to wait for the next event, or -1: only these have no descriptor to wake us. */
static int patience_ms(const struct server *server)
{
	if (server->hub.draining)
		return DRAIN_STEP_MS;
	if (server->upgrade.child)
		return UPGRADE_CHECK_MS;
	return server->listeners.is_paused ? LISTENERS_PAUSE_MS : -1;
}

int daemon_turn(struct server *server, int timeout_ms)
{
	struct hub *hub = &server->hub;
	int n = loop_wait(&hub->loop, timeout_ms);
	uint64_t begun_ns = clock_mono_ns(), slice = slice_ns(server);
	uint32_t conns = hub->conns.count;
	bool more, is_behind;

	if (n < 0)
		return n;
	hub->now_ms = begun_ns / 1000000;
	for (int i = 0; i < n; i++) {
		uint32_t bits;
		struct loop_key key = loop_event(&hub->loop, i, &bits);

		on_event(server, key, bits);
	}
	hub_begin_slice(hub, slice);
	more = sweep_turn(&server->sweep, hub);
	hub_begin_slice(hub, slice);
	is_behind = request_run_agenda(hub);
	listeners_resume(&server->listeners, hub, hub->conns.count < conns);
	more |= source_read(&server->source, hub);
	if (is_source_at_end(server) && !hub->draining)
		drain_begin(server, "standard input has ended");
	/* While those who are in wait, others come in one by one. */
	more |= turn_end(server, is_behind ? 0 : slice);
	stats_duration(&hub->stats.turn, clock_mono_ns() - begun_ns);
	upgrade_check(server);
	upgrade_turn_end(server);
	return more;
}

int daemon_run(struct server *server)
{
	int more = 1;

	while (!server->is_done) {
		more = daemon_turn(server, more ? 0 : patience_ms(server));
		if (more < 0)
			return fail("wait for events", more);
	}
	return 0;
}
