/*
 * drain: ends streams one by one. See drain.h.
 */
#include "drain.h"

#include "broadcast.h"
#include "conn.h"
#include "log.h"
#include "longpoll.h"
#include "request.h"
#include "stream.h"

enum {
	SPREAD_PERCENT = 80, /* of --drain: the last ones need time to go, too */
	STREAM_MS = 10,      /* a few are no storm: none waits longer than so much for each */
	SHARE = 100,         /* percent */
};

void drain_begin(struct server *server, const char *why)
{
	struct hub *hub = &server->hub;
	struct drain *drain = &server->drain;

	if (hub->draining) {
		log_warning("%s again: ending at once", why);
		server->is_done = true;
		return;
	}
	log_info("%s: ending %u streams, %u connections", why, hub->conns.streams,
		 hub->conns.count);
	systemd_stopping(&server->systemd);
	hub->draining = true;
	listeners_done(&server->listeners);
	source_done(&server->source);
	loop_set_timer(server->ticker.timer_fd, 0, 0);
	broadcast_flush(hub);
	*drain = (struct drain){ .begun_ms = hub->now_ms,
				 .until_ms = hub->now_ms + hub->config.drain_ms,
				 .spread_ms = hub->config.drain_ms * SPREAD_PERCENT / SHARE,
				 .streams = hub->conns.streams,
				 .slot = 1 };
	if (drain->spread_ms > (uint64_t)drain->streams * STREAM_MS)
		drain->spread_ms = (uint64_t)drain->streams * STREAM_MS;
	/* A flow of events may have no end of its own: it gets its answer now. */
	for (uint32_t slot = 1; slot < hub->conns.high; slot++)
		request_stop_flow(hub, conns_at(&hub->conns, slot), 503, "The daemon is ending.");
}

/* Ends the next one in the table: false when there is none. */
static bool end_next(struct hub *hub, struct drain *drain)
{
	while (drain->slot < hub->conns.high) {
		struct conn *conn = conns_at(&hub->conns, drain->slot++);

		if (conn->state == CONN_STREAM)
			stream_end(hub, conn, REASON_DRAIN);
		else if (conn->state == CONN_POLL)
			longpoll_end(hub, conn);
		else
			continue;
		return true;
	}
	return false;
}

/* Closes the connections that wait for nothing; whether that is all there are. */
static bool close_idle(struct hub *hub)
{
	bool is_last = true;

	for (uint32_t slot = 1; slot < hub->conns.high; slot++) {
		const struct conn *conn = conns_at(&hub->conns, slot);

		is_last &= conn->state == CONN_FREE ||
			   (conn->state == CONN_HEAD && !conn->exchange) ||
			   conn->flags & CONN_DOOMED;
	}
	for (uint32_t slot = 1; is_last && slot < hub->conns.high; slot++) {
		struct conn *conn = conns_at(&hub->conns, slot);

		if (conn->state != CONN_FREE)
			conn_doom(hub, conn, REASON_DRAIN);
	}
	return is_last;
}

void drain_turn(struct server *server)
{
	struct hub *hub = &server->hub;
	struct drain *drain = &server->drain;
	uint64_t passed_ms = hub->now_ms - drain->begun_ms, due = drain->streams;

	if (!hub->draining)
		return;
	if (passed_ms < drain->spread_ms)
		due = (uint64_t)drain->streams * passed_ms / drain->spread_ms + 1;
	while (drain->ended < due && end_next(hub, drain))
		drain->ended++;
	if (hub->conns.streams == 0 && close_idle(hub) && hub->conns.doomed == 0)
		server->is_done = true;
	if (hub->now_ms >= drain->until_ms) {
		if (hub->conns.count > 0)
			log_warning("%u connections were cut: --drain was over", hub->conns.count);
		server->is_done = true;
	}
}
