/*
 * sock: listening sockets and peers. See sock.h.
 */
#include "sock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* The kernel caps this at net.core.somaxconn. */
enum { BACKLOG = 65535 };

/* A peer that is gone without a word is noticed after 60 + 4 * 15 seconds of silence. */
enum { KEEPALIVE_IDLE_S = 60, KEEPALIVE_EVERY_S = 15, KEEPALIVE_PROBES = 4 };

static bool is_port(struct str s)
{
	uint64_t port;

	return str_to_u64(s, 65535, &port) == 0 && s.n <= 5;
}

static const char *parse_unix(struct str path, struct sock_address *address)
{
	if (path.n == 0)
		return "unix: needs the path of a socket, as in unix:/run/ssecastd/control.sock";
	if (path.n >= sizeof(address->path))
		return "the path of a unix socket may have 107 bytes at most";
	address->is_unix = true;
	memcpy(address->path, path.p, path.n);
	return NULL;
}

const char *sock_parse(const char *text, struct sock_address *address)
{
	const struct str header = STR(",proxy");
	struct str s = str_of(text), host = { NULL, 0 }, port = s;

	*address = (struct sock_address){ 0 };
	if (s.n >= header.n && str_eq(str_from(s, s.n - header.n), header)) {
		address->has_header = true;
		s.n -= header.n;
		port = s;
	}
	if (str_starts(s, STR("unix:")))
		return parse_unix(str_from(s, 5), address);
	for (size_t i = s.n; i-- > 0;) {
		if (s.p[i] != ':')
			continue;
		host = (struct str){ s.p, i };
		port = str_from(s, i + 1);
		break;
	}
	if (!is_port(port))
		return "the port must be a number from 0 to 65535";
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){ host.p + 1, host.n - 2 };
	else if (str_find(host, ':') < host.n)
		return "an IPv6 address goes in brackets, as in [::1]:3000";
	if (host.n >= sizeof(address->host))
		return "the host name is too long";
	if (host.n)
		memcpy(address->host, host.p, host.n);
	memcpy(address->port, port.p, port.n);
	return NULL;
}

static void set_buffer(int fd, int name, uint64_t bytes)
{
	int value = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;

	if (value > 0)
		setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value));
}

