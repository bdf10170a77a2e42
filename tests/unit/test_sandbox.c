/*
 * sandbox: what is refused behind the walls, tried in a child that builds them around itself.
 *
 * The child says by its exit status which trial went wrong, 0 for none.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

/* Runs trials in a child: its exit status, or minus the signal that ended it. */
static int in_child(int (*trials)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(trials());
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Ends the child where the trial did not come out like that. */
#define TRIAL(what)                      \
	do {                             \
		if (!(what))             \
			_exit(__LINE__); \
	} while (0)

#define REFUSED(call) TRIAL((call) < 0 && errno == ENOSYS)

enum { ALIVE = 7 };

static int live(void)
{
	return getppid() > 0 ? ALIVE : 0;
}

static int trials_of_calls(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char byte = '\n';

	TRIAL(sandbox_no_new_privileges() == 0 && sandbox_system_calls() == 0);
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(unshare(CLONE_NEWUSER));
	REFUSED(mkdir("/tmp/ssecastd-never", 0700));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(setuid(0));
	REFUSED(syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL));
	REFUSED(syscall(SYS_clone3, NULL, 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(syscall(SYS_mount, "a", "/", "b", 0, NULL));
	REFUSED(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
	REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
	TRIAL(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED);
	REFUSED(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &byte));
	REFUSED(prctl(PR_SET_NAME, "other"));
	/* And nothing else: no filter on top of this one, and what the daemon lives on. */
	TRIAL(sandbox_system_calls() == -ENOSYS);
	TRIAL(mprotect(page, 4096, PROT_READ) == 0 && munmap(page, 4096) == 0);
	TRIAL(close(socket(AF_INET6, SOCK_STREAM, 0)) == 0 || errno == EBADF);
	TRIAL(close(memfd_create("a", 0)) == 0);
	TRIAL(in_child(live) == ALIVE);
	return 0;
}

static char folder[64];

static int trials_of_paths(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct sockaddr_in web = { .sin_family = AF_INET, .sin_port = htons(1) };
	const struct sandbox_path paths[] = { { folder, SANDBOX_READ },
					      { folder, SANDBOX_SOCKET },
					      { "/nowhere", SANDBOX_READ } };
	char file[128], other[128];
	int fd;

	snprintf(file, sizeof(file), "%s/file", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", folder);
	TRIAL(sandbox_no_new_privileges() == 0);
	TRIAL(sandbox_paths(paths, 3) == 0);
	TRIAL((fd = open(file, O_RDONLY)) >= 0 && close(fd) == 0);
	TRIAL(open(file, O_WRONLY) < 0 && errno == EACCES);
	TRIAL(open(other, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	TRIAL(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	TRIAL(rename(file, other) < 0 && errno == EACCES);
	TRIAL(execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	TRIAL(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
	TRIAL(unlink(name.sun_path) == 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	web.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	TRIAL(connect(fd, (struct sockaddr *)&web, sizeof(web)) < 0 && errno != EINPROGRESS);
	return 0;
}

Test(sandbox, system_calls_that_nobody_needs_are_refused)
{
	int line = in_child(trials_of_calls);

	cr_expect(line == 0, "the trial in line %d (modulo 256) went wrong", line);
}

Test(sandbox, paths_that_are_not_named_cannot_be_reached)
{
	char file[128];
	int line;

	if (syscall(444, NULL, 0, 1) < 0)
		cr_skip_test("this kernel has no Landlock");
	snprintf(folder, sizeof(folder), "/tmp/ssecastd-XXXXXX");
	cr_assert(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/file", folder);
	cr_assert(close(open(file, O_WRONLY | O_CREAT, 0600)) == 0);
	line = in_child(trials_of_paths);
	cr_expect(line == 0, "the trial in line %d (modulo 256) went wrong", line);
	unlink(file);
	rmdir(folder);
}

Test(sandbox, list_lets_no_way_out)
{
	static const long never[] = { SYS_ptrace,         SYS_mount,  SYS_setuid,  SYS_unshare,
				      SYS_io_uring_setup, SYS_bpf,    SYS_seccomp, SYS_init_module,
				      SYS_personality,    SYS_rename, SYS_mknodat, SYS_kexec_load };

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		cr_expect(!sandbox_allows(never[i]), "%ld", never[i]);
	cr_expect(sandbox_allows(SYS_sendmsg));
}
