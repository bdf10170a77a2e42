/*
 * usage: what a process has used so far, as /proc tells.
 */
#ifndef USAGE_H
#define USAGE_H

#include <stdint.h>

struct usage {
	uint64_t cpu_ns;        /* of all its threads that live */
	uint64_t rss_bytes;     /* resident, shared memory included */
	uint64_t switches;      /* context switches */
	uint64_t tcp_mem_bytes; /* of the machine: what all TCP sockets hold in buffers */
};

/* Zeros for what cannot be read; all zeros with pid 0. */
void usage_read(int pid, struct usage *usage);

#endif
