/*
 * source: events from standard input (--stdin).
 *
 * Reading never blocks the loop: a pipe or terminal is opened anew without blocking, so that
 * the other users of the same open file see no change; a regular file cannot block and is read in
 * slices. At the end of the input the daemon goes on, or ends, as --stdin-eof says. Its number is
 * given up with it, so that a writer who goes on is told (SIGPIPE) and does not wait for ever.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include "hub.h"

struct source {
	int fd;        /* -1 = none, or at its end */
	bool is_ready; /* there may be more to read without another kernel event */
	bool is_socket;
	struct hub *hub; /* borrowed */
	struct feed feed;
	struct log_limit limit; /* of lines about what was refused */
};

/* Opens standard input if --stdin says so. 0 or -errno. */
int source_init(struct source *source, struct hub *hub);

/*
 * An open source (or one at its end), packed; and the same in the next binary, in place of
 * source_init(). The format stays what it was. 0, -EINVAL or -ENOMEM.
 */
void source_pack(const struct source *source, struct buf *out);
int source_adopt(struct source *source, struct hub *hub, struct str packed);
void source_done(struct source *source);

/* Reads and publishes one slice: true while there may be more. */
bool source_read(struct source *source, struct hub *hub);

#endif
