/*
 * park: see park.h.
 */
#include "park.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "pack.h"

enum {
	SINGLES_IN,
	SINGLES_OUT,
	BATCHES_IN,
	BATCHES_OUT,
	NUMBERS_MAX = 1 << 30,  /* bytes of a list of numbers */
	QUEUE_BYTES = 16 << 20, /* asked for; the kernel gives what it allows */
};

static void forget(struct park *park)
{
	buf_done(&park->singles);
	buf_done(&park->batches);
	buf_init(&park->singles, NUMBERS_MAX);
	buf_init(&park->batches, NUMBERS_MAX);
	park->parked = 0;
}

void park_adopt(struct park *park, const int ends[PARK_ENDS], park_find *find, void *context)
{
	*park = (struct park){ .find = find, .context = context };
	memcpy(park->ends, ends, sizeof(park->ends));
	forget(park);
}

int park_init(struct park *park, park_find *find, void *context)
{
	static const int none[PARK_ENDS] = { -1, -1, -1, -1 };
	int bytes = QUEUE_BYTES;

	park_adopt(park, none, find, context);
	for (int i = 0; i < PARK_ENDS; i += 2) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			       park->ends + i) < 0) {
			int err = -errno;

			park_done(park);
			return err;
		}
		setsockopt(park->ends[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	return 0;
}

void park_done(struct park *park)
{
	for (int i = 0; i < PARK_ENDS; i++) {
		if (park->ends[i] >= 0)
			close(park->ends[i]);
		park->ends[i] = -1;
	}
	buf_done(&park->singles);
	buf_done(&park->batches);
}

/* One message with these sockets, and a mark. */
static bool send_fds(int queue, const int *fds, size_t count, uint64_t mark)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(PARK_BATCH * sizeof(int))];
	} control;
	struct iovec piece = { &mark, sizeof(mark) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (count > 0) {
		struct cmsghdr *head = &control.align;

		message.msg_control = control.bytes;
		message.msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int));
		*head = (struct cmsghdr){ .cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int)),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	}
	return sendmsg(queue, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(mark);
}

/* Takes the first message of a queue away; the kernel closes what it carries. Gives its mark: false
 * where there is none. */
static bool drop(int queue, uint64_t *mark)
{
	ssize_t n;

	do
		n = recv(queue, mark, sizeof(*mark), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*mark);
}

/* Whether a list has room for so many numbers. One that lacked some would be out of step with its
 * queue: so this is asked before anything is sent. */
static bool has_room(struct buf *list, size_t numbers)
{
	bool has = !buf_reserve(list, numbers * sizeof(uint64_t));

	list->err = 0;
	return has;
}

static uint64_t number_at(const struct buf *list, size_t at)
{
	uint64_t number;

	memcpy(&number, list->p + at, sizeof(number));
	return number;
}

/* Sends those of the numbers that are not gone as one batch, and notes it. */
static bool batch_send(struct park *park, const char *numbers, size_t count)
{
	int fds[PARK_BATCH];
	uint64_t alive[PARK_BATCH], n = 0;

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&alive[n], numbers + i * sizeof(uint64_t), sizeof(uint64_t));
		fd = park->find(park->context, alive[n]);
		if (fd >= 0)
			fds[n++] = fd;
	}
	if (n > 0 &&
	    (!has_room(&park->batches, 1 + n) || !send_fds(park->ends[BATCHES_IN], fds, n, 0)))
		return false;
	if (n > 0) {
		pack_u64(&park->batches, n);
		buf_add(&park->batches, (struct str){ (const char *)alive, n * sizeof(uint64_t) });
	}
	park->parked -= count - n;
	return true;
}

/* The singles become one batch: there first, then away from here. */
static bool singles_move(struct park *park)
{
	size_t count = park->singles.n / sizeof(uint64_t);
	uint64_t mark;

	if (!batch_send(park, park->singles.p, count))
		return false;
	for (size_t i = 0; i < count; i++)
		drop(park->ends[SINGLES_OUT], &mark);
	buf_clear(&park->singles);
	return true;
}

/* Makes room: the first batch goes to the end, without those of its sockets that are gone. */
static void batch_weed(struct park *park)
{
	uint64_t count, mark;

	if (park->batches.n == 0)
		return;
	count = number_at(&park->batches, 0);
	if (batch_send(park, park->batches.p + sizeof(uint64_t), count)) {
		drop(park->ends[BATCHES_OUT], &mark);
		buf_drop(&park->batches, (1 + count) * sizeof(uint64_t));
	}
}

/* Takes away the oldest singles, as far as they are gone. */
static void singles_weed(struct park *park)
{
	uint64_t mark;

	while (park->singles.n && park->find(park->context, number_at(&park->singles, 0)) < 0) {
		drop(park->ends[SINGLES_OUT], &mark);
		buf_drop(&park->singles, sizeof(uint64_t));
		park->parked--;
	}
}

