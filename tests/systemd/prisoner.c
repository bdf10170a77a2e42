/*
 * prisoner: runs in the daemon's place, and says what its unit lets it do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, bool is_open)
{
	int err = errno;

	printf("%s: %s%s%s\n", what, is_open ? "open" : "refused", is_open ? "" : ": ",
	       is_open ? "" : strerror(err));
}

static bool can_open(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Whether a datagram may leave for there. */
static bool can_send(const char *ip)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool sent;

	inet_pton(AF_INET, ip, &to.sin_addr);
	sent = sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1;
	if (fd >= 0)
		close(fd);
	return sent;
}

static bool can_execute_memory(void)
{
	const int all = PROT_READ | PROT_WRITE | PROT_EXEC;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mmap(NULL, 4096, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
	       mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool can_run(const char *path)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		execl(path, path, (char *)NULL);
		_exit(errno == EACCES ? 100 : 101);
	}
	waitpid(child, &status, 0);
	errno = EACCES;
	return WIFEXITED(status) && WEXITSTATUS(status) < 100;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	say("home", can_open("/home/somebody/file", O_RDONLY));
	say("file of another", can_open("/var/lib/other/file", O_RDONLY));
	say("writing", can_open("/usr/local/bin/written", O_WRONLY | O_CREAT) ||
			       can_open("/etc/ssecastd/written", O_WRONLY | O_CREAT));
	say("foreign address", can_send("192.0.2.1"));
	say("own address", can_send("127.0.0.1"));
	say("executable memory", can_execute_memory());
	say("other program", can_run("/bin/true"));
	say("namespace", unshare(CLONE_NEWUSER) == 0);
	return 0;
}
