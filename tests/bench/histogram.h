/*
 * histogram: counts of durations with a bounded relative error, in the manner of HdrHistogram.
 *
 * Each power of two is divided into HISTOGRAM_STEPS equal buckets, so that a value is known to
 * 1.6 % from 1 ns to 18 minutes, in 35 KiB whatever the number of values. Plain data without
 * pointers: it lies in memory that processes share.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
	HISTOGRAM_STEP_BITS = 6,
	HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
	HISTOGRAM_VALUE_BITS = 40,
	HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS,
};

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, max_ns;
};

void histogram_add(struct histogram *h, uint64_t ns);

/* Adds all that is in other. */
void histogram_merge(struct histogram *h, const struct histogram *other);

/* The value that the share part (0 to 1) of all values does not exceed, in ns; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double part);

/* How many values are at most ns (to the precision of a bucket). */
uint64_t histogram_below(const struct histogram *h, uint64_t ns);

#endif
