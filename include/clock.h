/*
 * clock: the two clocks that the daemon reads, both without a system call (vDSO).
 *
 * Monotonic time drives everything that waits; real time goes into event ids and the ticks' text.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Nanoseconds, milliseconds on CLOCK_MONOTONIC: the same for all processes since boot. */
uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);

/* Milliseconds since the Unix epoch; 0 if the clock stands before it. */
uint64_t clock_real_ms(void);

#endif
