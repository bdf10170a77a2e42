/*
 * The whole conversation: the daemon's own turn, with four clients on socketpairs that say what the
 * fuzzer says.
 *
 * The input is cut at bytes 0xff. The first byte of a piece says who does what, the rest is what is
 * sent or published. After the last piece everybody reads to the end and goes: every answer was
 * well-formed, and the daemon is as empty as before.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/house.h"
#include "broadcast.h"

enum { CLIENTS = 4, OUTPUT_MAX = 4 << 20, SNDBUF_SMALL = 4608 };

enum act {
	SEND,    /* and a turn */
	COLLECT, /* sends without a turn */
	READ,    /* all that is there */
	SHUT,    /* our end */
	RECONNECT,
	SWEEP, /* after a time */
	PUBLISH,
	PAUSE, /* a turn without anything */
	ACTS
};

struct talk {
	struct house house;
	int fds[CLIENTS];
	bool is_shut[CLIENTS];
	struct buf out[CLIENTS];
};

/* --- what the daemon may say --- */

static void expect_stream_text(struct str text)
{
	static const struct str fields[] = {
		{ "id: ", 4 }, { "event: ", 7 }, { "data: ", 6 }, { "retry: ", 7 }, { ":", 1 }
	};
	struct str line;

	/* What is not ended may have been cut. */
	while (str_find(text, '\n') < text.n && str_cut(&text, '\n', &line)) {
		bool known = line.n == 0;

		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			known = known || str_starts(line, fields[i]);
		EXPECT(known);
		EXPECT(str_is_utf8(line) && str_find(line, '\r') == line.n);
	}
}

/* Takes a chunked body off *out: false where it is cut off. */
static bool take_chunks(struct str *out, struct buf *text)
{
	for (;;) {
		size_t end = str_find(*out, '\n'), size = 0;

		if (end == out->n)
			return false;
		EXPECT(end > 1 && out->p[end - 1] == '\r');
		EXPECT(sscanf(out->p, "%zx", &size) == 1);
		*out = str_from(*out, end + 1);
		if (out->n < size + 2)
			return false;
		buf_add(text, (struct str){ out->p, size });
		EXPECT(memcmp(out->p + size, "\r\n", 2) == 0);
		*out = str_from(*out, size + 2);
		if (size == 0)
			return true;
	}
}

static struct str field_of(struct str head, const char *name)
{
	struct str line;

	while (str_cut(&head, '\n', &line)) {
		struct str value = line, key;

		if (str_cut(&value, ':', &key) && value.p && str_eq_nocase(key, str_of(name)))
			return (struct str){ value.p + 1, value.n - 2 };
	}
	return (struct str){ NULL, 0 };
}

static void expect_head(struct str head)
{
	struct str line;

	str_cut(&head, '\n', &line);
	EXPECT(str_starts(line, STR("HTTP/1.1 ")) && line.n > 13 && line.p[12] == ' ');
	while (str_cut(&head, '\n', &line) && head.p) {
		EXPECT(line.n > 0 && line.p[line.n - 1] == '\r');
		EXPECT(line.n == 1 || str_find(line, ':') < line.n);
	}
}

/* Takes one answer off *out. Of one to HEAD the body is missing: the next answer follows then. */
static bool take_answer(struct str *out)
{
	const char *end = out->n ? memmem(out->p, out->n, "\r\n\r\n", 4) : NULL;
	struct str head, value;
	struct buf text;
	uint64_t length;

	if (!end)
		return false;
	head = (struct str){ out->p, (size_t)(end + 4 - out->p) };
	expect_head(head);
	*out = str_from(*out, head.n);
	if (str_starts(*out, STR("HTTP/1.1 ")))
		return true;
	buf_init(&text, OUTPUT_MAX);
	value = field_of(head, "Content-Length");
	if (value.p) {
		EXPECT(str_to_u64(value, OUTPUT_MAX, &length) == 0);
		*out = str_from(*out, (size_t)length);
	} else if (str_eq(field_of(head, "Transfer-Encoding"), STR("chunked"))) {
		take_chunks(out, &text);
		expect_stream_text(buf_str(&text));
	} else if (str_eq(field_of(head, "Content-Type"), STR("text/event-stream"))) {
		expect_stream_text(*out);
		out->n = 0;
	}
	buf_done(&text);
	return out->n > 0;
}

