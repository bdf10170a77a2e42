/*
 * watcher: clients outside of the box, that notice every byte.
 *
 *	watcher PORT CONTROL-SOCKET STREAMS SLOW-STREAMS
 *	watcher free-port
 *
 * Opens that many streams, of which the slow ones read now and then and have little room, and
 * publishes 200 events a second on the control socket. What an event is on the wire is known
 * beforehand, for its id is chosen here; so each stream compares what it gets byte for byte with
 * what was published. An event whose answer did not come is published again with the same id, which
 * the daemon refuses if it has it: so each is published once, whatever happens to the daemon.
 *
 * For each line "check" on standard input it waits until every stream has all that had been
 * published by then, and prints one line:
 *
 *	streams=2000 disconnects=0 wrong=0 events=1234 pause_ms=17
 *
 * pause_ms is the longest time in which no stream got anything since the check before. At the end
 * of the input it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	EVERY_MS = 40, /* so many events together: 200 a second */
	TOGETHER = 8,
	SLOW_EVERY_MS = 250,
	SLOW_ROOM = 16384,
	CHECK_MAX_MS = 40000,
	TOLD = 3, /* faults of one kind that are described */
	FRAME_MAX = 1024,
	READ_MAX = 65536,
	DATA_MIN = 60, /* so that the first digit of no frame is a heartbeat's */
	DATA_SPREAD = 300,
	CACHED = 1024, /* frames that are kept: a power of two */
};

#define HEARTBEAT     "3\r\n:\n\n\r\n"
#define HEARTBEAT_LEN (sizeof(HEARTBEAT) - 1)

struct stream {
	int fd;
	bool is_slow, is_open, is_wrong;
	int hello; /* of its beginning: 0 the head, 1 the first chunk's size, 2 its bytes, 3 over */
	size_t hello_at; /* bytes matched of the head's end; or left of the chunk */
	uint64_t event;  /* the next one */
	size_t at;       /* bytes of that one's frame, or of a heartbeat, that have come */
	bool is_heartbeat;
};

struct frame {
	uint64_t event_and_1; /* 0 = empty */
	size_t len;
	char bytes[FRAME_MAX];
};

struct watcher {
	struct frame frames[CACHED];
	struct stream *streams;
	size_t count;
	int epoll_fd;
	uint64_t base_ms;   /* the first part of all ids */
	uint64_t published; /* events whose answer has come */
	const char *control;
	int publisher; /* -1 = not connected */
	bool is_asking;
	char answer[4096];
	size_t answer_len;
	uint64_t next_ms, slow_ms; /* the next event, the next look at the slow ones */
	uint64_t heard_ms, pause_ms;
	uint64_t disconnects, wrong;
	bool is_hurried; /* the slow ones, too: there is a check */
	uint64_t wanted, check_until_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void die(const char *what)
{
	fprintf(stderr, "watcher: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* The data of event n; returns its length. */
static size_t data_of(uint64_t n, char *out)
{
	size_t len = DATA_MIN + (size_t)(n * 37 % DATA_SPREAD);

	for (size_t i = 0; i < len; i++)
		out[i] = (char)('a' + (n + i * i) % 26);
	return len;
}

/* The frame of event n, byte for byte; valid until another one is asked for. */
static const struct frame *frame_of(struct watcher *w, uint64_t n)
{
	struct frame *frame = &w->frames[n & (CACHED - 1)];
	char body[FRAME_MAX], data[FRAME_MAX];
	size_t len;
	int body_len;

	if (frame->event_and_1 == n + 1)
		return frame;
	len = data_of(n, data);
	body_len = snprintf(body, sizeof(body), "id: %llu-%llu\ndata: %.*s\n\n",
			    (unsigned long long)w->base_ms, (unsigned long long)n, (int)len, data);
	frame->event_and_1 = n + 1;
	frame->len =
		(size_t)snprintf(frame->bytes, FRAME_MAX, "%x\r\n%s\r\n", (unsigned)body_len, body);
	return frame;
}

static int connect_tcp(int port, bool is_slow)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = SLOW_ROOM;

	if (is_slow)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	return fd;
}

static void streams_open(struct watcher *w, int port, size_t slow)
{
	static const char request[] = "GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n";

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->streams = calloc(w->count, sizeof(*w->streams));
	for (size_t i = 0; i < w->count; i++) {
		struct stream *s = &w->streams[i];
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };

		s->is_slow = i < slow;
		s->fd = connect_tcp(port, s->is_slow);
		s->is_open = true;
		if (write(s->fd, request, sizeof(request) - 1) != sizeof(request) - 1)
			die("subscribe");
		if (!s->is_slow)
			epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, s->fd, &event);
	}
}

