/*
 * systemd: one datagram to the manager for each thing it should know. See systemd.h.
 *
 * Only the environment is trusted to say who the manager is; whatever is wrong with it or with the
 * socket means that nobody listens, and then nothing happens.
 */
#include "systemd.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "str.h"

enum {
	MESSAGE_SIZE = 1024,
	STORED_AT_ONCE = 16,
	PATIENCE_MS = 200,
	PASSED_FIRST = 3,     /* of the descriptors that the manager passes */
	PASSED_LIMIT = 65536, /* what it cannot mean to pass */
};

/* The address that name stands for: its length, or 0 if it is none that we speak. */
static socklen_t address_of(struct str name, struct sockaddr_un *address)
{
	bool is_abstract = str_starts(name, STR("@"));

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (name.n < 2 || name.n >= sizeof(address->sun_path) || (!is_abstract && name.p[0] != '/'))
		return 0;
	memcpy(address->sun_path, name.p, name.n);
	if (is_abstract)
		address->sun_path[0] = '\0';
	/* A path counts with its NUL; an abstract name ends where the length says. */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.n + !is_abstract);
}

static int notify_open(void)
{
	struct sockaddr_un address;
	socklen_t len = address_of(str_of(getenv("NOTIFY_SOCKET")), &address);
	int fd;

	if (len == 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, len) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static uint64_t watchdog_read(void)
{
	const char *pid_text = getenv("WATCHDOG_PID");
	uint64_t usec, pid;

	if (str_to_u64(str_of(getenv("WATCHDOG_USEC")), UINT64_MAX, &usec) || usec == 0)
		return 0;
	if (pid_text &&
	    (str_to_u64(str_of(pid_text), UINT64_MAX, &pid) || pid != (uint64_t)getpid()))
		return 0;
	return usec < 2000 ? 1 : usec / 2000;
}

void systemd_init(struct systemd *systemd)
{
	*systemd = (struct systemd){ .notify_fd = notify_open(), .watchdog_ms = watchdog_read() };
}

/* How many descriptors the environment says are ours. */
static uint64_t count_passed(void)
{
	uint64_t count, pid;

	if (str_to_u64(str_of(getenv("LISTEN_PID")), UINT64_MAX, &pid) || pid != (uint64_t)getpid())
		return 0;
	return str_to_u64(str_of(getenv("LISTEN_FDS")), PASSED_LIMIT, &count) ? 0 : count;
}

int systemd_take(struct systemd_passed *passed)
{
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t count = count_passed();
	struct str rest;

	*passed = (struct systemd_passed){ .count = 0 };
	if (count && names) {
		passed->text = strdup(names);
		if (!passed->text)
			return -ENOMEM;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	rest = str_of(passed->text);
	for (uint64_t i = 0; i < count; i++) {
		int fd = PASSED_FIRST + (int)i;
		struct str name = { NULL, 0 };

		str_cut(&rest, ':', &name);
		if (passed->count == SYSTEMD_PASSED_MAX) {
			close(fd);
			continue;
		}
		passed->fds[passed->count] = fd;
		passed->names[passed->count++] = name;
	}
	return 0;
}

void systemd_passed_done(struct systemd_passed *passed)
{
	for (size_t i = 0; i < passed->count; i++)
		if (passed->fds[i] >= 0)
			close(passed->fds[i]);
	free(passed->text);
	*passed = (struct systemd_passed){ .count = 0 };
}

void systemd_done(struct systemd *systemd)
{
	if (systemd->notify_fd >= 0)
		close(systemd->notify_fd);
	systemd->notify_fd = -1;
}

/*
 * Sends what must not be lost. The queue of the manager's socket may be short (ten messages), and
 * at the start more than that are for it: waits for room, but not for a manager that is stuck.
 */
static void send_surely(int fd, const struct msghdr *message)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	while (sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	       (errno == EAGAIN || errno == EINTR))
		if (poll(&room, 1, PATIENCE_MS) == 0)
			return;
}

void systemd_store(const struct systemd *systemd, const char *name, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(STORED_AT_ONCE * sizeof(int))];
	} control;
	struct cmsghdr *head = &control.align;
	char text[MESSAGE_SIZE];
	struct iovec piece = { text, 0 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int)) };

	assert(count > 0 && count <= STORED_AT_ONCE);
	if (systemd->notify_fd < 0)
		return;
	piece.iov_len = (size_t)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	*head = (struct cmsghdr){ .cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	send_surely(systemd->notify_fd, &message);
}

void systemd_unstore(const struct systemd *systemd, const char *name)
{
	char text[MESSAGE_SIZE];
	struct iovec piece = { text, 0 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (systemd->notify_fd < 0)
		return;
	piece.iov_len = (size_t)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	send_surely(systemd->notify_fd, &message);
}

static void say_surely(const struct systemd *systemd, char *text)
{
	struct iovec piece = { text, strlen(text) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (systemd->notify_fd >= 0)
		send_surely(systemd->notify_fd, &message);
}

void systemd_ready(const struct systemd *systemd)
{
	say_surely(systemd, (char[]){ "READY=1" });
}

void systemd_stopping(const struct systemd *systemd)
{
	say_surely(systemd, (char[]){ "STOPPING=1" });
}

void systemd_notify(const struct systemd *systemd, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;
	int len;

	if (systemd->notify_fd < 0)
		return;
	va_start(args, format);
	len = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (len <= 0)
		return;
	if ((size_t)len >= sizeof(message))
		len = sizeof(message) - 1;
	/* A manager that does not take it now has its reasons; there is nobody else to tell. */
	(void)!send(systemd->notify_fd, message, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
