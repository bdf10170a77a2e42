/*
 * Tests of systemd: a real datagram socket plays the manager. Each test runs in its own process, so
 * the environment is its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "systemd.h"

/* A manager's socket at name ("@…" is abstract), which NOTIFY_SOCKET then has. */
static int manager_open(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name), size = offsetof(struct sockaddr_un, sun_path) + len;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		size = sizeof(address);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, (socklen_t)size), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void expect_message(int manager, const char *expected)
{
	char text[2048];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	cr_assert_geq(n, 0, "nothing came");
	text[n] = '\0';
	cr_expect_str_eq(text, expected);
}

Test(systemd, notifies_a_path)
{
	char name[64];
	struct systemd systemd;
	int manager;

	snprintf(name, sizeof(name), "/tmp/test_systemd.%d", (int)getpid());
	manager = manager_open(name);
	systemd_init(&systemd);
	cr_expect_geq(systemd.notify_fd, 0);
	cr_expect(fcntl(systemd.notify_fd, F_GETFD) & FD_CLOEXEC);
	systemd_notify(&systemd, "READY=1\nSTATUS=%d clients", 7);
	systemd_notify(&systemd, "STOPPING=1");
	expect_message(manager, "READY=1\nSTATUS=7 clients");
	expect_message(manager, "STOPPING=1");
	systemd_done(&systemd);
	cr_expect_eq(systemd.notify_fd, -1);
	systemd_notify(&systemd, "READY=1");
	cr_expect_lt(recv(manager, name, sizeof(name), 0), 0);
	systemd_done(&systemd);
	unlink(name);
}

Test(systemd, notifies_an_abstract_name)
{
	char name[64];
	struct systemd systemd;
	int manager;

	snprintf(name, sizeof(name), "@test_systemd.%d", (int)getpid());
	manager = manager_open(name);
	systemd_init(&systemd);
	systemd_notify(&systemd, "READY=1");
	expect_message(manager, "READY=1");
	systemd_done(&systemd);
}

/* The manager reads nothing; an alarm ends the test, should a call block. */
Test(systemd, never_blocks)
{
	char name[64];
	struct systemd systemd;

	snprintf(name, sizeof(name), "@test_systemd.%d", (int)getpid());
	manager_open(name);
	systemd_init(&systemd);
	alarm(20);
	for (int i = 0; i < 10000; i++)
		systemd_notify(&systemd, "WATCHDOG=1");
	alarm(0);
	systemd_done(&systemd);
}

Test(systemd, survives_a_manager_that_went_away)
{
	char name[64];
	struct systemd systemd;
	int manager;

	snprintf(name, sizeof(name), "@test_systemd.%d", (int)getpid());
	manager = manager_open(name);
	systemd_init(&systemd);
	close(manager);
	systemd_notify(&systemd, "WATCHDOG=1");
	systemd_done(&systemd);
}

static void expect_nobody(const char *name)
{
	struct systemd systemd;

	if (name)
		setenv("NOTIFY_SOCKET", name, 1);
	else
		unsetenv("NOTIFY_SOCKET");
	systemd_init(&systemd);
	cr_expect_eq(systemd.notify_fd, -1, "%s", name ? name : "unset");
	systemd_notify(&systemd, "READY=1");
	systemd_done(&systemd);
}

Test(systemd, nobody_listens)
{
	char too_long[200];

	memset(too_long, '/', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	expect_nobody(NULL);
	expect_nobody("");
	expect_nobody("@");
	expect_nobody("relative");
	expect_nobody("vsock:2:1234");
	expect_nobody("/nonexistent/notify");
	expect_nobody("@nobody.is.bound.here");
	expect_nobody(too_long);
}

static uint64_t watchdog(const char *usec, const char *pid)
{
	struct systemd systemd;

	unsetenv("NOTIFY_SOCKET");
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	else
		unsetenv("WATCHDOG_USEC");
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	else
		unsetenv("WATCHDOG_PID");
	systemd_init(&systemd);
	systemd_done(&systemd);
	return systemd.watchdog_ms;
}

Test(systemd, watchdog)
{
	char ours[32], other[32];

	snprintf(ours, sizeof(ours), "%d", (int)getpid());
	snprintf(other, sizeof(other), "%d", (int)getpid() + 1);
	cr_expect_eq(watchdog(NULL, NULL), 0);
	cr_expect_eq(watchdog("30000000", NULL), 15000);
	cr_expect_eq(watchdog("30000000", ours), 15000);
	cr_expect_eq(watchdog("30000000", other), 0);
	cr_expect_eq(watchdog("30000000", "x"), 0);
	cr_expect_eq(watchdog("30000000", ""), 0);
	cr_expect_eq(watchdog("0", NULL), 0);
	cr_expect_eq(watchdog("100", NULL), 1);
	cr_expect_eq(watchdog("", NULL), 0);
	cr_expect_eq(watchdog("-5", NULL), 0);
	cr_expect_eq(watchdog("5s", NULL), 0);
}

/* In a process of its own, since the numbers are the protocol's and the framework's, too. */
static bool takes_what_was_passed(void)
{
	struct systemd_passed passed;
	char pid[32];
	bool good;

	dup2(0, 3);
	dup2(0, 4);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "http:control", 1);
	systemd_take(&passed);
	good = passed.count == 2 && passed.fds[0] == 3 && passed.fds[1] == 4 &&
	       str_eq(passed.names[0], STR("http")) && str_eq(passed.names[1], STR("control"));
	passed.fds[0] = -1;
	systemd_passed_done(&passed);
	good &= fcntl(3, F_GETFD) >= 0 && fcntl(4, F_GETFD) < 0;
	systemd_take(&passed);
	return good && passed.count == 0;
}

Test(systemd, takes_what_was_passed_once)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(takes_what_was_passed() ? 0 : 1);
	cr_assert(waitpid(child, &status, 0) == child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(systemd, leaves_what_was_passed_to_another)
{
	struct systemd_passed passed;

	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	systemd_take(&passed);
	cr_expect_eq(passed.count, 0);
	setenv("LISTEN_FDS", "-1", 1);
	systemd_take(&passed);
	cr_expect_eq(passed.count, 0);
}
