/*
 * clock: the monotonic and the real clock. See clock.h.
 */
#include "clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t which)
{
	struct timespec now = { 0 };

	clock_gettime(which, &now);
	if (now.tv_sec < 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t clock_real_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000u;
}
