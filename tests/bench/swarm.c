/*
 * swarm: see swarm.h.
 */
#include "swarm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES = 65536,
	SLOW_RECEIVE_BYTES = 4096, /* of a slow reader's receive buffer */
	SLOW_EVERY_NS = 100 * 1000 * 1000,
	HEAD_MAX = 32768,
};

int swarm_init(struct swarm *swarm, const struct options *options, struct shared *shared,
	       uint32_t worker, int epoll_fd)
{
	uint64_t count = options->count;

	*swarm = (struct swarm){ .options = options,
				 .shared = shared,
				 .totals = &shared->workers[worker],
				 .epoll_fd = epoll_fd };
	swarm->first = (uint32_t)(count * worker / options->workers);
	swarm->count = (uint32_t)(count * (worker + 1) / options->workers) - swarm->first;
	swarm->clients = calloc(swarm->count + 1, sizeof(*swarm->clients));
	swarm->input = malloc(READER_HELD_MAX + READ_BYTES);
	if (!swarm->clients || !swarm->input)
		return -ENOMEM;
	for (uint32_t i = 0; i < swarm->count; i++) {
		double number = swarm->first + i;

		/* Spread evenly: wherever the sum of the fractions passes a whole number. */
		swarm->clients[i].is_slow = (uint64_t)((number + 1) * options->slow_fraction) >
					    (uint64_t)(number * options->slow_fraction);
	}
	return 0;
}

/* Closes a client for now; what it knows of the stream stays. */
static void client_close(struct swarm *swarm, struct client *client)
{
	if (client->state == CLIENT_NONE)
		return;
	if (client->state != CLIENT_OPEN)
		swarm->connecting--;
	else if (client->is_slow)
		swarm->totals->slow_open--;
	else
		swarm->totals->open--;
	close(client->fd);
	reader_done(&client->reader);
	client->state = CLIENT_NONE;
}

void swarm_done(struct swarm *swarm)
{
	for (uint32_t i = 0; swarm->clients && i < swarm->count; i++)
		client_close(swarm, &swarm->clients[i]);
	free(swarm->clients);
	free(swarm->input);
}

static void client_open(struct swarm *swarm, struct client *client)
{
	uint32_t index = (uint32_t)(client - swarm->clients);
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = index };
	int receive_bytes = client->is_slow ? SLOW_RECEIVE_BYTES : 0;

	client->fd = target_connect(&swarm->options->target, swarm->first + index, receive_bytes);
	if (client->fd < 0 || epoll_ctl(swarm->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0) {
		swarm->totals->failures++;
		return;
	}
	client->state = CLIENT_CONNECTING;
	swarm->connecting++;
}

void swarm_connect(struct swarm *swarm)
{
	while (swarm->started < swarm->count && swarm->connecting < swarm->options->concurrency)
		client_open(swarm, &swarm->clients[swarm->started++]);
}

/* It is connected: asks for the stream. */
static void client_ask(struct swarm *swarm, struct client *client)
{
	const struct target *target = &swarm->options->target;
	uint32_t number = swarm->first + (uint32_t)(client - swarm->clients);
	struct buf text;

	buf_init(&text, 2 * HEAD_MAX);
	buf_add(&text, target->is_redis ? STR("SUBSCRIBE ") : STR("GET "));
	target_path(target, number, &text);
	if (!target->is_redis) {
		buf_addf(&text, " HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s",
			 target->host, swarm->options->headers);
		if (client->last_id[0])
			buf_addf(&text, "Last-Event-ID: %s\r\n", client->last_id);
	}
	buf_add(&text, STR("\r\n"));
	if (send(client->fd, text.p, text.n, MSG_NOSIGNAL) != (ssize_t)text.n) {
		swarm->totals->failures++;
		client_close(swarm, client);
	} else {
		client->state = CLIENT_HEAD;
		reader_init(&client->reader, target->is_redis ? READER_REDIS : READER_PLAIN);
	}
	buf_done(&text);
}

