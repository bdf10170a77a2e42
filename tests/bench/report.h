/*
 * report: what a run has found, as text for people, as one JSON object, as a plot.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "bench.h"
#include "usage.h"

struct report {
	const struct options *options;
	struct totals totals; /* of all workers */
	double connect_seconds;
	double seconds; /* from the first publish to the last delivery */
	double replay_seconds;
	struct usage before, connected, begun, ended; /* the server's */
	uint64_t replay_cpu_ns;
};

/* Whether every reader had every event, once and in order. */
bool report_is_clean(const struct report *report);

void report_text(const struct report *report, FILE *out);
void report_json(const struct report *report, FILE *out);

/* Writes an SVG document that plots the latency. 0 or -errno. */
int report_svg(const struct report *report, const char *path);

#endif
