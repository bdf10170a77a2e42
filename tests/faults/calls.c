/*
 * calls: the table of what can fail, and how. See wraps.h.
 *
 * The Makefile takes the names of the calls from here, and tests/check-calls.sh that there are
 * enough of them.
 */
#include <errno.h>
#include <netdb.h>

#include "wraps.h"

/* Of everything that makes a descriptor, and of everything that follows a path. */
#define OPENING EMFILE, ENFILE, ENOMEM
#define PATH    EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EIO
#define OPEN    OPENING, PATH, EINTR, EPERM, EOVERFLOW, ENODEV, ENXIO, EBUSY, ETXTBSY, EROFS
#define SENDING                                                                            \
	SHORT, EAGAIN, EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, ETIMEDOUT, EHOSTUNREACH, \
		ENETUNREACH, ENOTCONN, EACCES, EPERM, EMSGSIZE
#define RECEIVING \
	SHORT, EAGAIN, EINTR, ENOMEM, ECONNRESET, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENOTCONN

/* Set by hand, to be read as a table. */
/* clang-format off */
const struct wrap wraps[] = {
	/* Connections */
	{ "accept4", false, { EAGAIN, EINTR, OPENING, ENOBUFS, ECONNABORTED, EPERM, EPROTO, ENETDOWN,
			      ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH } },
	{ "recv", false, { RECEIVING } },
	{ "recvmsg", true, { EAGAIN, EINTR, ENOMEM, ECONNREFUSED, EMFILE } },
	{ "send", false, { SENDING } },
	{ "sendmsg", false, { SENDING, ETOOMANYREFS } },
	{ "sendfile", false, { SHORT, EAGAIN, EINTR, EIO, ENOMEM, EPIPE, ECONNRESET, EINVAL,
			       EOVERFLOW } },
	{ "shutdown", false, { ENOTCONN } },
	{ "socket", true, { OPENING, ENOBUFS, EACCES, EAFNOSUPPORT, EPROTONOSUPPORT } },
	{ "socketpair", true, { OPENING, ENOBUFS, EAFNOSUPPORT, EOPNOTSUPP } },
	{ "connect", true, { EACCES, EPERM, EAGAIN, ECONNREFUSED, EINTR, ENOENT, EPROTOTYPE } },
	{ "bind", true, { EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM, PATH, EROFS } },
	{ "listen", true, { EADDRINUSE, EOPNOTSUPP } },
	{ "getaddrinfo", true, { EAI_AGAIN, EAI_FAIL, EAI_FAMILY, EAI_MEMORY, EAI_NONAME,
				 EAI_SERVICE, EAI_SYSTEM } },
	{ "setsockopt", true, { ENOPROTOOPT, ENOMEM, EINVAL, EPERM } },
	{ "getsockopt", true, { ENOPROTOOPT, EINVAL } },
	{ "getsockname", true, { ENOBUFS } },
	{ "getpeername", true, { ENOTCONN, ENOBUFS } },
	{ "ioctl", true, { EINVAL, ENOTTY } },
	/* Files and descriptors */
	{ "close", true, { EINTR, EIO, ENOSPC, EDQUOT } },
	{ "read", true, { SHORT, EAGAIN, EINTR, EIO, EISDIR } },
	{ "pread", true, { SHORT, EINTR, EIO, ENXIO, EOVERFLOW } },
	{ "write", true, { SHORT, EAGAIN, EINTR, EIO, ENOSPC, EPIPE, EDQUOT, EFBIG, EPERM } },
	{ "poll", true, { EINTR, ENOMEM } },
	{ "open", true, { OPEN } },
	{ "openat", true, { OPEN } },
	{ "openat2", true, { OPEN, EAGAIN, EXDEV, E2BIG, ENOSYS } },
	{ "fopen", true, { OPEN } },
	{ "fread", true, { EINTR, EIO, EISDIR } },
	{ "fstat", true, { ENOMEM, EOVERFLOW } },
	{ "lstat", true, { PATH, ENOMEM, EOVERFLOW } },
	{ "unlink", true, { PATH, EBUSY, ENOMEM, EPERM, EROFS, EISDIR } },
	{ "readlink", true, { PATH, ENOMEM } },
	{ "realpath", true, { PATH, ENOMEM } },
	{ "getcwd", true, { EACCES, ENOENT, ENOMEM, ERANGE } },
	{ "fcntl", true, { EMFILE, EPERM, EBUSY } },
	{ "dup2", true, { EINTR, EBUSY, EMFILE } },
	{ "pipe2", true, { EMFILE, ENFILE } },
	{ "ftruncate", true, { EINTR, EFBIG, EIO, EPERM } },
	/* Events and memory */
	{ "epoll_create1", true, { OPENING } },
	{ "epoll_ctl", false, { ENOMEM, ENOSPC } },
	{ "epoll_wait", true, { EINTR } },
	{ "timerfd_create", true, { OPENING, ENODEV, EPERM } },
	{ "timerfd_settime", true, { EINVAL, ECANCELED } },
	{ "signalfd", true, { OPENING, ENODEV } },
	{ "sigprocmask", true, { EINVAL } },
	{ "memfd_create", true, { OPENING } },
	{ "mmap", true, { ENOMEM, EAGAIN, ENFILE, ENODEV, EACCES, EPERM, EOVERFLOW } },
	{ "getrandom", true, { EINTR, EAGAIN, ENOSYS } },
	{ "malloc", true, { ENOMEM } },
	{ "calloc", true, { ENOMEM } },
	{ "realloc", true, { ENOMEM } },
	{ "strdup", true, { ENOMEM } },
	{ "strndup", true, { ENOMEM } },
	{ "asprintf", true, { ENOMEM } },
	{ "setenv", true, { ENOMEM } },
	/* The next binary, and the walls */
	{ "fork", true, { EAGAIN, ENOMEM, ENOSYS } },
	{ "execv", true, { E2BIG, OPENING, PATH, EAGAIN, EISDIR, ELIBBAD, ENOEXEC, EPERM, ETXTBSY } },
	{ "waitpid", true, { EINTR, ECHILD } },
	{ "close_range", true, { EMFILE, ENOMEM, ENOSYS } },
	{ "getrlimit", true, { EPERM } },
	{ "setrlimit", true, { EPERM, EINVAL } },
	{ "prctl", true, { EINVAL, EACCES, EPERM, ENOMEM } },
	{ "landlock_create_ruleset", true, { ENOSYS, EOPNOTSUPP, E2BIG, EMFILE, ENFILE, ENOMEM } },
	{ "landlock_add_rule", true, { ENOMEM, EOPNOTSUPP, EINVAL } },
	{ "landlock_restrict_self", true, { EPERM, E2BIG, EOPNOTSUPP, ENOMEM } },
};
/* clang-format on */

const unsigned wrap_count = sizeof(wraps) / sizeof(wraps[0]);

_Static_assert(sizeof(wraps) / sizeof(wraps[0]) <= CALLS_MAX, "a place for each");
