/*
 * model: the daemon against a plain model of itself, in thousands of random stories.
 *
 * The model is a list of events and, for each subscriber, the bytes that it should get: the
 * stream's first words, then the frame of each event that it asked for, from the place where it
 * began. The story publishes, subscribes, comes back by ids, reads a little, lets the kernel take
 * parts of any size, steps the clock, closes. In the end every subscriber has exactly the model's
 * bytes; one that the daemon has cut has a part from the front, and what it lacks had left the
 * ring.
 *
 * A story's time passes by its steps alone: however long the machine lets it wait, nobody is cut
 * for having stalled.
 *
 * MODEL_SEEDS=N tells how many stories, MODEL_SEED=S tells one of them again.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broadcast.h"
#include "clock.h"
#include "house.h"

enum {
	SEEDS = 1000,
	STEPS = 300,
	EVENTS_MAX = 4000,
	SUBSCRIBERS = 6,
	TOPICS = 4,
	TEXT_MAX = 3000,
	BURST_MAX = 700,
	RING_BYTES = 65536,
	RING_SLOTS = 1024,
	CLOCK_S = 1700000000,
	STEP_MS_MAX = 4, /* a story takes a second or so, by its own clock */
};

static const char *const topic_names[TOPICS] = { "a", "b", "c", "broadcast" };

struct model_event {
	char *text; /* what is inside its frame */
	size_t n, frame_len;
	char id[64];          /* on the wire */
	struct eventid place; /* in time */
	unsigned topics;      /* bits */
};

struct subscriber {
	int fd;
	bool is_open, is_plain;
	unsigned topics;     /* bits; all for "*" */
	struct buf in;       /* received, its head included */
	struct buf hello;    /* first words, by the model */
	uint64_t from;       /* first event that it gets */
	char last[64];       /* id of the last whole event that it has */
	uint64_t last_event; /* its number + 1 */
};

struct story {
	struct house house;
	uint64_t seed;
	bool hurries; /* its turns end before all is done */
	struct model_event events[EVENTS_MAX];
	uint64_t count, first; /* events; the first that the ring has */
	uint64_t bytes;        /* of frames in the ring */
	struct eventid floor;
	struct subscriber subscribers[SUBSCRIBERS];
	uint64_t own_ids;
};

static struct story story;

#define SAME(what) cr_assert(what, "seed %llu: %s", (unsigned long long)story.seed, #what)

/* --- the model --- */

static void frame_add(struct buf *out, bool is_plain, struct str text)
{
	if (!is_plain)
		buf_addf(out, "%zx\r\n", text.n);
	buf_add(out, text);
	if (!is_plain)
		buf_add(out, STR("\r\n"));
}

static bool gets(const struct subscriber *s, const struct model_event *event)
{
	return (s->topics & event->topics) != 0;
}

/* All that the subscriber should ever have had, the head aside. */
static void expected(const struct subscriber *s, struct buf *out)
{
	buf_init(out, 1 << 26);
	buf_add(out, buf_str(&s->hello));
	for (uint64_t i = s->from; i < story.count; i++)
		if (gets(s, &story.events[i]))
			frame_add(out, s->is_plain,
				  (struct str){ story.events[i].text, story.events[i].n });
}

/* What has been received behind the head. */
static struct str received(const struct subscriber *s)
{
	const char *end = s->in.n ? memmem(s->in.p, s->in.n, "\r\n\r\n", 4) : NULL;

	return end ? str_from(buf_str(&s->in), (size_t)(end + 4 - s->in.p)) : STR("");
}

/* The event that the byte at that place belongs to; the one after the last, where there is none. */
static uint64_t event_at(const struct subscriber *s, size_t at, bool *is_begun)
{
	size_t left = at > s->hello.n ? at - s->hello.n : 0;
	uint64_t next = s->from;

	for (uint64_t i = s->from; i < story.count; i++) {
		const struct model_event *event = &story.events[i];
		size_t len = s->is_plain ? event->n : event->frame_len;

		if (!gets(s, event))
			continue;
		if (left < len) {
			*is_begun = left > 0;
			return left ? i : next;
		}
		left -= len;
		next = i + 1;
	}
	*is_begun = false;
	return next;
}

