/*
 * conn: see conn.h.
 */
#include "conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "anchor.h"
#include "sock.h"

enum {
	CUTS_LOGGED = 10,  /* in ten seconds */
	CONTROL_SHARE = 8, /* this part of --max-request-memory is for control listeners only */
};

void conn_touch(const struct hub *hub, struct conn *conn)
{
	conn->since_ms = (uint32_t)hub->now_ms;
}

uint32_t conn_age_ms(const struct hub *hub, const struct conn *conn)
{
	return (uint32_t)hub->now_ms - conn->since_ms;
}

/* It is only there to be told so: it takes nobody's place. */
static void turn_away(struct conns *conns, struct conn *conn)
{
	conns->refused += !(conn->flags & CONN_OVER_LIMIT);
	conn->flags |= CONN_OVER_LIMIT;
}

void conn_serves(struct hub *hub, struct conn *conn, const struct in6_addr *ip)
{
	uint64_t per_ip = hub->config.clients_per_ip_max;
	struct peers *peers = &hub->conns.peers;

	peers_leave(peers, conn->peer);
	conn->peer = IN6_IS_ADDR_UNSPECIFIED(ip) ? 0 : peers_enter(peers, ip);
	if (per_ip && peers_conns(peers, conn->peer) > per_ip && !(conn->flags & CONN_CONTROL))
		turn_away(&hub->conns, conn);
}

void conn_comes_from(struct hub *hub, struct conn *conn, const struct in6_addr *ip)
{
	if (ipnets_have(&hub->trusted, ip))
		conn->flags |= CONN_TRUSTED;
	else
		conn_serves(hub, conn, ip);
}

struct conn *conn_enter(struct hub *hub, int fd, const struct in6_addr *ip, uint16_t flags)
{
	struct conns *conns = &hub->conns;
	struct conn *conn = conns_take(conns);

	if (!conn)
		return NULL;
	*conn = (struct conn){
		.fd = fd, .generation = conn->generation, .flags = flags, .state = CONN_HEAD
	};
	conn_touch(hub, conn);
	if (!(flags & CONN_PREFACE))
		conn_comes_from(hub, conn, ip);
	if (!(flags & CONN_CONTROL) &&
	    conns->count - conns->refused - conns->doomed > hub->clients_max)
		turn_away(conns, conn);
	return conn;
}

int conn_open(struct hub *hub, int fd, const struct in6_addr *ip, uint16_t flags)
{
	struct conns *conns = &hub->conns;
	struct conn *conn = conn_enter(hub, fd, ip, flags);
	int err = -ENFILE;

	if (conn)
		err = loop_add(&hub->loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
			       (struct loop_key){ .kind = LOOP_CONN,
						  .index = conns_slot(conns, conn),
						  .generation = conn->generation });
	if (!err)
		return 0;
	if (conn) {
		peers_leave(&conns->peers, conn->peer);
		conns_give_back(conns, conn);
	}
	close(fd);
	return err;
}

void conn_later(struct hub *hub, struct conn *conn, uint16_t flag)
{
	conn->flags |= flag;
	conns_agenda_add(&hub->conns, conn);
}

void conn_subscribe(struct hub *hub, struct conn *conn, uint32_t audience, uint64_t start)
{
	conn->state = CONN_STREAM;
	conn->audience = audience;
	conn->cursor = start;
	conn->offset = 0;
	hub->conns.streams++;
	conn_touch(hub, conn);
	if (hub->config.lag_bytes_max && ring_lag(&hub->ring, start) > hub->config.lag_bytes_max)
		conn->flags |= CONN_REPLAYING;
}

void conn_go_live(struct hub *hub, struct conn *conn)
{
	struct audience *audience = topics_audience(&hub->topics, conn->audience);
	uint32_t slot = conns_slot(&hub->conns, conn);

	if (audience_add_live(audience, conn->fd, slot, &conn->place)) {
		conn_doom(hub, conn, REASON_NO_MEMORY);
		return;
	}
	conn->flags |= CONN_LIVE;
	conn->flags &= (uint16_t)~CONN_REPLAYING;
	hub->conns.live++;
	anchor_live(hub, conn);
	conn_touch(hub, conn);
}

static void leave_live(struct hub *hub, struct conn *conn)
{
	struct audience *audience = topics_audience(&hub->topics, conn->audience);
	uint32_t moved = audience_remove_live(audience, conn->place);

	conns_at(&hub->conns, moved)->place = conn->place;
	conn->flags &= (uint16_t)~CONN_LIVE;
	hub->conns.live--;
}

void conn_fall_behind(struct hub *hub, struct conn *conn, uint64_t record, uint32_t offset,
		      uint64_t before)
{
	anchor_behind(hub, conn, record, before);
	leave_live(hub, conn);
	conn->cursor = record;
	conn->offset = offset;
	conn_touch(hub, conn);
}

