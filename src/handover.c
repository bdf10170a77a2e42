/*
 * handover: packs and unpacks the state of a server. See handover.h.
 *
 * Indices of audiences, peers and exchanges are not kept: each is made anew, by the functions that
 * make it for a client, and a map from the old index to the new one links the conns. While that
 * goes on, one membership more holds each of them.
 */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "pack.h"
#include "publish.h"
#include "version.h"

enum {
	INDEX_MAX = 1 << 28, /* of a map */
	SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

#define MAGIC     STR("ssehand1")
#define STATE_MAX ((size_t)1 << 32) /* bytes */
#define STATS_MAX ((size_t)1 << 20)

/* --- writing --- */

static void pack_peers(const struct peers *peers, struct buf *out)
{
	for (uint32_t i = 1; i < peers->count; i++) {
		const struct peer *peer = &peers->table[i];

		if (peer->conns == 0 || peer->is_network)
			continue;
		pack_u64(out, i);
		pack_str(out, (struct str){ (const char *)&peer->ip, sizeof(peer->ip) });
	}
}

static void pack_topics(const struct topics *topics, struct buf *out)
{
	for (uint32_t i = 1; i < topics->audiences.count; i++) {
		size_t begun;

		if (!topics->audiences.table[i].selectors)
			continue;
		pack_u64(out, i);
		pack_u64(out, topics->audiences.table[i].last_send_ms);
		pack_u64(out, topics->audiences.table[i].tally);
		begun = pack_begin(out);
		topics_pack(topics, i, out);
		pack_end(out, begun);
	}
}

static void pack_exchanges(const struct conns *conns, struct buf *out)
{
	for (uint32_t slot = 1; slot < conns->high; slot++) {
		uint32_t index = conns->table[slot].exchange;
		size_t begun;

		if (!index)
			continue;
		pack_u64(out, index);
		begun = pack_begin(out);
		exchange_pack(exchange_at(&conns->exchanges, index), out);
		pack_end(out, begun);
	}
}

/* The counters cross by their names in the metrics: so no layout ties the versions together. */
static void pack_stats(const struct hub *hub, struct buf *out)
{
	struct stats_gauges gauges;
	struct buf text;

	hub_gauges(hub, &gauges);
	buf_init(&text, STATS_MAX);
	stats_write(&hub->stats, &gauges, &text);
	if (text.err && !out->err)
		out->err = text.err;
	pack_str(out, buf_str(&text));
	buf_done(&text);
}

static void pack_server(const struct server *server, uint64_t begun_ns, struct buf *out)
{
	const struct hub *hub = &server->hub;
	size_t begun;

	buf_add(out, MAGIC);
	pack_u64(out, HANDOVER_VERSION);
	pack_str(out, STR(SSECAST_VERSION));
	pack_u64(out, begun_ns);
	pack_u64(out, hub->started_ms);
	pack_u64(out, (uint64_t)hub->loop.epoll_fd);
	pack_u64(out, (uint64_t)hub->ring.fd);
	pack_u64(out, (uint64_t)hub->conns.fd);
	pack_u64(out, (uint64_t)server->ticker.timer_fd);
	pack_u64(out, hub->trace.header ? (uint64_t)hub->trace.fd + 1 : 0);
	for (int i = 0; i < PARK_ENDS; i++)
		pack_u64(out, hub->trace.header ? (uint64_t)hub->park.ends[i] : 0);
	pack_u64(out, CONN_LAYOUT);
	pack_u64(out, hub->conns.high);
	pack_u64(out, hub->config.tick_interval_ms);
	pack_u64(out, hub->config.stdin_format);
	pack_u64(out, hub->config.ring_bytes);
	begun = pack_begin(out);
	listeners_pack(&server->listeners, out);
	pack_end(out, begun);
	begun = pack_begin(out);
	source_pack(&server->source, out);
	pack_end(out, begun);
	begun = pack_begin(out);
	park_pack(&hub->park, out);
	pack_end(out, begun);
	begun = pack_begin(out);
	pack_peers(&hub->conns.peers, out);
	pack_end(out, begun);
	begun = pack_begin(out);
	pack_topics(&hub->topics, out);
	pack_end(out, begun);
	begun = pack_begin(out);
	pack_exchanges(&hub->conns, out);
	pack_end(out, begun);
	pack_stats(hub, out);
	begun = pack_begin(out);
	presences_pack(&hub->presences, out);
	pack_end(out, begun);
}

static int write_all(int fd, struct str bytes)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n < 0)
			return -errno;
		bytes = str_from(bytes, (size_t)n);
	}
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int handover_write(const struct server *server, uint64_t begun_ns)
{
	int fd = memfd_create("ssecast-handover", MFD_ALLOW_SEALING), err;
	struct buf out;

	if (fd < 0)
		return -errno;
	buf_init(&out, STATE_MAX);
	pack_server(server, begun_ns, &out);
	err = out.err ? out.err : write_all(fd, buf_str(&out));
	buf_done(&out);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static void set_survives(int fd, bool survives)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, survives ? 0 : FD_CLOEXEC);
}