static void model_evict(size_t frame_len)
{
	while (story.bytes + frame_len > RING_BYTES || story.count - story.first == RING_SLOTS) {
		story.floor = story.events[story.first].place;
		story.bytes -= story.events[story.first++].frame_len;
	}
}

static void model_publish(const struct event *event, const char *id, struct eventid place,
			  unsigned topics)
{
	struct model_event *mine = &story.events[story.count];
	struct str rest = event->data, line;
	struct buf text, frame;

	buf_init(&text, 1 << 20);
	buf_init(&frame, 1 << 20);
	buf_addf(&text, "id: %s\n", id);
	if (event->type.n)
		buf_addf(&text, "event: %.*s\n", STR_ARG(event->type));
	while (str_cut(&rest, '\n', &line))
		buf_addf(&text, "data: %.*s\n", STR_ARG(line));
	buf_add_char(&text, '\n');
	frame_add(&frame, false, buf_str(&text));
	*mine = (struct model_event){
		.n = text.n, .frame_len = frame.n, .text = text.p, .place = place, .topics = topics
	};
	snprintf(mine->id, sizeof(mine->id), "%s", id);
	model_evict(frame.n);
	story.bytes += frame.n;
	story.count++;
	buf_done(&frame);
}

static void write_id(char text[64], struct eventid id)
{
	text[eventid_write(text, id)] = '\0';
}

static void model_gap(struct subscriber *s, const char *from, const char *reason)
{
	struct buf text;
	char floor[64];

	write_id(floor, story.floor);
	buf_init(&text, 4096);
	buf_addf(
		&text,
		"id: %s\nevent: gap\ndata: {\"from\":\"%s\",\"floor\":\"%s\",\"reason\":\"%s\"}\n\n",
		floor, from, floor, reason);
	frame_add(&s->hello, s->is_plain, buf_str(&text));
	buf_done(&text);
}

/* Where one begins who names the last id that it has, and what it is told. */
static void model_resume(struct subscriber *s, const char *id)
{
	uint64_t i = story.first;
	struct eventid place;

	s->from = story.first;
	frame_add(&s->hello, s->is_plain, STR(": heartbeat 0\nretry: 3000\n\n"));
	if (eventid_parse(str_of(id), &place)) {
		if (eventid_cmp(place, story.floor) < 0)
			model_gap(s, id, story.first ? "evicted" : "restarted");
		else
			while (s->from < story.count &&
			       eventid_cmp(story.events[s->from].place, place) <= 0)
				s->from++;
		return;
	}
	while (i < story.count && strcmp(story.events[i].id, id) != 0)
		i++;
	if (i < story.count)
		s->from = i + 1;
	else
		model_gap(s, id, "unknown");
}

static void model_begin(struct subscriber *s)
{
	uint64_t flushed = story.house.server.hub.ring.header->flushed;
	struct eventid here = flushed > story.first ? story.events[flushed - 1].place : story.floor;
	char id[64], text[128];

	write_id(id, here);
	snprintf(text, sizeof(text), ": heartbeat 0\nretry: 3000\nid: %s\n\n", id);
	frame_add(&s->hello, s->is_plain, str_of(text));
	s->from = flushed;
}

/* --- the story --- */

