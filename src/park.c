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

/* One message with these sockets. */
static bool send_fds(int queue, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(PARK_BATCH * sizeof(int))];
	} control;
	uint64_t mark = 0;
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

/* Takes the first message of a queue away; the kernel closes what it carries. */
static void drop(int queue)
{
	uint64_t mark;

	(void)!recv(queue, &mark, sizeof(mark), MSG_DONTWAIT);
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
	if (n > 0 && !send_fds(park->ends[BATCHES_IN], fds, n))
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

	if (!batch_send(park, park->singles.p, count))
		return false;
	for (size_t i = 0; i < count; i++)
		drop(park->ends[SINGLES_OUT]);
	buf_clear(&park->singles);
	return true;
}

/* Makes room: the first batch goes to the end, without those of its sockets that are gone. */
static void batch_weed(struct park *park)
{
	uint64_t count;

	if (park->batches.n == 0)
		return;
	count = number_at(&park->batches, 0);
	if (batch_send(park, park->batches.p + sizeof(uint64_t), count)) {
		drop(park->ends[BATCHES_OUT]);
		buf_drop(&park->batches, (1 + count) * sizeof(uint64_t));
	}
}

/* Takes away the oldest singles, as far as they are gone. */
static void singles_weed(struct park *park)
{
	while (park->singles.n && park->find(park->context, number_at(&park->singles, 0)) < 0) {
		drop(park->ends[SINGLES_OUT]);
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
	if (!send_fds(park->ends[SINGLES_IN], &fd, 1) &&
	    (!singles_move(park) || !send_fds(park->ends[SINGLES_IN], &fd, 1))) {
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

/* A copy of what the first message carries: how many sockets, or -1 at the end. */
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

	if (recvmsg(queue, &message, MSG_PEEK | MSG_DONTWAIT) != sizeof(*mark))
		return -1;
	/* The kernel says nothing else of a message in this queue. */
	head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(head), count * sizeof(int));
	}
	return (int)count;
}

/* The first message again, at the end of the queue, with what is kept of it; then away with it. */
static void requeue(struct park *park, int in, int out, const int *kept, size_t n)
{
	bool is_sent = n == 0 || send_fds(in, kept, n);

	drop(out);
	if (!is_sent && !send_fds(in, kept, n))
		park->refused += n;
}

/* Goes once round a queue, from what lies there to a mark of our own. */
static int recover(struct park *park, int in, int out, struct buf *list, park_take *take,
		   void *context)
{
	uint64_t own = clock_mono_ns() | 1, mark;
	int fds[PARK_BATCH], count;

	if (send(in, &own, sizeof(own), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(own))
		return -errno;
	while ((count = peek_fds(out, fds, &mark)) >= 0 && mark != own) {
		uint64_t numbers[PARK_BATCH];
		int kept[PARK_BATCH];
		size_t n = 0;

		for (int i = 0; i < count; i++) {
			kept[n] = fds[i];
			n += take(context, fds[i], &numbers[n]);
		}
		requeue(park, in, out, kept, n);
		if (n > 0 && list == &park->batches)
			pack_u64(list, n);
		if (n > 0)
			buf_add(list, (struct str){ (const char *)numbers, n * sizeof(uint64_t) });
		park->parked += n;
	}
	drop(out);
	return 0;
}

int park_recover(struct park *park, park_take *take, void *context)
{
	const int *ends = park->ends;
	int err;

	forget(park);
	err = recover(park, ends[BATCHES_IN], ends[BATCHES_OUT], &park->batches, take, context);
	if (err)
		return err;
	return recover(park, ends[SINGLES_IN], ends[SINGLES_OUT], &park->singles, take, context);
}