void handover_inherit(const struct server *server, bool survives)
{
	const struct conns *conns = &server->hub.conns;

	set_survives(server->hub.ring.fd, survives);
	set_survives(conns->fd, survives);
	set_survives(server->ticker.timer_fd, survives);
	set_survives(server->source.fd, survives);
	set_survives(server->hub.trace.fd, survives);
	for (int i = 0; i < PARK_ENDS && server->hub.trace.header; i++)
		set_survives(server->hub.park.ends[i], survives);
	for (uint32_t slot = 1; slot < conns->high; slot++)
		if (conns->table[slot].exchange)
			set_survives(exchange_at(&conns->exchanges, conns->table[slot].exchange)
					     ->file_fd,
				     survives);
}

/* --- reading --- */

/* Maps the memfd, which nobody can change any more. 0 or -errno. */
static int map(struct handover *handover)
{
	int seals = fcntl(handover->fd, F_GET_SEALS);
	struct stat st;
	void *bytes;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(handover->fd, &st) < 0 ||
	    st.st_size <= 0)
		return -EINVAL;
	handover->size = (size_t)st.st_size;
	bytes = mmap(NULL, handover->size, PROT_READ, MAP_PRIVATE, handover->fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	handover->bytes = bytes;
	return 0;
}

static int unpack_fd(struct unpack *in)
{
	return (int)unpack_u64(in, INT32_MAX);
}

static const char *unpack_all(struct handover *handover)
{
	struct unpack in = { .rest = { handover->bytes, handover->size } };
	uint64_t version, layout;

	if (!str_starts(in.rest, MAGIC))
		return "what was handed over is no state of this daemon";
	in.rest = str_from(in.rest, MAGIC.n);
	version = unpack_u64(&in, UINT64_MAX);
	if (version < HANDOVER_OLDEST)
		return "the state is of a version that is too old for this binary";
	if (version > HANDOVER_VERSION)
		return "the state is of a newer version than this binary can read";
	handover->from = unpack_str(&in);
	handover->begun_ns = unpack_u64(&in, UINT64_MAX);
	handover->started_ms = unpack_u64(&in, UINT64_MAX);
	handover->epoll_fd = unpack_fd(&in);
	handover->ring_fd = unpack_fd(&in);
	handover->conns_fd = unpack_fd(&in);
	handover->tick_fd = unpack_fd(&in);
	handover->trace_fd = unpack_fd(&in) - 1;
	for (int i = 0; i < PARK_ENDS; i++)
		handover->park_ends[i] = unpack_fd(&in);
	layout = unpack_u64(&in, UINT32_MAX);
	handover->high = (uint32_t)unpack_u64(&in, UINT32_MAX);
	handover->tick_interval_ms = unpack_u64(&in, UINT64_MAX);
	handover->stdin_format = (enum config_stdin)unpack_u64(&in, CONFIG_STDIN_NDJSON);
	handover->ring_bytes = unpack_u64(&in, UINT64_MAX);
	handover->listeners = unpack_str(&in);
	handover->source = unpack_str(&in);
	handover->park = unpack_str(&in);
	handover->peers = unpack_str(&in);
	handover->topics = unpack_str(&in);
	handover->exchanges = unpack_str(&in);
	handover->stats = unpack_str(&in);
	handover->presences = unpack_str(&in);
	if (in.is_damaged || handover->high == 0)
		return "the state is damaged";
	if (layout != CONN_LAYOUT)
		return "the table of connections has another layout than this binary's";
	return NULL;
}

const char *handover_read(struct handover *handover, int fd)
{
	*handover = (struct handover){ .fd = fd };
	return map(handover) ? "what was handed over is no sealed memory" : unpack_all(handover);
}

void handover_done(struct handover *handover)
{
	if (handover->bytes)
		munmap((void *)(uintptr_t)handover->bytes, handover->size);
	if (handover->fd >= 0)
		close(handover->fd);
	*handover = (struct handover){ .fd = -1 };
}