static void client_opened(struct swarm *swarm, struct client *client)
{
	client->state = CLIENT_OPEN;
	swarm->connecting--;
	swarm->totals->connects++;
	if (client->is_slow)
		swarm->totals->slow_open++;
	else
		swarm->totals->open++;
	if (client->last_id[0])
		swarm->totals->resumed++;
	else
		client->is_late = atomic_load(&swarm->shared->phase) >= PHASE_PUBLISH;
}

/*
 * Looks for the head's end in what has come; returns the head's length, or 0. A head that does not
 * promise a stream fails the connection.
 */
static size_t head_take(struct swarm *swarm, struct client *client, char *text, size_t n)
{
	char *end = memmem(text, n, "\r\n\r\n", 4), *field;

	if (!end && n < HEAD_MAX)
		return 0;
	if (!end || n < 12 || memcmp(text, "HTTP/1.", 7) != 0 || memcmp(text + 9, "200", 3) != 0) {
		swarm->totals->failures++;
		client_close(swarm, client);
		return 0;
	}
	*end = '\0';
	field = strcasestr(text, "\r\nTransfer-Encoding:");
	if (field && strcasestr(field, "chunked"))
		client->reader.framing = READER_CHUNKED;
	client_opened(swarm, client);
	return (size_t)(end - text) + 4;
}