/* --- what the clients do --- */

static void read_all(struct talk *talk, int i)
{
	struct buf *out = &talk->out[i];
	char bytes[65536];
	ssize_t n;

	while ((n = recv(talk->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		buf_add(out, (struct str){ bytes, (size_t)n });
}

static void join(struct talk *talk, int i)
{
	/* The first is an operator; the last has little room. */
	talk->fds[i] = house_connect(&talk->house, i == 0 ? CONN_CONTROL : 0,
				     i == CLIENTS - 1 ? SNDBUF_SMALL : 0);
	talk->is_shut[i] = false;
	buf_clear(&talk->out[i]);
}

static void leave(struct talk *talk, int i)
{
	struct str out;

	read_all(talk, i);
	out = buf_str(&talk->out[i]);
	while (take_answer(&out))
		continue;
	close(talk->fds[i]);
}

static void say(struct talk *talk, int i, struct str bytes)
{
	if (!talk->is_shut[i] && bytes.n)
		(void)!send(talk->fds[i], bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void publish(struct talk *talk, struct str data)
{
	struct str topic = STR("broadcast");
	struct event event = {
		.topics = &topic, .topic_count = 1, .data = data, .retry_ms = SSE_NO_RETRY
	};
	struct broadcast_receipt receipt;
	int status;

	broadcast_event(&talk->house.server.hub, &event, &receipt, &status);
}

static void act(struct talk *talk, unsigned what, struct str rest)
{
	int i = what % CLIENTS;

	switch ((enum act)(what / CLIENTS % ACTS)) {
	case SEND: say(talk, i, rest); break;
	case COLLECT: say(talk, i, rest); return;
	case READ: read_all(talk, i); break;
	case SHUT:
		shutdown(talk->fds[i], SHUT_WR);
		talk->is_shut[i] = true;
		break;
	case RECONNECT:
		leave(talk, i);
		join(talk, i);
		break;
	case SWEEP:
		house_ahead_ms += rest.n ? (unsigned char)rest.p[0] * 20 : 1000;
		house_sweep(&talk->house);
		break;
	case PUBLISH: publish(talk, rest); break;
	case PAUSE:
	case ACTS: break;
	}
	house_turn(&talk->house);
}

static const char *const options[] = { "--ring-bytes",
				       "64K",
				       "--head-timeout",
				       "2s",
				       "--body-timeout",
				       "2s",
				       "--idle-timeout",
				       "3s",
				       "--stall-timeout",
				       "3s",
				       "--heartbeat",
				       "1s",
				       "--max-clients",
				       "3",
				       "--max-topics",
				       "4",
				       "--max-request-memory",
				       "64K",
				       "--poll-timeout",
				       "1s",
				       "--trusted-proxy",
				       "unix",
				       "--max-clients-per-ip",
				       "1",
				       NULL };

int FUZZ_TARGET(conversation)(const uint8_t *bytes, size_t n)
{
	struct str rest = { (const char *)bytes, n }, piece;
	static struct talk talk;

	memset(&talk, 0, sizeof(talk));
	house_ahead_ms = house_step_ms = 0;
	house_open(&talk.house, options);
	buf_add(&talk.house.server.hub.secrets.publish_token, STR("secret"));
	for (int i = 0; i < CLIENTS; i++) {
		buf_init(&talk.out[i], OUTPUT_MAX);
		join(&talk, i);
	}
	while (n && str_cut(&rest, '\xff', &piece))
		if (piece.n)
			act(&talk, (unsigned char)piece.p[0], str_from(piece, 1));
	for (int i = 0; i < CLIENTS; i++) {
		house_turn(&talk.house);
		leave(&talk, i);
		buf_done(&talk.out[i]);
	}
	house_turn(&talk.house);
	house_expect_idle(&talk.house);
	house_close(&talk.house);
	return 0;
}
