/*
 * faults: the daemon while one system or library call fails.
 *
 * For each call, each of its errnos, each use of it: a fresh daemon in this process (see house.h)
 * starts, serves a story of subscribers, publishers, files, a slow reader, a reload, heartbeats; in
 * the middle that one use fails. Then: it runs on; whoever was not hit keeps the connection; every
 * subscriber, who comes back with its last id if it was cut, has each accepted event once and in
 * order; new clients are served; at the end every descriptor is given back. At the
 * start it may refuse to start, with nothing left behind. Memory is counted by a build with
 * AddressSanitizer.
 *
 *	faults [CALL]	prints the number of cases
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/house.h"
#include "daemon.h"
#include "sock.h"
#include "wraps.h"

enum {
	SUBSCRIBERS = 4,
	BIG_BYTES = 300000,
	TEXT_MAX = 1 << 22,
	PATIENCE = 2000,    /* rounds */
	GIVE_UP_MS = 30000, /* after that */
	USES_TRIED = 150,   /* of one call; more uses are sampled */
};

struct client {
	int fd; /* -1: none */
	struct buf in;
};

struct subscriber {
	struct client client;
	char last[64];       /* id of the newest event that it has */
	unsigned next, cuts; /* number of the event that it waits for at least */
	bool is_slow;
};

static struct {
	struct house house;
	char dir[64], root[96], config[96], control[96];
	int port;
	struct subscriber subscribers[SUBSCRIBERS];
	struct client publisher;
	unsigned published;     /* numbers given to events */
	bool is_accepted[4096]; /* by number */
	char what[128];         /* the case, for what goes wrong */
	int hit_subscriber;     /* -1: none of them */
	bool may_cut_anybody, has_hit;
} story;

static void fail(const char *why)
{
	printf("faults: %s: %s\n", story.what, why);
	abort();
}

#define EXPECT(is_true, why)       \
	do {                       \
		if (!(is_true))    \
			fail(why); \
	} while (0)

/* --- the daemon, with the fault; all else is without --- */

/* Who was hit: the fd is the daemon's end. */
static void find_hit(int fd)
{
	struct sockaddr_in peer, own;
	socklen_t n = sizeof(peer), m = sizeof(own);

	story.has_hit = true;
	story.hit_subscriber = -1;
	if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &n) < 0)
		return;
	for (int i = 0; i < SUBSCRIBERS; i++)
		if (story.subscribers[i].client.fd >= 0 &&
		    getsockname(story.subscribers[i].client.fd, (struct sockaddr *)&own, &m) == 0 &&
		    own.sin_port == peer.sin_port)
			story.hit_subscriber = i;
}

static void turn(void)
{
	wraps_pause(false);
	for (int i = 0; i < 4; i++) {
		int more = daemon_turn(&story.house.server, 0);

		EXPECT(more >= 0, "the turn failed");
	}
	wraps_pause(true);
}

/* --- clients --- */

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

static void client_open(struct client *c, int rcvbuf)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)story.port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	buf_init(&c->in, TEXT_MAX);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (rcvbuf)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	EXPECT(connect(c->fd, (struct sockaddr *)&name, sizeof(name)) == 0 || errno == EINPROGRESS,
	       "cannot connect");
}

