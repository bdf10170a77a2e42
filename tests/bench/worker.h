/*
 * worker: a process of ssebench: its share of the connections and, in the first one, the
 * publishers. It follows the phases that the parent orders.
 */
#ifndef WORKER_H
#define WORKER_H

#include "bench.h"

/* Runs to PHASE_STOP. 0 or -errno. */
int worker_run(const struct options *options, struct shared *shared, uint32_t number);

#endif
