/*
 * sandbox: what the kernel can be told to refuse us, whatever our code is made to do.
 *
 * Three walls, each for itself, none of which can be taken down again, also not by exec: no new
 * privileges (a program that we run is never more than we are), a list of paths (Landlock), and a
 * list of system calls (seccomp). The last one refuses to build any of them again. Knows no
 * configuration.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Nothing that we run gets privileges that we do not have. 0 or -errno. */
int sandbox_no_new_privileges(void);

/*
 * Only the system calls in the table of sandbox.c, some of them with harmless arguments only; all
 * others fail with ENOSYS, as if the kernel did not know them, for which libc has its ways. Needs
 * no new privileges first. 0; -ENOSYS where the kernel has no filters, this program knows none for
 * the machine, or there is one already; or -errno.
 */
int sandbox_system_calls(void);

/* Whether a call is on the list, for tests. */
bool sandbox_allows(long number);

enum sandbox_right {
	SANDBOX_READ,   /* files and folders below it, or that file */
	SANDBOX_RUN,    /* the same, and run programs there */
	SANDBOX_SOCKET, /* make and remove unix sockets in it */
};

struct sandbox_path {
	const char *path; /* what does not exist is left out */
	enum sandbox_right right;
};

/*
 * Only these paths; nothing else can be opened, made, changed or removed by a name any more, and no
 * TCP connection be opened. What is open stays open. Needs no new privileges first. 0; -ENOSYS or
 * -EOPNOTSUPP where the kernel has no Landlock; or -errno.
 */
int sandbox_paths(const struct sandbox_path *paths, size_t count);

#endif
