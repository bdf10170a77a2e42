/*
 * exchange: the pool of requests and responses under way. See exchange.h.
 */
#include "exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "stats.h"

enum {
	TABLE_FIRST = 64,
	SPARE_MAX = 64,                 /* exchanges kept for the next borrower */
	SPARE_BYTES_MAX = 4096,         /* of a buffer that is kept with one */
	IN_MAX = HTTP_HEAD_MAX + 65536, /* a head, and what one read brought with it */
	OUT_MAX = 1 << 20,    /* a response without its blob or file, and pipelined ones */
	RIGHTS_MAX = 1 << 16, /* a list of selectors, from a token */
	SMALL_MAX = 4096,     /* CORS fields, the log's line, a publisher's id or type */
};

void exchanges_init(struct exchanges *exchanges)
{
	*exchanges = (struct exchanges){ .count = 1 };
}

enum { BUFFERS = 16, OF_FEED = 6 };

/* All that it owns of memory, besides itself. */
static void buffers_of(struct exchange *exchange, struct buf *buffers[BUFFERS])
{
	struct publish_form *form = &exchange->form;
	struct feed *feed = &exchange->feed;
	struct buf *all[BUFFERS] = { &exchange->in,    &exchange->out,     &exchange->cors,
				     &exchange->line,  &exchange->content, &exchange->last_id,
				     &form->topics,    &form->type,        &form->id,
				     &feed->text,      &feed->data,        &feed->type,
				     &feed->id,        &feed->named,       &feed->scratch,
				     &exchange->rights };

	memcpy(buffers, all, sizeof(all));
}

static void exchange_free(struct exchange *exchange)
{
	struct buf *buffers[BUFFERS];

	if (!exchange)
		return;
	if (exchange->file_fd >= 0)
		close(exchange->file_fd);
	buffers_of(exchange, buffers);
	for (size_t i = 0; i < BUFFERS; i++)
		buf_done(buffers[i]);
	free(exchange);
}

void exchanges_done(struct exchanges *exchanges)
{
	for (uint32_t i = 1; i < exchanges->count; i++)
		exchange_free(exchanges->table[i]);
	free(exchanges->table);
	free(exchanges->free);
	exchanges_init(exchanges);
}

static struct exchange *exchange_new(void)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->file_fd = -1;
	buf_init(&exchange->in, IN_MAX);
	buf_init(&exchange->out, OUT_MAX);
	buf_init(&exchange->cors, SMALL_MAX);
	buf_init(&exchange->line, SMALL_MAX);
	buf_init(&exchange->rights, RIGHTS_MAX);
	buf_init(&exchange->form.topics, SSE_TOPICS_MAX * (SSE_TOPIC_MAX + 1));
	buf_init(&exchange->form.type, SMALL_MAX);
	buf_init(&exchange->form.id, SMALL_MAX);
	buf_init(&exchange->last_id, SMALL_MAX);
	return exchange;
}

/* Room in the table and in the stack of free indices for twice as many. 0 or -ENOMEM. */
static int table_grow(struct exchanges *exchanges)
{
	uint32_t cap = exchanges->cap ? exchanges->cap * 2 : TABLE_FIRST;
	struct exchange **table = realloc(exchanges->table, cap * sizeof(struct exchange *));
	uint32_t *stack;

	if (!table)
		return -ENOMEM;
	exchanges->table = table;
	stack = realloc(exchanges->free, cap * sizeof(*stack));
	if (!stack)
		return -ENOMEM;
	exchanges->free = stack;
	memset(table + exchanges->cap, 0, (cap - exchanges->cap) * sizeof(struct exchange *));
	exchanges->cap = cap;
	return 0;
}

uint32_t exchange_borrow(struct exchanges *exchanges)
{
	uint32_t index;

	if (exchanges->free_count > 0) {
		index = exchanges->free[--exchanges->free_count];
	} else {
		if (exchanges->count >= exchanges->cap && table_grow(exchanges))
			return 0;
		index = exchanges->count++;
	}
	if (exchanges->table[index]) {
		exchanges->spare--;
		return index;
	}
	exchanges->table[index] = exchange_new();
	if (exchanges->table[index])
		return index;
	exchanges->free[exchanges->free_count++] = index;
	return 0;
}

