/*
 * daemon: wires the server, and runs the loop turn by turn.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "handover.h"

/*
 * Opens everything that the configuration (taken) asks for, for clients_max clients. With a state,
 * goes on from there: its descriptors are taken. 0; or -errno after a sentence to the log. In every
 * case daemon_done() follows.
 */
int daemon_init(struct server *server, const struct config *config, uint64_t clients_max, int argc,
		char **argv, const struct handover *from);
void daemon_done(struct server *server);

/*
 * One turn, which waits for events up to timeout_ms (-1: forever). 1 if something is left to do at
 * once, 0 if not, or -errno.
 */
int daemon_turn(struct server *server, int timeout_ms);

/* Runs until it is told to end. 0, or -errno after a sentence to the log. */
int daemon_run(struct server *server);

#endif
