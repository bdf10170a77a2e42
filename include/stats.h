/*
 * stats: what the daemon counts, and its text: for Prometheus, and as JSON for dashboards.
 *
 * Counters only grow. Gauges are taken at the moment of asking, by who asks (route). Plain data, so
 * that the next binary can go on counting.
 */
#ifndef STATS_H
#define STATS_H

#include "buf.h"

/* Numbers of reasons and routes cross to the next binary: new ones go to the end. */

/* Why a connection ended: the label `reason` of ssecast_disconnects_total. */
enum stats_reason {
	REASON_CLIENT,       /* the client went */
	REASON_DONE,         /* a response ended with Connection: close */
	REASON_REFUSED,      /* an error response ended it */
	REASON_LAGGED,       /* a stream fell further behind than --lag-max or the ring allow */
	REASON_STALLED,      /* no progress for --stall-timeout */
	REASON_HEAD_TIMEOUT, /* a request head took longer than --head-timeout */
	REASON_BODY_TIMEOUT, /* a request body took longer than --body-timeout */
	REASON_IDLE,         /* nothing asked for --idle-timeout */
	REASON_OVER_LIMIT,   /* over --max-clients or --max-clients-per-ip */
	REASON_NO_MEMORY,    /* no memory for it */
	REASON_DRAIN,        /* the daemon stops */
	REASON_ERROR,        /* the kernel refused something that should work */
	REASON_EXPIRED,      /* the token that opened the stream has ended */
	REASON_TOO_FAST,     /* over --max-accepts-per-ip: closed at once */
	REASON_CRASH,        /* did not outlive a crash of the daemon */
	REASON_COUNT
};

/* What was asked for: the label `route` of ssecast_requests_total. */
enum stats_route {
	ROUTE_STREAM,
	ROUTE_POLL,
	ROUTE_PUBLISH,
	ROUTE_STATIC,
	ROUTE_HEALTHZ,
	ROUTE_METRICS,
	ROUTE_MERCURE, /* of the subscriptions */
	ROUTE_NONE,    /* refused before it had a route */
	ROUTE_COUNT
};

enum {
	STATS_STATUSES = 32, /* different statuses that we send */
	STATS_BUCKETS = 16,  /* of a histogram of durations: 10 us, 20 us, … 328 ms; then above */
};

struct stats_histogram {
	uint64_t buckets[STATS_BUCKETS + 1]; /* not cumulative; the last is everything above */
	uint64_t sum_ns;
};

struct stats {
	uint64_t accepts;
	uint64_t accept_pauses; /* times that accepting stopped for want of descriptors or room */
	uint64_t requests[ROUTE_COUNT][STATS_STATUSES];
	uint64_t events;      /* published */
	uint64_t event_bytes; /* of their frames */
	uint64_t events_refused;
	uint64_t deliveries;   /* events handed to the kernel for a subscriber, whole */
	uint64_t sent_bytes;   /* all bytes handed to the kernel */
	uint64_t short_writes; /* sends that the kernel took in part or not at all */
	uint64_t heartbeats;
	uint64_t gaps; /* gap events sent */
	uint64_t disconnects[REASON_COUNT];
	uint64_t ticks_missed;
	uint64_t upgrades; /* times that the binary on disk took over */
	uint64_t upgrades_refused;
	uint64_t streams_recovered;   /* that went on after a crash of the process before */
	struct stats_histogram turn;  /* from the end of the wait to the next wait */
	struct stats_histogram flush; /* a turn's broadcast */
};

/* What is true now: filled in by who asks. */
struct stats_gauges {
	uint64_t clients, live, walking;
	uint64_t topics; /* selectors subscribed to */
	uint64_t ring_bytes, ring_size_bytes, ring_records, ring_evicted;
	uint64_t ring_oldest_age_ms;
	uint64_t lag_bytes_max; /* of the subscriber that is furthest behind, at the last sweep */
	uint64_t request_bytes; /* held for unfinished requests */
	uint64_t log_dropped;
	uint64_t uptime_ms;
};

/* Counts a response. */
void stats_request(struct stats *stats, enum stats_route route, int status);

void stats_duration(struct stats_histogram *histogram, uint64_t ns);

/* The name of a reason, as in the metric's label and the log: `stalled`. */
const char *stats_reason(enum stats_reason reason);

/* Appends everything in Prometheus text format 0.0.4; returns out->err. */
int stats_write(const struct stats *stats, const struct stats_gauges *gauges, struct buf *out);

/*
 * Appends the same as one JSON object: `{"time_ms":now_ms,…}`, where a member is the metric of that
 * name without `ssecast_`. A label makes it an object by the label's value, two labels an object of
 * objects. A histogram is {"le":[…],"buckets":[…],"sum":s,"count":n}; its buckets are not
 * cumulative, and there is one more of them than bounds. Returns out->err.
 */
int stats_write_json(const struct stats *stats, const struct stats_gauges *gauges, uint64_t now_ms,
		     struct buf *out);

/*
 * Goes on counting where the text of another process's stats_write() stands. By name: what the text
 * does not have stays as it is, what it has beyond is ignored.
 */
void stats_read(struct stats *stats, struct str text);

#endif
