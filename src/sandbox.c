/*
 * sandbox: seccomp and Landlock by hand. See sandbox.h.
 *
 * The filter is made of the table below: a row for each system call, the frequent ones first. A row
 * may name a check of one argument; the kernel remembers which calls pass without a check and does
 * not run the filter for them again. The list has to do for the next binary, too, from its first
 * instruction on, since the filter stays: so it has what the dynamic loader and both libcs need.
 * What it has not is what builds these walls: the next binary builds none on top of them.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What an argument must be; 0 means that any will do. */
enum check {
	ANY,
	FAMILY,     /* of socket(): one that we speak, or that the resolver asks by */
	NOT_WX,     /* of mmap(): not both writable and executable */
	NOT_X,      /* of mprotect(): not executable */
	NO_SPACES,  /* of clone(): no new namespaces */
	QUESTION,   /* of ioctl(): asks, changes nothing */
	OWN_LIMITS, /* of prctl(): only makes us less */
};

struct rule {
	int number;
	enum check check;
};

/* Set by hand, to be read as a table. */
/* clang-format off */
#define CALL(name) { SYS_##name, ANY }

static const struct rule rules[] = {
	/* All the time */
	CALL(sendmsg), CALL(recvfrom), CALL(sendto), CALL(epoll_pwait), CALL(epoll_ctl),
	CALL(accept4), CALL(close), CALL(read), CALL(write), CALL(timerfd_settime), CALL(shutdown),
	CALL(sendfile), CALL(clock_gettime), CALL(openat), CALL(openat2), CALL(fstat),
	CALL(recvmsg), CALL(ppoll), CALL(getsockopt), CALL(setsockopt),
	/* Memory */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(memfd_create), CALL(ftruncate),
	CALL(futex), { SYS_mmap, NOT_WX }, { SYS_mprotect, NOT_X },
	/* Files and descriptors */
	CALL(lseek), CALL(pread64), CALL(pwrite64), CALL(readv), CALL(writev), CALL(fcntl),
	CALL(dup), CALL(dup3), CALL(pipe2), CALL(close_range), CALL(readlinkat), CALL(faccessat),
	CALL(faccessat2), CALL(statx), CALL(getdents64), CALL(getcwd), CALL(unlinkat), CALL(umask),
	CALL(fchmod), CALL(fchmodat), CALL(fstatfs), { SYS_ioctl, QUESTION },
	/* Sockets */
	{ SYS_socket, FAMILY }, CALL(socketpair), CALL(bind), CALL(listen), CALL(connect),
	CALL(accept), CALL(getsockname), CALL(getpeername), CALL(sendmmsg), CALL(recvmmsg),
	/* Events, time, chance */
	CALL(epoll_create1), CALL(timerfd_create), CALL(timerfd_gettime), CALL(signalfd4),
	CALL(eventfd2), CALL(clock_getres), CALL(clock_nanosleep), CALL(nanosleep),
	CALL(gettimeofday), CALL(getrandom),
	/* Signals and the end */
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack),
	CALL(restart_syscall), CALL(tgkill), CALL(tkill), CALL(kill), CALL(exit),
	CALL(exit_group),
	/* Who we are */
	CALL(getpid), CALL(getppid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid),
	CALL(getegid), CALL(uname), CALL(sysinfo), CALL(prlimit64), CALL(getrlimit),
	CALL(setrlimit), CALL(getrusage), CALL(sched_getaffinity), CALL(sched_yield),
	{ SYS_prctl, OWN_LIMITS },
	/* The next binary */
	{ SYS_clone, NO_SPACES }, CALL(execve), CALL(wait4), CALL(waitid), CALL(set_tid_address),
	CALL(set_robust_list), CALL(membarrier),
/* What not every kernel's headers have, or not every machine */
#ifdef SYS_rseq
	CALL(rseq),
#endif
#ifdef SYS_newfstatat
	CALL(newfstatat),
#endif
#ifdef SYS_epoll_pwait2
	CALL(epoll_pwait2),
#endif
#ifdef SYS_epoll_wait
	CALL(epoll_wait), CALL(poll), CALL(open), CALL(stat), CALL(lstat), CALL(access),
	CALL(readlink), CALL(unlink), CALL(chmod), CALL(dup2), CALL(pipe), CALL(fork), CALL(vfork),
#endif
#ifdef SYS_time
	CALL(time),
#endif
#ifdef SYS_arch_prctl
	CALL(arch_prctl),
#endif
};
/* clang-format on */

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

bool sandbox_allows(long number)
{
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].number == number)
			return true;
	return false;
}

int sandbox_no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* --- system calls --- */

#if defined(__x86_64__) && !defined(__ILP32__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#else
#define MACHINE 0
#endif

/* More than any row needs. */
enum { STEPS_PER_RULE = 10, STEPS_MAX = RULES * STEPS_PER_RULE + 16 };

struct program {
	struct sock_filter steps[STEPS_MAX];
	unsigned short count;
};

static void step(struct program *program, unsigned code, uint32_t value, size_t yes, size_t no)
{
	program->steps[program->count++] = (struct sock_filter){
		.code = (uint16_t)code, .jt = (uint8_t)yes, .jf = (uint8_t)no, .k = value
	};
}

