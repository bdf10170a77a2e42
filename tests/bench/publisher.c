/*
 * publisher: see publisher.h.
 */
#include "publisher.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "payload.h"

enum { OUT_MAX = 64 << 20, IN_MAX = 1 << 20, READ_BYTES = 65536, STEP_EVENTS = 1024 };

int publisher_init(struct publisher *publisher, const struct options *options,
		   struct shared *shared, uint32_t number, int epoll_fd, uint64_t key)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = key };

	*publisher = (struct publisher){ .options = options,
					 .shared = shared,
					 .totals = &shared->workers[0],
					 .epoll_fd = epoll_fd,
					 .number = number,
					 .is_over = true };
	buf_init(&publisher->out, OUT_MAX);
	buf_init(&publisher->in, IN_MAX);
	publisher->fd = target_connect(&options->publish, 0, 0);
	if (publisher->fd < 0)
		return publisher->fd;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, publisher->fd, &event) < 0 ? -errno : 0;
}

void publisher_done(struct publisher *publisher)
{
	if (publisher->fd >= 0)
		close(publisher->fd);
	publisher->fd = -1;
	buf_done(&publisher->out);
	buf_done(&publisher->in);
}

void publisher_start(struct publisher *publisher, uint64_t events, double seconds)
{
	publisher->started_ns = publisher->due_ns = bench_now_ns();
	publisher->limit = events ? publisher->sent + events : UINT64_MAX;
	publisher->end_ns =
		seconds > 0 ? publisher->started_ns + (uint64_t)(seconds * 1e9) : UINT64_MAX;
	publisher->is_over = false;
	if (!publisher->totals->published_ns)
		publisher->totals->published_ns = publisher->started_ns;
}

/* Appends one publish. */
static void write_event(struct publisher *publisher, uint64_t now_ns)
{
	const struct options *options = publisher->options;
	struct buf *out = &publisher->out;
	uint32_t size = options->size, number = (uint32_t)(publisher->sent % options->count);
	struct payload payload = { publisher->number, (uint32_t)publisher->sent, now_ns };

	if (target_is_numbered(&options->publish))
		payload.seq = (uint32_t)(publisher->sent / options->count);
	if (options->publish.is_redis) {
		buf_addf(out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%u\r\n",
			 strlen(options->publish.path), options->publish.path, size);
	} else {
		buf_add(out, STR("POST "));
		target_path(&options->publish, number, out);
		buf_addf(out, " HTTP/1.1\r\nHost: %s\r\nContent-Length: %u\r\n\r\n",
			 options->publish.host, size);
	}
	if (!buf_reserve(out, size)) {
		payload_write(&payload, out->p + out->n, size);
		out->n += size;
	}
	if (options->publish.is_redis)
		buf_add(out, STR("\r\n"));
	publisher->sent++;
	publisher->totals->published++;
}

