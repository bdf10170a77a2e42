/*
 * wraps: see wraps.h.
 */
#include "wraps.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct fault {
	bool is_armed, is_asleep, has_hit;
	const char *call;
	int err;
	pid_t hit_pid;
	unsigned use;
	unsigned uses[CALLS_MAX];
};

static struct fault *fault;
static bool is_paused = true, lacks_openat2, is_dead;

void (*wraps_on_hit)(const char *call, int err, int fd);
void (*wraps_on_child)(bool has_exited);
void (*wraps_on_exec)(char *const *argv);

static unsigned index_of(const char *call)
{
	unsigned i = 0;

	while (i < wrap_count && strcmp(wraps[i].name, call) != 0)
		i++;
	if (i == wrap_count)
		abort();
	return i;
}

/* Whether the kernel says that of such a descriptor. */
static bool may_fail(const char *call, int err, int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	struct stat st;

	if (strcmp(call, "read") == 0 && err != EINTR) {
		/* Timers and signals, which have no type, say EAGAIN only where nothing is there.
		 */
		if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) == 0)
			return false;
		return (err != EISDIR || S_ISREG(st.st_mode)) &&
		       (err != EAGAIN || !S_ISREG(st.st_mode));
	}
	/* A message goes out and comes in as a whole. */
	if (err == SHORT && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0)
		return type == SOCK_STREAM;
	return true;
}

/* Counts a use: the errno that it fails with, or 0. */
static int hits(const char *call, int fd)
{
	unsigned i;
	bool is_hit;

	if (!fault || !fault->is_armed || fault->is_asleep || is_paused)
		return 0;
	i = index_of(call);
	fault->uses[i]++;
	if (fault->has_hit || !fault->use || fault->uses[i] != fault->use ||
	    strcmp(call, fault->call) != 0)
		return 0;
	is_paused = true;
	is_hit = may_fail(call, fault->err, fd);
	if (is_hit) {
		fault->has_hit = true;
		fault->hit_pid = getpid();
		wraps_on_hit(call, fault->err, fd);
	}
	is_paused = false;
	return is_hit ? fault->err : 0;
}

void wraps_arm(const char *call, int err, unsigned use)
{
	if (!fault)
		fault = mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*fault = (struct fault){ .is_armed = true, .call = call, .err = err, .use = use };
}

void wraps_disarm(void)
{
	fault->is_armed = false;
}

void wraps_sleep(bool is_asleep)
{
	fault->is_asleep = is_asleep;
}

void wraps_pause(bool is_ours)
{
	is_paused = is_ours;
}

unsigned wraps_uses(const char *call)
{
	return fault->uses[index_of(call)];
}

bool wraps_has_hit(void)
{
	return fault->has_hit;
}

bool wraps_has_hit_other(void)
{
	return fault->has_hit && fault->hit_pid != getpid();
}

const char *wraps_errname(int err)
{
	if (err == SHORT)
		return "short";
	return err < 0 ? gai_strerror(err) : strerrorname_np(err);
}

void wraps_lack_openat2(bool is_lacking)
{
	lacks_openat2 = is_lacking;
}