/* Only this worker writes it: no locked instruction is needed. */
static void count_one(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

struct arrival {
	struct swarm *swarm;
	struct client *client;
};

/* One of ours: is it the one that is expected? */
static void verify(struct swarm *swarm, struct client *client, const struct payload *payload)
{
	struct totals *totals = swarm->totals;
	uint32_t *next = &client->next[payload->publisher];

	if (client->is_late) {
		client->is_late = false;
		*next = payload->seq;
	}
	if (payload->seq == *next) {
		++*next;
	} else if (payload->seq > *next) {
		totals->gaps += payload->seq - *next;
		*next = payload->seq + 1;
	} else if (payload->seq + 1 == *next) {
		totals->doubles++;
	} else {
		totals->misordered++;
	}
	if (client->is_slow) {
		totals->slow_deliveries++;
		return;
	}
	count_one(&totals->deliveries);
	totals->last_ns = swarm->now_ns;
	if (swarm->is_measured && swarm->now_ns > payload->sent_ns)
		histogram_add(&totals->latency, swarm->now_ns - payload->sent_ns);
	if (swarm->replay_end && payload->seq + 1 == swarm->replay_end && !client->has_caught_up) {
		client->has_caught_up = true;
		totals->caught_up++;
	}
}

static void on_event(void *context, struct str data, struct str id)
{
	const struct arrival *arrival = context;
	struct payload payload;

	if (id.n && id.n < sizeof(arrival->client->last_id)) {
		memcpy(arrival->client->last_id, id.p, id.n);
		arrival->client->last_id[id.n] = '\0';
	}
	switch (payload_read(data, arrival->swarm->options->size, &payload)) {
	case PAYLOAD_OURS:
		if (payload.publisher < PUBLISHERS_MAX) {
			verify(arrival->swarm, arrival->client, &payload);
			break;
		}
		/* fall through */
	case PAYLOAD_TORN: arrival->swarm->totals->torn++; break;
	case PAYLOAD_FOREIGN: arrival->swarm->totals->foreign++; break;
	}
}

/* n bytes have come behind what is held. */
static void client_take(struct swarm *swarm, struct client *client, size_t n)
{
	struct arrival arrival = { swarm, client };
	struct reader *reader = &client->reader;
	char *text = swarm->input + reader->held_n;

	swarm->totals->bytes += n;
	if (client->state == CLIENT_HEAD && reader->framing == READER_REDIS)
		client_opened(swarm, client);
	if (client->state == CLIENT_HEAD) {
		size_t whole = reader->held_n + n, head;

		if (reader->held_n)
			memcpy(swarm->input, reader->held, reader->held_n);
		head = head_take(swarm, client, swarm->input, whole);
		if (client->state == CLIENT_NONE)
			return;
		if (head == 0) {
			reader_hold(reader, (struct str){ swarm->input, whole });
			return;
		}
		reader_hold(reader, (struct str){ NULL, 0 });
		n = whole - head;
		text = swarm->input;
		memmove(text, text + head, n);
	}
	swarm->totals->comments +=
		reader_take(reader, text - reader->held_n, n, on_event, &arrival);
	if (reader->is_broken) {
		swarm->totals->torn++;
		client_close(swarm, client);
	}
}

/* Reads up to max bytes; true if there may be more. */
static bool client_read(struct swarm *swarm, struct client *client, size_t max)
{
	ssize_t n = recv(client->fd, swarm->input + client->reader.held_n, max, 0);

	if (n > 0) {
		client_take(swarm, client, (size_t)n);
		return client->state != CLIENT_NONE && (size_t)n == max;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (client->state == CLIENT_OPEN)
		swarm->totals->closed_by_server++;
	else
		swarm->totals->failures++;
	client_close(swarm, client);
	return false;
}

void swarm_event(struct swarm *swarm, uint32_t index, uint32_t bits)
{
	struct client *client = &swarm->clients[index];

	swarm->now_ns = bench_now_ns();
	if (client->state == CLIENT_CONNECTING && bits & (EPOLLERR | EPOLLHUP)) {
		swarm->totals->failures++;
		client_close(swarm, client);
		return;
	}
	if (client->state == CLIENT_CONNECTING && bits & EPOLLOUT)
		client_ask(swarm, client);
	if (client->state == CLIENT_NONE || !(bits & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (client->is_slow && client->state == CLIENT_OPEN)
		return;
	while (client_read(swarm, client, READ_BYTES))
		;
}

/* Every slow reader takes its share of bytes. */
static void read_slowly(struct swarm *swarm)
{
	size_t max = (size_t)(swarm->options->slow_rate * SLOW_EVERY_NS / 1000000000);

	if (max == 0 || swarm->now_ns < swarm->slow_due_ns)
		return;
	swarm->slow_due_ns = swarm->now_ns + SLOW_EVERY_NS;
	for (uint32_t i = 0; i < swarm->count; i++)
		if (swarm->clients[i].is_slow && swarm->clients[i].state == CLIENT_OPEN)
			client_read(swarm, &swarm->clients[i], max < READ_BYTES ? max : READ_BYTES);
}

static void churn(struct swarm *swarm)
{
	uint64_t every_ns;

	if (!swarm->options->churn)
		return;
	every_ns = 1000000000ull * swarm->options->workers / swarm->options->churn;
	if (swarm->churn_due_ns == 0)
		swarm->churn_due_ns = swarm->now_ns;
	for (; swarm->churn_due_ns <= swarm->now_ns; swarm->churn_due_ns += every_ns) {
		struct client *client = &swarm->clients[swarm->churn_at++ % swarm->count];

		if (client->state != CLIENT_OPEN)
			continue;
		client_close(swarm, client);
		client_open(swarm, client);
	}
}

void swarm_tick(struct swarm *swarm)
{
	swarm->now_ns = bench_now_ns();
	read_slowly(swarm);
	if (atomic_load(&swarm->shared->phase) == PHASE_PUBLISH)
		churn(swarm);
}

void swarm_close(struct swarm *swarm)
{
	for (uint32_t i = 0; i < swarm->count; i++)
		client_close(swarm, &swarm->clients[i]);
	swarm->started = 0;
}

/* Events of publisher p that the client should have had. */
static uint64_t expected(const struct swarm *swarm, uint32_t index, uint32_t p,
			 const uint64_t *published)
{
	uint32_t number = swarm->first + index, count = swarm->options->count;

	if (!target_is_numbered(&swarm->options->publish))
		return published[p];
	return published[p] / count + (number < published[p] % count);
}

void swarm_count_missing(struct swarm *swarm, const uint64_t *published)
{
	for (uint32_t i = 0; i < swarm->count; i++) {
		const struct client *client = &swarm->clients[i];

		if (client->is_slow || client->state != CLIENT_OPEN || client->is_late)
			continue;
		for (uint32_t p = 0; p < swarm->options->publishers; p++)
			if (client->next[p] < expected(swarm, i, p, published))
				swarm->totals->missing +=
					expected(swarm, i, p, published) - client->next[p];
	}
}
