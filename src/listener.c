/*
 * listener: opens the listening sockets and accepts from them. See listener.h.
 */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "log.h"
#include "pack.h"
#include "sock.h"

/* In place of the address, for what the manager has opened: no address is written like this. */
#define PASSED "(passed by the manager)"

enum {
	CONTROL_SPARE = 32, /* of CONN_SPARE: slots that only conns of control listeners fill */
};

static const char *why_not(const char *text, int err)
{
	switch (-err) {
	case EADDRINUSE: return "another program listens there already";
	case EADDRNOTAVAIL: return "this machine does not have that address";
	case EEXIST: return "there is something else than a socket";
	case ENOENT:
		return str_starts(str_of(text), STR("unix:")) ? "its folder does not exist"
							      : "the host has no address";
	default: return strerror(-err);
	}
}

static int fail(const char *text, int err)
{
	log_error("cannot listen on %s: %s", text, why_not(text, err));
	return err;
}

/* Of the connections that come in there. */
static uint16_t conn_flags(const char *text, bool is_control)
{
	struct sock_address address;

	if (is_control)
		return CONN_CONTROL;
	return !sock_parse(text, &address) && address.has_header ? CONN_PREFACE : 0;
}

static struct sock_buffers buffers_of(const struct hub *hub, bool is_control)
{
	return (struct sock_buffers){ .send_bytes = hub->config.sndbuf_bytes,
				      .receive_bytes = is_control ? LISTENER_CONTROL_RCVBUF
								  : LISTENER_RCVBUF };
}

/* What lies at the path of a unix socket: false if nothing does. */
static bool path_identity(const char *path, dev_t *dev, ino_t *ino)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return false;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return true;
}

/* Has the path of a unix socket that lies there now removed at the end; takes the path. */
static void path_own(struct listener *listener, char *path)
{
	listener->unlink_path = path;
	if (path && !path_identity(path, &listener->unlink_dev, &listener->unlink_ino)) {
		free(path);
		listener->unlink_path = NULL;
	}
}

static void path_remove(const struct listener *listener)
{
	dev_t dev;
	ino_t ino;

	if (listener->unlink_path && path_identity(listener->unlink_path, &dev, &ino) &&
	    dev == listener->unlink_dev && ino == listener->unlink_ino)
		unlink(listener->unlink_path);
}

/* Opens one that is not in the list yet. 0 or -errno, with nothing left behind. */
static int listener_make(struct listener *listener, const struct hub *hub, const char *text,
			 const struct sock_address *address, bool is_control)
{
	struct sock_buffers buffers = buffers_of(hub, is_control);
	bool has_file = address->is_unix && address->path[0] != '@';
	char *path = has_file ? strdup(address->path) : NULL;
	int err = -ENOMEM;

	*listener = (struct listener){ .fd = -1,
				       .is_control = is_control,
				       .flags = conn_flags(text, is_control),
				       .address = strdup(text) };
	if (listener->address && (path || !has_file)) {
		listener->fd = sock_listen(address, &buffers);
		err = listener->fd < 0 ? listener->fd : 0;
	}
	if (err) {
		free(listener->address);
		free(path);
		return err;
	}
	path_own(listener, path);
	return 0;
}

static int listener_open(struct listeners *listeners, struct hub *hub, const char *text,
			 bool is_control)
{
	struct listener *listener = &listeners->items[listeners->count];
	struct sock_address address;
	const char *wrong = sock_parse(text, &address);
	struct buf name;
	int err;

	if (wrong) {
		log_error("cannot listen on '%s': %s", text, wrong);
		return -EINVAL;
	}
	if (is_control && address.has_header) {
		log_error("cannot listen on '%s': no balancer belongs before a control listener",
			  text);
		return -EINVAL;
	}
	err = listener_make(listener, hub, text, &address, is_control);
	if (err)
		return fail(text, err);
	listeners->count++;
	err = loop_add(&hub->loop, listener->fd, EPOLLIN,
		       (struct loop_key){ LOOP_LISTENER, listeners->count - 1, 0 });
	if (err)
		return fail(text, err);
	buf_init(&name, 512);
	sock_name(listener->fd, &name);
	log_info("%s on %.*s", is_control ? "control" : "listening", STR_ARG(buf_str(&name)));
	buf_done(&name);
	return 0;
}