/* --- what a stream gets --- */

static void stream_wrong(struct watcher *w, struct stream *s, const char *frame, size_t frame_len,
			 const char *got, size_t len)
{
	if (w->wrong++ < TOLD)
		fprintf(stderr,
			"watcher: stream %td, event %llu, byte %zu:\n-- wanted\n%.*s\n-- got\n%.*s\n",
			s - w->streams, (unsigned long long)s->event, s->at,
			(int)(frame_len - s->at), frame + s->at, (int)(len < 300 ? len : 300), got);
	s->is_wrong = true;
}

/* The head, and the one chunk that says when to come back: bytes used. */
static size_t take_hello(struct stream *s, const char *bytes, size_t len)
{
	static const char end[] = "\r\n\r\n";
	size_t used = 0;

	for (; used < len && s->hello == 0; used++) {
		s->hello_at = bytes[used] == end[s->hello_at] ? s->hello_at + 1
							      : (size_t)(bytes[used] == '\r');
		if (s->hello_at == 4) {
			s->hello = 1;
			s->hello_at = 0;
		}
	}
	for (; used < len && s->hello == 1; used++) {
		char c = bytes[used];

		if (c == '\n') {
			s->hello = 2;
			s->hello_at += 2;
		} else if (c != '\r') {
			s->hello_at =
				s->hello_at * 16 + (size_t)(c <= '9' ? c - '0' : c - 'a' + 10);
		}
	}
	for (; used < len && s->hello == 2; used++)
		if (--s->hello_at == 0)
			s->hello = 3;
	return used;
}

/* Compares with what was published, frame by frame. */
static void take_events(struct watcher *w, struct stream *s, const char *bytes, size_t len)
{
	static const struct frame heartbeat = { .len = HEARTBEAT_LEN, .bytes = HEARTBEAT };

	while (len > 0) {
		const struct frame *frame;
		size_t n;

		if (s->at == 0)
			s->is_heartbeat = bytes[0] == HEARTBEAT[0];
		frame = s->is_heartbeat ? &heartbeat : frame_of(w, s->event);
		n = frame->len - s->at < len ? frame->len - s->at : len;
		if (memcmp(bytes, frame->bytes + s->at, n) != 0) {
			stream_wrong(w, s, frame->bytes, frame->len, bytes, len);
			return;
		}
		bytes += n;
		len -= n;
		s->at += n;
		if (s->at < frame->len)
			return;
		s->at = 0;
		s->event += !s->is_heartbeat;
	}
}

/* Reads what there is. */
static void stream_read(struct watcher *w, struct stream *s)
{
	static char bytes[READ_MAX];
	ssize_t n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t used;

	if (!s->is_open || (n < 0 && errno == EAGAIN))
		return;
	if (n <= 0) {
		if (w->disconnects++ < TOLD)
			fprintf(stderr, "watcher: stream %td, event %llu: disconnected (%s)\n",
				s - w->streams, (unsigned long long)s->event,
				n < 0 ? strerror(errno) : "end");
		s->is_open = false;
		close(s->fd);
		return;
	}
	if (!s->is_slow) {
		uint64_t now = now_ms();

		if (w->heard_ms && now - w->heard_ms > w->pause_ms)
			w->pause_ms = now - w->heard_ms;
		w->heard_ms = now;
	}
	used = take_hello(s, bytes, (size_t)n);
	if (!s->is_wrong)
		take_events(w, s, bytes + used, (size_t)n - used);
}

/* --- publishing --- */

static void publisher_close(struct watcher *w)
{
	if (w->publisher >= 0)
		close(w->publisher);
	w->publisher = -1;
	w->is_asking = false;
	w->answer_len = 0;
}

static bool publisher_open(struct watcher *w)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (w->publisher >= 0)
		return true;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", w->control);
	w->publisher = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(w->publisher, (struct sockaddr *)&to, sizeof(to)) == 0)
		return true;
	publisher_close(w);
	return false;
}

static void publish(struct watcher *w)
{
	static char request[TOGETHER * 2 * FRAME_MAX], body[TOGETHER * FRAME_MAX];
	char data[FRAME_MAX];
	size_t len = 0;
	int n;

	if (w->is_asking || !publisher_open(w))
		return;
	for (uint64_t event = w->published; event < w->published + TOGETHER; event++)
		len += (size_t)snprintf(body + len, sizeof(body) - len,
					"{\"id\":\"%llu-%llu\",\"data\":\"%.*s\"}\n",
					(unsigned long long)w->base_ms, (unsigned long long)event,
					(int)data_of(event, data), data);
	n = snprintf(request, sizeof(request),
		     "POST /publish HTTP/1.1\r\nHost: localhost\r\n"
		     "Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n%s",
		     len, body);
	if (send(w->publisher, request, (size_t)n, MSG_NOSIGNAL) == n)
		w->is_asking = true;
	else
		publisher_close(w);
}

