/*
 * conn: the table of accepted sockets. See conn.h.
 *
 * Slots are given out last in, first out, so that the part of the table that is touched stays
 * dense. A slot's generation changes with each conn, so that a kernel event for an earlier one is
 * recognised.
 */
#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub.h"
#include "stream.h"

enum {
	CUTS_LOGGED = 10,  /* in ten seconds */
	CONTROL_SHARE = 8, /* this part of --max-request-memory is for control listeners only */
};

_Static_assert(sizeof(struct conn) <= 64, "a conn is one cache line");

static size_t table_bytes(uint32_t capacity)
{
	return (size_t)capacity * sizeof(struct conn);
}

/* Gives the memfd its size and maps it; what is not touched costs nothing. 0 or -errno. */
static int table_map(struct conns *conns)
{
	void *table;

	if (ftruncate(conns->fd, (off_t)table_bytes(conns->capacity)) < 0)
		return -errno;
	table = mmap(NULL, table_bytes(conns->capacity), PROT_READ | PROT_WRITE, MAP_SHARED,
		     conns->fd, 0);
	if (table == MAP_FAILED)
		return -errno;
	conns->table = table;
	return 0;
}

/* A table in that memfd (taken), for at least so many slots. 0 or -errno. */
static int table_open(struct conns *conns, int fd, uint64_t slots)
{
	int err;

	*conns = (struct conns){ .fd = fd, .high = 1 };
	exchanges_init(&conns->exchanges);
	conns->capacity = slots < UINT32_MAX ? (uint32_t)slots : UINT32_MAX;
	conns->input = malloc(CONN_INPUT_BYTES);
	err = conns->input ? peers_init(&conns->peers) : -ENOMEM;
	if (!err)
		err = table_map(conns);
	if (err)
		conns_done(conns);
	return err;
}

int conns_init(struct conns *conns, uint64_t clients_max)
{
	int fd = memfd_create("ssecast-conns", MFD_CLOEXEC);

	*conns = (struct conns){ .fd = -1 };
	return fd < 0 ? -errno : table_open(conns, fd, clients_max + CONN_SPARE + 1);
}

int conns_adopt(struct conns *conns, int fd, uint32_t high, uint64_t clients_max)
{
	uint64_t slots = clients_max + CONN_SPARE + 1;
	struct stat st;
	int err;

	*conns = (struct conns){ .fd = -1 };
	if (fstat(fd, &st) < 0 || high == 0 || (uint64_t)st.st_size < table_bytes(high)) {
		close(fd);
		return -EINVAL;
	}
	/* It never shrinks: conns may be anywhere in it. */
	if (slots < (uint64_t)st.st_size / sizeof(struct conn))
		slots = (uint64_t)st.st_size / sizeof(struct conn);
	err = table_open(conns, fd, slots);
	if (!err)
		conns->high = high;
	return err;
}

void conns_done(struct conns *conns)
{
	for (uint32_t slot = 1; conns->table && slot < conns->high; slot++)
		if (conns->table[slot].state != CONN_FREE)
			close(conns->table[slot].fd);
	if (conns->table)
		munmap(conns->table, table_bytes(conns->capacity));
	if (conns->fd >= 0)
		close(conns->fd);
	exchanges_done(&conns->exchanges);
	peers_done(&conns->peers);
	free(conns->input);
	*conns = (struct conns){ .fd = -1 };
}

struct conn *conns_at(const struct conns *conns, uint32_t slot)
{
	assert(slot > 0 && slot < conns->high);
	return &conns->table[slot];
}

uint32_t conns_slot(const struct conns *conns, const struct conn *conn)
{
	return (uint32_t)(conn - conns->table);
}

void conn_touch(const struct hub *hub, struct conn *conn)
{
	conn->since_ms = (uint32_t)hub->now_ms;
}

uint32_t conn_age_ms(const struct hub *hub, const struct conn *conn)
{
	return (uint32_t)hub->now_ms - conn->since_ms;
}

/* A slot for a new conn, or NULL. */
static struct conn *slot_take(struct conns *conns)
{
	uint32_t slot = conns->free;

	if (slot)
		conns->free = conns->table[slot].next;
	else if (conns->high < conns->capacity)
		slot = conns->high++;
	else
		return NULL;
	conns->count++;
	return &conns->table[slot];
}