static void load(struct program *program, size_t offset)
{
	step(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct program *program, uint32_t verdict)
{
	step(program, BPF_RET | BPF_K, verdict, 0, 0);
}

static const uint32_t REFUSED = SECCOMP_RET_ERRNO | ENOSYS;

/* The offset of the lower half of an argument: the arguments that are checked have no other. */
static size_t argument(size_t i)
{
	size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : sizeof(uint32_t);

	return offsetof(struct seccomp_data, args) + i * sizeof(uint64_t) + low;
}

/* Passes if argument i is one of these. */
static void one_of(struct program *program, size_t i, const uint32_t *values, size_t count)
{
	load(program, argument(i));
	for (size_t v = 0; v < count; v++)
		step(program, BPF_JMP | BPF_JEQ | BPF_K, values[v], count - v, 0);
	answer(program, REFUSED);
	answer(program, SECCOMP_RET_ALLOW);
}

/* Passes unless argument i has all of these bits. */
static void not_all(struct program *program, size_t i, uint32_t bits)
{
	load(program, argument(i));
	step(program, BPF_ALU | BPF_AND | BPF_K, bits, 0, 0);
	step(program, BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1);
	answer(program, REFUSED);
	answer(program, SECCOMP_RET_ALLOW);
}

/* Passes unless argument i has any of these bits. */
static void none_of(struct program *program, size_t i, uint32_t bits)
{
	load(program, argument(i));
	step(program, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
	answer(program, REFUSED);
	answer(program, SECCOMP_RET_ALLOW);
}

static void check(struct program *program, enum check which)
{
	static const uint32_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	static const uint32_t questions[] = { TCGETS, TIOCGWINSZ, FIONREAD, TIOCOUTQ };
	static const uint32_t limits[] = { PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS,
					   PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_GET_SECCOMP };
	const uint32_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
				CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

	switch (which) {
	case ANY: answer(program, SECCOMP_RET_ALLOW); break;
	case FAMILY: one_of(program, 0, families, sizeof(families) / sizeof(families[0])); break;
	case NOT_WX: not_all(program, 2, PROT_WRITE | PROT_EXEC); break;
	case NOT_X: none_of(program, 2, PROT_EXEC); break;
	case NO_SPACES: none_of(program, 0, spaces); break;
	case QUESTION: one_of(program, 1, questions, sizeof(questions) / sizeof(*questions)); break;
	case OWN_LIMITS: one_of(program, 0, limits, sizeof(limits) / sizeof(limits[0])); break;
	}
}

/* A row: where the number is another one, over the check to the next row. */
static void add_rule(struct program *program, const struct rule *rule)
{
	unsigned short jump = program->count;

	step(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->number, 0, 0);
	check(program, rule->check);
	program->steps[jump].jf = (uint8_t)(program->count - jump - 1);
}

int sandbox_system_calls(void)
{
	struct program program = { .count = 0 };
	struct sock_fprog filter = { .filter = program.steps };

	if (!MACHINE)
		return -ENOSYS;
	load(&program, offsetof(struct seccomp_data, arch));
	step(&program, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
	answer(&program, REFUSED);
	load(&program, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < RULES; i++)
		add_rule(&program, &rules[i]);
	answer(&program, REFUSED);
	filter.len = program.count;
	/* EINVAL: a kernel without filters. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
		return errno == EINVAL ? -ENOSYS : -errno;
	return 0;
}

/* --- paths --- */

/* As in <linux/landlock.h> of Linux 6.12, which is newer than many systems' headers. */
enum {
	RULE_PATH_BENEATH = 1,
	GIVE_VERSION = 1 << 0,
	FS_EXECUTE = 1 << 0,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_SOCK = 1 << 9,
	FS_ALL_1 = (1 << 13) - 1, /* what version 1 knows: all but the three that follow */
	FS_REFER = 1 << 13,       /* version 2 */
	FS_TRUNCATE = 1 << 14,    /* version 3 */
	NET_CONNECT_TCP = 1 << 1, /* version 4 */
	SCOPE_SIGNAL = 1 << 1,    /* version 6 */
};

struct ruleset {
	uint64_t handled_fs, handled_net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

/* A set of rules that refuses everything this kernel can refuse: its descriptor, or -errno. */
static int ruleset_open(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, GIVE_VERSION), fd;
	struct ruleset ruleset = { .handled_fs = FS_ALL_1 };
	size_t known = sizeof(ruleset.handled_fs);

	if (version < 0)
		return -errno;
	if (version >= 2)
		ruleset.handled_fs |= FS_REFER;
	if (version >= 3)
		ruleset.handled_fs |= FS_TRUNCATE;
	if (version >= 4) {
		ruleset.handled_net = NET_CONNECT_TCP;
		known += sizeof(ruleset.handled_net);
	}
	if (version >= 6) {
		ruleset.scoped = SCOPE_SIGNAL;
		known += sizeof(ruleset.scoped);
	}
	fd = syscall(SYS_landlock_create_ruleset, &ruleset, known, 0);
	return fd < 0 ? -errno : (int)fd;
}

static uint64_t rights_of(enum sandbox_right right, bool is_folder)
{
	switch (right) {
	case SANDBOX_READ: return FS_READ_FILE | (is_folder ? FS_READ_DIR : 0);
	case SANDBOX_RUN: return FS_EXECUTE | FS_READ_FILE | (is_folder ? FS_READ_DIR : 0);
	case SANDBOX_SOCKET: return is_folder ? FS_MAKE_SOCK | FS_REMOVE_FILE : 0;
	}
	return 0;
}

static int path_add(int ruleset_fd, const struct sandbox_path *path)
{
	int fd = open(path->path, O_PATH | O_CLOEXEC), err = 0;
	struct path_beneath rule = { .parent_fd = fd };
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	rule.allowed = rights_of(path->right, S_ISDIR(st.st_mode));
	if (!err && rule.allowed &&
	    syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) < 0)
		err = -errno;
	close(fd);
	return err;
}

int sandbox_paths(const struct sandbox_path *paths, size_t count)
{
	int fd = ruleset_open(), err = 0;

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < count && !err; i++)
		err = path_add(fd, &paths[i]);
	if (!err && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	close(fd);
	return err;
}