/* Takes a listener over that is open already: true if there was one. */
static bool listener_take_over(struct listeners *listeners, struct hub *hub, struct listeners *from,
			       const char *text, bool is_control)
{
	struct loop_key key = { LOOP_LISTENER, listeners->count, 0 };
	struct sock_buffers buffers = buffers_of(hub, is_control);

	for (uint32_t i = 0; i < from->count; i++) {
		struct listener *old = &from->items[i];

		if (old->fd < 0 || old->is_control != is_control || !old->address ||
		    strcmp(old->address, text) != 0)
			continue;
		/* One that the manager has just passed is not in the loop yet. */
		if (loop_rekey(&hub->loop, old->fd, EPOLLIN, key) &&
		    loop_add(&hub->loop, old->fd, EPOLLIN, key))
			continue;
		sock_prepare(old->fd, &buffers);
		old->has_strangers = true;
		old->flags = conn_flags(text, is_control);
		listeners->items[listeners->count++] = *old;
		*old = (struct listener){ .fd = -1 };
		return true;
	}
	return false;
}

/* Takes over what is open of a list already, and notes what that is. */
static void list_take_over(struct listeners *listeners, struct hub *hub, struct listeners *from,
			   const struct value_list *list, bool is_control,
			   bool is_open[VALUE_LIST_MAX])
{
	bool is_passed = false;

	while (listener_take_over(listeners, hub, from, PASSED, is_control))
		is_passed = true;
	for (size_t i = 0; i < list->count; i++)
		is_open[i] = is_passed ||
			     listener_take_over(listeners, hub, from, list->items[i], is_control);
}

/* Opens the others, each that can be: 0, or the first error. */
static int list_open(struct listeners *listeners, struct hub *hub, const struct value_list *list,
		     bool is_control, const bool is_open[VALUE_LIST_MAX])
{
	int first = 0;

	for (size_t i = 0; i < list->count; i++) {
		int err = 0;

		if (!is_open[i])
			err = listener_open(listeners, hub, list->items[i], is_control);
		if (!first)
			first = err;
	}
	return first;
}

int listeners_open(struct listeners *listeners, struct hub *hub, struct listeners *from)
{
	const struct config *config = &hub->config;
	bool listens[VALUE_LIST_MAX] = { false }, controls[VALUE_LIST_MAX] = { false };
	int err, control_err;

	list_take_over(listeners, hub, from, &config->listen, false, listens);
	list_take_over(listeners, hub, from, &config->control, true, controls);
	/* What nobody wants any more may lie where something else is to be opened. */
	listeners_done(from);
	err = list_open(listeners, hub, &config->listen, false, listens);
	control_err = list_open(listeners, hub, &config->control, true, controls);
	return err ? err : control_err;
}

int listeners_pass(struct listeners *from, int fd, bool is_control)
{
	int flags = fcntl(fd, F_GETFL), listens = 0;
	socklen_t len = sizeof(listens);
	struct buf name;
	char *address;

	if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 ||
	    !listens || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -EINVAL;
	if (from->count == 2 * VALUE_LIST_MAX)
		return -ENOSPC;
	address = strdup(PASSED);
	if (!address)
		return -ENOMEM;
	from->items[from->count++] = (struct listener){
		.fd = fd, .is_control = is_control, .is_waiting = true, .address = address
	};
	buf_init(&name, 512);
	sock_name(fd, &name);
	log_info("%s on %.*s, which the manager has opened", is_control ? "control" : "listening",
		 STR_ARG(buf_str(&name)));
	buf_done(&name);
	return 0;
}

void listeners_pack(const struct listeners *listeners, struct buf *out)
{
	pack_u64(out, listeners->count);
	for (uint32_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->items[i];

		pack_u64(out, (uint64_t)listener->fd);
		pack_u64(out, listener->is_control);
		pack_u64(out, listener->is_waiting);
		pack_str(out, str_of(listener->unlink_path));
		pack_str(out, str_of(listener->address));
	}
}

/* A text of our own, or NULL for an empty one. 0 or -ENOMEM. */
static int unpack_text(struct unpack *in, char **text)
{
	struct str packed = unpack_str(in);

	*text = packed.n ? strndup(packed.p, packed.n) : NULL;
	return packed.n && !*text ? -ENOMEM : 0;
}

int listeners_unpack(struct listeners *from, struct str packed)
{
	struct unpack in = { .rest = packed };
	uint64_t count = unpack_u64(&in, 2 * VALUE_LIST_MAX);
	int err = 0;

	*from = (struct listeners){ .count = (uint32_t)count };
	for (uint32_t i = 0; i < count; i++) {
		struct listener *listener = &from->items[i];
		char *path;

		listener->fd = (int)unpack_u64(&in, INT32_MAX);
		listener->is_control = unpack_bool(&in);
		listener->is_waiting = unpack_bool(&in);
		if (unpack_text(&in, &path) || unpack_text(&in, &listener->address))
			err = -ENOMEM;
		path_own(listener, path);
	}
	return in.is_damaged ? -EINVAL : err;
}

