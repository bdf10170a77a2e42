/*
 * people: the clients. See people.h.
 */
#include "people.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wraps.h"

enum {
	TEXT_MAX = 1 << 22,
	QUIET = 10,         /* rounds before time passes faster, … */
	PATIENCE = 100,     /* … and again as usual, … */
	GIVE_UP_MS = 30000, /* … so long */
};

/* Another round of waiting: true while there may be one. What is paused is tried again after a
 * time; what the kernel holds back (Nagle's algorithm, a late acknowledgement) comes in its own. */
static bool wait_on(int *rounds)
{
	turn();
	if (*rounds > QUIET && *rounds < PATIENCE)
		house_ahead_ms += 50;
	else if (*rounds >= PATIENCE)
		poll(NULL, 0, 1);
	return ++*rounds < PATIENCE + GIVE_UP_MS;
}

/* --- clients --- */

void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_done(&c->in);
}

static void connect_to(struct client *c, const struct sockaddr *name, socklen_t len, int rcvbuf)
{
	buf_init(&c->in, TEXT_MAX);
	c->fd = descriptor_ours(
		socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (rcvbuf)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	EXPECT(connect(c->fd, name, len) == 0 || errno == EINPROGRESS, "cannot connect");
}

void client_open(struct client *c, int port, int rcvbuf)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	connect_to(c, (struct sockaddr *)&name, sizeof(name), rcvbuf);
}

void client_open_unix(struct client *c, const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	connect_to(c, (struct sockaddr *)&name, sizeof(name), 0);
}

