/*
 * stories: those of one life. See stories.h.
 */
#include "stories.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/token.h"
#include "people.h"
#include "wraps.h"

static const struct asks one_topic = { .target = "/sse?topic=a" };
static const struct asks two_topics = { .target = "/sse?topic=a&topic=b", .is_http10 = true };
static const struct asks all_topics = { .target = "/sse?topic=*" };
static const struct asks slow = { .target = "/sse?topic=a", .is_slow = true };
static const struct asks poll_one = { .target = "/sse?topic=a", .is_poll = true };
static const struct asks proxied = { .target = "/sse?topic=a", .is_proxied = true };
static const struct asks forwarded = { .target = "/sse?topic=a",
				       .fields = "X-Forwarded-For: 192.0.2.7\r\n" };

#define GET(target) "GET " target " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void publish_elsewhere(void)
{
	client_ask(true,
		   "POST /publish/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nother",
		   "HTTP/1.1 200");
}

static void act_streams(void)
{
	struct client meter;

	client_open_unix(&meter, world_path("socket"));
	client_say(&meter, GET("/sse/$stats"));
	publish(0);
	publish(3000);
	publish_elsewhere();
	publish(100);
	people_read(500);
	for (int i = 0; i < 30; i++)
		publish(2000);
	publish_elsewhere();
	kill(getpid(), SIGHUP);
	house_ahead_ms += 1500;
	loop_set_timer(world.house.server.sweep.timer_fd, 1, 1);
	loop_set_timer(world.house.server.meter.timer_fd, 1, 1);
	turn();
	EXPECT(world.house.server.hub.config.retry_ms == 1000, "the configuration has changed");
	people_read(500);
	client_close(&meter);
	publish(0);
	turn();
}

void story_streams(void)
{
	static const struct asks *const asks[SUBSCRIBERS_MAX] = { &one_topic, &two_topics,
								  &all_topics, &slow };
	const char *const options[] = { USUAL,          "--tick-interval", "50ms",
					"--tick-topic", "ticks",           NULL };

	live(options, asks, act_streams);
}

/* A token for everything, with so much to tell of its subscriber. */
static struct token token_of_payload(int bytes)
{
	static const char format[] = "{\"mercure\":{\"publish\":[\"*\"],\"subscribe\":[\"*\"],"
				     "\"payload\":\"%0*d\"}}";
	char claims[TOKEN_MAX];

	snprintf(claims, sizeof(claims), format, bytes, 0);
	return token_of(claims);
}

enum { SELECTORS = 80, PAYLOAD_BYTES = 4000 };

/* One whose subscriptions make a list that is too long for a conn's own bytes. */
static void act_mercure(void)
{
	struct client subscriber;
	char text[32768];
	size_t n;

	n = (size_t)sprintf(text, "GET /.well-known/mercure?topic=a");
	for (int i = 0; i < SELECTORS; i++)
		n += (size_t)sprintf(text + n, "&topic=s%d", i);
	sprintf(text + n, " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
		token_of_payload(PAYLOAD_BYTES).text);
	client_open(&subscriber, world.port, 0);
	client_say(&subscriber, text);
	turn();
	sprintf(text,
		"GET /.well-known/mercure/subscriptions HTTP/1.1\r\nHost: a\r\nAuthorization: "
		"Bearer %s\r\n\r\n",
		token_of_payload(1).text);
	client_ask(false, text, "HTTP/1.1 200");
	sprintf(text,
		"POST /.well-known/mercure HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 22\r\n\r\n"
		"topic=b&data=1&id=urn1",
		token_of_payload(1).text);
	client_ask(false, text, "HTTP/1.1 200");
	client_close(&subscriber);
	turn();
}

