/*
 * limit: the bare loop, the denominator of every ratio: what the kernel costs, and nothing else.
 *
 *	limit PORT [JOIN]
 *
 * It makes the same system calls as a real server: accepts and watches each connection (edge-
 * triggered), reads the request, answers it. But it believes what it reads: a connection that says
 * GET becomes a reader, one that says POST publishes bodies of the length that its first request
 * has. What is published is framed as the daemon does it and sent to each reader in turn, JOIN
 * events in one send at the most (1; 0 = all that one read brought). A reader that did not get all
 * goes on when the kernel says so. Everything that was ever published is kept, so that
 * `Last-Event-ID`, which holds a position in it, costs nothing to find.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 1 << 20,
	EVENTS_MAX = 4096,
	INPUT_BYTES = 65536,
	ACCEPTS_PER_TURN = 512,
	FRAME_SPARE = 64, /* of a frame beyond its data */
};

#define LOG_BYTES ((size_t)8 << 30) /* of address space; memory only as it is used */

/* By descriptor. */
struct client {
	uint64_t position; /* of a reader that is behind */
	uint32_t place;    /* in live, + 1; 0 = it is behind, or no reader */
	uint32_t length;   /* of a publisher: bytes of a request, 0 = not known yet */
	uint32_t held;     /* of a publisher: bytes in its part of input */
	uint32_t body;     /* of a publisher: bytes of a request's body */
};

struct limit {
	int epoll_fd, listen_fd;
	uint32_t join;
	struct client *clients;
	int *live; /* descriptors of readers that have had all */
	uint32_t live_count;
	char *log;
	uint64_t flushed, head; /* positions in the log */
	char input[2 * INPUT_BYTES];
};

