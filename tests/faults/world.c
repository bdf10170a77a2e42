/*
 * world: the daemon, and the folder that it lives in. See people.h.
 */
#include "people.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/token.h"
#include "daemon.h"
#include "request.h"
#include "sock.h"
#include "wraps.h"

struct world world;

void world_fail(const char *why)
{
	dprintf(world.out, "faults: %s: %s\n", world.what, why);
	abort();
}

/* --- the daemon --- */

static bool is_subscriber(int i, in_port_t port)
{
	const struct subscriber *s = &world.subscribers[i];
	struct sockaddr_in own;
	socklen_t n = sizeof(own);

	return s->asks && s->client.fd >= 0 &&
	       getsockname(s->client.fd, (struct sockaddr *)&own, &n) == 0 && own.sin_port == port;
}

void people_hit(const char *call, int err, int fd)
{
	struct sockaddr_in peer = { .sin_family = AF_UNSPEC };
	socklen_t n = sizeof(peer), m = sizeof(int);
	int type = 0;

	(void)call;
	world.err = err;
	world.must_poke = err == EAGAIN || err == SHORT;
	world.hit_subscriber = -1;
	if (fd < 0)
		return;
	/* What is no connection serves everybody. */
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) < 0 || type != SOCK_STREAM ||
	    getpeername(fd, (struct sockaddr *)&peer, &n) < 0) {
		world.may_cut_anybody = true;
		return;
	}
	world.may_cut_anybody = false;
	for (int i = 0; i < SUBSCRIBERS_MAX && peer.sin_family == AF_INET; i++)
		if (is_subscriber(i, peer.sin_port))
			world.hit_subscriber = i;
}

/* What the kernel would tell later, when it has said EAGAIN or has taken a part. */
static void poke(void)
{
	struct server *server = &world.house.server;
	struct hub *hub = &server->hub;

	world.must_poke = false;
	for (uint32_t slot = 1; slot < hub->conns.high; slot++) {
		const struct conn *conn = conns_at(&hub->conns, slot);

		if (conn->state != CONN_FREE)
			request_event(hub, slot, conn->generation, EPOLLIN | EPOLLOUT);
	}
	for (uint32_t i = 0; i < server->listeners.count; i++)
		listener_event(&server->listeners, i);
	server->source.is_ready = server->source.fd >= 0;
}

void turn(void)
{
	wraps_pause(false);
	for (int i = 0; i < 4; i++) {
		int more;

		if (world.must_poke)
			poke();
		more = daemon_turn(&world.house.server, 0);
		EXPECT(more >= 0, "the turn failed");
	}
	wraps_pause(true);
}

int world_start(const char *const *options)
{
	int err;

	wraps_pause(false);
	err = house_try(&world.house, options);
	wraps_pause(true);
	return err;
}

int world_go_on(void)
{
	int err;

	wraps_pause(false);
	err = house_go_on(&world.house);
	wraps_pause(true);
	return err;
}

void world_die(bool execs)
{
	int copies[OURS];

	house_ahead_ms += 10; /* it takes a while until another one is there */
	world.may_begin_anew = true;
	world.begun_anew_at = world.published;
	world.cuts_max = SUBSCRIBERS_MAX;
	for (int fd = STDERR_FILENO + 1; fd < OURS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		copies[fd] = -1;
		if (execs && flags >= 0 && !(flags & FD_CLOEXEC))
			copies[fd] = fcntl(fd, F_DUPFD_CLOEXEC, OURS);
	}
	wraps_die(true);
	daemon_done(&world.house.server);
	wraps_die(false);
	close_range(STDERR_FILENO + 1, OURS - 1, 0);
	for (int fd = STDERR_FILENO + 1; fd < OURS; fd++) {
		if (copies[fd] < 0)
			continue;
		dup2(copies[fd], fd);
		close(copies[fd]);
	}
}

/* The port of a listener of TCP, or 0. */
static int port_of(int fd)
{
	struct buf name;
	int port = 0;

	buf_init(&name, 256);
	sock_name(fd, &name);
	buf_add_char(&name, '\0');
	if (str_starts(buf_str(&name), STR("http:")))
		port = atoi(strrchr(name.p, ':') + 1);
	buf_done(&name);
	return port;
}

void world_look(void)
{
	const struct listeners *listeners = &world.house.server.listeners;

	for (uint32_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->items[i];

		if (listener->flags & CONN_PREFACE)
			world.proxied_port = port_of(listener->fd);
		else if (!listener->is_control)
			world.port = port_of(listener->fd);
	}
}

/* --- descriptors and files --- */

unsigned descriptors_open(int below)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.' && atoi(entry->d_name) < below &&
			 atoi(entry->d_name) != dirfd(dir);
	closedir(dir);
	return count;
}

int descriptor_ours(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, OURS);

	EXPECT(fd >= 0 && moved >= 0, "no descriptor for the test");
	close(fd);
	return moved;
}

const char *world_path(const char *name)
{
	static char paths[4][200];
	static unsigned at;
	char *path = paths[at++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", world.dir, name);
	return path;
}

static const char *const things[] = { "root/sub/page.html",
				      "root/sub",
				      "root/big.txt.gz",
				      "root/big.txt",
				      "root",
				      "token",
				      "config",
				      "key",
				      "socket",
				      "public",
				      "" };

static void write_file(const char *name, const char *text, size_t n)
{
	FILE *file = fopen(world_path(name), "w");

	EXPECT(file && fwrite(text, 1, n, file) == n && fclose(file) == 0, "cannot write a file");
}

void world_prepare(void)
{
	static char big[BIG_BYTES];
	char config[512];

	snprintf(world.dir, sizeof(world.dir), "%s/faults-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	EXPECT(mkdtemp(world.dir), "no folder");
	snprintf(world.control, sizeof(world.control), "unix:%s/socket", world.dir);
	snprintf(world.public, sizeof(world.public), "unix:%s/public", world.dir);
	EXPECT(mkdir(world_path("root"), 0700) == 0 && mkdir(world_path("root/sub"), 0700) == 0,
	       "no folder");
	memset(big, 'b', sizeof(big));
	write_file("root/big.txt", big, sizeof(big));
	write_file("root/big.txt.gz", big, sizeof(big) / 2);
	write_file("root/sub/page.html", "page", 4);
	write_file("token", "secret\n", 7);
	write_file("key", TOKEN_KEY, sizeof(TOKEN_KEY) - 1);
	snprintf(config, sizeof(config),
		 "publish-token-file %s/token\nmercure-publisher-key-file %s/key\n"
		 "mercure-subscriber-key-file %s/key\nretry 1s\nwelcome \"\"\n",
		 world.dir, world.dir, world.dir);
	write_file("config", config, strlen(config));
}

void world_clean(void)
{
	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		remove(world_path(things[i]));
}