void wraps_die(bool is_dead_now)
{
	is_dead = is_dead_now;
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

/* The same for what may take or give fewer bytes than n. */
#define DEFINE_BYTES(name, parameters, arguments, fd)   \
	ssize_t __real_##name parameters;               \
	ssize_t __wrap_##name parameters;               \
	ssize_t __wrap_##name parameters                \
	{                                               \
		int err = hits(#name, fd);              \
                                                        \
		if (err == SHORT)                       \
			n = n > 1 ? 1 : n;              \
		if (!err || err == SHORT)               \
			return __real_##name arguments; \
		errno = err;                            \
		return -1;                              \
	}

/* clang-format off */
DEFINE_BYTES(recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), fd)
DEFINE_BYTES(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), fd)
DEFINE_BYTES(sendfile, (int fd, int in, off_t *at, size_t n), (fd, in, at, n), fd)
DEFINE_BYTES(read, (int fd, void *p, size_t n), (fd, p, n), fd)
DEFINE_BYTES(pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), fd)
DEFINE_BYTES(write, (int fd, const void *p, size_t n), (fd, p, n), fd)
DEFINE(accept4, int, -1, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags), -1)
DEFINE(recvmsg, ssize_t, -1, (int fd, struct msghdr *m, int flags), (fd, m, flags), fd)
DEFINE(shutdown, int, -1, (int fd, int how), (fd, how), fd)
DEFINE(socket, int, -1, (int family, int type, int protocol), (family, type, protocol), -1)
DEFINE(socketpair, int, -1, (int family, int type, int protocol, int *ends), (family, type, protocol, ends), -1)
DEFINE(connect, int, -1, (int fd, const struct sockaddr *name, socklen_t n), (fd, name, n), -1)
DEFINE(bind, int, -1, (int fd, const struct sockaddr *name, socklen_t n), (fd, name, n), -1)
DEFINE(listen, int, -1, (int fd, int backlog), (fd, backlog), -1)
DEFINE(setsockopt, int, -1, (int fd, int level, int name, const void *p, socklen_t n), (fd, level, name, p, n), -1)
DEFINE(getsockopt, int, -1, (int fd, int level, int name, void *p, socklen_t *n), (fd, level, name, p, n), -1)
DEFINE(getsockname, int, -1, (int fd, struct sockaddr *name, socklen_t *n), (fd, name, n), -1)
DEFINE(getpeername, int, -1, (int fd, struct sockaddr *name, socklen_t *n), (fd, name, n), -1)
DEFINE(ioctl, int, -1, (int fd, unsigned long what, void *p), (fd, what, p), fd)
DEFINE(poll, int, -1, (struct pollfd *fds, nfds_t n, int ms), (fds, n, ms), -1)
DEFINE(open, int, -1, (const char *path, int flags, mode_t mode), (path, flags, mode), -1)
DEFINE(openat, int, -1, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode), -1)
DEFINE(fopen, FILE *, NULL, (const char *path, const char *mode), (path, mode), -1)
DEFINE(fstat, int, -1, (int fd, struct stat *st), (fd, st), -1)
DEFINE(lstat, int, -1, (const char *path, struct stat *st), (path, st), -1)
DEFINE(readlink, ssize_t, -1, (const char *path, char *p, size_t n), (path, p, n), -1)
DEFINE(realpath, char *, NULL, (const char *path, char *p), (path, p), -1)
DEFINE(getcwd, char *, NULL, (char *p, size_t n), (p, n), -1)
DEFINE(dup2, int, -1, (int from, int to), (from, to), -1)
DEFINE(pipe2, int, -1, (int *ends, int flags), (ends, flags), -1)
DEFINE(ftruncate, int, -1, (int fd, off_t n), (fd, n), -1)
DEFINE(epoll_create1, int, -1, (int flags), (flags), -1)
DEFINE(epoll_ctl, int, -1, (int ep, int op, int fd, struct epoll_event *event), (ep, op, fd, event), fd)
DEFINE(epoll_wait, int, -1, (int ep, struct epoll_event *events, int n, int ms), (ep, events, n, ms), -1)
DEFINE(timerfd_create, int, -1, (int clock, int flags), (clock, flags), -1)
DEFINE(timerfd_settime, int, -1, (int fd, int flags, const struct itimerspec *to, struct itimerspec *was), (fd, flags, to, was), -1)
DEFINE(signalfd, int, -1, (int fd, const sigset_t *set, int flags), (fd, set, flags), -1)
DEFINE(sigprocmask, int, -1, (int how, const sigset_t *set, sigset_t *was), (how, set, was), -1)
DEFINE(memfd_create, int, -1, (const char *name, unsigned flags), (name, flags), -1)
DEFINE(mmap, void *, MAP_FAILED, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at), -1)
DEFINE(getrandom, ssize_t, -1, (void *p, size_t n, unsigned flags), (p, n, flags), -1)
DEFINE(malloc, void *, NULL, (size_t n), (n), -1)
DEFINE(calloc, void *, NULL, (size_t count, size_t n), (count, n), -1)
DEFINE(realloc, void *, NULL, (void *p, size_t n), (p, n), -1)
DEFINE(strdup, char *, NULL, (const char *s), (s), -1)
DEFINE(strndup, char *, NULL, (const char *s, size_t n), (s, n), -1)
DEFINE(setenv, int, -1, (const char *name, const char *value, int again), (name, value, again), -1)
DEFINE(waitpid, pid_t, -1, (pid_t pid, int *status, int options), (pid, status, options), -1)
DEFINE(getrlimit, int, -1, (int which, struct rlimit *limit), (which, limit), -1)
DEFINE(setrlimit, int, -1, (int which, const struct rlimit *limit), (which, limit), -1)
DEFINE(close_range, int, -1, (unsigned first, unsigned last, int flags), (first, last, flags), -1)
DEFINE(prctl, int, -1, (int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d), (what, a, b, c, d), -1)
/* clang-format on */

