/*
 * wraps: see wraps.h. The Makefile takes the names of the calls from the table.
 */
#include "wraps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../unit/house.h"

/* What send() may end in, and sock_send() of our own, and what memory may. EAGAIN is not here: the
 * kernel says it only where it will say later that it is over. */
#define SENDING EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EINTR

const struct wrap wraps[] = {
	{ "accept4", { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPERM, EINTR }, false },
	{ "recv", { ECONNRESET, ETIMEDOUT, ENOMEM, EINTR }, false },
	{ "send", { SENDING }, false },
	{ "sock_send", { SENDING }, false },
	{ "sendfile", { EIO, ENOMEM, EPIPE, ECONNRESET, EINTR }, false },
	{ "shutdown", { ENOTCONN, ENOBUFS }, false },
	{ "close", { EINTR, EIO }, true },
	{ "read", { EIO, EINTR }, true },
	{ "open", { EMFILE, ENFILE, ENOMEM, EACCES, EINTR, ENOENT, EIO }, true },
	{ "syscall", { EMFILE, ENFILE, ENOMEM, EACCES, EINTR, EAGAIN, ENOSYS }, true },
	{ "fopen", { EMFILE, ENOMEM, EACCES, EIO }, true },
	{ "fstat", { ENOMEM, EOVERFLOW }, true },
	{ "epoll_create1", { EMFILE, ENFILE, ENOMEM }, true },
	{ "epoll_ctl", { ENOMEM, ENOSPC }, false },
	{ "epoll_wait", { EINTR }, true },
	{ "timerfd_create", { EMFILE, ENFILE, ENODEV, ENOMEM }, true },
	{ "timerfd_settime", { EINVAL }, true },
	{ "signalfd", { EMFILE, ENFILE, ENODEV, ENOMEM }, true },
	{ "sigprocmask", { EINVAL }, true },
	{ "memfd_create", { EMFILE, ENFILE, ENOMEM }, true },
	{ "ftruncate", { EINTR, EFBIG, EIO }, true },
	{ "mmap", { ENOMEM, EAGAIN, ENFILE, ENODEV }, true },
	{ "getrandom", { EINTR, ENOSYS }, true },
	{ "socket", { EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT }, true },
	{ "bind", { EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM }, true },
	{ "listen", { EADDRINUSE }, true },
	{ "setsockopt", { ENOPROTOOPT, ENOMEM }, true },
	{ "malloc", { ENOMEM }, true },
	{ "calloc", { ENOMEM }, true },
	{ "realloc", { ENOMEM }, true },
	{ "strdup", { ENOMEM }, true },
	{ "strndup", { ENOMEM }, true },
};

const unsigned wrap_count = sizeof(wraps) / sizeof(wraps[0]);

static struct {
	bool is_armed, is_paused, has_hit;
	const char *call;
	int err;
	unsigned use;
	unsigned uses[sizeof(wraps) / sizeof(wraps[0])];
} fault;

void (*wraps_on_hit)(int fd);

static unsigned index_of(const char *call)
{
	unsigned i = 0;

	while (i < wrap_count && strcmp(wraps[i].name, call) != 0)
		i++;
	if (i == wrap_count)
		abort();
	return i;
}

/* Counts a use: the errno that it fails with, or 0. */
static int hits(const char *call, int fd)
{
	unsigned i;

	if (!fault.is_armed || fault.is_paused)
		return 0;
	i = index_of(call);
	fault.uses[i]++;
	if (fault.has_hit || !fault.use || fault.uses[i] != fault.use ||
	    strcmp(call, fault.call) != 0)
		return 0;
	fault.has_hit = true;
	wraps_on_hit(fd);
	return fault.err;
}

static int sock_send_hits(int fd)
{
	return hits("sock_send", fd);
}

void wraps_arm(const char *call, int err, unsigned use)
{
	memset(&fault, 0, sizeof(fault));
	fault.is_armed = true;
	fault.call = call;
	fault.err = err;
	fault.use = use;
	house_send_fault = sock_send_hits;
}

