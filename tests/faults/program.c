/*
 * program: the story of the whole program, from main() on, in a process of its own. See stories.h.
 *
 * It listens on unix sockets, whose names are known before; walls go up around it as usual.
 */
#include "stories.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "people.h"
#include "wraps.h"

enum { GIVE_UP_MS = 30000, SOON_MS = 500, TRIES = 3 };

int __real_main(int argc, char **argv);

static pid_t start(void)
{
	char *const argv[] = { (char[]){ "./program" },
			       (char[]){ "--listen" },
			       world.public,
			       (char[]){ "--control" },
			       world.control,
			       (char[]){ "--config" },
			       (char *)(uintptr_t)world_path("config"),
			       (char[]){ "--root" },
			       (char *)(uintptr_t)world_path("root"),
			       (char[]){ "--tick-interval" },
			       (char[]){ "0" },
			       (char[]){ "--log-level" },
			       (char[]){ "debug" },
			       NULL };
	struct rlimit files;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Less than there may be, so that it asks for more. */
		if (getrlimit(RLIMIT_NOFILE, &files) == 0)
			setrlimit(RLIMIT_NOFILE,
				  &(struct rlimit){ files.rlim_max / 2, files.rlim_max });
		wraps_pause(false);
		status = __real_main(sizeof(argv) / sizeof(argv[0]) - 1, (char **)(uintptr_t)argv);
		/* What a compiler's runtime does at the end is not the daemon's. */
		wraps_pause(true);
		exit(status);
	}
	return pid;
}

/* Whether it has ended, with which status; without a fault it must not before it is told to. */
static bool has_ended(pid_t pid, int *status)
{
	pid_t got = waitpid(pid, status, WNOHANG);

	EXPECT(got >= 0, "nobody to wait for");
	EXPECT(got == 0 || WIFEXITED(*status), "it crashes");
	return got == pid;
}

static bool ends_soon(pid_t pid, int *status)
{
	bool ended = false;

	for (int ms = 0; ms < SOON_MS && !ended; ms++) {
		poll(NULL, 0, 1);
		ended = has_ended(pid, status);
	}
	return ended;
}

/* Connects to one of its sockets: -1 where nobody listens (any more). */
static int connect_to(const char *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", address + strlen("unix:"));
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Reads until text has come: false when that cannot be any more. */
static bool wait_for(int fd, const char *text)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char got[4096];
	size_t n = 0;
	ssize_t more = 1;

	while (more > 0 && n < sizeof(got)) {
		EXPECT(poll(&ready, 1, GIVE_UP_MS) == 1, "it does not answer");
		more = read(fd, got + n, sizeof(got) - n);
		n += more > 0 ? (size_t)more : 0;
		if (memmem(got, n, text, strlen(text)))
			return true;
		if (memmem(got, n, "HTTP/1.1 503", 12))
			return false;
	}
	return false;
}

/* One subscribes, one publishes. */
static bool serves(void)
{
	static const char subscribe[] = "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n",
			  event[] = "POST /publish HTTP/1.1\r\nHost: localhost\r\n"
				    "Content-Length: 5\r\n\r\nhello";
	int reader = connect_to(world.public), writer = connect_to(world.control);
	bool good = reader >= 0 && writer >= 0 &&
		    send(reader, subscribe, sizeof(subscribe) - 1, MSG_NOSIGNAL) > 0 &&
		    wait_for(reader, "id: ") &&
		    send(writer, event, sizeof(event) - 1, MSG_NOSIGNAL) > 0 &&
		    wait_for(writer, "HTTP/1.1 200") && wait_for(reader, "data: hello");

	if (reader >= 0)
		close(reader);
	if (writer >= 0)
		close(writer);
	return good;
}

/* Waits until it listens: false if it ends instead. */
static bool is_up(pid_t pid, int *status)
{
	for (int ms = 0; ms < GIVE_UP_MS; ms++) {
		int fd = connect_to(world.control);

		if (fd >= 0)
			close(fd);
		if (fd >= 0 || has_ended(pid, status))
			return fd >= 0;
		poll(NULL, 0, 1);
	}
	world_fail("it neither starts nor ends");
}

void story_program(void)
{
	pid_t pid = start();
	int status = 0;

	if (is_up(pid, &status)) {
		int tries = 1;

		/* A connection that is hit ends; the next one is served. */
		while (!serves()) {
			EXPECT(wraps_has_hit() && tries++ < TRIES, "it does not serve");
			if (ends_soon(pid, &status)) {
				EXPECT(WEXITSTATUS(status) == 1, "it ends for no reason");
				return;
			}
		}
		kill(pid, SIGTERM);
		EXPECT(waitpid(pid, &status, 0) == pid, "nobody to wait for");
	}
	EXPECT(WIFEXITED(status), "it crashes");
	EXPECT(WEXITSTATUS(status) == 0 || wraps_has_hit(), "it fails without a fault");
	EXPECT(WEXITSTATUS(status) <= 2, "it ends in a way of its own");
	EXPECT(strcmp(world.call, "unlink") == 0 || strcmp(world.call, "lstat") == 0 ||
		       access(world_path("public"), F_OK) < 0,
	       "a socket's file is left behind");
}
