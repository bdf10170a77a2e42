/*
 * config: what can be set, in one table, for the command line and the configuration file alike.
 *
 * An option `--tick-interval 5s` (or `--tick-interval=5s`) on the command line is the line
 * `tick-interval 5s` in the file. The command line wins over the file, the file over the defaults.
 * For options that can be repeated (listen, control, cors-origin) the command line's values replace
 * those of the file, which replace the default; an empty value adds nothing, so that
 * `--cors-origin ""` is an empty list.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdio.h>

#include "buf.h"

enum {
	CONFIG_LIST_MAX = 64,    /* values of a repeatable option */
	CONFIG_FILE_MAX = 65536, /* bytes of the configuration file */
};

struct config_list {
	char *items[CONFIG_LIST_MAX]; /* owned */
	size_t count;
};

enum config_stdin { CONFIG_STDIN_OFF, CONFIG_STDIN_LINES, CONFIG_STDIN_SSE, CONFIG_STDIN_NDJSON };

struct config {
	/* Where it listens */
	struct config_list listen;  /* default 127.0.0.1:3000 */
	struct config_list control; /* default none */
	uint64_t clients_max; /* --max-clients, default 1000000: connections, lowered to what NOFILE
				 allows */
	uint64_t accepts_per_ip_max;    /* --max-accepts-per-ip: a second; 0 = no limit (default) */
	uint64_t clients_per_ip_max;    /* --max-clients-per-ip, 0 = no limit (default) */
	struct config_list cors_origin; /* default * */
	struct config_list trusted_proxy; /* networks that are believed for whom they ask */
	bool public_stats;                /* the topic $stats is for everybody */

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
	char *mercure_publisher_key_file;          /* NULL = from the environment, or not set up */
	char *mercure_subscriber_key_file;         /* the same */
	bool mercure_anonymous;                    /* who has no token may subscribe */
	bool mercure_subscriptions;                /* who subscribes is published */
	char *mercure_cookie;                      /* the name of the cookie with a token */
	struct config_list mercure_publish_origin; /* whose pages may publish with a cookie */

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
	char *config_file;             /* NULL = none */
	struct config_list unconfined; /* walls that are not built: see confine.h */
	bool access_log;
	bool crash_recovery_off; /* --no-crash-recovery */
	int log_level;           /* --log-level error|warning|info|debug */
	bool print_limits;       /* --print-limits: say how much memory it may take, and exit */
	bool check_config; /* --check-config: say whether it is valid, its files too, and exit */
	uint64_t check_handover_fd; /* --check-handover: say whether this binary can take over from
				       the state in there, and exit; 0 = no */
};

enum config_result {
	CONFIG_RUN = 0,
	CONFIG_EXIT_OK = 1, /* --help or --version was answered on stdout, or --check-config found
			       no fault */
	CONFIG_EXIT_USAGE = 2, /* what is wrong was said on stderr: one line */
};

/* The defaults. Frees nothing: for a fresh struct. Returns 0, or -ENOMEM with a struct that is only
 * good for config_done(). */
int config_init(struct config *config);
void config_done(struct config *config);

/*
 * Reads argv (argv[0] is the program) and the file that --config names into a config that has the
 * defaults. On CONFIG_EXIT_USAGE one line `ssecastd: …` has been written to err that names the
 * option, the value, what would be right, and for the file its name and line. Whatever it returns,
 * config_done() is the caller's.
 */
enum config_result config_read(struct config *config, int argc, char **argv, FILE *out, FILE *err);

/*
 * For SIGHUP: reads argv and file again into a fresh config and takes over what can change while
 * running. Appends one sentence for each option whose new value needs a restart, to kept, each
 * ending in a newline. Returns 0, or -EINVAL with the reason (one sentence, no newline) in kept and
 * config unchanged, or -ENOMEM. Texts and lists of config may have moved: borrow them again.
 */
int config_reload(struct config *config, int argc, char **argv, struct buf *kept);

/* (In value.c.) Values: `64M` (K, M, G are powers of 1024), `1500ms`, `5s`, `2m`, `1h`. 0, -EINVAL
 * or -ERANGE. */
int config_parse_bytes(struct str s, uint64_t *bytes);
int config_parse_ms(struct str s, uint64_t *ms);

#endif