/* With FORTIFY. */
int __wrap___openat_2(int dir, const char *path, int flags);

int __wrap___openat_2(int dir, const char *path, int flags)
{
	return __wrap_openat(dir, path, flags, 0);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	int err = hits("sendmsg", fd);

	if (!err)
		return __real_sendmsg(fd, message, flags);
	if (err == SHORT)
		return __real_send(fd, message->msg_iov->iov_base, 1, flags);
	errno = err;
	return -1;
}

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

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

int __wrap_unlink(const char *path)
{
	int err = hits("unlink", -1);

	if (!err)
		return is_dead ? 0 : __real_unlink(path);
	errno = err;
	return -1;
}

/* Of its commands, those that only ask, and F_SETFD, cannot fail. */
int __real_fcntl(int fd, int command, int value);
int __wrap_fcntl(int fd, int command, int value);

int __wrap_fcntl(int fd, int command, int value)
{
	bool can_fail = command == F_DUPFD_CLOEXEC || command == F_SETFL || command == F_ADD_SEALS;
	int err = can_fail ? hits("fcntl", fd) : 0;

	if (!err)
		return __real_fcntl(fd, command, value);
	errno = err;
	return -1;
}

/* Its error is what it returns. */
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **found);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **found)
{
	int err = hits("getaddrinfo", -1);

	return err ? err : __real_getaddrinfo(host, port, hints, found);
}

/* That a read of a file has failed is what ferror() says. */
static bool has_read_failed;

size_t __real_fread(void *p, size_t size, size_t count, FILE *file);
size_t __wrap_fread(void *p, size_t size, size_t count, FILE *file);
int __real_ferror(FILE *file);
int __wrap_ferror(FILE *file);

size_t __wrap_fread(void *p, size_t size, size_t count, FILE *file)
{
	int err = hits("fread", -1);

	if (!err)
		return __real_fread(p, size, count, file);
	has_read_failed = true;
	errno = err;
	return 0;
}

int __wrap_ferror(FILE *file)
{
	bool has_failed = has_read_failed;

	has_read_failed = false;
	return has_failed ? 1 : __real_ferror(file);
}

int __wrap_asprintf(char **out, const char *format, ...);
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...);

static int print(char **out, const char *format, va_list args)
{
	return hits("asprintf", -1) ? -1 : vasprintf(out, format, args);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = print(out, format, args);
	va_end(args);
	return n;
}

int __wrap___asprintf_chk(char **out, int flag, const char *format, ...)
{
	va_list args;
	int n;

	(void)flag;
	va_start(args, format);
	n = print(out, format, args);
	va_end(args);
	return n;
}

/* Calls that libc has no function for, each by its own name. */
long __real_syscall(long n, long a, long b, long c, long d, long e);
long __wrap_syscall(long n, long a, long b, long c, long d, long e);

long __wrap_syscall(long n, long a, long b, long c, long d, long e)
{
	int err = 0;

	switch (n) {
	case SYS_openat2: err = lacks_openat2 ? ENOSYS : hits("openat2", -1); break;
	case SYS_close_range: err = hits("close_range", -1); break;
	case SYS_landlock_create_ruleset: err = hits("landlock_create_ruleset", -1); break;
	case SYS_landlock_add_rule: err = hits("landlock_add_rule", -1); break;
	case SYS_landlock_restrict_self: err = hits("landlock_restrict_self", -1); break;
	default: abort();
	}
	if (!err)
		return __real_syscall(n, a, b, c, d, e);
	errno = err;
	return -1;
}

/* The daemon goes on when its child has ended: so the uses come in one order. */
pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t __wrap_fork(void)
{
	bool is_ours = !fault || is_paused;
	int err = hits("fork", -1);
	siginfo_t end;
	pid_t pid;

	errno = err;
	if (err)
		return -1;
	pid = __real_fork();
	if (pid > 0 && !is_ours && waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT) == 0)
		wraps_on_child(end.si_code == CLD_EXITED);
	return pid;
}

int __wrap_execv(const char *path, char *const *argv);

int __wrap_execv(const char *path, char *const *argv)
{
	int err = hits("execv", -1);

	(void)path;
	if (!err)
		wraps_on_exec(argv);
	errno = err;
	return -1;
}