static const char READER_HEAD[] =
	"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
	"Content-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\n"
	"X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\n"
	"Transfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
	"d\r\nretry: 3000\n\n\r\n";

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n"
			     "{\"id\":\"0000000000000-0000000\",\"subscribers\":0}\n";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(struct limit *limit, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.fd = fd };

	if (epoll_ctl(limit->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void open_all(struct limit *limit, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct rlimit files;
	int on = 1;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	limit->clients = calloc(CLIENTS_MAX, sizeof(*limit->clients));
	limit->live = calloc(CLIENTS_MAX, sizeof(*limit->live));
	limit->log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!limit->clients || !limit->live || limit->log == MAP_FAILED)
		die("memory");
	limit->epoll_fd = epoll_create1(0);
	limit->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(limit->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(limit->listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(limit->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(limit->listen_fd, 65535) < 0)
		die("listen");
	watch(limit, limit->listen_fd);
}

static void live_add(struct limit *limit, int fd)
{
	limit->live[limit->live_count++] = fd;
	limit->clients[fd].place = limit->live_count;
}

static void live_remove(struct limit *limit, int fd)
{
	uint32_t place = limit->clients[fd].place;
	int last = limit->live[limit->live_count - 1];

	if (!place)
		return;
	limit->live[place - 1] = last;
	limit->clients[last].place = place;
	limit->clients[fd].place = 0;
	limit->live_count--;
}

static void client_close(struct limit *limit, int fd)
{
	live_remove(limit, fd);
	limit->clients[fd] = (struct client){ 0 };
	close(fd);
}

/* Sends a reader that is behind what it lacks. */
static void catch_up(struct limit *limit, int fd)
{
	struct client *client = &limit->clients[fd];

	while (client->position < limit->flushed) {
		ssize_t n = send(fd, limit->log + client->position,
				 limit->flushed - client->position, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return;
		client->position += (uint64_t)n;
	}
	live_add(limit, fd);
}

/* What it is all about: the bytes up to that position, to everybody in one send each. */
static void flush_to(struct limit *limit, uint64_t to)
{
	const char *bytes = limit->log + limit->flushed;
	uint64_t from = limit->flushed;
	size_t n = to - from;

	limit->flushed = to;
	for (uint32_t i = 0; i < limit->live_count;) {
		int fd = limit->live[i];
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent == (ssize_t)n) {
			i++;
			continue;
		}
		limit->clients[fd].position = from + (sent > 0 ? (uint64_t)sent : 0);
		live_remove(limit, fd);
	}
}

/* Sends what one read brought, JOIN events (all of the same length) at a time. */
static void flush(struct limit *limit, uint32_t frame_bytes)
{
	while (limit->flushed < limit->head) {
		uint64_t to = limit->flushed + (uint64_t)limit->join * frame_bytes;

		flush_to(limit, limit->join && to < limit->head ? to : limit->head);
	}
}

/* Appends an event, in as many bytes as the daemon makes of it; its id is the log's position. */
static uint32_t publish(struct limit *limit, const char *data, uint32_t size)
{
	char *frame = limit->log + limit->head;
	uint32_t event = size + 28; /* the bytes of both fields and the empty line */
	int head = sprintf(frame, "%x\r\n", event);

	if (limit->head + size + FRAME_SPARE > LOG_BYTES)
		die("the log is full");
	head += sprintf(frame + head, "id: %013llu-0\ndata: ",
			(unsigned long long)limit->head + (unsigned)head + event + 2);
	memcpy(frame + head, data, size);
	memcpy(frame + head + size, "\n\n\r\n", 4);
	limit->head += (uint64_t)head + size + 4;
	return (uint32_t)head + size + 4;
}

static void become_reader(struct limit *limit, int fd, const char *request)
{
	const char *id = strstr(request, "\r\nLast-Event-ID: ");

	send(fd, READER_HEAD, sizeof(READER_HEAD) - 1, MSG_NOSIGNAL);
	limit->clients[fd].position = id ? strtoull(id + 17, NULL, 10) : limit->flushed;
	catch_up(limit, fd);
}

/* Reads the lengths off a publisher's first request. */
static void measure(struct client *client, const char *input)
{
	const char *field = strstr(input, "\r\nContent-Length: "), *end = strstr(input, "\r\n\r\n");

	client->body = field ? (uint32_t)atoi(field + 18) : 0;
	client->length = end ? (uint32_t)(end - input) + 4 + client->body : 0;
}

/* Takes requests of a publisher, n bytes in all; what is not whole is held for the next read. */
static void take_publishes(struct limit *limit, int fd, char *input, size_t n)
{
	static char held[INPUT_BYTES];
	struct client *client = &limit->clients[fd];
	static char answers[2 * INPUT_BYTES];
	size_t at = 0, answered = 0;
	uint32_t frame_bytes = 0;

	memmove(input + client->held, input, n);
	memcpy(input, held, client->held);
	n += client->held;
	if (!client->length)
		measure(client, input);
	for (; client->length && at + client->length <= n; at += client->length) {
		frame_bytes =
			publish(limit, input + at + client->length - client->body, client->body);
		if (answered + sizeof(ANSWER) > sizeof(answers))
			continue;
		memcpy(answers + answered, ANSWER, sizeof(ANSWER) - 1);
		answered += sizeof(ANSWER) - 1;
	}
	client->held = (uint32_t)(n - at);
	memcpy(held, input + at, client->held);
	if (answered)
		send(fd, answers, answered, MSG_NOSIGNAL);
	flush(limit, frame_bytes);
}

static void on_readable(struct limit *limit, int fd)
{
	struct client *client = &limit->clients[fd];
	ssize_t n;

	do {
		n = recv(fd, limit->input, INPUT_BYTES, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			client_close(limit, fd);
			return;
		}
		if (n < 0)
			return;
		limit->input[n] = '\0';
		if (client->length || limit->input[0] == 'P')
			take_publishes(limit, fd, limit->input, (size_t)n);
		else if (limit->input[0] == 'G')
			become_reader(limit, fd, limit->input);
	} while (n == INPUT_BYTES);
}

/* Returns whether more may wait. */
static int accept_all(struct limit *limit)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		int fd = accept4(limit->listen_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK);

		if (fd < 0 || fd >= CLIENTS_MAX)
			return 0;
		watch(limit, fd);
	}
	return 1;
}

static void on_event(struct limit *limit, int fd, uint32_t bits)
{
	struct client *client = &limit->clients[fd];

	if (bits & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
		client_close(limit, fd);
		return;
	}
	if (bits & EPOLLOUT && client->position && !client->place)
		catch_up(limit, fd);
	if (bits & EPOLLIN)
		on_readable(limit, fd);
}

int main(int argc, char **argv)
{
	static struct epoll_event events[EVENTS_MAX];
	static struct limit limit = { .join = 1 };

	if (argc < 2) {
		fprintf(stderr, "Usage: limit PORT [JOIN]\n");
		return 2;
	}
	if (argc > 2)
		limit.join = (uint32_t)atoi(argv[2]);
	signal(SIGPIPE, SIG_IGN);
	open_all(&limit, (uint16_t)atoi(argv[1]));
	for (int waiting = 0;;) {
		int n = epoll_wait(limit.epoll_fd, events, EVENTS_MAX, waiting ? 0 : -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == limit.listen_fd)
				waiting = 1;
			else
				on_event(&limit, events[i].data.fd, events[i].events);
		}
		waiting = waiting && accept_all(&limit);
	}
}