void listeners_done(struct listeners *listeners)
{
	for (uint32_t i = 0; i < listeners->count; i++) {
		struct listener *listener = &listeners->items[i];

		/* In this order: a closed one could be replaced by another program's. */
		path_remove(listener);
		if (listener->fd >= 0)
			close(listener->fd);
		free(listener->unlink_path);
		free(listener->address);
	}
	*listeners = (struct listeners){ .count = 0 };
}

void listener_event(struct listeners *listeners, uint32_t i)
{
	if (i < listeners->count)
		listeners->items[i].is_waiting = true;
}

static void say_pause(struct listeners *listeners, struct hub *hub, const char *why)
{
	if (log_allow(&listeners->limit, hub->now_ms, 1, "pauses in accepting"))
		log_warning("accepting no more clients until one goes: %s", why);
	hub->stats.accept_pauses++;
}

/* Stops accepting until a conn closes; nobody is turned away, they wait in the backlog. */
static void pause_accepting(struct listeners *listeners, struct hub *hub, const char *why)
{
	say_pause(listeners, hub, why);
	listeners->is_paused = true;
	listeners->paused_ms = hub->now_ms;
}

/* Whether the address comes more often than --max-accepts-per-ip allows; says so now and then. */
static bool is_too_fast(struct listeners *listeners, const struct listener *listener,
			struct hub *hub, const struct in6_addr *ip)
{
	struct buf who;

	if (listener->flags & (CONN_CONTROL | CONN_PREFACE) || IN6_IS_ADDR_UNSPECIFIED(ip) ||
	    ipnets_have(&hub->trusted, ip) ||
	    rate_allows(&hub->rate, ip, hub->now_ms, hub->config.accepts_per_ip_max))
		return false;
	if (!log_allow(&listeners->fast_limit, hub->now_ms, 1, "floods of connections"))
		return true;
	buf_init(&who, 64);
	sock_ip_write(ip, &who);
	log_warning("%.*s connects more often than --max-accepts-per-ip allows",
		    STR_ARG(buf_str(&who)));
	buf_done(&who);
	return true;
}

/* Whether the table has no room. The last slots are for publishers and operators. */
static bool is_full(struct listeners *listeners, struct listener *listener, struct hub *hub)
{
	const struct conns *conns = &hub->conns;
	bool was_full = listener->is_full;

	listener->is_full =
		conns->count + (listener->is_control ? 0 : CONTROL_SPARE) >= conns->capacity - 1;
	if (listener->is_full && !was_full)
		say_pause(listeners, hub, "the table is full (--max-clients)");
	return listener->is_full;
}

/* Accepts one: true if another one may wait. */
static bool accept_one(struct listeners *listeners, struct listener *listener, struct hub *hub)
{
	struct sock_buffers buffers = buffers_of(hub, listener->is_control);
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof(from);
	struct in6_addr ip;
	int fd, err;

	/* Without CLOEXEC: the next binary takes the connections over. */
	fd = accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK);
	if (fd < 0) {
		err = errno;
		listener->is_waiting = err != EAGAIN;
		listener->has_strangers &= listener->is_waiting;
		if (err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM)
			pause_accepting(listeners, hub, strerror(err));
		return listener->is_waiting && !listeners->is_paused;
	}
	hub->stats.accepts++;
	if (from.ss_family == AF_UNIX || listener->has_strangers)
		sock_prepare(fd, &buffers);
	ip = sock_peer_ip(&from);
	if (is_too_fast(listeners, listener, hub, &ip)) {
		hub->stats.disconnects[REASON_TOO_FAST]++;
		close(fd);
		return true;
	}
	err = conn_open(hub, fd, &ip, listener->flags);
	if (err) {
		hub->stats.disconnects[REASON_ERROR]++;
		pause_accepting(listeners, hub, strerror(-err));
	}
	return !err;
}

bool listeners_accept(struct listeners *listeners, struct hub *hub)
{
	bool more = false;

	for (uint32_t i = 0; i < listeners->count; i++) {
		struct listener *listener = &listeners->items[i];

		while (listener->is_waiting && !listeners->is_paused &&
		       !is_full(listeners, listener, hub) && accept_one(listeners, listener, hub))
			if (hub_is_late(hub))
				break;
		/* Room comes when a conn is closed: in a turn, and before this is tried again. */
		more |= listener->is_waiting && !listener->is_full;
	}
	return more && !listeners->is_paused;
}

void listeners_resume(struct listeners *listeners, const struct hub *hub, bool has_closed)
{
	if (has_closed || hub->now_ms - listeners->paused_ms >= LISTENERS_PAUSE_MS)
		listeners->is_paused = false;
}