void wraps_disarm(void)
{
	fault.is_armed = false;
}

void wraps_pause(bool is_paused)
{
	fault.is_paused = is_paused;
}

unsigned wraps_uses(const char *call)
{
	return fault.uses[index_of(call)];
}

/* The name, its type, what it returns when it fails, parameters, arguments, the descriptor. */
#define DEFINE(name, type, failed, parameters, arguments, fd) \
	type __real_##name parameters;                        \
	type __wrap_##name parameters;                        \
	type __wrap_##name parameters                         \
	{                                                     \
		int err = hits(#name, fd);                    \
                                                              \
		if (!err)                                     \
			return __real_##name arguments;       \
		errno = err;                                  \
		return failed;                                \
	}

/* clang-format off */
DEFINE(accept4, int, -1, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags), -1)
DEFINE(recv, ssize_t, -1, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), fd)
DEFINE(send, ssize_t, -1, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), fd)
DEFINE(sendfile, ssize_t, -1, (int fd, int in, off_t *at, size_t n), (fd, in, at, n), fd)
DEFINE(shutdown, int, -1, (int fd, int how), (fd, how), fd)
DEFINE(read, ssize_t, -1, (int fd, void *p, size_t n), (fd, p, n), fd)
DEFINE(open, int, -1, (const char *path, int flags, mode_t mode), (path, flags, mode), -1)
DEFINE(syscall, long, -1, (long n, long a, long b, long c, long d, long e), (n, a, b, c, d, e), -1)
DEFINE(fopen, FILE *, NULL, (const char *path, const char *mode), (path, mode), -1)
DEFINE(fstat, int, -1, (int fd, struct stat *st), (fd, st), -1)
DEFINE(epoll_create1, int, -1, (int flags), (flags), -1)
DEFINE(epoll_ctl, int, -1, (int ep, int op, int fd, struct epoll_event *event), (ep, op, fd, event), fd)
DEFINE(epoll_wait, int, -1, (int ep, struct epoll_event *events, int n, int ms), (ep, events, n, ms), -1)
DEFINE(timerfd_create, int, -1, (int clock, int flags), (clock, flags), -1)
DEFINE(timerfd_settime, int, -1, (int fd, int flags, const struct itimerspec *to, struct itimerspec *was), (fd, flags, to, was), -1)
DEFINE(signalfd, int, -1, (int fd, const sigset_t *set, int flags), (fd, set, flags), -1)
DEFINE(sigprocmask, int, -1, (int how, const sigset_t *set, sigset_t *was), (how, set, was), -1)
DEFINE(memfd_create, int, -1, (const char *name, unsigned flags), (name, flags), -1)
DEFINE(ftruncate, int, -1, (int fd, off_t n), (fd, n), -1)
DEFINE(mmap, void *, MAP_FAILED, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at), -1)
DEFINE(getrandom, ssize_t, -1, (void *p, size_t n, unsigned flags), (p, n, flags), -1)
DEFINE(socket, int, -1, (int family, int type, int protocol), (family, type, protocol), -1)
DEFINE(bind, int, -1, (int fd, const struct sockaddr *name, socklen_t n), (fd, name, n), -1)
DEFINE(listen, int, -1, (int fd, int backlog), (fd, backlog), -1)
DEFINE(setsockopt, int, -1, (int fd, int level, int name, const void *p, socklen_t n), (fd, level, name, p, n), -1)
DEFINE(malloc, void *, NULL, (size_t n), (n), -1)
DEFINE(calloc, void *, NULL, (size_t count, size_t n), (count, n), -1)
DEFINE(realloc, void *, NULL, (void *p, size_t n), (p, n), -1)
DEFINE(strdup, char *, NULL, (const char *s), (s), -1)
DEFINE(strndup, char *, NULL, (const char *s, size_t n), (s, n), -1)
/* clang-format on */

/* Linux closes, whatever it says. */
int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	int err = hits("close", -1), result = __real_close(fd);

	if (!err)
		return result;
	errno = err;
	return -1;
}
