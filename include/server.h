/*
 * server: owns everything, wires it, and runs the loop turn by turn.
 */
#ifndef SERVER_H
#define SERVER_H

#include "drain.h"
#include "listener.h"
#include "meter.h"
#include "pulse.h"
#include "recovery.h"
#include "source.h"
#include "staticfile.h"
#include "sweep.h"
#include "systemd.h"
#include "ticker.h"
#include "upgrade.h"

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
	struct drain drain; /* while the hub drains */
	struct pulse pulse;
	bool is_done;
	bool has_left; /* done, and the streams are the next process's: nothing is to be closed */
	bool recovers; /* began with what a process before has left */
};

/*
 * Opens everything that the configuration (taken) asks for, for clients_max clients. With a state,
 * goes on from there: its descriptors are taken. 0; or -errno after a sentence to the log. In every
 * case server_done() follows.
 */
struct handover;
int server_init(struct server *server, const struct config *config, uint64_t clients_max, int argc,
		char **argv, const struct handover *from);
void server_done(struct server *server);

/*
 * One turn, which waits for events up to timeout_ms (-1: forever). 1 if something is left to do at
 * once, 0 if not, or -errno.
 */
int server_turn(struct server *server, int timeout_ms);

/* Runs until it is told to end. 0, or -errno after a sentence to the log. */
int server_run(struct server *server);

#endif