void conn_unsubscribe(struct hub *hub, struct conn *conn)
{
	anchor_forget(hub, conn);
	if (conn->flags & CONN_LIVE)
		leave_live(hub, conn);
	topics_leave(&hub->topics, conn->audience);
	conn->audience = 0;
	presences_leave(&hub->presences, &conn->presence);
	hub->conns.streams--;
}

/* Who is cut for a fault that an operator can do something about is named in the log. */
static void log_cut(struct hub *hub, const struct conn *conn)
{
	struct buf who;

	if (conn->reason != REASON_LAGGED && conn->reason != REASON_STALLED &&
	    conn->reason != REASON_NO_MEMORY)
		return;
	if (!log_allow(&hub->cut_log, hub->now_ms, CUTS_LOGGED, "cut connections"))
		return;
	buf_init(&who, 64);
	conn_name(hub, conn, &who);
	log_info("a connection from %.*s was cut: %s", STR_ARG(buf_str(&who)),
		 stats_reason((enum stats_reason)conn->reason));
	buf_done(&who);
}

void conn_doom(struct hub *hub, struct conn *conn, enum stats_reason reason)
{
	struct conns *conns = &hub->conns;

	if (conn->flags & CONN_DOOMED)
		return;
	if (conn->state == CONN_STREAM || conn->state == CONN_POLL)
		conn_unsubscribe(hub, conn);
	conn->reason = (uint8_t)reason;
	log_cut(hub, conn);
	/* Its place is free, though it may be some turns until it is closed. */
	peers_leave(&conns->peers, conn->peer);
	conn->peer = 0;
	conns->refused -= !!(conn->flags & CONN_OVER_LIMIT);
	conn->flags &= (uint16_t)~CONN_OVER_LIMIT;
	conn->flags |= CONN_DOOMED;
	conns->doomed++;
	conns_agenda_add(conns, conn);
}

bool conn_failed(struct hub *hub, struct conn *conn, int err, uint16_t flag)
{
	switch (err) {
	case EAGAIN: return true;
	case EINTR:
		/* No event will tell that the signal is over. */
		conn_later(hub, conn, flag);
		return true;
	case ENOMEM:
	case ENOBUFS: conn_doom(hub, conn, REASON_NO_MEMORY); return false;
	default: conn_doom(hub, conn, REASON_CLIENT); return false;
	}
}

/*
 * Whether it had time to read what the kernel still has for it, and did not: that would be kept for
 * minutes after the close, and counted by no limit. Who has only shut his end may be reading.
 */
static bool leaves_unread(const struct conn *conn)
{
	switch (conn->state) {
	case CONN_LINGER:
		if (conn->flags & CONN_HUNG_UP)
			return false;
		break;
	case CONN_STREAM:
	case CONN_POLL:
	case CONN_REPLY: break;
	default: return false;
	}
	return sock_has_unsent(conn->fd);
}

void conn_bury(struct hub *hub, struct conn *conn)
{
	struct conns *conns = &hub->conns;

	hub->stats.disconnects[conn->reason]++;
	if (conn->exchange)
		exchange_return(&conns->exchanges, conn->exchange);
	peers_leave(&conns->peers, conn->peer);
	if (leaves_unread(conn))
		sock_abort(conn->fd);
	/* A parked duplicate would keep the connection open. */
	if (conn->flags & CONN_PARKED)
		shutdown(conn->fd, SHUT_RDWR);
	close(conn->fd);
	conns_give_back(conns, conn);
	conns->doomed--;
}

uint64_t conn_memory_max(const struct hub *hub, const struct conn *conn)
{
	uint64_t max = hub->config.requests_bytes_max;

	return conn->flags & CONN_CONTROL ? max : max - max / CONTROL_SHARE;
}

struct exchange *conn_exchange(struct hub *hub, struct conn *conn)
{
	struct exchanges *exchanges = &hub->conns.exchanges;

	if (!conn->exchange) {
		if (exchanges->bytes >= conn_memory_max(hub, conn))
			return NULL;
		conn->exchange = exchange_borrow(exchanges);
		if (conn->exchange)
			exchange_count(exchanges, exchange_at(exchanges, conn->exchange));
	}
	return conn->exchange ? exchange_at(exchanges, conn->exchange) : NULL;
}

void conn_release(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange;

	if (!conn->exchange || conn->state == CONN_BODY || conn->state == CONN_REPLY ||
	    conn->state == CONN_POLL)
		return;
	exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	if (exchange->in.n || exchange_has_output(exchange))
		return;
	exchange_return(&hub->conns.exchanges, conn->exchange);
	conn->exchange = 0;
}

