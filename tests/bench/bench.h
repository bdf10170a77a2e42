/*
 * bench: what the parts of ssebench share: the options, and the totals in memory that all its
 * processes see.
 *
 * The parent orders phases and measures the server; each worker holds its share of the connections,
 * and the first one publishes. A worker writes only its own totals; the phase is the parent's.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdatomic.h>

#include "histogram.h"
#include "target.h"

enum { WORKERS_MAX = 64, HEADERS_MAX = 8192, PUBLISHERS_MAX = 16 };

struct options {
	struct target target, publish;
	const char *url;
	bool publishes;   /* --publish was given */
	char *headers;    /* owned: further lines of each request for a stream */
	uint32_t count;   /* connections */
	uint32_t workers; /* processes */
	uint32_t concurrency;
	uint32_t size;      /* bytes of an event's data */
	uint32_t burst;     /* events published together */
	uint32_t in_flight; /* publishes unanswered at most, of one publisher */
	uint32_t window;    /* events that not everybody has received yet, at most; 0 = any */
	uint32_t publishers;
	double rate; /* events a second, 0 = as fast as the limits above allow */
	uint64_t events;
	double seconds;
	double idle_seconds; /* between connecting and publishing */
	uint64_t replay;     /* events to catch up after a reconnect */
	double slow_fraction;
	uint64_t slow_rate; /* bytes a second; 0 = slow readers read nothing */
	uint32_t churn;     /* connections closed and opened again each second */
	int server_pid;
	bool json, quiet;
	const char *svg;
};

/* In the order in which a run goes through them; a replay runs from CLOSE to RETURN. */
enum phase {
	PHASE_CONNECT,
	PHASE_IDLE,
	PHASE_PUBLISH,
	PHASE_DRAIN,
	PHASE_CLOSE,
	PHASE_FILL,   /* nobody is connected, and events are published */
	PHASE_RETURN, /* everybody comes back and catches up */
	PHASE_STOP,
};

struct totals {
	/* Read by the others while they are written: */
	_Atomic uint64_t open;       /* connections that are streams now, and not slow */
	_Atomic uint64_t slow_open;  /* slow ones */
	_Atomic uint64_t deliveries; /* of ours, to readers that are not slow */
	_Atomic uint64_t published, answered;
	_Atomic uint64_t caught_up; /* of a replay: connections that have had everything */

	uint64_t connects, failures, closed_by_server, resumed;
	uint64_t bytes, comments, foreign, slow_deliveries;
	uint64_t gaps, doubles, misordered, torn, missing;
	uint64_t first_ns, last_ns; /* of deliveries in the phase that is measured */
	uint64_t published_ns;      /* when the first event was */
	uint64_t refused;           /* publishes answered with anything but success */
	struct histogram latency;
};

struct shared {
	_Atomic int phase;     /* enum phase */
	_Atomic int published; /* the last phase whose events are published and answered */
	_Atomic int errors;    /* a worker cannot go on */
	uint64_t published_each[PUBLISHERS_MAX]; /* once the publishing is done */
	struct totals workers[WORKERS_MAX];
};

/* The sum over all workers of the _Atomic uint64_t at that offset in struct totals. */
uint64_t totals_sum(const struct shared *shared, const struct options *options, size_t field);

#define TOTAL(shared, options, field) \
	totals_sum((shared), (options), offsetof(struct totals, field))

/* Monotonic time in ns. */
uint64_t bench_now_ns(void);

#endif