/* What is published now, or was before, by a request whose answer got lost. */
static void publisher_read(struct watcher *w)
{
	char *accepted;
	ssize_t n;

	if (w->publisher < 0)
		return;
	n = recv(w->publisher, w->answer + w->answer_len, sizeof(w->answer) - w->answer_len - 1,
		 MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		publisher_close(w);
		return;
	}
	w->answer_len += (size_t)n;
	w->answer[w->answer_len] = '\0';
	accepted = strstr(w->answer, "\"accepted\":");
	if (!accepted || !strchr(accepted, '}'))
		return;
	w->published += strtoull(accepted + strlen("\"accepted\":"), NULL, 10);
	w->published += strstr(w->answer, "must be larger") != NULL;
	w->answer_len = 0;
	w->is_asking = false;
}

/* --- the loop --- */

/* Whether every open stream has all that the check asked for. */
static bool is_checked(const struct watcher *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->streams[i].is_open && !w->streams[i].is_wrong &&
		    w->streams[i].event < w->wanted)
			return now_ms() >= w->check_until_ms;
	return true;
}

static void check_end(struct watcher *w)
{
	uint64_t late = 0;

	for (size_t i = 0; i < w->count; i++)
		late += w->streams[i].is_open && !w->streams[i].is_wrong &&
			w->streams[i].event < w->wanted;
	printf("streams=%zu disconnects=%llu wrong=%llu events=%llu pause_ms=%llu\n",
	       w->count - (size_t)w->disconnects - (size_t)w->wrong - (size_t)late,
	       (unsigned long long)w->disconnects, (unsigned long long)w->wrong,
	       (unsigned long long)w->published, (unsigned long long)w->pause_ms);
	fflush(stdout);
	w->pause_ms = 0;
	w->is_hurried = false;
}

/* Commands: false at the end of the input. */
static bool command_read(struct watcher *w)
{
	char line[64];
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	if (w->is_hurried || poll(&input, 1, 0) <= 0)
		return true;
	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		return false;
	w->is_hurried = true;
	w->wanted = w->published;
	w->check_until_ms = now_ms() + CHECK_MAX_MS;
	return true;
}

static void turn(struct watcher *w)
{
	struct epoll_event events[512];
	int n = epoll_wait(w->epoll_fd, events, 512, 1);
	uint64_t now = now_ms();

	for (int i = 0; i < n; i++)
		stream_read(w, &w->streams[events[i].data.u64]);
	publisher_read(w);
	if (now >= w->next_ms) {
		publish(w);
		w->next_ms += EVERY_MS;
		if (w->next_ms < now)
			w->next_ms = now;
	}
	if (w->is_hurried || now >= w->slow_ms) {
		for (size_t i = 0; i < w->count && w->streams[i].is_slow; i++)
			if (w->streams[i].is_open)
				stream_read(w, &w->streams[i]);
		w->slow_ms = now + SLOW_EVERY_MS;
	}
	if (w->is_hurried && is_checked(w))
		check_end(w);
}

/* A port of 127.0.0.1 that nobody has now. */
static int free_port(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		die("no port");
	close(fd);
	return ntohs(name.sin_port);
}

int main(int argc, char **argv)
{
	static struct watcher w = { .publisher = -1 };
	struct timespec real;
	struct rlimit files;

	if (argc == 2 && strcmp(argv[1], "free-port") == 0) {
		printf("%d\n", free_port());
		return EXIT_SUCCESS;
	}
	if (argc != 5) {
		fputs("usage: watcher PORT CONTROL-SOCKET STREAMS SLOW-STREAMS\n", stderr);
		return EXIT_FAILURE;
	}
	/* One descriptor for each stream. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	w.control = argv[2];
	w.count = strtoul(argv[3], NULL, 10);
	clock_gettime(CLOCK_REALTIME, &real);
	/* Ahead of all ids that the daemon has given out. */
	w.base_ms = ((uint64_t)real.tv_sec + 60) * 1000;
	streams_open(&w, atoi(argv[1]), strtoul(argv[4], NULL, 10));
	for (size_t i = 0; i < w.count; i++) {
		struct pollfd there = { .fd = w.streams[i].fd, .events = POLLIN };

		/* Each is a subscriber before the first event. */
		if (poll(&there, 1, CHECK_MAX_MS) <= 0)
			die("no answer");
	}
	w.next_ms = now_ms();
	while (command_read(&w))
		turn(&w);
	return EXIT_SUCCESS;
}