static void publish(size_t data_max)
{
	static const char *const types[] = { "", "price", "x" };
	static char data[TEXT_MAX];
	struct str topics[TOPICS];
	struct hub *hub = &story.house.server.hub;
	unsigned bits = (unsigned)house_choose((1 << TOPICS) - 1) + 1;
	struct event event = { .topics = topics, .retry_ms = SSE_NO_RETRY };
	struct broadcast_receipt receipt;
	char own[32], id[64];
	struct str text;
	int status;

	if (story.count == EVENTS_MAX)
		return;
	for (unsigned t = 0; t < TOPICS; t++)
		if (bits & 1u << t)
			topics[event.topic_count++] = str_of(topic_names[t]);
	event.data = (struct str){ data, house_choose(data_max) };
	for (size_t i = 0; i < event.data.n; i++)
		data[i] = house_choose(20) ? (char)('a' + house_choose(26)) : '\n';
	event.type = str_of(types[house_choose(3)]);
	if (house_choose(5) == 0) {
		snprintf(own, sizeof(own), "own-%llu", (unsigned long long)++story.own_ids);
		event.id = str_of(own);
	}
	SAME(broadcast_event(hub, &event, &receipt, &status) == NULL);
	SAME(receipt.record == story.count);
	text = ring_id_text(&hub->ring, ring_record(&hub->ring, receipt.record));
	snprintf(id, sizeof(id), "%.*s", STR_ARG(text));
	SAME(event.id.n == 0 || str_eq(text, event.id));
	model_publish(&event, id, ring_record(&hub->ring, receipt.record)->id, bits);
	SAME(story.count < 2 || eventid_cmp(story.events[story.count - 1].place,
					    story.events[story.count - 2].place) > 0);
	SAME(hub->ring.header->first == story.first);
}

/* Takes up to max bytes. */
static void read_some(struct subscriber *s, size_t max)
{
	char bytes[16384];
	ssize_t n;

	while (max && (n = recv(s->fd, bytes, max < sizeof(bytes) ? max : sizeof(bytes), 0)) > 0) {
		buf_add(&s->in, (struct str){ bytes, (size_t)n });
		max -= (size_t)n;
	}
}

/* So far, what came is what should come. */
static void check(struct subscriber *s)
{
	struct str got = received(s);
	struct buf want;

	expected(s, &want);
	SAME(str_starts(buf_str(&want), got));
	SAME(s->in.n < 15 || memcmp(s->in.p, "HTTP/1.1 200 OK", 15) == 0);
	buf_done(&want);
}

static void subscribe(struct subscriber *s, bool resumes)
{
	static const char *const asks[] = { "/sse?topic=a", "/sse?topic=b&topic=c", "/sse",
					    "/sse?topic=*" };
	static const unsigned bits[] = { 1, 2 | 4, 8, 15 };
	size_t which = house_choose(4);
	char text[512], last[64];

	/* In a hurry, what waits could be flushed before the request is heard, and not after. */
	if (house_hurry)
		house_turn(&story.house);
	memcpy(last, s->last, sizeof(last));
	/* The edge of what can be promised is worth more visits. */
	if (house_choose(3) == 0)
		write_id(last, story.floor);
	else if (story.first && house_choose(3) == 0)
		memcpy(last, story.events[story.first - house_choose(2)].id, sizeof(last));
	*s = (struct subscriber){ .is_open = true,
				  .is_plain = house_choose(3) == 0,
				  .topics = bits[which] };
	buf_init(&s->in, 1 << 26);
	buf_init(&s->hello, 1 << 20);
	s->fd = house_connect(&story.house, 0, house_choose(2) ? 4608 : 0);
	snprintf(text, sizeof(text), "GET %s HTTP/1.%d\r\nHost: a\r\n%s%s%s\r\n", asks[which],
		 !s->is_plain, resumes ? "Last-Event-ID: " : "", resumes ? last : "",
		 resumes ? "\r\n" : "");
	if (resumes)
		model_resume(s, last);
	else
		model_begin(s);
	SAME(send(s->fd, text, strlen(text), 0) == (ssize_t)strlen(text));
	house_turn(&story.house);
}

/* Leaves, and remembers the last whole event that it has had. */
static void leave(struct subscriber *s)
{
	struct str got = received(s);
	bool is_begun;
	uint64_t next = event_at(s, got.n, &is_begun);

	check(s);
	memset(s->last, 0, sizeof(s->last));
	if (got.n >= s->hello.n)
		for (uint64_t i = s->from; i < next; i++)
			if (gets(s, &story.events[i]))
				memcpy(s->last, story.events[i].id, sizeof(s->last));
	close(s->fd);
	buf_done(&s->in);
	buf_done(&s->hello);
	s->is_open = false;
}