/* Notes that old is now new. 0 or -ENOMEM. */
static int map_set(uint32_t **map, uint32_t *count, uint32_t old, uint32_t new)
{
	if (old >= *count) {
		uint32_t to = old < INDEX_MAX / 2 ? old * 2 + 64 : INDEX_MAX;
		uint32_t *grown = realloc(*map, to * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memset(grown + *count, 0, (to - *count) * sizeof(*grown));
		*map = grown;
		*count = to;
	}
	(*map)[old] = new;
	return 0;
}

static int restore_peers(struct peers *peers, struct str packed, struct conns_maps *maps)
{
	struct unpack in = { .rest = packed };
	int err = 0;

	while (in.rest.n && !err) {
		uint32_t old = (uint32_t)unpack_u64(&in, INDEX_MAX - 1), index;
		struct str ip_bytes = unpack_str(&in);
		struct in6_addr ip;

		if (in.is_damaged || ip_bytes.n != sizeof(ip))
			return -EINVAL;
		memcpy(&ip, ip_bytes.p, sizeof(ip));
		index = peers_enter(peers, &ip);
		err = index ? map_set(&maps->peers, &maps->peer_count, old, index) : -ENOMEM;
	}
	return err;
}

static int restore_topics(struct hub *hub, struct str packed, struct conns_maps *maps)
{
	struct unpack in = { .rest = packed };
	int err = 0;

	while (in.rest.n && !err) {
		uint32_t old = (uint32_t)unpack_u64(&in, INDEX_MAX - 1), index;
		uint64_t last_send_ms = unpack_u64(&in, UINT64_MAX);
		uint32_t tally = (uint32_t)unpack_u64(&in, UINT32_MAX);
		struct str audience = unpack_str(&in);

		if (in.is_damaged)
			return -EINVAL;
		err = topics_rejoin(&hub->topics, audience, &index);
		if (err)
			break;
		topics_audience(&hub->topics, index)->last_send_ms = last_send_ms;
		if (hub->trace.header && tally < hub->trace.header->tally_high)
			topics_audience(&hub->topics, index)->tally = tally;
		err = map_set(&maps->audiences, &maps->audience_count, old, index);
	}
	return err;
}

static int restore_exchanges(struct hub *hub, struct str packed, struct conns_maps *maps,
			     bool is_trial)
{
	struct exchanges *exchanges = &hub->conns.exchanges;
	struct unpack in = { .rest = packed };
	int err = 0;

	while (in.rest.n && !err) {
		uint32_t old = (uint32_t)unpack_u64(&in, INDEX_MAX - 1);
		uint32_t index = exchange_borrow(exchanges);
		struct str bytes = unpack_str(&in);
		struct exchange *exchange;
		int file_fd;

		if (!index)
			return -ENOMEM;
		exchange = exchange_at(exchanges, index);
		err = in.is_damaged ? -EINVAL
				    : exchange_unpack(exchange, bytes, hub->config.body_bytes_max,
						      &file_fd);
		if (err)
			break;
		if (!is_trial)
			exchange->file_fd = file_fd;
		if (file_fd >= 0 && !is_trial)
			set_survives(file_fd, false);
		if (exchange->sink == SINK_FEED)
			publish_feed_resume(exchange);
		exchange_count(exchanges, exchange);
		err = map_set(&maps->exchanges, &maps->exchange_count, old, index);
	}
	return err;
}

static void release_audience(struct hub *hub, uint32_t index)
{
	struct audience *audience;

	if (!index)
		return;
	audience = topics_audience(&hub->topics, index);
	if (audience->members == 1 && audience->tally)
		trace_undefine(&hub->trace, audience->tally);
	topics_leave(&hub->topics, index);
}

/* Gives back the memberships that held everything, and the exchanges that no conn has claimed. */
static void release(struct hub *hub, struct conns_maps *maps, bool is_trial)
{
	for (uint32_t i = 0; i < maps->audience_count; i++)
		release_audience(hub, maps->audiences[i]);
	for (uint32_t i = 0; i < maps->peer_count; i++)
		peers_leave(&hub->conns.peers, maps->peers[i]);
	for (uint32_t i = 0; i < maps->exchange_count && !is_trial; i++)
		if (maps->exchanges[i])
			exchange_return(&hub->conns.exchanges, maps->exchanges[i]);
	free(maps->audiences);
	free(maps->peers);
	free(maps->exchanges);
}

int handover_restore(const struct handover *handover, struct hub *hub, uint32_t *closed)
{
	bool is_trial = !hub->conns.table;
	struct conns_maps maps = { 0 };
	int err;

	*closed = 0;
	err = restore_peers(&hub->conns.peers, handover->peers, &maps);
	if (!err)
		err = restore_topics(hub, handover->topics, &maps);
	if (!err)
		err = restore_exchanges(hub, handover->exchanges, &maps, is_trial);
	if (!err)
		err = presences_unpack(&hub->presences, handover->presences);
	if (!err && !is_trial)
		*closed = conns_take_over(hub, &maps);
	presences_settle(&hub->presences);
	stats_read(&hub->stats, handover->stats);
	hub->started_ms = handover->started_ms;
	release(hub, &maps, is_trial);
	return err;
}
