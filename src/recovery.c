/*
 * recovery: from what the manager has kept back to streams. See recovery.h.
 *
 * A stream keeps its slot, so that its mark stays its own: dying in the middle of this changes
 * nothing, since marks, terms and ring are only read, and a socket leaves its queue only when it
 * lies in it again.
 */
#include "recovery.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "anchor.h"
#include "clock.h"
#include "conn.h"
#include "drain.h"
#include "log.h"
#include "own.h"
#include "sock.h"

enum { KEPT_RING, KEPT_TRACE, KEPT_PARK, KEPT = KEPT_PARK + PARK_ENDS };

static const char *const names[KEPT] = { "ssecast-ring",   "ssecast-trace",  "ssecast-park-0",
					 "ssecast-park-1", "ssecast-park-2", "ssecast-park-3" };

/* Takes the descriptor of that name out of what was passed, or -1. */
static int take_passed(struct systemd_passed *passed, const char *name)
{
	int fd = -1;

	for (size_t i = 0; i < passed->count; i++) {
		if (passed->fds[i] < 0 || !str_eq(passed->names[i], str_of(name)))
			continue;
		if (fd >= 0)
			close(passed->fds[i]);
		else
			fd = passed->fds[i];
		passed->fds[i] = -1;
	}
	return fd;
}

/* Adopts what was kept: NULL, or why it cannot be gone on from. Every descriptor is taken. */
static const char *adopt(struct hub *hub, const int fds[KEPT])
{
	const char *why = NULL;

	park_adopt(&hub->park, fds + KEPT_PARK, anchor_find, hub);
	for (int i = 0; i < KEPT; i++)
		if (fds[i] < 0)
			why = "a part of what was kept is missing";
	if (fds[KEPT_TRACE] < 0 || trace_adopt(&hub->trace, fds[KEPT_TRACE]))
		why = why ? why : "the trace of its streams cannot be read";
	if (fds[KEPT_RING] < 0 || ring_adopt(&hub->ring, fds[KEPT_RING]))
		return why ? why : "its ring cannot be read";
	if (why)
		return why;
	if (!hub->trace.header->has_left && trace_crashed(&hub->trace, clock_mono_ms()))
		return "it was the third crash within ten seconds";
	hub->trace.header->has_left = 0;
	return ring_repair(&hub->ring) ? "its ring is damaged" : NULL;
}

/* Lets go of all that was kept: connections that nobody else holds end. */
static void begin_anew(struct server *server)
{
	struct hub *hub = &server->hub;

	trace_done(&hub->trace);
	ring_done(&hub->ring);
	park_empty(&hub->park);
	park_done(&hub->park);
	for (int i = 0; i < KEPT; i++)
		systemd_unstore(&server->systemd, names[i]);
}

bool recovery_begin(struct server *server)
{
	struct hub *hub = &server->hub;
	int fds[KEPT];
	const char *why;
	bool any = false;

	for (int i = 0; i < KEPT; i++) {
		fds[i] = take_passed(&server->passed, names[i]);
		any |= fds[i] >= 0;
	}
	if (!any)
		return false;
	why = adopt(hub, fds);
	if (!why && hub->config.crash_recovery_off)
		why = "--no-crash-recovery says so";
	if (!why)
		return true;
	log_warning("beginning anew, without the streams of the process before: %s", why);
	begin_anew(server);
	return false;
}

void recovery_prepare(struct server *server)
{
	struct hub *hub = &server->hub;
	int fds[KEPT];

	if (hub->config.crash_recovery_off || server->systemd.notify_fd < 0 || hub->trace.header)
		return;
	if (trace_init(&hub->trace, hub->conns.capacity) ||
	    park_init(&hub->park, anchor_find, hub)) {
		log_warning("streams would not go on after a crash: no memory or descriptors");
		trace_done(&hub->trace);
		return;
	}
	fds[KEPT_RING] = hub->ring.fd;
	fds[KEPT_TRACE] = hub->trace.fd;
	memcpy(fds + KEPT_PARK, hub->park.ends, sizeof(hub->park.ends));
	for (int i = 0; i < KEPT; i++)
		systemd_store(&server->systemd, names[i], &fds[i], 1);
}