/* Sends what is there; the rest waits for EPOLLOUT. 0 or -errno. */
static int flush(struct publisher *publisher)
{
	struct buf *out = &publisher->out;

	while (publisher->out_sent < out->n) {
		ssize_t n = send(publisher->fd, out->p + publisher->out_sent,
				 out->n - publisher->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		publisher->out_sent += (size_t)n;
	}
	buf_clear(out);
	publisher->out_sent = 0;
	return 0;
}

/* Whether one more burst is within the limits other than the rate. */
static bool may_publish(const struct publisher *publisher)
{
	const struct options *options = publisher->options;
	uint64_t burst = options->burst, readers, owed;

	if (publisher->sent - publisher->answered + burst > options->in_flight)
		return false;
	if (!options->window || atomic_load(&publisher->shared->phase) != PHASE_PUBLISH)
		return true;
	readers = TOTAL(publisher->shared, options, open);
	owed = (publisher->totals->published + burst) * readers;
	if (target_is_numbered(&options->publish))
		owed = publisher->totals->published + burst;
	return owed <=
	       TOTAL(publisher->shared, options, deliveries) +
		       options->window * (target_is_numbered(&options->publish) ? 1 : readers);
}

/* Appends what is due now; returns the ns until more is. */
static uint64_t write_due(struct publisher *publisher, uint64_t now_ns)
{
	const struct options *options = publisher->options;
	uint64_t begun = publisher->sent;

	while (may_publish(publisher) && publisher->sent - begun < STEP_EVENTS) {
		if (publisher->due_ns > now_ns)
			return publisher->due_ns - now_ns;
		for (uint32_t i = 0; i < options->burst && publisher->sent < publisher->limit; i++)
			write_event(publisher, now_ns);
		if (options->rate > 0)
			publisher->due_ns += (uint64_t)(1e9 * options->burst * options->publishers /
							options->rate);
		if (publisher->sent >= publisher->limit)
			break;
	}
	return UINT64_MAX;
}

uint64_t publisher_step(struct publisher *publisher)
{
	uint64_t now_ns = bench_now_ns(), wait_ns = UINT64_MAX;

	if (now_ns >= publisher->end_ns || publisher->sent >= publisher->limit)
		publisher->is_over = true;
	if (publisher->is_over || publisher->out.n)
		return wait_ns;
	/* All that may go out goes out together, as from a client that pipelines. */
	wait_ns = write_due(publisher, now_ns);
	if (flush(publisher) || publisher->sent >= publisher->limit)
		publisher->is_over = true;
	return wait_ns;
}

/* Takes one HTTP answer: its length, 0 if it is not whole, or -EPROTO. */
static ssize_t take_http(struct publisher *publisher, struct str text)
{
	const char *end = memmem(text.p, text.n, "\r\n\r\n", 4), *field;
	uint64_t length = 0;
	size_t head;

	if (!end)
		return 0;
	head = (size_t)(end - text.p) + 4;
	field = memmem(text.p, head, "\r\nContent-Length: ", 18);
	if (text.n < 12 || memcmp(text.p, "HTTP/1.", 7) != 0)
		return -EPROTO;
	if (field) {
		struct str value = str_from(text, (size_t)(field + 18 - text.p));

		value.n = str_find(value, '\r');
		if (str_to_u64(value, IN_MAX, &length))
			return -EPROTO;
	}
	if (text.n < head + length)
		return 0;
	if (text.p[9] != '2')
		publisher->totals->refused++;
	return (ssize_t)(head + length);
}

/* The same of a redis answer, which is one line. */
static ssize_t take_redis(struct publisher *publisher, struct str text)
{
	size_t end = str_find(text, '\n');

	if (end == text.n)
		return 0;
	if (text.p[0] != ':')
		publisher->totals->refused++;
	return (ssize_t)end + 1;
}

static int take_answers(struct publisher *publisher)
{
	struct str rest = buf_str(&publisher->in);

	while (rest.n > 0) {
		ssize_t n = publisher->options->publish.is_redis ? take_redis(publisher, rest)
								 : take_http(publisher, rest);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		rest = str_from(rest, (size_t)n);
		publisher->answered++;
		publisher->totals->answered++;
	}
	buf_drop(&publisher->in, publisher->in.n - rest.n);
	return 0;
}

int publisher_event(struct publisher *publisher, uint32_t bits)
{
	int err = 0;

	while (!err && bits & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		ssize_t n;

		if ((err = buf_reserve(&publisher->in, READ_BYTES)))
			break;
		n = recv(publisher->fd, publisher->in.p + publisher->in.n, READ_BYTES, 0);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		publisher->in.n += (size_t)n;
		err = take_answers(publisher);
	}
	if (!err && bits & EPOLLOUT)
		err = flush(publisher);
	return err;
}

bool publisher_is_done(const struct publisher *publisher)
{
	return publisher->is_over && publisher->answered == publisher->sent;
}
