/*
 * drain: the daemon's orderly end.
 *
 * Listeners close at once; who has a connection still gets answers, and /healthz says 503. The
 * streams end evenly over most of --drain, each with a time to come back that is spread over
 * --drain-retry, so that their return is no storm either. What is left when --drain is over is cut.
 */
#ifndef DRAIN_H
#define DRAIN_H

#include "server.h"

/* Begins, for that reason. A second time: ends the daemon at once. */
void drain_begin(struct server *server, const char *why);

/* At the end of a turn while draining: ends those whose time has come, and the daemon after them.
 */
void drain_turn(struct server *server);

#endif
