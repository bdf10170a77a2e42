/*
 * exchange: a request on its way in and its response on its way out.
 *
 * A conn borrows one from the pool while it has an unfinished request or unsent own bytes, and
 * gives it back after that. An exchange holds no slice of a request: what a handler needs of it
 * later, it copies.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <sys/types.h>

#include "feed.h"
#include "http.h"
#include "httpbody.h"

/* What becomes of a request's body. The numbers cross to the next binary. */
enum exchange_sink {
	SINK_NONE,    /* nothing is expected */
	SINK_DISCARD, /* read and thrown away: the response is made already */
	SINK_EVENT,   /* the body is one event's data */
	SINK_FEED,    /* the body is a flow of events */
	SINK_FORM,    /* the body is a form that says all of one event: see mercure.h */
};

/* What a publish request says of its events, from its target; owned copies. */
struct publish_form {
	struct buf topics; /* each ended by a NUL; never empty */
	size_t topic_count;
	struct buf type, id;
	uint64_t retry_ms; /* or SSE_NO_RETRY */
	bool is_private;
};

struct exchange {
	struct buf in;      /* received, not yet used */
	size_t scanned;     /* of in: see http_find_head() */
	struct buf out;     /* own bytes, sent before everything else */
	size_t out_sent;    /* of out */
	struct str blob;    /* after out: bytes that live as long as the program */
	int file_fd;        /* after out: a file, owned; -1 = none */
	off_t file_at;      /* offset of the next byte */
	uint64_t file_left; /* bytes */
	uint64_t file_held; /* bytes of memory that the file is; 0 for one on a disk */

	int status;      /* of the response; 0 = none yet */
	uint8_t route;   /* enum stats_route */
	uint8_t sink;    /* enum exchange_sink */
	bool keep_alive; /* after the response, the next request */
	bool is_head;    /* the response has no body */
	bool is_http10;
	struct buf cors; /* Access-Control fields for the response, and others that the request asks
			    for */
	struct buf line; /* what the access log says of the request; empty without one */

	struct http_body body;
	uint64_t body_bytes; /* of the body, so far */
	struct buf content;  /* of the body, for SINK_EVENT and SINK_FORM */
	struct buf rights;   /* packed selectors (names.h): the topics that may be published to */
	struct publish_form form;
	struct feed feed;   /* for SINK_FEED */
	uint64_t accepted;  /* events that the feed has published */
	struct buf last_id; /* of the last of them */
	int refused;        /* status of the event that stopped the feed, 0 = none */

	uint64_t counted; /* bytes of memory, as they are in exchanges.bytes */
};

struct exchanges {
	struct exchange **table; /* by index; 0 is nobody's */
	uint32_t *free;          /* a stack of indices that nobody borrows */
	uint32_t count, cap, free_count;
	uint32_t spare; /* exchanges kept in memory for the next borrower */
	uint64_t bytes; /* of memory in all that are borrowed */
};

void exchanges_init(struct exchanges *exchanges);
void exchanges_done(struct exchanges *exchanges);

/* Borrows a clean exchange: its index, or 0 when memory ran out. */
uint32_t exchange_borrow(struct exchanges *exchanges);

/* Gives it back: closes its file, forgets everything. */
void exchange_return(struct exchanges *exchanges, uint32_t index);

struct exchange *exchange_at(const struct exchanges *exchanges, uint32_t index);

/* Ready for the next request of the same conn: keeps in, and out with what is not sent of it. */
void exchange_next(struct exchange *exchange);

/*
 * A borrowed exchange, packed, and the same in another process, into one that has just been
 * borrowed there. A blob becomes part of the bytes in out. A file crosses as the number of its
 * descriptor, which *file_fd has then (-1 = none): for the caller to put into the exchange. Of a
 * feed, take and context are the caller's to set; event_max is as for feed_init(). 0, -EINVAL or
 * -ENOMEM: the exchange is then only good for exchange_return().
 */
void exchange_pack(const struct exchange *exchange, struct buf *out);
int exchange_unpack(struct exchange *exchange, struct str packed, size_t event_max, int *file_fd);

/* Counts its memory anew, all of it, after its buffers may have grown. */
void exchange_count(struct exchanges *exchanges, struct exchange *exchange);

/*
 * The most that one exchange can take, where a body (or a line of it) has body_bytes_max at the
 * most; and what there is beside the exchanges themselves when so many are borrowed: their table,
 * and what is kept for the next borrowers.
 */
uint64_t exchange_bytes_max(uint64_t body_bytes_max);
uint64_t exchanges_bytes(uint64_t borrowed);

/* Whether bytes of it wait to be sent. */
bool exchange_has_output(const struct exchange *exchange);

#endif
