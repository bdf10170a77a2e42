/*
 * confine: gives up, after the start, what the daemon will not need any more.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include "server.h"

/*
 * Builds the walls of sandbox.h around the running process, as far as the kernel has them and
 * --unconfined does not leave them out. Says what could not be built; never fails.
 */
void confine(const struct server *server);

#endif
