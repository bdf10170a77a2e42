/* Blocks of an event stream, and the frames that are made of them. */
#include "feeding.h"

int FUZZ_TARGET(sse)(const uint8_t *bytes, size_t n)
{
	feeding_check(FEED_SSE, bytes, n);
	feeding_check(FEED_LINES, bytes, n);
	return 0;
}