void sock_prepare(int fd, const struct sock_buffers *buffers)
{
	int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S, probes = KEEPALIVE_PROBES;

	/* Options that do not exist for this family of socket fail, and that is as it should be. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	set_buffer(fd, SO_SNDBUF, buffers->send_bytes);
	set_buffer(fd, SO_RCVBUF, buffers->receive_bytes);
}

static socklen_t unix_name(const char *path, struct sockaddr_un *name)
{
	size_t n = strlen(path);

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	assert(n < sizeof(name->sun_path));
	memcpy(name->sun_path, path, n);
	if (path[0] != '@')
		return sizeof(*name);
	name->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* Removes the socket that nobody answers on any more, if one lies at that path. 0 or -EEXIST. */
static int clear_path(const char *path, const struct sockaddr_un *name, socklen_t name_len)
{
	struct stat st;
	bool dead;
	int fd;

	if (path[0] == '@' || lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	dead = connect(fd, (const struct sockaddr *)name, name_len) < 0 && errno == ECONNREFUSED;
	close(fd);
	if (dead)
		unlink(path);
	return 0;
}

/* Binds fd and listens; on failure closes it, and removes the file at path (NULL: none) that the
 * bind has made. Returns fd or -errno. */
static int bind_and_listen(int fd, const struct sockaddr *name, socklen_t name_len,
			   const char *path)
{
	int err = bind(fd, name, name_len) < 0 ? -errno : 0;
	bool is_bound = !err;

	if (is_bound && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (!err)
		return fd;
	if (is_bound && path)
		unlink(path);
	close(fd);
	return err;
}

static int listen_unix(const char *path, const struct sock_buffers *buffers)
{
	struct sockaddr_un name;
	socklen_t name_len = unix_name(path, &name);
	mode_t mask;
	int fd = clear_path(path, &name, name_len);

	if (fd < 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	sock_prepare(fd, buffers);
	mask = umask(0117);
	fd = bind_and_listen(fd, (const struct sockaddr *)&name, name_len,
			     path[0] == '@' ? NULL : path);
	umask(mask);
	return fd;
}

static int listen_tcp(const struct addrinfo *info, const struct sock_buffers *buffers)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, off = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* `[::]:3000` and a bare port serve IPv4 as well. */
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	sock_prepare(fd, buffers);
	return bind_and_listen(fd, info->ai_addr, info->ai_addrlen, NULL);
}

int sock_listen(const struct sock_address *address, const struct sock_buffers *buffers)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	const char *host = address->host[0] ? address->host : "::";
	int fd;

	if (address->is_unix)
		return listen_unix(address->path, buffers);
	hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
	if (getaddrinfo(host, address->port, &hints, &found) != 0)
		return -ENOENT;
	fd = listen_tcp(found, buffers);
	freeaddrinfo(found);
	if (fd != -EAFNOSUPPORT || address->host[0])
		return fd;
	/* A machine without IPv6: every IPv4 address, then. */
	if (getaddrinfo("0.0.0.0", address->port, &hints, &found) != 0)
		return -ENOENT;
	fd = listen_tcp(found, buffers);
	freeaddrinfo(found);
	return fd;
}

static void unix_name_write(const struct sockaddr_un *name, socklen_t len, struct buf *out)
{
	size_t n = len - offsetof(struct sockaddr_un, sun_path);

	buf_add(out, STR("unix:"));
	if (n == 0)
		return;
	if (name->sun_path[0] == '\0')
		buf_addf(out, "@%.*s", (int)n - 1, name->sun_path + 1);
	else
		buf_addf(out, "%.*s", (int)n, name->sun_path);
}

void sock_name(int fd, struct buf *out)
{
	struct sockaddr_storage name = { 0 };
	socklen_t len = sizeof(name);
	char ip[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return;
	if (name.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&name;

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		buf_addf(out, "http://%s:%u", ip, ntohs(in->sin_port));
	} else if (name.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&name;

		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		buf_addf(out, "http://[%s]:%u", ip, ntohs(in6->sin6_port));
	} else {
		unix_name_write((const struct sockaddr_un *)&name, len, out);
	}
}

ssize_t sock_send(int fd, const struct iovec *pieces, size_t count)
{
	/* At most IOV_MAX, whose type is not that of any libc's field. */
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)pieces,
				  .msg_iovlen = (uint16_t)count };
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
	ssize_t n;

	/* One piece, as it mostly is, needs no list: the kernel then copies none in. */
	n = count == 1 ? send(fd, pieces->iov_base, pieces->iov_len, flags)
		       : sendmsg(fd, &message, flags);
	return n < 0 ? -errno : n;
}

bool sock_pieces_add(struct sock_pieces *pieces, struct str bytes)
{
	struct iovec *last = pieces->list + pieces->count - (pieces->count > 0);

	if (pieces->count > 0 && (char *)last->iov_base + last->iov_len == bytes.p)
		last->iov_len += bytes.n;
	else if (pieces->count == SOCK_PIECES_MAX)
		return false;
	else
		pieces->list[pieces->count++] =
			(struct iovec){ (char *)(uintptr_t)bytes.p, bytes.n };
	pieces->bytes += bytes.n;
	return true;
}

struct in6_addr sock_peer_ip(const struct sockaddr_storage *from)
{
	struct in6_addr ip = { 0 };

	if (from->ss_family == AF_INET6) {
		ip = ((const struct sockaddr_in6 *)from)->sin6_addr;
	} else if (from->ss_family == AF_INET) {
		ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
		memcpy(&ip.s6_addr[12], &((const struct sockaddr_in *)from)->sin_addr, 4);
	}
	return ip;
}

bool sock_peer(int fd, struct in6_addr *ip)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof(from);

	if (getpeername(fd, (struct sockaddr *)&from, &len) < 0)
		return false;
	*ip = sock_peer_ip(&from);
	return true;
}

void sock_ip_write(const struct in6_addr *ip, struct buf *out)
{
	char text[INET6_ADDRSTRLEN] = "unix";

	if (IN6_IS_ADDR_V4MAPPED(ip))
		inet_ntop(AF_INET, &ip->s6_addr[12], text, sizeof(text));
	else if (!IN6_IS_ADDR_UNSPECIFIED(ip))
		inet_ntop(AF_INET6, ip, text, sizeof(text));
	buf_add(out, str_of(text));
}

uint64_t sock_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ? 0 : cookie;
}

static int read_acked(int fd, uint64_t *acked)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	*acked = info.tcpi_bytes_acked;
	return 0;
}

int sock_written(int fd, uint64_t *bytes)
{
	uint64_t before, after = 0;
	int queued = 0, err = read_acked(fd, &after);

	/* What is acknowledged between the two questions leaves the queue: ask until nothing was.
	 */
	do {
		before = after;
		if (!err && ioctl(fd, SIOCOUTQ, &queued) < 0)
			err = -errno;
		if (!err)
			err = read_acked(fd, &after);
	} while (!err && before != after);
	if (!err)
		*bytes = after + (uint64_t)queued;
	return err;
}

bool sock_has_unsent(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void sock_abort(int fd)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}