/* What a recovery knows while it lasts. */
struct recovery {
	struct hub *hub;
	uint32_t *slots; /* by hash of the cookie; 0 = empty */
	uint32_t mask;
	uint32_t *audiences; /* by tally */
	bool is_indexed;     /* both are there */
	uint32_t streams, lost;
};

static uint32_t bucket_of(const struct recovery *recovery, uint64_t cookie)
{
	return (uint32_t)(cookie * 0x9e3779b97f4a7c15u >> 32) & recovery->mask;
}

/* Finds every mark by its cookie from now on. False when memory ran out. */
static bool index_marks(struct recovery *recovery)
{
	const struct trace *trace = &recovery->hub->trace;
	uint32_t buckets = 64;

	while (buckets < 2 * trace->header->mark_high)
		buckets *= 2;
	recovery->mask = buckets - 1;
	recovery->slots = calloc(buckets, sizeof(*recovery->slots));
	recovery->audiences = calloc(trace->header->tally_high, sizeof(*recovery->audiences));
	if (!recovery->slots || !recovery->audiences)
		return false;
	for (uint32_t slot = 1; slot < trace->header->mark_high; slot++) {
		uint32_t bucket = bucket_of(recovery, trace->marks[slot].cookie);

		if (!trace->marks[slot].cookie)
			continue;
		while (recovery->slots[bucket])
			bucket = (bucket + 1) & recovery->mask;
		recovery->slots[bucket] = slot;
	}
	return true;
}

static uint32_t find_slot(const struct recovery *recovery, uint64_t cookie)
{
	uint32_t bucket = bucket_of(recovery, cookie), slot;

	while ((slot = recovery->slots[bucket])) {
		if (recovery->hub->trace.marks[slot].cookie == cookie)
			break;
		bucket = (bucket + 1) & recovery->mask;
	}
	return slot;
}

/* Makes the audiences of all tallies, each held by one membership of ours. */
static void restore_audiences(struct recovery *recovery)
{
	struct hub *hub = recovery->hub;

	for (uint32_t tally = 1; tally < hub->trace.header->tally_high; tally++) {
		uint32_t *index = &recovery->audiences[tally];

		if (topics_rejoin(&hub->topics, trace_terms(&hub->trace, tally), index)) {
			*index = 0;
			continue;
		}
		topics_audience(&hub->topics, *index)->last_send_ms = hub->now_ms;
		/* Of two that are the same (a death between two steps), the first is used. */
		if (!topics_audience(&hub->topics, *index)->tally)
			topics_audience(&hub->topics, *index)->tally = tally;
	}
}

/* Gives these memberships back; a tally that nobody needs any more is free. */
static void release_audiences(struct recovery *recovery)
{
	struct hub *hub = recovery->hub;

	for (uint32_t tally = 1; tally < hub->trace.header->tally_high; tally++) {
		uint32_t index = recovery->audiences[tally];
		struct audience *audience;

		if (!index)
			continue;
		audience = topics_audience(&hub->topics, index);
		if (audience->members == 1 || audience->tally != tally)
			trace_undefine(&hub->trace, tally);
		if (audience->members == 1)
			audience->tally = 0;
		topics_leave(&hub->topics, index);
	}
}

