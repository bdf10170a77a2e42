/*
 * own: sends a conn's own bytes: heads, answers, files, heartbeats. See own.h.
 */
#include "own.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "conn.h"

enum {
	PIECE_BYTES = 256 * 1024, /* of a file, in one system call */
	TURN_BYTES = 1024 * 1024, /* of one conn, in one turn */
};

/* One system call's worth of whatever comes next: bytes taken by the kernel, or -errno. */
static ssize_t send_some(const struct conn *conn, struct exchange *exchange)
{
	size_t out_left = exchange->out.n - exchange->out_sent;
	ssize_t n;

	if (out_left) {
		int more = exchange->blob.n || exchange->file_left ? MSG_MORE : 0;

		n = send(conn->fd, exchange->out.p + exchange->out_sent, out_left,
			 MSG_NOSIGNAL | MSG_DONTWAIT | more);
		if (n > 0)
			exchange->out_sent += (size_t)n;
	} else if (exchange->blob.n) {
		size_t piece = exchange->blob.n < PIECE_BYTES ? exchange->blob.n : PIECE_BYTES;

		n = send(conn->fd, exchange->blob.p, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			exchange->blob = str_from(exchange->blob, (size_t)n);
	} else {
		uint64_t left = exchange->file_left;
		size_t piece = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

		n = sendfile(conn->fd, exchange->file_fd, &exchange->file_at, piece);
		if (n > 0)
			exchange->file_left -= (uint64_t)n;
		/* The file has become shorter than its announced length: it cannot be finished. */
		if (n == 0)
			return -EPIPE;
	}
	return n < 0 ? -errno : n;
}

bool own_send(struct hub *hub, struct conn *conn)
{
	struct exchange *exchange;
	uint64_t sent = 0;

	if (!conn->exchange)
		return true;
	exchange = exchange_at(&hub->conns.exchanges, conn->exchange);
	while (exchange_has_output(exchange)) {
		ssize_t n;

		if (sent >= TURN_BYTES) {
			conn_later(hub, conn, CONN_WRITABLE);
			return false;
		}
		n = send_some(conn, exchange);
		if (n < 0) {
			hub->stats.short_writes++;
			return !conn_failed(hub, conn, (int)-n, CONN_WRITABLE);
		}
		sent += (uint64_t)n;
		hub->stats.sent_bytes += (uint64_t)n;
		conn_touch(hub, conn);
	}
	buf_clear(&exchange->out);
	exchange->out_sent = 0;
	return true;
}

int own_say(struct hub *hub, struct conn *conn, struct str bytes)
{
	struct exchange *exchange;

	if (!conn->exchange) {
		ssize_t n = send(conn->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			hub->stats.sent_bytes += (uint64_t)n;
			conn_touch(hub, conn);
			bytes = str_from(bytes, (size_t)n);
		} else if (!conn_failed(hub, conn, errno, CONN_WRITABLE)) {
			return 0;
		}
		if (bytes.n == 0)
			return 0;
		hub->stats.short_writes++;
	}
	exchange = conn_exchange(hub, conn);
	if (exchange && !buf_add(&exchange->out, bytes)) {
		exchange_count(&hub->conns.exchanges, exchange);
		return 0;
	}
	conn_doom(hub, conn, REASON_NO_MEMORY);
	return -ENOMEM;
}
