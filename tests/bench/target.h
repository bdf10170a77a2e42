/*
 * target: where to connect to, from a URL: http://host:port/path or redis://host:port/channel.
 */
#ifndef TARGET_H
#define TARGET_H

#include <netinet/in.h>

#include "buf.h"

struct target {
	bool is_redis;
	char host[256]; /* as in the Host field: with the port, if the URL has one */
	char path[4096];
	struct sockaddr_in address;
};

/* NULL, or what is wrong with the URL (a constant). Looks the name up. */
const char *target_parse(const char *url, struct target *target);

/* Appends the path with each `{}` in it replaced by number. */
void target_path(const struct target *target, uint32_t number, struct buf *out);

/* Whether the path has a `{}`. */
bool target_is_numbered(const struct target *target);

/*
 * A non-blocking socket that is being connected, or -errno. To a loopback address each 20,000
 * connections, by number, come from an address of their own (127.0.0.1, 127.0.0.2, …), so that
 * ports do not run out. receive_bytes: of the receive buffer, 0 = as the kernel likes.
 */
int target_connect(const struct target *target, uint32_t number, int receive_bytes);

#endif