void conn_name(const struct hub *hub, const struct conn *conn, struct buf *out)
{
	struct in6_addr ip = IN6ADDR_ANY_INIT;

	if (conn->peer)
		ip = hub->conns.peers.table[conn->peer].ip;
	if (conn->peer || sock_peer(conn->fd, &ip))
		sock_ip_write(&ip, out);
	else
		buf_add(out, STR("somebody who is gone"));
}

static uint32_t mapped(const uint32_t *map, uint32_t count, uint32_t old)
{
	return old < count ? map[old] : 0;
}

/* An exchange is one conn's: nobody else gets it then. */
static uint32_t claim_exchange(const struct conns_maps *maps, uint32_t old)
{
	uint32_t index = mapped(maps->exchanges, maps->exchange_count, old);

	if (index)
		maps->exchanges[old] = 0;
	return index;
}

/* A stream's place among the subscribers. */
static bool take_over_stream(struct hub *hub, struct conn *conn, const struct conns_maps *maps)
{
	uint32_t slot = conns_slot(&hub->conns, conn);
	bool is_live = conn->flags & CONN_LIVE;
	struct audience *audience;

	conn->audience = mapped(maps->audiences, maps->audience_count, conn->audience);
	if (!conn->audience || (!is_live && conn->cursor > hub->ring.header->flushed))
		return false;
	audience = topics_audience(&hub->topics, conn->audience);
	if (is_live && audience_add_live(audience, conn->fd, slot, &conn->place))
		return false;
	topics_enter(&hub->topics, conn->audience);
	hub->conns.streams++;
	hub->conns.live += is_live;
	return true;
}

/* False for a conn that cannot go on. */
static bool take_over(struct hub *hub, struct conn *conn, const struct conns_maps *maps)
{
	struct conns *conns = &hub->conns;
	bool had_exchange = conn->exchange, had_peer = conn->peer;

	presences_claim(&hub->presences, &conn->presence);
	conn->peer = mapped(maps->peers, maps->peer_count, conn->peer);
	peers_again(&conns->peers, conn->peer);
	conn->exchange = claim_exchange(maps, conn->exchange);
	conns->count++;
	conns->refused += !!(conn->flags & CONN_OVER_LIMIT);
	if (conn->state > CONN_LINGER || conn->reason >= REASON_COUNT ||
	    (had_exchange && !conn->exchange) || (had_peer && !conn->peer))
		return false;
	if ((conn->state == CONN_BODY || conn->state == CONN_REPLY || conn->state == CONN_POLL) &&
	    !conn->exchange)
		return false;
	if (conn->state == CONN_STREAM || conn->state == CONN_POLL)
		return take_over_stream(hub, conn, maps);
	conn->audience = 0;
	conn->flags &= (uint16_t)~CONN_LIVE;
	return true;
}

uint32_t conns_take_over(struct hub *hub, const struct conns_maps *maps)
{
	struct conns *conns = &hub->conns;
	uint32_t closed = 0;

	for (uint32_t slot = 1; slot < conns->high; slot++) {
		struct conn *conn = &conns->table[slot];
		bool is_on_agenda = conn->flags & CONN_ON_AGENDA;

		if (conn->state == CONN_FREE)
			continue;
		conn->flags = (uint16_t)(conn->flags & ~(CONN_ON_AGENDA | CONN_DOOMED));
		if (!take_over(hub, conn, maps)) {
			/* Not a subscriber: there is no audience that it could leave. */
			conn->state = CONN_LINGER;
			presences_leave(&hub->presences, &conn->presence);
			conn_doom(hub, conn, REASON_ERROR);
			closed++;
		} else if (is_on_agenda) {
			conns_agenda_add(conns, conn);
		}
	}
	conns_link_free(conns);
	return closed;
}

struct conn *conn_restore(struct hub *hub, uint32_t slot, int fd, uint16_t flags)
{
	struct conns *conns = &hub->conns;
	struct loop_key key = { .kind = LOOP_CONN, .index = slot };
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof(from);
	struct conn *conn;
	struct in6_addr ip;

	if (slot == 0 || slot >= conns->capacity)
		return NULL;
	conn = &conns->table[slot];
	if (conn->state != CONN_FREE || getpeername(fd, (struct sockaddr *)&from, &len) < 0 ||
	    loop_add(&hub->loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, key))
		return NULL;
	if (slot >= conns->high)
		conns->high = slot + 1;
	ip = sock_peer_ip(&from);
	*conn = (struct conn){ .fd = fd, .flags = flags, .state = CONN_HEAD };
	if (!IN6_IS_ADDR_UNSPECIFIED(&ip))
		conn->peer = peers_enter(&conns->peers, &ip);
	conns->count++;
	conn_touch(hub, conn);
	return conn;
}
