/*
 * afterlife: stories in which one process goes on where another has ended. See stories.h.
 *
 * Both live in this process. What execve(2) or a death does to the first one is done to it: its
 * memory is freed, its descriptors are closed but for those that survive, and nothing is said to
 * anybody. The manager that keeps descriptors is played here, too.
 */
#include "stories.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "people.h"
#include "wraps.h"

static const struct asks one_topic = { .target = "/sse?topic=a" };
static const struct asks two_topics = { .target = "/sse?topic=a&topic=b", .is_http10 = true };
static const struct asks slow = { .target = "/sse?topic=a", .is_slow = true };
static const struct asks poll_one = { .target = "/sse?topic=a", .is_poll = true };

enum { FIRST_PASSED = STDERR_FILENO + 1 };

static void manager_pass(void);

/* A process has died of the fault: as whoever watches over it would, starts another one. */
static void start_again(const char *const *options, bool is_managed)
{
	EXPECT(wraps_has_hit(), "the next process does not go on, without a fault");
	close_range(FIRST_PASSED, OURS - 1, 0);
	if (is_managed)
		manager_pass();
	EXPECT(world_start(options) == 0, "nor does another one start");
	world_look();
	client_close(&world.publisher);
	client_open(&world.publisher, world.port, 0);
}

/* --- the next binary --- */

int __real_main(int argc, char **argv);

static jmp_buf executed;
static pid_t tester;

static void on_exec(char *const *argv)
{
	int argc = 0, status;

	/* Where it is the new binary that is asked, it runs from its beginning. */
	if (getpid() == tester)
		longjmp(executed, 1);
	while (argv[argc])
		argc++;
	status = __real_main(argc, (char **)(uintptr_t)argv);
	fflush(stdout);
	fflush(stderr);
	_exit(status);
}

static void on_child(bool has_exited)
{
	EXPECT(has_exited, "the new binary crashes while it is asked");
}

static const char *const *options_of_upgrade;

/* What is under way when it happens. */
struct under_way {
	struct client request, file;
};

static void begin_much(struct under_way *u)
{
	publish(0);
	for (int i = 0; i < 10; i++)
		publish(2000);
	people_read(500);
	client_open_unix(&u->request, world_path("socket"));
	client_say(&u->request, "POST /publish/b HTTP/1.1\r\nHost: localhost\r\n"
				"Content-Length: 5\r\n\r\nha");
	client_open(&u->file, world.port, 4096);
	client_say(&u->file, "GET /big.txt HTTP/1.1\r\nHost: a\r\n\r\n");
	turn();
}

static void end_much(struct under_way *u)
{
	client_say(&u->request, "lf!");
	for (int i = 0; i < 40; i++) {
		turn();
		client_read(&u->request, SIZE_MAX);
		client_read(&u->file, SIZE_MAX);
	}
	EXPECT(wraps_has_hit() || client_has(&u->request, "HTTP/1.1 200"),
	       "a request has not outlived an upgrade");
	client_close(&u->request);
	client_close(&u->file);
}

/* Asks for the upgrade: whether the daemon goes on as the next binary. */
static bool upgrade(void)
{
	uint64_t upgrades = world.house.server.hub.stats.upgrades;
	uint32_t listeners = world.house.server.listeners.count;
	bool failed;

	if (setjmp(executed) == 0) {
		kill(getpid(), SIGUSR2);
		for (int i = 0; i < 4; i++)
			turn();
		return false;
	}
	wraps_pause(true);
	world_die(true);
	failed = world_go_on() != 0;
	if (!failed)
		world_look();
	/* It keeps whoever is there, even where nobody new comes in: then it is started again. */
	if (!failed && world.house.server.listeners.count < listeners) {
		failed = true;
		world_die(false);
	}
	if (failed)
		start_again(options_of_upgrade, false);
	else
		EXPECT(world.house.server.hub.stats.upgrades == upgrades + 1,
		       "an upgrade is not counted");
	return true;
}

static void act_upgrade(void)
{
	static struct under_way under_way;

	begin_much(&under_way);
	wraps_sleep(false);
	if (!upgrade()) {
		EXPECT(wraps_has_hit(), "no upgrade, without a fault");
		/* Only the new binary was hit, when it was asked: nobody is to notice. */
		if (wraps_has_hit_other())
			world.cuts_max = 0;
		EXPECT(upgrade(), "no upgrade any more");
	}
	end_much(&under_way);
	publish(100);
}

