/*
 * listener: the sockets that clients come in through.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <sys/types.h>

#include "hub.h"
#include "log.h"

struct listener {
	int fd;
	bool is_control;
	uint16_t flags;    /* of its conns: CONN_CONTROL, CONN_PREFACE (ADDR,proxy) */
	bool is_waiting;   /* connections may wait to be accepted */
	char *unlink_path; /* of a unix socket that we made; owned; removed at the end, … */
	dev_t unlink_dev;  /* … unless another program has put its own there meanwhile */
	ino_t unlink_ino;
	char *address;      /* as the configuration has it; owned */
	bool is_full;       /* the table had no room for one more of its conns */
	bool has_strangers; /* who waits there may have come before sock_prepare() */
};

enum { LISTENERS_PAUSE_MS = 100 }; /* then accepting is tried again: others may have let go */

struct listeners {
	struct listener items[2 * VALUE_LIST_MAX];
	uint32_t count;
	bool is_paused; /* no descriptors or memory: until a conn closes, or for LISTENERS_PAUSE_MS
			 */
	uint64_t paused_ms; /* monotonic: since when */
	struct log_limit limit, fast_limit;
};

/*
 * Bytes that the kernel receives ahead for a conn of a public and of a control listener. A head
 * fits; a flow of large events would be slower with half of the second, and is no faster with more.
 */
enum { LISTENER_RCVBUF = 64 << 10, LISTENER_CONTROL_RCVBUF = 128 << 10 };

/*
 * Opens everything that the configuration names; what is open already is taken out of `from`, the
 * listeners of an earlier binary, with who waits there, and the rest of these is closed. What
 * cannot be opened is left out, with a sentence to the log that names the address: the first such
 * -errno is returned. What was opened is for listeners_done().
 */
int listeners_open(struct listeners *listeners, struct hub *hub, struct listeners *from);

/*
 * Adds a socket that the manager has opened to `from`, for listeners_open(): such ones take the
 * place of all that are configured. 0; or -EINVAL for what does not listen, -ENOSPC or -ENOMEM.
 */
int listeners_pass(struct listeners *from, int fd, bool is_control);

/* The listeners of an earlier binary, packed; and those of them that are open are in `from`. */
void listeners_pack(const struct listeners *listeners, struct buf *out);
int listeners_unpack(struct listeners *from, struct str packed);

/* Closes them: nobody comes in any more. */
void listeners_done(struct listeners *listeners);

/* Connections wait at listener i. */
void listener_event(struct listeners *listeners, uint32_t i);

/* Accepts what waits, while the hub is not late: true if more waits. */
bool listeners_accept(struct listeners *listeners, struct hub *hub);

/* Accepting may work again if a conn has closed, or if it has been paused for a while. */
void listeners_resume(struct listeners *listeners, const struct hub *hub, bool has_closed);

#endif
