/*
 * feed: from a flow of bytes to events. See feed.h.
 *
 * Two layers. The lower one cuts lines, whatever the pieces in which the bytes come: a line that
 * lies whole in a piece is used where it lies, and only one that a piece leaves unfinished is
 * collected in `text`. The upper one, a function for each format, makes events of lines. Because
 * lines alone pass from the one to the other, the events do not depend on the pieces.
 *
 * The first error is the last thing that happens: `err` is set once, by stop(), and everything
 * returns it from then on.
 */
#include "feed.h"
#include "json.h"

#include <errno.h>

static const char TOO_LONG[] = "A line is longer than --max-body allows.",
		  NO_MEMORY[] = "There is no memory for it.";

static void stop(struct feed *feed, int err, const char *why)
{
	if (feed->complain) {
		if (!feed->skips)
			feed->complain(feed->context, why);
		feed->skips = true;
		return;
	}
	feed->err = err;
	feed->error = why;
	feed->error_line = feed->line;
}

/* For the sticky error of one of the feed's buffers, 0 included. */
static void stop_if(struct feed *feed, int buf_err, const char *too_long)
{
	if (buf_err == -ENOMEM)
		stop(feed, -ENOMEM, NO_MEMORY);
	else if (buf_err)
		stop(feed, -EINVAL, too_long);
}

static void hand_over(struct feed *feed, const struct event *event)
{
	const char *why = feed->take(feed->context, event);

	if (why)
		stop(feed, -EINVAL, why);
}

/* lines */

static void take_text(struct feed *feed, struct str line)
{
	struct event event = {
		.topics = &feed->topic, .topic_count = 1, .data = line, .retry_ms = SSE_NO_RETRY
	};

	hand_over(feed, &event);
}

/* ndjson */

enum member { TOPIC, TYPE, ID, RETRY, DATA, PRIVATE, MEMBERS };

static const struct str member_names[MEMBERS] = {
	[TOPIC] = { "topic", 5 }, [TYPE] = { "event", 5 }, [ID] = { "id", 2 },
	[RETRY] = { "retry", 5 }, [DATA] = { "data", 4 },  [PRIVATE] = { "private", 7 },
};

/* The values of the members that we know; empty slices for those that are absent. */
static void read_members(struct str object, struct str values[MEMBERS])
{
	struct str key, value;

	while (json_next_member(&object, &key, &value))
		for (size_t i = 0; i < MEMBERS; i++)
			if (json_string_is(key, member_names[i]))
				values[i] = value;
	for (size_t i = 0; i < MEMBERS; i++)
		if (i != DATA && values[i].n && json_type(values[i]) == JSON_NULL)
			values[i] = (struct str){ NULL, 0 };
}

/*
 * The content of a JSON string: a slice of the line where it has no escapes, else decoded into
 * scratch, which has room for all strings of the line and so does not move.
 */
static struct str decode(struct feed *feed, struct str string)
{
	size_t before = feed->scratch.n;

	if (str_find(string, '\\') == string.n)
		return (struct str){ string.p + 1, string.n - 2 };
	json_string(string, &feed->scratch);
	return str_from(buf_str(&feed->scratch), before);
}

static const char *read_topics(struct feed *feed, struct str value, struct event *event,
			       struct str topics[SSE_TOPICS_MAX])
{
	struct str element;

	event->topics = topics;
	if (json_type(value) == JSON_STRING) {
		topics[event->topic_count++] = decode(feed, value);
		return NULL;
	}
	if (json_type(value) != JSON_ARRAY)
		return "The member topic is neither a string nor an array of strings.";
	while (json_next_element(&value, &element)) {
		if (json_type(element) != JSON_STRING)
			return "The member topic is neither a string nor an array of strings.";
		if (event->topic_count == SSE_TOPICS_MAX)
			return "An event may have 1000 topics at the most.";
		topics[event->topic_count++] = decode(feed, element);
	}
	return event->topic_count ? NULL : "The member topic is an empty array.";
}

/* An absent string member leaves *out empty. */
static bool read_string(struct feed *feed, struct str value, struct str *out)
{
	if (value.n == 0)
		return true;
	if (json_type(value) != JSON_STRING)
		return false;
	*out = decode(feed, value);
	return true;
}

static const char *read_event(struct feed *feed, struct str object, struct event *event,
			      struct str topics[SSE_TOPICS_MAX])
{
	struct str values[MEMBERS] = { { NULL, 0 } };
	const char *why = NULL;