/* Makes the stream of a mark again, on its socket. False where it cannot go on. */
static bool restore_stream(struct recovery *recovery, uint32_t slot, int fd)
{
	struct hub *hub = recovery->hub;
	struct mark *mark = trace_mark(&hub->trace, slot);
	uint32_t index =
		mark->tally < hub->trace.header->tally_high ? recovery->audiences[mark->tally] : 0;
	const struct audience *audience;
	uint64_t written, record;
	size_t heartbeat_left;
	struct conn *conn;
	uint32_t offset;
	struct str rest;

	if (!index || sock_written(fd, &written))
		return false;
	audience = topics_audience(&hub->topics, index);
	if (audience->tally != mark->tally ||
	    !anchor_locate(hub, mark, audience, written, &record, &offset, &heartbeat_left))
		return false;
	conn = conn_restore(hub, slot, fd, mark->flags | CONN_PARKED | CONN_PARK_TRIED);
	if (!conn)
		return false;
	topics_enter(&hub->topics, index);
	conn_subscribe(hub, conn, index, record);
	conn->offset = offset;
	conn->expires_s = mark->expires_s;
	mark->saying = 0;
	trace_set(mark, written - offset, heartbeat_left ? TRACE_UNKNOWN : record);
	rest = topic_heartbeat((enum topic_framing)audience->framing);
	if (heartbeat_left)
		own_say(hub, conn, str_from(rest, rest.n - heartbeat_left));
	conn_later(hub, conn, CONN_WRITABLE | CONN_READABLE);
	return true;
}

/* One socket of the park: a park_take. */
static bool take_socket(void *context, int fd, uint64_t *number)
{
	struct recovery *recovery = context;
	struct hub *hub = recovery->hub;
	uint64_t cookie = sock_cookie(fd);
	uint32_t slot = cookie && recovery->is_indexed ? find_slot(recovery, cookie) : 0;

	/* A second copy, which a death while it was moved has left behind. */
	if (slot && slot < hub->conns.high && hub->conns.table[slot].state != CONN_FREE) {
		close(fd);
		return false;
	}
	if (slot && restore_stream(recovery, slot, fd)) {
		recovery->streams++;
		*number = slot;
		return true;
	}
	/* The others were closed by the process before, or are now. */
	if (slot) {
		trace_mark(&hub->trace, slot)->cookie = 0;
		recovery->lost++;
		hub->stats.disconnects[REASON_CRASH]++;
	}
	shutdown(fd, SHUT_RDWR);
	close(fd);
	return false;
}

/* Marks whose socket was not found are of no use. */
static void forget_marks(struct recovery *recovery)
{
	struct hub *hub = recovery->hub;

	for (uint32_t slot = 1; slot < hub->trace.header->mark_high; slot++)
		if (slot >= hub->conns.high || hub->conns.table[slot].state == CONN_FREE)
			hub->trace.marks[slot].cookie = 0;
}

void recovery_finish(struct server *server)
{
	struct hub *hub = &server->hub;
	struct recovery recovery = { .hub = hub };
	uint64_t begun_ns = clock_mono_ns();
	recovery.is_indexed = index_marks(&recovery);
	if (recovery.is_indexed)
		restore_audiences(&recovery);
	else
		log_error("there is no memory to take back what was kept");
	/* In any case: what stayed in the park unserved would stay open. */
	park_recover(&hub->park, take_socket, &recovery);
	forget_marks(&recovery);
	if (recovery.is_indexed)
		release_audiences(&recovery);
	conns_link_free(&hub->conns);
	ring_flushed(&hub->ring);
	hub->stats.streams_recovered += recovery.streams;
	log_info("going on where the process before has ended: %u streams, %u could not; that took "
		 "%.1f ms",
		 recovery.streams, recovery.lost, (double)(clock_mono_ns() - begun_ns) / 1e6);
	free(recovery.slots);
	free(recovery.audiences);
}

void recovery_leave(struct server *server)
{
	struct hub *hub = &server->hub;

	if (!hub->trace.header || hub->draining) {
		drain_begin(server, "asked to leave");
		return;
	}
	log_info("leaving %u streams to the next process", hub->conns.streams);
	systemd_stopping(&server->systemd);
	hub->trace.header->has_left = 1;
	server->has_left = server->is_done = true;
}