static void client_say(struct client *c, const char *text)
{
	struct pollfd ready = { .fd = c->fd, .events = POLLOUT };

	poll(&ready, 1, 1000);
	(void)!send(c->fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Reads up to max bytes of what is there: false when the other side has gone. */
static bool client_read(struct client *c, size_t max)
{
	char bytes[65536];
	ssize_t n = 1;

	while (max && n > 0) {
		n = recv(c->fd, bytes, max < sizeof(bytes) ? max : sizeof(bytes), MSG_DONTWAIT);
		if (n > 0) {
			buf_add(&c->in, (struct str){ bytes, (size_t)n });
			max -= (size_t)n;
		}
	}
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static bool client_has(const struct client *c, const char *text)
{
	return c->in.n && memmem(c->in.p, c->in.n, text, strlen(text));
}

/* --- subscribers --- */

static void subscribe(struct subscriber *s)
{
	char text[256];

	client_open(&s->client, s->is_slow ? 4096 : 0);
	snprintf(text, sizeof(text), "GET /sse?topic=a HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n",
		 s->last[0] ? "Last-Event-ID: " : "", s->last, s->last[0] ? "\r\n" : "");
	client_say(&s->client, text);
}

/* Takes the whole events off what it has received. */
static void take_events(struct subscriber *s)
{
	struct buf *in = &s->client.in;
	const char *end;

	EXPECT(!client_has(&s->client, "event: gap"), "a gap");
	while (in->n && (end = memmem(in->p, in->n, "\n\n", 2))) {
		size_t len = (size_t)(end + 2 - in->p);
		char block[8192], *id, *data;

		snprintf(block, sizeof(block), "%.*s", (int)len, in->p);
		buf_drop(in, len);
		if ((id = strstr(block, "id: ")))
			sscanf(id + 4, "%63[0-9-]", s->last);
		if (!(data = strstr(block, "\ndata: e")))
			continue;
		unsigned number = (unsigned)atoi(data + 8);

		EXPECT(number >= s->next, "an event twice, or out of order");
		for (; s->next < number; s->next++)
			EXPECT(!story.is_accepted[s->next], "an accepted event is lost");
		s->next = number + 1;
	}
}

static void cut(struct subscriber *s, int i)
{
	s->cuts++;
	EXPECT(story.has_hit, "cut or refused without a fault");
	EXPECT(story.may_cut_anybody || story.hit_subscriber == i, "cut, though another was hit");
	client_close(&s->client);
	subscribe(s);
}

static void read_subscriber(int i, size_t max)
{
	struct subscriber *s = &story.subscribers[i];
	bool is_there = client_read(&s->client, max);

	take_events(s);
	if (!is_there || client_has(&s->client, "HTTP/1.1 503"))
		cut(s, i);
}

/* --- the publisher --- */

static void publish(size_t filler)
{
	struct client *c = &story.publisher;
	unsigned number = story.published++;
	char *text = malloc(filler + 512), *body = malloc(filler + 32);
	struct buf *in = &c->in;
	bool is_there = true;

	memset(body, 'x', filler + 32);
	body[sprintf(body, "e%u ", number)] = filler ? 'x' : '\0';
	body[filler ? filler + 16 : 31] = '\0';
	sprintf(text,
		"POST /publish/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		strlen(body), body);
	buf_clear(in);
	client_say(c, text);
	for (int i = 0; i < PATIENCE && is_there && !client_has(c, "}\n"); i++) {
		turn();
		is_there = client_read(c, SIZE_MAX);
		if (client_has(c, "HTTP/1.1 503") || client_has(c, "HTTP/1.1 400"))
			break;
	}
	/* Without an answer it may have been accepted or not. */
	story.is_accepted[number] = client_has(c, "HTTP/1.1 200");
	EXPECT(story.is_accepted[number] || story.has_hit, "a publish failed without a fault");
	if (!is_there || !story.is_accepted[number]) {
		client_close(c);
		client_open(c, 0);
	}
	free(text);
	free(body);
}

/* --- the story --- */

static void write_file(const char *name, const char *text, size_t n)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", story.dir, name);
	file = fopen(path, "w");
	EXPECT(file && fwrite(text, 1, n, file) == n && fclose(file) == 0, "cannot write a file");
}

static void prepare(void)
{
	static char big[BIG_BYTES];
	char config[256];

	snprintf(story.dir, sizeof(story.dir), "%s/faults-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	EXPECT(mkdtemp(story.dir), "no folder");
	snprintf(story.root, sizeof(story.root), "%s/root", story.dir);
	snprintf(story.config, sizeof(story.config), "%s/config", story.dir);
	snprintf(story.control, sizeof(story.control), "unix:%s/socket", story.dir);
	EXPECT(mkdir(story.root, 0700) == 0, "no folder");
	memset(big, 'b', sizeof(big));
	write_file("root/big.txt", big, sizeof(big));
	write_file("token", "secret\n", 7);
	snprintf(config, sizeof(config), "publish-token-file %s/token\nretry 1s\nwelcome \"\"\n",
		 story.dir);
	write_file("config", config, strlen(config));
}

static void clean(void)
{
	static const char *const names[] = {
		"root/big.txt", "token", "config", "socket", "root", ""
	};
	char path[200];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", story.dir, names[i]);
		remove(path);
	}
}

static int start(void)
{
	const char *const options[] = { "--listen",    "127.0.0.1:0", "--control",    story.control,
					"--config",    story.config,  "--root",       story.root,
					"--sndbuf",    "8K",          "--ring-bytes", "8M",
					"--log-level", "error",       "--heartbeat",  "1s",
					NULL };
	struct buf name;
	int err;

	wraps_pause(false);
	err = house_try(&story.house, options);
	wraps_pause(true);
	if (err)
		return err;
	buf_init(&name, 256);
	sock_name(story.house.server.listeners.items[0].fd, &name);
	buf_add_char(&name, '\0');
	story.port = atoi(strrchr(name.p, ':') + 1);
	buf_done(&name);
	return 0;
}

/* Everything that the daemon does, with few bytes. */
static void act(void)
{
	struct client file, other;

	publish(0);
	publish(3000);
	client_open(&file, 0);
	client_say(&file, "GET /big.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
	client_open(&other, 0);
	client_say(&other, "GET /sse?topic=b&topic=c&topic=d HTTP/1.0\r\n\r\n");
	turn();
	for (int i = 0; i < SUBSCRIBERS; i++)
		read_subscriber(i, story.subscribers[i].is_slow ? 500 : SIZE_MAX);
	for (int i = 0; i < 12; i++) {
		client_read(&file, 20000);
		turn();
	}
	client_close(&file);
	client_open(&file, 0);
	client_say(&file, "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	turn();
	client_close(&file);
	for (int i = 0; i < 30; i++)
		publish(2000);
	kill(getpid(), SIGHUP);
	house_ahead_ms += 1500;
	loop_set_timer(story.house.server.sweep.timer_fd, 1, 1);
	turn();
	client_close(&other);
	publish(0);
	turn();
}

/* Everybody reads on, and comes back until all is there. */
static void catch_up(void)
{
	bool is_missing = true;

	for (int rounds = 0; is_missing; rounds++) {
		EXPECT(rounds < PATIENCE + GIVE_UP_MS, "some never got everything");
		turn();
		is_missing = false;
		for (int i = 0; i < SUBSCRIBERS; i++) {
			read_subscriber(i, SIZE_MAX);
			is_missing = is_missing || story.subscribers[i].next < story.published;
		}
		/* What is paused is tried again after a time; what the kernel holds back (Nagle's
		 * algorithm, where it could not be turned off) comes in its own time. */
		if (rounds < PATIENCE)
			house_ahead_ms += 50;
		else
			poll(NULL, 0, 1);
	}
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Whether every subscriber knows where it stands, so that it misses nothing. */
static bool all_are_there(void)
{
	static unsigned rounds;
	bool are_there = true;

	for (int i = 0; i < SUBSCRIBERS; i++) {
		read_subscriber(i, SIZE_MAX);
		are_there = are_there && story.subscribers[i].last[0];
	}
	rounds = are_there ? 0 : rounds + 1;
	if (rounds == PATIENCE)
		for (int i = 0; i < SUBSCRIBERS; i++)
			printf("subscriber %d has: %.*s\n", i,
			       STR_ARG(buf_str(&story.subscribers[i].client.in)));
	EXPECT(rounds < PATIENCE, "some never got in");
	house_ahead_ms += 50;
	return are_there;
}

static void serve(void)
{
	unsigned cuts = 0;

	client_open(&story.publisher, 0);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		story.subscribers[i] = (struct subscriber){ .is_slow = i == SUBSCRIBERS - 1 };
		subscribe(&story.subscribers[i]);
	}
	while (!all_are_there())
		turn();
	act();
	wraps_disarm();
	publish(0);
	EXPECT(story.is_accepted[story.published - 1], "service does not resume");
	catch_up();
	for (int i = 0; i < SUBSCRIBERS; i++) {
		cuts += story.subscribers[i].cuts;
		client_close(&story.subscribers[i].client);
	}
	EXPECT(cuts <= 1, "more than one was cut");
	client_close(&story.publisher);
	for (int i = 0; i < 50; i++)
		turn();
	house_expect_idle(&story.house);
	house_close(&story.house);
}

/* One daemon, one fault: whether the fault happened. */
static bool run(const struct wrap *wrap, int err, unsigned use)
{
	unsigned descriptors = open_descriptors();

	snprintf(story.what, sizeof(story.what), "%s, use %u, %s", wrap->name, use,
		 strerrorname_np(err));
	story.published = 0;
	story.has_hit = false;
	story.may_cut_anybody = wrap->is_memory;
	house_ahead_ms = 0;
	wraps_arm(wrap->name, err, use);
	if (start() == 0)
		serve();
	wraps_disarm();
	EXPECT(open_descriptors() == descriptors, "a descriptor is not given back");
	return story.has_hit;
}

int main(int argc, char **argv)
{
	unsigned cases = 0;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* but where the daemon wants to be told */
	setlinebuf(stdout);
	/* The daemon has a lot to say here. */
	EXPECT(freopen("/dev/null", "w", stderr), "no /dev/null");
	wraps_on_hit = find_hit;
	wraps_pause(true);
	prepare();
	run(&wraps[0], 1, 0); /* so that libc has opened what it keeps open */
	for (unsigned i = 0; i < wrap_count; i++) {
		const struct wrap *wrap = &wraps[i];
		unsigned uses, stride, tried = 0;

		if (argc > 1 && strcmp(argv[1], wrap->name) != 0)
			continue;
		run(wrap, 1, 0);
		uses = wraps_uses(wrap->name);
		EXPECT(uses > 0, "it is never used");
		stride = uses / USES_TRIED + 1;
		for (const int *err = wrap->errnos; *err; err++)
			for (unsigned use = 1; use <= uses; use += stride)
				tried += run(wrap, *err, use);
		printf("faults: %-14s %4u uses %5u cases\n", wrap->name, uses, tried);
		cases += tried;
	}
	clean();
	printf("faults: %u cases of (call, errno, use) hold\n", cases);
	return 0;
}
