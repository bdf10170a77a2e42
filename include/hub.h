/*
 * hub: what every room of the conversation has in hand.
 *
 * The server (layer 5) owns it and wires it; the rooms of layer 4 take it as their first argument.
 * It owns no behaviour.
 */
#ifndef HUB_H
#define HUB_H

#include "config.h"
#include "conns.h"
#include "ipnet.h"
#include "log.h"
#include "loop.h"
#include "park.h"
#include "presences.h"
#include "rate.h"
#include "ring.h"
#include "secret.h"
#include "stats.h"
#include "topic.h"
#include "trace.h"

struct hub {
	struct config config;
	struct stats stats;
	struct loop loop;
	struct ring ring;
	struct topics topics;
	struct trace trace; /* without a header: crashes are not prepared for */
	struct park park;
	struct conns conns;
	struct presences presences;
	struct rate rate;            /* of accepting, by address */
	struct listeners *listeners; /* owned by the server */
	struct staticfiles *files;   /* owned by the server */
	struct secrets secrets;      /* who may publish and subscribe */
	struct ipnets trusted;       /* --trusted-proxy */
	uint64_t now_ms;             /* monotonic, of this turn */
	uint64_t late_ns;         /* monotonic: when the rest of those who are served must wait */
	uint64_t flush_ns;        /* how long this turn's flush has taken */
	uint64_t clients_max;     /* --max-clients, or less if descriptors are fewer */
	uint64_t random;          /* state of hub_random(): for jitter only */
	uint64_t started_ms;      /* monotonic */
	uint64_t lag_bytes_max;   /* largest lag seen by the last sweep */
	struct log_limit cut_log; /* for connections that are cut */
	bool draining;            /* the daemon stops: no new streams */
};

/* A number from 0 to n-1 (n > 0), for spreading things in time; not for secrets. */
uint64_t hub_random(struct hub *hub, uint64_t n);

/*
 * Gives those who are served next a slice of the turn, of so many nanoseconds; and whether it is
 * over. Whoever has begun may finish one thing.
 */
void hub_begin_slice(struct hub *hub, uint64_t slice_ns);
bool hub_is_late(const struct hub *hub);

/* Reads --trusted-proxy of its configuration. */
void hub_trust(struct hub *hub);

/* Fills in what is true now. */
void hub_gauges(const struct hub *hub, struct stats_gauges *gauges);

#endif