/* Forgets the bytes; keeps little memory for the next time. */
static void forget(struct buf *b)
{
	if (b->cap > SPARE_BYTES_MAX)
		buf_done(b);
	else
		buf_clear(b);
}

void exchange_next(struct exchange *exchange)
{
	if (exchange->file_fd >= 0)
		close(exchange->file_fd);
	exchange->file_fd = -1;
	exchange->file_left = exchange->file_held = 0;
	exchange->blob = (struct str){ NULL, 0 };
	exchange->status = 0;
	exchange->sink = SINK_NONE;
	exchange->is_head = exchange->is_http10 = false;
	exchange->body_bytes = exchange->accepted = 0;
	exchange->form.topic_count = 0;
	exchange->form.is_private = false;
	exchange->refused = 0;
	forget(&exchange->cors);
	forget(&exchange->line);
	forget(&exchange->content);
	forget(&exchange->rights);
	forget(&exchange->form.topics);
	forget(&exchange->form.type);
	forget(&exchange->form.id);
	forget(&exchange->last_id);
	feed_done(&exchange->feed);
}

void exchange_return(struct exchanges *exchanges, uint32_t index)
{
	struct exchange *exchange = exchange_at(exchanges, index);

	exchange_next(exchange);
	forget(&exchange->in);
	forget(&exchange->out);
	exchange->scanned = exchange->out_sent = 0;
	exchanges->bytes -= exchange->counted;
	exchange->counted = 0;
	exchanges->free[exchanges->free_count++] = index;
	if (exchanges->spare < SPARE_MAX) {
		exchanges->spare++;
		return;
	}
	exchange_free(exchange);
	exchanges->table[index] = NULL;
}

struct exchange *exchange_at(const struct exchanges *exchanges, uint32_t index)
{
	assert(index > 0 && index < exchanges->count && exchanges->table[index]);
	return exchanges->table[index];
}

void exchange_count(struct exchanges *exchanges, struct exchange *exchange)
{
	struct buf *buffers[BUFFERS];
	uint64_t bytes = sizeof(*exchange) + exchange->file_held;

	buffers_of(exchange, buffers);
	for (size_t i = 0; i < BUFFERS; i++)
		bytes += buffers[i]->cap;
	exchanges->bytes += bytes - exchange->counted;
	exchange->counted = bytes;
}

uint64_t exchange_bytes_max(uint64_t body_bytes_max)
{
	enum { SMALL_ONES = 5, OF_BODY = OF_FEED + 1 }; /* one of them while it moves */

	return sizeof(struct exchange) + IN_MAX + OUT_MAX + RIGHTS_MAX + SMALL_ONES * SMALL_MAX +
	       SSE_TOPICS_MAX * (SSE_TOPIC_MAX + 1) + OF_BODY * body_bytes_max;
}

uint64_t exchanges_bytes(uint64_t borrowed)
{
	uint64_t table = array_bytes(borrowed + 1, sizeof(struct exchange *) + sizeof(uint32_t));

	return table + table / 2 +
	       SPARE_MAX *
		       (sizeof(struct exchange) + (BUFFERS - OF_FEED) * (uint64_t)SPARE_BYTES_MAX);
}

bool exchange_has_output(const struct exchange *exchange)
{
	return exchange->out_sent < exchange->out.n || exchange->blob.n || exchange->file_left;
}

/* The order of these is that of the packed form. */
#define PACKED_BUFS(exchange)                                                           \
	&(exchange)->in, &(exchange)->cors, &(exchange)->line, &(exchange)->content,    \
		&(exchange)->form.topics, &(exchange)->form.type, &(exchange)->form.id, \
		&(exchange)->last_id, &(exchange)->rights

