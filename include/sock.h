/*
 * sock: listening sockets from the addresses that an operator writes, and the peers of accepted
 * ones. Knows TCP and unix sockets, and nothing of what is said on them.
 */
#ifndef SOCK_H
#define SOCK_H

#include <netinet/in.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "buf.h"

/* An address as written: `3000`, `host:3000`, `[::1]:3000`, `unix:/path`; `,proxy` behind it. */
struct sock_address {
	bool is_unix;
	bool has_header; /* each connection begins with a PROXY header */
	char host[256];  /* of TCP; "" = every address */
	char port[6];
	char path[108]; /* of unix; a leading '@' is the abstract namespace */
};

/* Returns NULL, or a sentence (a constant) that says what is wrong with text. */
const char *sock_parse(const char *text, struct sock_address *address);

/* What the kernel may hold for an accepted socket, in bytes; 0 = as it likes. It doubles both. */
struct sock_buffers {
	uint64_t send_bytes, receive_bytes;
};

/*
 * Opens a listening socket: non-blocking, with what accepted sockets inherit from it (TCP_NODELAY,
 * keep-alive probes, the buffers). A unix socket gets mode 0660; a dead one that is in the way is
 * replaced, a living one is not.
 * Returns the descriptor, or -errno (-EADDRINUSE; -EEXIST if something else than a socket is in the
 * way; -ENOENT if the host has no address, or the unix socket no folder).
 */
int sock_listen(const struct sock_address *address, const struct sock_buffers *buffers);

/*
 * Sets on a listening socket what accepted ones inherit, where it was opened elsewhere; and on an
 * accepted one that has not inherited it (those of unix sockets inherit nothing).
 */
void sock_prepare(int fd, const struct sock_buffers *buffers);

/* Appends where fd listens: `http://127.0.0.1:3000` or `unix:/path`. */
void sock_name(int fd, struct buf *out);

/*
 * Gives the pieces (one at least) to the kernel in one system call, which never blocks: how many
 * bytes it took, or -errno.
 */
ssize_t sock_send(int fd, const struct iovec *pieces, size_t count);

enum { SOCK_PIECES_MAX = 64 };

/* What goes out in one system call; all zeros is nothing. */
struct sock_pieces {
	size_t count, bytes;
	struct iovec list[SOCK_PIECES_MAX];
};

/* Adds bytes (borrowed), to the last piece if they lie behind it. False where that is one too many.
 */
bool sock_pieces_add(struct sock_pieces *pieces, struct str bytes);

/* What the kernel calls the socket, for as long as the machine runs; 0 if it does not say. */
uint64_t sock_cookie(int fd);

/*
 * How many bytes the kernel has taken on a TCP socket, from wherever it begins to count. 0, or
 * -errno for one that is no TCP socket.
 */
int sock_written(int fd, uint64_t *bytes);

/* Whether the kernel still has bytes for the peer. */
bool sock_has_unsent(int fd);

/* Closing it will drop them, and tell the peer by a reset. */
void sock_abort(int fd);

struct sockaddr_storage;

/* The address of an accepted socket's peer; IPv4 mapped to ::ffff:a.b.c.d, unix all zero. */
struct in6_addr sock_peer_ip(const struct sockaddr_storage *from);

/* The same of a connected socket: false if it is connected no more. */
bool sock_peer(int fd, struct in6_addr *ip);

/* Appends such an address: `192.0.2.7`, `2001:db8::7`, or `unix`. */
void sock_ip_write(const struct in6_addr *ip, struct buf *out);

#endif
