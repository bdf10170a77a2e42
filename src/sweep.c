/*
 * sweep: heartbeats and time-outs, slice by slice. See sweep.h.
 */
#include "sweep.h"

#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "longpoll.h"
#include "reply.h"
#include "request.h"
#include "stream.h"

enum {
	ROUND_MS = 1000,    /* a round takes that long, … */
	ROUNDS_IN_TIME = 4, /* … or this part of the shortest time that somebody waits */
	SLICE_MS_MIN = 4,
	SLICES_MIN = 20,      /* of a round */
	SLICE_MAX = 4096,     /* conns */
	VISITS = 16,          /* between two looks at the clock */
	LINGER_MS = 2000,     /* for the client's end of a finished connection */
	OVER_LIMIT_MS = 2000, /* for the request of one that is to be told that there is no room */
};

int sweep_init(struct sweep *sweep, struct hub *hub)
{
	*sweep = (struct sweep){ .at = 1, .due = 1 };
	sweep->timer_fd = loop_add_timer(&hub->loop, LOOP_SWEEP);
	return sweep->timer_fd < 0 ? sweep->timer_fd : 0;
}

void sweep_done(struct sweep *sweep)
{
	if (sweep->timer_fd >= 0)
		close(sweep->timer_fd);
	sweep->timer_fd = -1;
}

static uint64_t round_ms(const struct config *config)
{
	const uint64_t times[] = { config->heartbeat_ms,     config->head_timeout_ms,
				   config->body_timeout_ms,  config->idle_timeout_ms,
				   config->stall_timeout_ms, config->poll_timeout_ms };
	uint64_t round = ROUND_MS;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i] && times[i] / ROUNDS_IN_TIME < round)
			round = times[i] / ROUNDS_IN_TIME;
	return round;
}

/* Begins a round, or stops when nobody is there. */
static void round_begin(struct sweep *sweep, struct hub *hub)
{
	uint64_t total_ms = round_ms(&hub->config), slices, slice_ms;

	sweep->at = sweep->due = 1;
	hub->lag_bytes_max = sweep->lag_so_far;
	sweep->lag_so_far = 0;
	sweep->running = hub->conns.count > 0;
	slices = hub->conns.high / SLICE_MAX + 1;
	if (slices < SLICES_MIN)
		slices = SLICES_MIN;
	slice_ms = total_ms / slices;
	if (slice_ms < SLICE_MS_MIN) {
		slice_ms = SLICE_MS_MIN;
		slices = total_ms / slice_ms + 1;
	}
	sweep->slices = (uint32_t)slices;
	/* One that cannot be set is tried again in the next turn. */
	if (loop_set_timer(sweep->timer_fd, sweep->running ? clock_mono_ms() + slice_ms : 0,
			   slice_ms))
		sweep->running = false;
}

void sweep_wake(struct sweep *sweep, struct hub *hub)
{
	if (!sweep->running && hub->conns.count > 0)
		round_begin(sweep, hub);
}

static void visit_live(struct hub *hub, struct conn *conn)
{
	const struct audience *audience = topics_audience(&hub->topics, conn->audience);
	uint64_t quiet_ms = hub->now_ms - audience->last_send_ms;

	if (conn_age_ms(hub, conn) < quiet_ms)
		quiet_ms = conn_age_ms(hub, conn);
	if (hub->config.heartbeat_ms && quiet_ms >= hub->config.heartbeat_ms)
		stream_heartbeat(hub, conn);
}

static void visit_walking(struct sweep *sweep, struct hub *hub, struct conn *conn)
{
	enum stats_reason reason;

	if (stream_lag(hub, conn) > sweep->lag_so_far)
		sweep->lag_so_far = stream_lag(hub, conn);
	if (stream_is_too_slow(hub, conn, &reason))
		conn_doom(hub, conn, reason);
	else if (conn_age_ms(hub, conn) > hub->config.stall_timeout_ms)
		conn_doom(hub, conn, REASON_STALLED);
}

static bool is_expired(const struct conn *conn)
{
	return conn->expires_s && clock_real_ms() / 1000 >= conn->expires_s;
}

