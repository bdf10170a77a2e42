/*
 * metrics: a strict reader of the Prometheus text format 0.0.4, for tests.
 */
#ifndef METRICS_H
#define METRICS_H

#include "client.h"

/* Fails the test unless text is well-formed as a linter would have it: each family in one piece
 * with HELP and TYPE before its samples, names and labels of the right characters, no sample twice,
 * counters that end in _total, histograms that are cumulative and end in +Inf. */
void metrics_check(struct str text);

/* The value of a sample, such as `ssecast_disconnects_total{reason="stalled"}`, asked for now on
 * the control socket. */
double metric(const struct daemon *d, const char *sample);

/* Asks again and again until the sample has at least, at most that value. */
void metric_wait(const struct daemon *d, const char *sample, double value);
void metric_wait_down(const struct daemon *d, const char *sample, double value);

#endif