bool park_add(struct park *park, int fd, uint64_t number)
{
	if (park->ends[SINGLES_IN] < 0)
		return false;
	singles_weed(park);
	if (park->singles.n / sizeof(uint64_t) >= PARK_BATCH) {
		batch_weed(park);
		singles_move(park);
	}
	if (!has_room(&park->singles, 1) ||
	    (!send_fds(park->ends[SINGLES_IN], &fd, 1, 0) &&
	     (!singles_move(park) || !send_fds(park->ends[SINGLES_IN], &fd, 1, 0)))) {
		park->refused++;
		return false;
	}
	pack_u64(&park->singles, number);
	park->parked++;
	return true;
}

void park_pack(const struct park *park, struct buf *out)
{
	pack_str(out, buf_str(&park->singles));
	pack_str(out, buf_str(&park->batches));
	pack_u64(out, park->parked);
}

int park_unpack(struct park *park, struct str packed)
{
	struct unpack in = { .rest = packed };

	if (unpack_buf(&in, &park->singles) || unpack_buf(&in, &park->batches))
		return -ENOMEM;
	park->parked = unpack_u64(&in, NUMBERS_MAX);
	return in.is_damaged ? -EINVAL : 0;
}

/* A copy of what the first message carries: how many sockets, or -1 where it cannot be had. */
static int peek_fds(int queue, int fds[PARK_BATCH], uint64_t *mark)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(PARK_BATCH * sizeof(int))];
	} control;
	struct iovec piece = { mark, sizeof(*mark) };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	const struct cmsghdr *head;
	size_t count = 0;
	ssize_t n;

	do
		n = recvmsg(queue, &message, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*mark))
		return -1;
	/* The kernel says nothing else of a message in this queue. */
	head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(head), count * sizeof(int));
	}
	return (int)count;
}

/* One walk round a queue. */
struct round {
	int in, out;
	struct buf *list;
	uint64_t mark; /* of what lies behind the place where it began */
};

/* The first message again, at the end of the queue, with what is kept of it; then away with it.
 * False where nothing was kept. */
static bool requeue(struct park *park, const struct round *round, const int *kept, size_t n)
{
	bool is_sent = n > 0 && send_fds(round->in, kept, n, round->mark);
	uint64_t mark;

	drop(round->out, &mark);
	if (n > 0 && !is_sent)
		is_sent = send_fds(round->in, kept, n, round->mark);
	park->refused += is_sent ? 0 : n;
	return is_sent;
}

/* Takes the first message and puts what is still wanted of it back. */
static void requeue_wanted(struct park *park, const struct round *round, const int *fds,
			   size_t count, park_take *take, void *context)
{
	uint64_t numbers[PARK_BATCH];
	int kept[PARK_BATCH];
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		kept[n] = fds[i];
		n += take(context, fds[i], &numbers[n]);
	}
	if (!requeue(park, round, kept, has_room(round->list, 1 + n) ? n : 0))
		return;
	if (round->list == &park->batches)
		pack_u64(round->list, n);
	buf_add(round->list, (struct str){ (const char *)numbers, n * sizeof(uint64_t) });
	park->parked += n;
}

/* Goes once round a queue: to its end, or to what this has put there. */
static void recover(struct park *park, const struct round *round, park_take *take, void *context)
{
	int fds[PARK_BATCH];
	uint64_t mark;

	for (;;) {
		int count = peek_fds(round->out, fds, &mark);

		if (count >= 0 && mark == round->mark) {
			while (count > 0)
				close(fds[--count]);
			return;
		}
		if (count >= 0)
			requeue_wanted(park, round, fds, (size_t)count, take, context);
		/* What cannot be looked at goes, and its sockets end with it. */
		else if (!drop(round->out, &mark))
			return;
	}
}

void park_empty(struct park *park)
{
	static const int outs[] = { SINGLES_OUT, BATCHES_OUT };
	uint64_t mark;

	forget(park);
	for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++)
		while (park->ends[outs[i]] >= 0 && drop(park->ends[outs[i]], &mark))
			continue;
}

void park_recover(struct park *park, park_take *take, void *context)
{
	const int *ends = park->ends;
	uint64_t mark = clock_mono_ns() | 1; /* no other message's */
	struct round batches = { ends[BATCHES_IN], ends[BATCHES_OUT], &park->batches, mark };
	struct round singles = { ends[SINGLES_IN], ends[SINGLES_OUT], &park->singles, mark };

	forget(park);
	recover(park, &batches, take, context);
	recover(park, &singles, take, context);
}
