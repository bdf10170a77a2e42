/*
 * options: all that can be set, as a struct, and the table of the options that set it, one row each
 * (value.h says what a row means).
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdio.h>

#include "value.h"

enum config_stdin { CONFIG_STDIN_OFF, CONFIG_STDIN_LINES, CONFIG_STDIN_SSE, CONFIG_STDIN_NDJSON };

struct config {
	/* Where it listens */
	struct value_list listen;  /* default 127.0.0.1:3000 */
	struct value_list control; /* default none */
	uint64_t clients_max; /* --max-clients, default 1000000: connections, lowered to what NOFILE
				 allows */
	uint64_t accepts_per_ip_max;   /* --max-accepts-per-ip: a second; 0 = no limit (default) */
	uint64_t clients_per_ip_max;   /* --max-clients-per-ip, 0 = no limit (default) */
	struct value_list cors_origin; /* default * */
	struct value_list trusted_proxy; /* networks that are believed for whom they ask */
	bool public_stats;               /* the topic $stats is for everybody */

	/* What it serves */
	char *root;    /* NULL = the pages inside the binary */
	char *welcome; /* "" = none */
	uint64_t retry_ms;
	uint64_t heartbeat_ms;    /* 0 = none */
	uint64_t poll_timeout_ms; /* --poll-timeout, 25s: that a poll waits for events */

	/* The clock's events */
	uint64_t tick_interval_ms; /* 0 = off */
	char *tick_topic;
	char *tick_format;

	/* Publishing */
	char *publish_token_file; /* NULL = nobody publishes on public listeners */
	bool require_token;       /* --require-token: to subscribe on public listeners */
	enum config_stdin stdin_format;
	bool stdin_eof_exits;    /* --stdin-eof exit|serve */
	uint64_t body_bytes_max; /* --max-body, default 1M: a request's body, or one line or event
				    of a flow of them */

	/* The Mercure protocol */
	char *mercure_publisher_key_file;         /* NULL = from the environment, or not set up */
	char *mercure_subscriber_key_file;        /* the same */
	bool mercure_anonymous;                   /* who has no token may subscribe */
	bool mercure_subscriptions;               /* who subscribes is published */
	char *mercure_cookie;                     /* the name of the cookie with a token */
	struct value_list mercure_publish_origin; /* whose pages may publish with a cookie */

	/* Memory and patience */
	uint64_t ring_bytes;         /* 64M; at least 64K; rounded up to whole pages by the ring */
	uint64_t lag_bytes_max;      /* --lag-max: 0 = as far as the ring reaches (default) */
	uint64_t topics_max;         /* --max-topics, default 1000000 */
	uint64_t requests_bytes_max; /* --max-request-memory, 64M: bytes held for unfinished
					requests, all together */
	uint64_t sndbuf_bytes;       /* --sndbuf, 128K: of an accepted socket; 0 = the kernel
					decides */
	uint64_t head_timeout_ms;    /* 10s: from a request's first byte to the end of its head */
	uint64_t body_timeout_ms;    /* 30s: from there to the end of its body (a flow of events is
					exempt) */
	uint64_t idle_timeout_ms;    /* 60s: of a connection between requests */
	uint64_t stall_timeout_ms;   /* 30s: without progress while bytes wait for the client */
	uint64_t drain_ms;           /* 5s */
	uint64_t drain_retry_ms;     /* 10s */

	/* Running it */
	char *config_file;            /* NULL = none */
	struct value_list unconfined; /* walls that are not built: see confine.h */
	bool access_log;
	bool crash_recovery_off; /* --no-crash-recovery */
	int log_level;           /* --log-level error|warning|info|debug */
	bool print_limits;       /* --print-limits: say how much memory it may take, and exit */
	bool check_config; /* --check-config: say whether it is valid, its files too, and exit */
	uint64_t check_handover_fd; /* --check-handover: say whether this binary can take over from
				       the state in there, and exit; 0 = no */
};

enum { OPTIONS_MAX = 64 }; /* for what needs a place for each */

extern const struct option option_table[];
extern const size_t option_count;

/* The row of the option with exactly that name (without hyphens), or NULL. */
const struct option *option_find(struct str name);

/* What --help says: every option with its default, by group. */
void options_print_help(FILE *out);

#endif
