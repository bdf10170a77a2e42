/*
 * systemd: the notify protocol (sd_notify(3)) spoken by hand, without libsystemd.
 */
#ifndef SYSTEMD_H
#define SYSTEMD_H

#include <stddef.h>
#include <stdint.h>

#include "str.h"

/* The socket named by $NOTIFY_SOCKET (a path, or "@name" in the abstract namespace), opened once.
 */
struct systemd {
	int notify_fd;        /* -1: nobody wants to know */
	uint64_t watchdog_ms; /* half of $WATCHDOG_USEC, when $WATCHDOG_PID is us or unset; 0 = no
				 watchdog */
};

/* Reads the environment. Never fails: without a manager every call does nothing. */
void systemd_init(struct systemd *systemd);
void systemd_done(struct systemd *systemd);

/* What the manager has passed (sd_listen_fds(3)). */
enum { SYSTEMD_PASSED_MAX = 64 };

struct systemd_passed {
	int fds[SYSTEMD_PASSED_MAX];
	struct str names[SYSTEMD_PASSED_MAX]; /* empty where it has none; valid as long as text */
	size_t count;
	char *text; /* owned */
};

/*
 * Takes the descriptors that the manager has passed to this process; those beyond
 * SYSTEMD_PASSED_MAX are closed. The environment forgets them, so that they are asked for once. 0,
 * or -ENOMEM with nothing taken.
 */
int systemd_take(struct systemd_passed *passed);

/* Closes those that are still there (not -1). */
void systemd_passed_done(struct systemd_passed *passed);

/*
 * Gives descriptors to the manager, which keeps them for the next process and passes them to it
 * under that name; and takes those of a name back.
 */
void systemd_store(const struct systemd *systemd, const char *name, const int *fds, size_t count);
void systemd_unstore(const struct systemd *systemd, const char *name);

/*
 * Say that the start, or a reload, is over, and that the end has begun. Wait a moment where the
 * manager has no room for it.
 */
void systemd_ready(const struct systemd *systemd);
void systemd_stopping(const struct systemd *systemd);

/* Sends newline-separated assignments, such as "READY=1\nSTATUS=…". Never blocks. */
void systemd_notify(const struct systemd *systemd, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
