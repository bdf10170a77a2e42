/*
 * wraps: the daemon's system and library calls, each of which can be made to fail once.
 *
 * The linker's --wrap leads them here. While a fault is armed, the use of the call that it names
 * fails with its errno, once; all others go through.
 */
#ifndef WRAPS_H
#define WRAPS_H

#include <stdbool.h>

/* A call, and the errnos that its man page names and that can come to the daemon. */
struct wrap {
	const char *name;
	int errnos[8];  /* ends in 0 */
	bool is_memory; /* whoever it hits is not known by a descriptor */
};

extern const struct wrap wraps[];
extern const unsigned wrap_count;

/* Begins to count uses, of all calls. The use number `use` (from 1) of one of them fails; 0: none.
 */
void wraps_arm(const char *call, int err, unsigned use);
void wraps_disarm(void);

/* While paused, calls are the test's own. */
void wraps_pause(bool is_paused);

/* Uses of a call since wraps_arm(). */
unsigned wraps_uses(const char *call);

/* Is told when the fault happens, and to which descriptor (-1: none). */
extern void (*wraps_on_hit)(int fd);

#endif