	read_members(object, values);
	if (values[TOPIC].n)
		why = read_topics(feed, values[TOPIC], event, topics);
	if (why)
		return why;
	if (!read_string(feed, values[TYPE], &event->type))
		return "The member event is not a string.";
	if (!read_string(feed, values[ID], &event->id))
		return "The member id is not a string.";
	if (values[RETRY].n &&
	    (json_u64(values[RETRY], &event->retry_ms) || event->retry_ms == SSE_NO_RETRY))
		return "The member retry is not a whole number of milliseconds.";
	if (values[PRIVATE].n && json_type(values[PRIVATE]) != JSON_TRUE &&
	    json_type(values[PRIVATE]) != JSON_FALSE)
		return "The member private is neither true nor false.";
	event->is_private = values[PRIVATE].n && json_type(values[PRIVATE]) == JSON_TRUE;
	if (!read_string(feed, values[DATA], &event->data))
		event->data = values[DATA];
	return NULL;
}

static bool is_blank(struct str line)
{
	return str_trim(line).n == 0;
}

static void take_json(struct feed *feed, struct str line)
{
	struct str topics[SSE_TOPICS_MAX], object;
	struct event event = { .retry_ms = SSE_NO_RETRY };
	const char *why;
	int err;

	if (is_blank(line))
		return;
	err = json_check(line, &object);
	if (err || json_type(object) != JSON_OBJECT) {
		stop(feed, -EINVAL,
		     err == -E2BIG ? "The JSON is nested too deep."
		     : err         ? "The line is not JSON."
				   : "The line is not a JSON object.");
		return;
	}
	buf_clear(&feed->scratch);
	if (buf_reserve(&feed->scratch, line.n)) {
		stop_if(feed, feed->scratch.err, TOO_LONG);
		return;
	}
	why = read_event(feed, object, &event, topics);
	if (why) {
		stop(feed, -EINVAL, why);
		return;
	}
	if (event.topic_count == 0) {
		event.topics = &feed->topic;
		event.topic_count = 1;
	}
	hand_over(feed, &event);
}

/* sse */

static void block_clear(struct feed *feed)
{
	buf_clear(&feed->data);
	buf_clear(&feed->type);
	buf_clear(&feed->id);
	buf_clear(&feed->named);
	feed->retry_ms = SSE_NO_RETRY;
	feed->has_data = false;
	feed->has_topic = false;
	feed->skips = false;
}

static void block_end(struct feed *feed)
{
	struct str named = buf_str(&feed->named);
	struct event event = { .topics = feed->has_topic ? &named : &feed->topic,
			       .topic_count = 1,
			       .data = buf_str(&feed->data),
			       .type = buf_str(&feed->type),
			       .id = buf_str(&feed->id),
			       .retry_ms = feed->retry_ms };

	if (feed->has_data)
		hand_over(feed, &event);
	block_clear(feed);
}

static void set(struct feed *feed, struct buf *field, struct str value)
{
	buf_clear(field);
	stop_if(feed, buf_add(field, value), TOO_LONG);
}

static void add_data(struct feed *feed, struct str value)
{
	if (feed->has_data)
		buf_add_char(&feed->data, '\n');
	feed->has_data = true;
	stop_if(feed, buf_add(&feed->data, value),
		"The data of an event is longer than --max-body allows.");
}

static void take_field(struct feed *feed, struct str line)
{
	struct str name = line, value = { NULL, 0 };
	size_t colon = str_find(line, ':');

	if (line.n == 0) {
		block_end(feed);
		return;
	}
	if (colon < line.n) {
		name = (struct str){ line.p, colon };
		value = str_from(line, colon + 1);
		if (str_starts(value, STR(" ")))
			value = str_from(value, 1);
	}
	if (str_eq(name, STR("data"))) {
		add_data(feed, value);
	} else if (str_eq(name, STR("event"))) {
		set(feed, &feed->type, value);
	} else if (str_eq(name, STR("id"))) {
		if (str_find(value, '\0') == value.n)
			set(feed, &feed->id, value);
	} else if (str_eq(name, STR("retry"))) {
		str_to_u64(value, SSE_NO_RETRY - 1, &feed->retry_ms);
	} else if (str_eq(name, STR("topic"))) {
		set(feed, &feed->named, value);
		feed->has_topic = true;
	}
}

/* the flow */

void feed_init(struct feed *feed, enum feed_format format, struct str topic, size_t event_max,
	       feed_take *take, void *context)
{
	*feed = (struct feed){
		.format = format, .topic = topic, .take = take, .context = context, .line = 1
	};
	buf_init(&feed->text, event_max);
	buf_init(&feed->data, event_max);
	buf_init(&feed->type, event_max);
	buf_init(&feed->id, event_max);
	buf_init(&feed->named, event_max);
	buf_init(&feed->scratch, event_max);
	block_clear(feed);
}