void client_say(struct client *c, const char *text)
{
	struct pollfd ready = { .fd = c->fd, .events = POLLOUT };
	size_t left = strlen(text);
	ssize_t n = 1;

	while (left && n > 0) {
		poll(&ready, 1, 1000);
		n = send(c->fd, text, left, MSG_NOSIGNAL);
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
}

bool client_read(struct client *c, size_t max)
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

bool client_has(const struct client *c, const char *text)
{
	return c->in.n && memmem(c->in.p, c->in.n, text, strlen(text));
}

/* Whether a whole answer is there, by its Content-Length. */
static bool is_answered(const struct client *c)
{
	const char *end = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL, *length;

	if (!end)
		return false;
	length = memmem(c->in.p, (size_t)(end - c->in.p), "Content-Length: ", 16);
	return length && c->in.n >= (size_t)(end + 4 - c->in.p) + (size_t)atoi(length + 16);
}

bool client_ask(bool is_control, const char *text, const char *begins)
{
	bool is_there = true, has_begun;
	struct client c;
	int rounds = 0;

	if (is_control)
		client_open_unix(&c, world_path("socket"));
	else
		client_open(&c, world.port, 0);
	client_say(&c, text);
	while (is_there && !is_answered(&c)) {
		EXPECT(wait_on(&rounds), "a request is never answered");
		is_there = client_read(&c, SIZE_MAX);
	}
	has_begun = str_starts(buf_str(&c.in), str_of(begins));
	EXPECT(wraps_has_hit() || (has_begun && is_answered(&c)),
	       "an answer is wrong without a fault");
	/* What is said to be well is whole. */
	EXPECT(!has_begun || is_answered(&c) || wraps_has_hit(),
	       "an answer is cut without a fault");
	client_close(&c);
	return has_begun;
}

/* --- subscribers --- */

static void subscribe(struct subscriber *s)
{
	const struct asks *asks = s->asks;
	const char *mark = strchr(asks->target, '?') ? "&" : "?";
	char text[1024];

	client_open(&s->client, asks->is_proxied ? world.proxied_port : world.port,
		    asks->is_slow ? 4096 : 0);
	snprintf(text, sizeof(text), "%sGET %s%s%s%s%s HTTP/1.%c\r\nHost: a\r\n%s\r\n",
		 asks->is_proxied ? "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" : "", asks->target,
		 asks->is_poll ? "&poll" : "", s->last[0] ? mark : "",
		 s->last[0] ? "lastEventID=" : "", s->last, asks->is_http10 ? '0' : '1',
		 asks->fields ? asks->fields : "");
	client_say(&s->client, text);
}

/* That it has event number n now, of its topic. */
static void take_number(struct subscriber *s, unsigned number)
{
	EXPECT(number < world.published, "an event that nobody has published");
	EXPECT(number >= s->next, "an event twice, or out of order");
	for (; s->next < number; s->next++)
		EXPECT(!world.is_accepted[s->next], "an accepted event is lost");
	s->next = number + 1;
}

/* It is told that there is a gap: what was published before the daemon began anew. */
static void begin_anew(struct subscriber *s)
{
	EXPECT(world.may_begin_anew && world.may_cut_anybody, "a gap");
	if (s->next < world.begun_anew_at)
		s->next = world.begun_anew_at;
}

/* Takes the whole events off what it has received. */
static void take_events(struct subscriber *s)
{
	struct buf *in = &s->client.in;
	const char *end;

	while (in->n && (end = memmem(in->p, in->n, "\n\n", 2))) {
		size_t len = (size_t)(end + 2 - in->p);
		char block[8192], *id, *data;

		snprintf(block, sizeof(block), "%.*s", (int)len, in->p);
		buf_drop(in, len);
		if ((id = strstr(block, "id: ")))
			sscanf(id + 4, "%63[0-9-]", s->last);
		if (strstr(block, "event: gap"))
			begin_anew(s);
		if ((data = strstr(block, "\ndata: e")))
			take_number(s, (unsigned)atoi(data + 8));
	}
}

/* Takes whole answers to polls, and asks again. */
static void take_answers(struct subscriber *s)
{
	struct buf *in = &s->client.in;
	char *at, *id;

	if (!is_answered(&s->client))
		return;
	buf_add_char(in, '\0');
	EXPECT(str_starts(buf_str(in), STR("HTTP/1.1 200")) || wraps_has_hit(),
	       "a poll is refused without a fault");
	if (strstr(in->p, "\"gap\":{"))
		begin_anew(s);
	for (at = in->p; (at = strstr(at, "\"data\":\"e")); at += 9)
		take_number(s, (unsigned)atoi(at + 9));
	if ((id = strstr(in->p, "\"last_id\":\"")))
		sscanf(id + 11, "%63[0-9-]", s->last);
	client_close(&s->client);
	subscribe(s);
}

static void cut(struct subscriber *s, int i)
{
	s->cuts++;
	EXPECT(wraps_has_hit(), "cut or refused without a fault");
	EXPECT(world.may_cut_anybody || world.hit_subscriber == i, "cut, though another was hit");
	client_close(&s->client);
	subscribe(s);
}

static void read_one(int i, size_t max)
{
	struct subscriber *s = &world.subscribers[i];
	bool is_there;

	if (!s->asks)
		return;
	is_there = client_read(&s->client, max);
	if (s->asks->is_poll)
		take_answers(s);
	else
		take_events(s);
	if (!is_there || (!s->asks->is_poll && client_has(&s->client, "HTTP/1.1 503")))
		cut(s, i);
}

void people_read(size_t max_of_slow)
{
	for (int i = 0; i < SUBSCRIBERS_MAX; i++)
		read_one(i, world.subscribers[i].asks && world.subscribers[i].asks->is_slow
				    ? max_of_slow
				    : SIZE_MAX);
}

static bool all_know_their_place(void)
{
	bool know = true;

	people_read(SIZE_MAX);
	for (int i = 0; i < SUBSCRIBERS_MAX; i++)
		know = know && (!world.subscribers[i].asks || world.subscribers[i].last[0]);
	return know;
}

void people_come(const struct asks *const asks[SUBSCRIBERS_MAX])
{
	int rounds = 0;

	client_open(&world.publisher, world.port, 0);
	for (int i = 0; i < SUBSCRIBERS_MAX; i++) {
		world.subscribers[i] = (struct subscriber){ .asks = asks[i], .client.fd = -1 };
		if (!asks[i])
			continue;
		/* A poll is answered only when there is something. */
		if (asks[i]->is_poll)
			snprintf(world.subscribers[i].last, sizeof(world.subscribers[i].last),
				 "earliest");
		subscribe(&world.subscribers[i]);
	}
	while (!all_know_their_place())
		EXPECT(wait_on(&rounds), "some never got in");
}

/* --- the publisher --- */

void publish(size_t filler)
{
	struct client *c = &world.publisher;
	unsigned number = world.published++;
	char *text = malloc(filler + 512), *body = malloc(filler + 32);
	struct buf *in = &c->in;
	bool is_there = true;
	int rounds = 0;

	EXPECT(number < EVENTS_MAX, "too many events");
	memset(body, 'x', filler + 32);
	body[sprintf(body, "e%u ", number)] = filler ? 'x' : '\0';
	body[filler ? filler + 16 : 31] = '\0';
	sprintf(text,
		"POST /publish/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		strlen(body), body);
	buf_clear(in);
	client_say(c, text);
	while (is_there && !client_has(c, "}\n")) {
		EXPECT(wait_on(&rounds), "a publish is never answered");
		is_there = client_read(c, SIZE_MAX);
		if (client_has(c, "HTTP/1.1 503") || client_has(c, "HTTP/1.1 400"))
			break;
	}
	/* Without an answer it may have been accepted or not. */
	world.is_accepted[number] = client_has(c, "HTTP/1.1 200");
	EXPECT(world.is_accepted[number] || wraps_has_hit(), "a publish failed without a fault");
	if (!is_there || !world.is_accepted[number]) {
		client_close(c);
		client_open(c, world.port, 0);
	}
	free(text);
	free(body);
}

/* --- the end --- */

static bool all_have_all(void)
{
	bool have = true;

	people_read(SIZE_MAX);
	for (int i = 0; i < SUBSCRIBERS_MAX; i++)
		have = have &&
		       (!world.subscribers[i].asks || world.subscribers[i].next == world.published);
	return have;
}

static void expect_read(int fd, const char *why)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	/* A timer may fire again while this is looked at. */
	for (int i = 0; fd >= 0 && poll(&ready, 1, 0) > 0; i++) {
		EXPECT(i < PATIENCE, why);
		turn();
	}
}

/* Whatever the kernel has for the daemon, it has been told of: by edges, of which each comes once.
 */
static void expect_awake(void)
{
	const struct server *server = &world.house.server;

	house_ahead_ms += 5000;
	for (int i = 0; i < 10; i++)
		turn();
	for (uint32_t i = 0; i < server->listeners.count; i++)
		expect_read(server->listeners.items[i].fd, "a listener is not looked at");
	expect_read(server->signal_fd, "signals are not looked at");
	expect_read(server->sweep.timer_fd, "the sweep's timer is not looked at");
	expect_read(server->ticker.timer_fd, "the ticks' timer is not looked at");
	expect_read(server->meter.timer_fd, "the meter's timer is not looked at");
	expect_read(server->pulse.timer_fd, "the pulse's timer is not looked at");
	expect_read(server->source.fd, "standard input is not looked at");
}

void people_catch_up(void)
{
	static const struct asks new_one = { .target = "/sse?topic=a" };
	unsigned cuts = 0;
	int rounds = 0;

	wraps_disarm();
	/* Whoever comes only now gets in, and is told. */
	for (int i = 0; i < SUBSCRIBERS_MAX; i++) {
		if (world.subscribers[i].asks)
			continue;
		world.subscribers[i] = (struct subscriber){ .asks = &new_one,
							    .client.fd = -1,
							    .next = world.published };
		subscribe(&world.subscribers[i]);
		break;
	}
	while (!all_know_their_place())
		EXPECT(wait_on(&rounds), "nobody gets in any more");
	publish(0);
	EXPECT(world.is_accepted[world.published - 1], "service does not resume");
	/* Whoever was cut comes back, until all is there. */
	for (rounds = 0; !all_have_all();)
		EXPECT(wait_on(&rounds), "some never got everything");
	expect_awake();
	for (int i = 0; i < SUBSCRIBERS_MAX; i++)
		cuts += world.subscribers[i].cuts;
	EXPECT(cuts <= world.cuts_max, "too many were cut");
}

void people_go(void)
{
	for (int i = 0; i < SUBSCRIBERS_MAX; i++)
		if (world.subscribers[i].asks)
			client_close(&world.subscribers[i].client);
	client_close(&world.publisher);
	for (int i = 0; i < 50; i++)
		turn();
	house_expect_idle(&world.house);
	house_close(&world.house);
}

void live(const char *const *options, const struct asks *const asks[SUBSCRIBERS_MAX],
	  void (*act)(void))
{
	if (world_start(options)) {
		EXPECT(wraps_has_hit(), "it does not start, without a fault");
		return;
	}
	world_look();
	people_come(asks);
	act();
	people_catch_up();
	people_go();
}