void story_upgrade(void)
{
	static const struct asks *const asks[SUBSCRIBERS_MAX] = { &one_topic, &two_topics, &slow,
								  &poll_one };
	const char *const options[] = { USUAL, "--root", world_path("root"), NULL };

	tester = getpid();
	wraps_on_exec = on_exec;
	wraps_on_child = on_child;
	options_of_upgrade = options;
	wraps_sleep(true);
	live(options, asks, act_upgrade);
}

/* --- a crash --- */

enum { KEPT_MAX = 16 };

/* What the manager has. */
static struct {
	int notified, listener; /* sockets */
	int fds[KEPT_MAX];
	char names[KEPT_MAX][64];
	int count;
} manager;

static void forget(const char *name)
{
	for (int i = 0; i < manager.count; i++) {
		if (strcmp(manager.names[i], name) != 0)
			continue;
		close(manager.fds[i]);
		manager.count--;
		manager.fds[i] = manager.fds[manager.count];
		memmove(manager.names[i], manager.names[manager.count], sizeof(manager.names[i]));
		i--;
	}
}

/* Takes one notification, and the descriptor that it may carry: false when there is none. */
static bool take_notification(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[2048] = "";
	struct iovec piece = { text, sizeof(text) - 1 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *head;
	char *name;
	int fd;

	if (recvmsg(manager.notified, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return false;
	name = strstr(text, "FDNAME=");
	name = name ? name + strlen("FDNAME=") : text;
	head = CMSG_FIRSTHDR(&message);
	if (head) {
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		EXPECT(manager.count < KEPT_MAX && strstr(text, "FDSTORE=1"), "too much to keep");
		manager.fds[manager.count] = descriptor_ours(fd);
		snprintf(manager.names[manager.count++], sizeof(manager.names[0]), "%.63s", name);
	} else if (strstr(text, "FDSTOREREMOVE=1")) {
		forget(name);
	}
	return true;
}

static void manager_open(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[64];
	int len;

	manager.count = 0;
	/* A name that is no path, which may be too long. */
	len = snprintf(text, sizeof(text), "@faults-manager-%d", (int)getpid());
	memcpy(name.sun_path + 1, text + 1, (size_t)len - 1);
	manager.notified = descriptor_ours(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	manager.listener =
		descriptor_ours(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	EXPECT(bind(manager.notified, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) == 0 &&
		       bind(manager.listener, (struct sockaddr *)&any, sizeof(any)) == 0 &&
		       listen(manager.listener, 100) == 0,
	       "no sockets for the manager");
	setenv("NOTIFY_SOCKET", text, 1);
	setenv("WATCHDOG_USEC", "1000000", 1);
}

static void manager_close(void)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	while (take_notification())
		continue;
	while (manager.count)
		close(manager.fds[--manager.count]);
	close(manager.notified);
	close(manager.listener);
}

/* Puts what the daemon gets where it looks for it. */
static void manager_pass(void)
{
	char text[32], names[KEPT_MAX * 65] = "http";

	while (take_notification())
		continue;
	dup2(manager.listener, FIRST_PASSED);
	for (int i = 0; i < manager.count; i++) {
		dup2(manager.fds[i], FIRST_PASSED + 1 + i);
		strcat(strcat(names, ":"), manager.names[i]);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", 1 + manager.count);
	setenv("LISTEN_FDS", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static const char *const *options_of_crash;

static void act_crash(void)
{
	publish(0);
	for (int i = 0; i < 10; i++)
		publish(2000);
	people_read(500);
	turn();
	world_die(false);
	manager_pass();
	if (world_start(options_of_crash))
		start_again(options_of_crash, true);
	world_look();
	client_close(&world.publisher);
	client_open(&world.publisher, world.port, 0);
	house_ahead_ms += 1500;
	loop_set_timer(world.house.server.pulse.timer_fd, 1, 1);
	turn();
	publish(100);
	turn();
}

void story_crash(void)
{
	static const struct asks *const asks[SUBSCRIBERS_MAX] = { &one_topic, &two_topics, &slow };
	const char *const options[] = { USUAL, NULL };

	manager_open();
	manager_pass();
	options_of_crash = options;
	live(options, asks, act_crash);
	/* One that ended before it looked for them has not taken what was passed. */
	if (getenv("LISTEN_PID"))
		close_range(FIRST_PASSED, OURS - 1, 0);
	manager_close();
}
