/*
 * systemd: the notify protocol (sd_notify(3)) spoken by hand, without libsystemd.
 */
#ifndef SYSTEMD_H
#define SYSTEMD_H

#include <stdint.h>

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

/* Sends newline-separated assignments, such as "READY=1\nSTATUS=…". Never blocks. */
void systemd_notify(const struct systemd *systemd, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
