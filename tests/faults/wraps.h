/*
 * wraps: the daemon's system and library calls, each of which can be made to fail once.
 *
 * The linker's --wrap leads them here. While a fault is armed, the use of the call that it names
 * fails with its errno, once; all others go through. What is armed and counted lies in shared
 * memory: a child that the daemon makes goes on with it.
 */
#ifndef WRAPS_H
#define WRAPS_H

#include <stdbool.h>
#include <sys/types.h>

enum {
	CALLS_MAX = 128,
	ERRNOS_MAX = 24,
	SHORT = 4096, /* in place of an errno: it takes or gives one byte of those asked for */
};

/*
 * A call, and the errnos that its man page names and that can come to the daemon: not those that
 * only a mistake of ours brings (EBADF, EFAULT, ENOTSOCK, EINVAL of our own constants).
 */
struct wrap {
	const char *name;
	bool may_cut; /* whoever it hits is not known by a descriptor */
	int errnos[ERRNOS_MAX];
};

extern const struct wrap wraps[];
extern const unsigned wrap_count;

/* Begins to count uses, of all calls. The use number `use` (from 1) of one of them fails; 0: none.
 */
void wraps_arm(const char *call, int err, unsigned use);
void wraps_disarm(void);

/* Asleep, no use counts: a story that others tell as well begins later. */
void wraps_sleep(bool is_asleep);

/* While paused, as at first, the calls of this process are the test's own. */
void wraps_pause(bool is_ours);

/* Uses of a call since wraps_arm(); whether the fault has happened: in whatever process, or in
 * another than this one. */
unsigned wraps_uses(const char *call);
bool wraps_has_hit(void);
bool wraps_has_hit_other(void);

/* What the case is called. */
const char *wraps_errname(int err);

/* A kernel without openat2(), until told otherwise. */
void wraps_lack_openat2(bool is_lacking);

/* What a process that dies does not do: unlink(). */
void wraps_die(bool is_dead);

/* Is told when the fault happens, and to which descriptor (-1: none). */
extern void (*wraps_on_hit)(const char *call, int err, int fd);

/* Is told whether the child has ended by itself, before the daemon learns of its end. */
extern void (*wraps_on_child)(bool has_exited);

/* Takes the place of execv(), and does not return. */
extern void (*wraps_on_exec)(char *const *argv);

#endif
