/*
 * server: all that the daemon owns: what every room of the program has in hand.
 *
 * The daemon wires it and runs it (daemon.h). It owns no behaviour.
 */
#ifndef SERVER_H
#define SERVER_H

#include <sys/types.h>

#include "listener.h"
#include "meter.h"
#include "pulse.h"
#include "source.h"
#include "staticfile.h"
#include "sweep.h"
#include "systemd.h"
#include "ticker.h"

/* The orderly end, while the hub drains: see drain.h. */
struct drain {
	uint64_t begun_ms, until_ms; /* monotonic */
	uint64_t spread_ms;          /* from the first stream's end to the last one's */
	uint32_t streams, ended;     /* at the beginning; and so far */
	uint32_t slot;               /* to look at next */
};

/* Of the binary: see upgrade.h. */
struct upgrade {
	char *path;          /* of the binary, as it was started; owned; NULL = not known */
	pid_t child;         /* that was asked and has not answered; 0 = none */
	int answer_fd;       /* what it says */
	uint64_t give_up_ms; /* monotonic: when it will have taken too long */
	bool is_accepted;    /* the next end of a turn is the last of this binary */
};

struct server {
	struct hub hub;
	struct listeners listeners;
	struct staticfiles files;
	struct ticker ticker;
	struct sweep sweep;
	struct meter meter;
	struct source source;
	struct systemd systemd;
	struct systemd_passed passed; /* what the manager has passed, while it is not taken */
	struct upgrade upgrade;
	int signal_fd;
	int argc; /* as main() got them, for a reload */
	char **argv;
	struct drain drain;
	struct pulse pulse;
	bool is_done;
	bool has_left; /* done, and the streams are the next process's: nothing is to be closed */
	bool recovers; /* began with what a process before has left */
};

#endif
