/*
 * target: see target.h.
 */
#include "target.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS_PER_ADDRESS = 20000 };

/* Older headers lack it; see ip(7). */
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static const char *resolve(const char *host, const char *port, struct sockaddr_in *address)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;

	if (getaddrinfo(host, port, &hints, &found))
		return "the host or the port is not known";
	memcpy(address, found->ai_addr, sizeof(*address));
	freeaddrinfo(found);
	return NULL;
}

const char *target_parse(const char *url, struct target *target)
{
	struct str rest = str_of(url), authority;
	char host[256], *colon;
	const char *port;

	*target = (struct target){ .is_redis = str_starts(rest, STR("redis://")) };
	if (!target->is_redis && !str_starts(rest, STR("http://")))
		return "a URL begins with http:// or redis://";
	rest = str_from(rest, str_find(rest, '/') + 2);
	authority = (struct str){ rest.p, str_find(rest, '/') };
	rest = str_from(rest, authority.n + target->is_redis);
	if (authority.n >= sizeof(host) || rest.n >= sizeof(target->path))
		return "the URL is too long";
	snprintf(target->host, sizeof(target->host), "%.*s", STR_ARG(authority));
	snprintf(target->path, sizeof(target->path), "%.*s", STR_ARG(rest));
	if (rest.n == 0)
		snprintf(target->path, sizeof(target->path), "%s",
			 target->is_redis ? "bench" : "/");
	snprintf(host, sizeof(host), "%s", target->host);
	colon = strrchr(host, ':');
	if (colon)
		*colon = '\0';
	port = colon ? colon + 1 : target->is_redis ? "6379" : "80";
	return resolve(host, port, &target->address);
}

void target_path(const struct target *target, uint32_t number, struct buf *out)
{
	const char *at = target->path, *mark;

	for (; (mark = strstr(at, "{}")); at = mark + 2) {
		buf_add(out, (struct str){ at, (size_t)(mark - at) });
		buf_addf(out, "%u", number);
	}
	buf_add(out, str_of(at));
}

bool target_is_numbered(const struct target *target)
{
	return strstr(target->path, "{}") != NULL;
}

/* Chooses the source address. 0 or -errno. */
static int bind_source(int fd, uint32_t number)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int on = 1;

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / CONNECTIONS_PER_ADDRESS);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ? -errno : 0;
}

int target_connect(const struct target *target, uint32_t number, int receive_bytes)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, err = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (ntohl(target->address.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET)
		err = bind_source(fd, number);
	if (!err &&
	    connect(fd, (const struct sockaddr *)&target->address, sizeof(target->address)) < 0 &&
	    errno != EINPROGRESS)
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}