void exchange_pack(const struct exchange *exchange, struct buf *out)
{
	const struct buf *const bufs[] = { PACKED_BUFS(exchange) };
	struct str unsent = str_from(buf_str(&exchange->out), exchange->out_sent);

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		pack_str(out, buf_str(bufs[i]));
	pack_u64(out, unsent.n + exchange->blob.n);
	buf_add(out, unsent);
	buf_add(out, exchange->blob);
	pack_u64(out, exchange->scanned);
	pack_u64(out, exchange->content.max);
	pack_u64(out, exchange->file_fd >= 0 ? (uint64_t)exchange->file_fd + 1 : 0);
	pack_u64(out, (uint64_t)exchange->file_at);
	pack_u64(out, exchange->file_left);
	pack_u64(out, (uint64_t)exchange->status);
	pack_u64(out, exchange->route);
	pack_u64(out, exchange->sink);
	pack_u64(out, exchange->keep_alive);
	pack_u64(out, exchange->is_head);
	pack_u64(out, exchange->is_http10);
	pack_u64(out, exchange->body.state);
	pack_u64(out, exchange->body.line_bytes);
	pack_u64(out, exchange->body.left);
	pack_u64(out, exchange->body_bytes);
	pack_u64(out, exchange->form.topic_count);
	pack_u64(out, exchange->form.retry_ms);
	pack_u64(out, exchange->form.is_private);
	pack_u64(out, exchange->accepted);
	pack_u64(out, exchange->feed.format);
	if (exchange->sink == SINK_FEED)
		feed_pack(&exchange->feed, out);
}

static void unpack_numbers(struct exchange *exchange, struct unpack *in, int *file_fd)
{
	exchange->scanned = (size_t)unpack_u64(in, exchange->in.n);
	exchange->content.max = (size_t)unpack_u64(in, PTRDIFF_MAX);
	*file_fd = (int)unpack_u64(in, INT32_MAX) - 1;
	exchange->file_at = (off_t)unpack_u64(in, INT64_MAX);
	exchange->file_left = unpack_u64(in, INT64_MAX);
	exchange->status = (int)unpack_u64(in, 999);
	exchange->route = (uint8_t)unpack_u64(in, ROUTE_COUNT - 1);
	exchange->sink = (uint8_t)unpack_u64(in, SINK_FORM);
	exchange->keep_alive = unpack_bool(in);
	exchange->is_head = unpack_bool(in);
	exchange->is_http10 = unpack_bool(in);
	exchange->body.state = (uint8_t)unpack_u64(in, UINT8_MAX);
	exchange->body.line_bytes = (uint16_t)unpack_u64(in, UINT16_MAX);
	exchange->body.left = unpack_u64(in, UINT64_MAX);
	exchange->body_bytes = unpack_u64(in, UINT64_MAX);
	exchange->form.topic_count = (size_t)unpack_u64(in, SSE_TOPICS_MAX);
	exchange->form.retry_ms = unpack_u64(in, UINT64_MAX);
	exchange->form.is_private = unpack_bool(in);
	exchange->accepted = unpack_u64(in, UINT64_MAX);
}

/* Each topic of the form ends in a NUL: there are as many of these. */
static bool form_is_sound(const struct publish_form *form)
{
	struct str rest = buf_str(&form->topics), topic = { NULL, 0 };
	size_t count = 0;

	while (str_cut(&rest, '\0', &topic) && rest.p)
		count++;
	return topic.n == 0 && count == form->topic_count;
}

int exchange_unpack(struct exchange *exchange, struct str packed, size_t event_max, int *file_fd)
{
	struct buf *const bufs[] = { PACKED_BUFS(exchange) };
	struct unpack in = { .rest = packed };
	enum feed_format format;
	int err = 0;

	*file_fd = -1;
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]) && !err; i++)
		err = unpack_buf(&in, bufs[i]);
	if (err || unpack_buf(&in, &exchange->out))
		return -ENOMEM;
	unpack_numbers(exchange, &in, file_fd);
	format = (enum feed_format)unpack_u64(&in, FEED_SSE);
	if (in.is_damaged || !form_is_sound(&exchange->form))
		return -EINVAL;
	if (exchange->sink != SINK_FEED)
		return 0;
	if (exchange->form.topic_count == 0)
		return -EINVAL;
	feed_init(&exchange->feed, format, str_of(exchange->form.topics.p), event_max, NULL, NULL);
	return feed_unpack(&exchange->feed, &in);
}