static void act_requests(void)
{
	publish(0);
	client_ask(false, GET("/big.txt"), "HTTP/1.1 200");
	client_ask(false, "GET /big.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
		   "HTTP/1.1 200");
	client_ask(false, GET("/sub/page.html"), "HTTP/1.1 200");
	client_ask(false, GET("/sub"), "HTTP/1.1 301");
	wraps_lack_openat2(true);
	client_ask(false, GET("/sub/page.html"), "HTTP/1.1 200");
	wraps_lack_openat2(false);
	client_ask(false, "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		   "HTTP/1.1 404");
	publish(100);
	client_ask(
		true,
		"POST /publish/b HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
		"application/x-ndjson\r\nContent-Length: 26\r\n\r\n{\"data\":\"1\"}\n{\"data\":\"2\"}\n",
		"HTTP/1.1 200");
	client_ask(true, GET("/metrics"), "HTTP/1.1 200");
	client_ask(false, GET("/healthz"), "HTTP/1.1 200");
	act_mercure();
	publish(0);
}

void story_requests(void)
{
	static const struct asks *const asks[SUBSCRIBERS_MAX] = { &one_topic, &poll_one, &proxied,
								  &forwarded };
	const char *const options[] = { USUAL,
					"--root",
					world_path("root"),
					"--trusted-proxy",
					"127.0.0.1",
					"--mercure-subscriptions",
					NULL };

	live(options, asks, act_requests);
}

/* --- standard input --- */

static int feeder = -1, full_pipe;

static void feed(const char *text)
{
	if (feeder >= 0 && send(feeder, text, strlen(text), MSG_NOSIGNAL) < 0)
		(void)!write(feeder, text, strlen(text));
	turn();
}

/* Events of the topic that nobody but standard input publishes to. */
static unsigned count_fed(void)
{
	const struct ring *ring = &world.house.server.hub.ring;
	unsigned count = 0;

	for (uint64_t n = ring->header->first; n < ring->header->next; n++) {
		const struct record *record = ring_record(ring, n);
		struct str topic;
		uint32_t at = 0;

		count += ring_next_topic(ring, record, &at, &topic) && str_eq(topic, STR("b"));
	}
	return count;
}

static void act_input(void)
{
	/* From now on: at the start, what is wrong is said until somebody reads it. */
	dup2(full_pipe, STDERR_FILENO);
	publish(0);
	feed("{\"topic\":\"b\",\"data\":\"1\"}\n");
	feed("{\"topic\":\"b\",\"da");
	feed("ta\":\"2\"}\nthis is none\n");
	publish(0);
	close(feeder);
	feeder = -1;
	turn();
	if (world.err == 0 || world.err == EINTR || world.err == EAGAIN || world.err == SHORT)
		EXPECT(count_fed() == 2, "what came on standard input is lost");
}

/* Puts what gives input at descriptor 0, and a pipe that is full and never read at 2. */
static void story_of_input(bool is_socket)
{
	static const struct asks *const asks[SUBSCRIBERS_MAX] = { &one_topic, &all_topics };
	const char *const options[] = { USUAL, "--stdin", "ndjson", NULL };
	int input[2], log[2], was_in = dup(STDIN_FILENO), was_err = dup(STDERR_FILENO);
	char full[4096] = "";

	was_in = descriptor_ours(was_in);
	was_err = descriptor_ours(was_err);
	if (is_socket)
		EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, input) == 0, "no sockets");
	else
		EXPECT(pipe(input) == 0, "no pipe");
	EXPECT(pipe(log) == 0 && fcntl(log[1], F_SETFL, O_NONBLOCK) == 0, "no pipe");
	while (write(log[1], full, sizeof(full)) > 0)
		continue;
	fcntl(log[1], F_SETFL, 0);
	dup2(input[0], STDIN_FILENO);
	close(input[0]);
	full_pipe = descriptor_ours(log[1]);
	log[0] = descriptor_ours(log[0]);
	feeder = descriptor_ours(input[1]);
	live(options, asks, act_input);
	if (feeder >= 0)
		close(feeder);
	dup2(was_in, STDIN_FILENO);
	dup2(was_err, STDERR_FILENO);
	close(was_in);
	close(was_err);
	close(log[0]);
	close(full_pipe);
}

void story_pipe(void)
{
	story_of_input(false);
}

void story_socket(void)
{
	story_of_input(true);
}