static void slot_give_back(struct conns *conns, struct conn *conn)
{
	conns->refused -= !!(conn->flags & CONN_OVER_LIMIT);
	*conn = (struct conn){ .fd = -1,
			       .generation = (conn->generation + 1) & LOOP_GENERATION_MASK,
			       .next = conns->free };
	conns->free = conns_slot(conns, conn);
	conns->count--;
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
	struct conn *conn = slot_take(conns);

	if (!conn)
		return NULL;
	*conn = (struct conn){
		.fd = fd, .generation = conn->generation, .flags = flags, .state = CONN_HEAD
	};
	conn_touch(hub, conn);
	if (!(flags & CONN_PREFACE))
		conn_comes_from(hub, conn, ip);
	if (!(flags & CONN_CONTROL) && conns->count - conns->refused > hub->clients_max)
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
		slot_give_back(conns, conn);
	}
	close(fd);
	return err;
}

static void agenda_add(struct conns *conns, struct conn *conn)
{
	if (conn->flags & CONN_ON_AGENDA)
		return;
	conn->flags |= CONN_ON_AGENDA;
	conn->next = 0;
	if (conns->agenda)
		conns_at(conns, conns->agenda_last)->next = conns_slot(conns, conn);
	else
		conns->agenda = conns_slot(conns, conn);
	conns->agenda_last = conns_slot(conns, conn);
}

void conn_later(struct hub *hub, struct conn *conn, uint16_t flag)
{
	conn->flags |= flag;
	agenda_add(&hub->conns, conn);
}

uint32_t conns_agenda_take(struct conns *conns)
{
	uint32_t slot = conns->agenda;
	struct conn *conn = conns_at(conns, slot);

	conns->agenda = conn->next;
	conn->flags &= (uint16_t)~CONN_ON_AGENDA;
	return slot;
}

void conn_doom(struct hub *hub, struct conn *conn, enum stats_reason reason)
{
	if (conn->flags & CONN_DOOMED)
		return;
	if (conn->state == CONN_STREAM || conn->state == CONN_POLL)
		stream_close(hub, conn);
	conn->flags |= CONN_DOOMED;
	conn->reason = (uint8_t)reason;
	hub->conns.doomed++;
	agenda_add(&hub->conns, conn);
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

static void conn_close(struct hub *hub, struct conn *conn)
{
	struct conns *conns = &hub->conns;

	hub->stats.disconnects[conn->reason]++;
	log_cut(hub, conn);
	if (conn->exchange)
		exchange_return(&conns->exchanges, conn->exchange);
	peers_leave(&conns->peers, conn->peer);
	if (leaves_unread(conn))
		sock_abort(conn->fd);
	/* A parked duplicate would keep the connection open. */
	if (conn->flags & CONN_PARKED)
		shutdown(conn->fd, SHUT_RDWR);
	close(conn->fd);
	slot_give_back(conns, conn);
	conns->doomed--;
}

uint32_t conns_bury(struct hub *hub)
{
	struct conns *conns = &hub->conns;
	uint32_t buried = conns->doomed, last = conns->agenda_last, slot;

	if (!buried)
		return 0;
	/* All doomed are on the agenda; the others stay there, in their order. */
	do {
		struct conn *conn;

		slot = conns_agenda_take(conns);
		conn = &conns->table[slot];
		if (conn->flags & CONN_DOOMED)
			conn_close(hub, conn);
		else
			agenda_add(conns, conn);
	} while (slot != last);
	return buried;
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

	presence_claim(hub, conn);
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

	/* From the end, so that the free slots are given out from the beginning. */
	for (uint32_t slot = conns->high - 1; slot > 0; slot--) {
		struct conn *conn = &conns->table[slot];
		bool is_on_agenda = conn->flags & CONN_ON_AGENDA;

		if (conn->state == CONN_FREE) {
			conn->next = conns->free;
			conns->free = slot;
			continue;
		}
		conn->flags = (uint16_t)(conn->flags & ~(CONN_ON_AGENDA | CONN_DOOMED));
		if (!take_over(hub, conn, maps)) {
			/* Not a subscriber: there is no audience that it could leave. */
			conn->state = CONN_LINGER;
			presence_leave(hub, conn);
			conn_doom(hub, conn, REASON_ERROR);
			closed++;
		} else if (is_on_agenda) {
			agenda_add(conns, conn);
		}
	}
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

void conns_link_free(struct conns *conns)
{
	conns->free = 0;
	for (uint32_t slot = conns->high - 1; slot > 0; slot--) {
		if (conns->table[slot].state != CONN_FREE)
			continue;
		conns->table[slot].next = conns->free;
		conns->free = slot;
	}
}