/* Ends a stream whose token has: true if it was so. */
static bool end_expired(struct hub *hub, struct conn *conn)
{
	if (!is_expired(conn))
		return false;
	/* One that is behind has to go without what it has not had in time. */
	if (conn->flags & CONN_LIVE)
		stream_end(hub, conn, REASON_EXPIRED);
	else
		conn_doom(hub, conn, REASON_EXPIRED);
	return true;
}

/* Reading a head, or waiting for one. */
static void visit_head(struct hub *hub, struct conn *conn)
{
	uint32_t age_ms = conn_age_ms(hub, conn);
	/* Whoever has had an answer, or is trusted to come in, may also be idle. */
	bool may_idle = conn->flags & (CONN_SERVED | CONN_CONTROL);

	if (conn->flags & CONN_OVER_LIMIT && age_ms > OVER_LIMIT_MS)
		conn_doom(hub, conn, REASON_OVER_LIMIT);
	else if (conn->exchange && age_ms > hub->config.head_timeout_ms)
		request_timed_out(hub, conn, REASON_HEAD_TIMEOUT);
	else if (!conn->exchange && may_idle && age_ms > hub->config.idle_timeout_ms)
		conn_doom(hub, conn, REASON_IDLE);
	else if (!conn->exchange && !may_idle && age_ms > hub->config.head_timeout_ms)
		conn_doom(hub, conn, REASON_HEAD_TIMEOUT);
}

static void visit_body(struct hub *hub, struct conn *conn)
{
	const struct exchange *exchange = exchange_at(&hub->conns.exchanges, conn->exchange);

	/* A flow of events may pause for as long as its source has nothing to say. */
	if (exchange->sink == SINK_FEED && is_expired(conn)) {
		conn->reason = REASON_EXPIRED;
		request_stop_flow(hub, conn, 401, "The token has expired.");
	} else if (exchange->sink != SINK_FEED &&
		   conn_age_ms(hub, conn) > hub->config.body_timeout_ms)
		request_timed_out(hub, conn, REASON_BODY_TIMEOUT);
}

static void visit(struct sweep *sweep, struct hub *hub, struct conn *conn)
{
	/* What it has sent may wait for us: that is not its delay. */
	bool is_queued = conn->flags & CONN_ON_AGENDA;

	if (conn->flags & CONN_DOOMED)
		return;
	switch ((enum conn_state)conn->state) {
	case CONN_FREE: break;
	case CONN_HEAD:
		if (!is_queued)
			visit_head(hub, conn);
		break;
	case CONN_BODY:
		if (!is_queued)
			visit_body(hub, conn);
		break;
	case CONN_REPLY:
		if (conn_age_ms(hub, conn) > hub->config.stall_timeout_ms)
			conn_doom(hub, conn, REASON_STALLED);
		break;
	case CONN_STREAM:
		if (end_expired(hub, conn))
			break;
		if (conn->flags & CONN_LIVE)
			visit_live(hub, conn);
		else
			visit_walking(sweep, hub, conn);
		break;
	case CONN_POLL:
		if (conn->flags & CONN_LIVE &&
		    (is_expired(conn) || conn_age_ms(hub, conn) >= hub->config.poll_timeout_ms))
			longpoll_end(hub, conn);
		break;
	case CONN_LINGER:
		if (conn_age_ms(hub, conn) > LINGER_MS)
			conn_doom(hub, conn, (enum stats_reason)conn->reason);
		break;
	}
}

void sweep_fire(struct sweep *sweep, const struct hub *hub)
{
	/* Of the table as it is now: it may have grown a thousandfold since the round began. */
	uint32_t slice = hub->conns.high / sweep->slices + 1;

	if (loop_read_timer(sweep->timer_fd) && sweep->due <= sweep->at)
		sweep->due = sweep->at + slice;
}

bool sweep_turn(struct sweep *sweep, struct hub *hub)
{
	uint32_t end = sweep->due < hub->conns.high ? sweep->due : hub->conns.high;

	while (sweep->at < end) {
		visit(sweep, hub, conns_at(&hub->conns, sweep->at++));
		if (sweep->at % VISITS == 0 && sweep->at < end && hub_is_late(hub))
			return true;
	}
	if (sweep->due > sweep->at)
		round_begin(sweep, hub);
	return false;
}
