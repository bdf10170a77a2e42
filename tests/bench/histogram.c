/*
 * histogram: see histogram.h.
 */
#include "histogram.h"

static size_t bucket_of(uint64_t ns)
{
	unsigned high, shift;

	if (ns >> HISTOGRAM_VALUE_BITS)
		return HISTOGRAM_BUCKETS - 1;
	if (ns < HISTOGRAM_STEPS)
		return (size_t)ns;
	high = 63 - (unsigned)__builtin_clzll(ns);
	shift = high - HISTOGRAM_STEP_BITS;
	return (size_t)(shift + 1) * HISTOGRAM_STEPS + (size_t)(ns >> shift) - HISTOGRAM_STEPS;
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(size_t bucket)
{
	unsigned shift;

	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	shift = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
	return ((uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->buckets[bucket_of(ns)]++;
	h->count++;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->buckets[i] += other->buckets[i];
	h->count += other->count;
	if (other->max_ns > h->max_ns)
		h->max_ns = other->max_ns;
}

uint64_t histogram_at(const struct histogram *h, double part)
{
	uint64_t wanted = (uint64_t)(part * (double)h->count + 0.5), seen = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > 0 && seen >= wanted)
			return bucket_end(i) < h->max_ns ? bucket_end(i) : h->max_ns;
	}
	return h->max_ns;
}

uint64_t histogram_below(const struct histogram *h, uint64_t ns)
{
	uint64_t seen = 0;

	for (size_t i = 0; i <= bucket_of(ns); i++)
		seen += h->buckets[i];
	return seen;
}