/* The end of its connection: fine only if the ring has left it behind. */
static void expect_left_behind(struct subscriber *s)
{
	bool is_begun;
	uint64_t next = event_at(s, received(s).n, &is_begun);

	check(s);
	SAME(next < story.first);
}

/* All is said and read: everybody has everything. */
static void finish(struct subscriber *s)
{
	struct buf want;

	expected(s, &want);
	for (;;) {
		size_t before = s->in.n;
		char byte;
		ssize_t n;

		read_some(s, SIZE_MAX);
		n = recv(s->fd, &byte, 1, MSG_PEEK);
		if (n == 0) {
			expect_left_behind(s);
			break;
		}
		house_poke(&story.house);
		if (n < 0 && s->in.n == before && received(s).n == want.n)
			break;
		SAME(n >= 0 || s->in.n > before || received(s).n < want.n);
	}
	check(s);
	buf_done(&want);
}

static void step(void)
{
	struct subscriber *s = &story.subscribers[house_choose(SUBSCRIBERS)];

	house_ahead_ms += (int64_t)house_choose(STEP_MS_MAX);
	switch (house_choose(17)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
	case 5: publish(house_choose(3) ? 100 : TEXT_MAX); break;
	case 6:
	case 7: house_turn(&story.house); break;
	case 8: house_poke(&story.house); break;
	case 9:
		house_send_max = house_choose(3) ? 1 + house_choose(3000) : 0;
		house_hurry = story.hurries ? 50 * (unsigned)house_choose(3) : 0;
		break;
	case 10: house_step_ms = (int64_t)house_choose(200000) - 100000; break;
	case 11: house_sweep(&story.house); break;
	case 12:
	case 13:
		if (s->is_open)
			read_some(s, 1 + house_choose(5000));
		break;
	case 14:
		if (!s->is_open)
			subscribe(s, s->last[0] && house_choose(4));
		break;
	case 15:
		if (s->is_open && house_choose(3) == 0)
			leave(s);
		break;
	default:
		for (uint64_t burst = house_choose(8) ? 0 : house_choose(BURST_MAX); burst; burst--)
			publish(8);
	}
}

static void tell(uint64_t seed, bool hurries)
{
	static const char *const options[] = { "--ring-bytes", "64K", "--welcome", "",
					       "--heartbeat",  "0",   NULL };

	memset(&story, 0, sizeof(story));
	story.seed = house_random = seed;
	story.hurries = hurries;
	house_step_ms = house_ahead_ms = 0;
	house_stopped_s = CLOCK_S;
	house_send_max = house_hurry = 0;
	house_open(&story.house, options);
	story.floor = story.house.server.hub.ring.header->floor;
	for (int i = 0; i < STEPS; i++)
		step();
	house_send_max = house_hurry = 0;
	house_turn(&story.house);
	house_poke(&story.house);
	for (size_t i = 0; i < SUBSCRIBERS; i++) {
		if (!story.subscribers[i].is_open)
			continue;
		finish(&story.subscribers[i]);
		leave(&story.subscribers[i]);
	}
	house_turn(&story.house);
	house_expect_idle(&story.house);
	house_close(&story.house);
	house_stopped_s = 0;
	for (uint64_t i = 0; i < story.count; i++)
		free(story.events[i].text);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	uint64_t value;

	return str_to_u64(str_of(getenv(name)), UINT64_MAX, &value) ? otherwise : value;
}

static void tell_many(bool hurries)
{
	uint64_t seed = number("MODEL_SEED", 0), seeds = number("MODEL_SEEDS", SEEDS);

	if (seed) {
		tell(seed, hurries);
		return;
	}
	for (uint64_t i = 0; i < seeds; i++)
		tell(clock_mono_ns() | 1, hurries);
}

Test(model, every_subscriber_gets_what_the_model_says)
{
	tell_many(false);
}

Test(model, every_subscriber_gets_it_also_where_turns_are_short)
{
	tell_many(true);
}