void feed_done(struct feed *feed)
{
	buf_done(&feed->text);
	buf_done(&feed->data);
	buf_done(&feed->type);
	buf_done(&feed->id);
	buf_done(&feed->named);
	buf_done(&feed->scratch);
}

/* The line without the U+FEFF with which the first may begin. */
static struct str without_mark(const struct feed *feed, struct str line)
{
	static const struct str mark = { "\xef\xbb\xbf", 3 };

	return feed->line == 1 && str_starts(line, mark) ? str_from(line, mark.n) : line;
}

/* A line of what is left out: where that is a block, an empty line is its end. */
static void skip_line(struct feed *feed, struct str line)
{
	if (feed->format != FEED_SSE || line.n == 0)
		block_clear(feed);
}

static void take_line(struct feed *feed, struct str line)
{
	line = without_mark(feed, line);
	switch (feed->format) {
	case FEED_LINES: take_text(feed, line); break;
	case FEED_NDJSON: take_json(feed, line); break;
	case FEED_SSE: take_field(feed, line); break;
	}
}

/* The rest of a line has come. */
static void finish_line(struct feed *feed, struct str rest)
{
	if (rest.n > feed->text.max)
		stop(feed, -EINVAL, TOO_LONG);
	else if (feed->text.n)
		stop_if(feed, buf_add(&feed->text, rest), TOO_LONG);
	if (feed->err)
		return;
	if (!feed->skips)
		take_line(feed, feed->text.n ? buf_str(&feed->text) : rest);
	/* An empty line is the end of a block that was left out; what is wrong is never empty. */
	if (feed->skips)
		skip_line(feed, feed->text.n ? buf_str(&feed->text) : rest);
	buf_clear(&feed->text);
	feed->line++;
}

/* A piece of a line that goes on. */
static void keep_piece(struct feed *feed, struct str piece)
{
	if (!feed->skips)
		stop_if(feed, buf_add(&feed->text, piece), TOO_LONG);
	/* Of a line that is left out it counts only that it is not empty. */
	if (feed->skips && feed->text.n > 1)
		feed->text.n = 1;
	if (feed->skips && feed->text.n == 0) {
		buf_clear(&feed->text);
		buf_add_char(&feed->text, ' ');
	}
}

int feed_push(struct feed *feed, struct str bytes)
{
	while (!feed->err && bytes.n) {
		bool is_second = feed->after_cr && bytes.p[0] == '\n';
		size_t at = str_find_eol(bytes);

		feed->after_cr = false;
		if (at == bytes.n) {
			keep_piece(feed, bytes);
			break;
		}
		feed->after_cr = bytes.p[at] == '\r';
		if (!is_second)
			finish_line(feed, (struct str){ bytes.p, at });
		bytes = str_from(bytes, at + 1);
	}
	return feed->err;
}

int feed_end(struct feed *feed)
{
	struct str last = buf_str(&feed->text);

	if (!feed->err && !feed->skips && without_mark(feed, last).n && feed->format != FEED_SSE)
		take_line(feed, last);
	buf_clear(&feed->text);
	return feed->err;
}

void feed_pack(const struct feed *feed, struct buf *out)
{
	pack_u64(out, feed->line);
	pack_str(out, buf_str(&feed->text));
	pack_str(out, buf_str(&feed->data));
	pack_str(out, buf_str(&feed->type));
	pack_str(out, buf_str(&feed->id));
	pack_str(out, buf_str(&feed->named));
	pack_u64(out, feed->retry_ms);
	pack_u64(out, feed->has_data);
	pack_u64(out, feed->has_topic);
	pack_u64(out, feed->after_cr);
	pack_u64(out, feed->skips);
}

int feed_unpack(struct feed *feed, struct unpack *in)
{
	feed->line = unpack_u64(in, UINT64_MAX);
	if (unpack_buf(in, &feed->text) || unpack_buf(in, &feed->data) ||
	    unpack_buf(in, &feed->type) || unpack_buf(in, &feed->id) ||
	    unpack_buf(in, &feed->named))
		return -ENOMEM;
	feed->retry_ms = unpack_u64(in, UINT64_MAX);
	feed->has_data = unpack_bool(in);
	feed->has_topic = unpack_bool(in);
	feed->after_cr = unpack_bool(in);
	/* The state of an older daemon ends here. */
	feed->skips = in->rest.n > 0 && unpack_bool(in);
	return in->is_damaged ? -EINVAL : 0;
}
