/*
 * people: a daemon in this process (see house.h) and the clients around it: subscribers who check
 * every event, a publisher who notes what was accepted, and who may be hit by a fault.
 *
 * The daemon has the low descriptors, everybody else those from OURS on. All fail the case at once
 * by world_fail() where something is not as it must be.
 */
#ifndef PEOPLE_H
#define PEOPLE_H

#include "../unit/house.h"

enum {
	OURS = 100, /* descriptors from here on are the tests' own */
	EVENTS_MAX = 4096,
	BIG_BYTES = 300000, /* of the file root/big.txt */
};

struct client {
	int fd; /* -1: none */
	struct buf in;
};

/* How a subscriber asks. */
struct asks {
	const char *target; /* with topic a, after the question mark if there is one */
	const char *fields; /* of its head */
	bool is_http10, is_slow, is_poll, is_proxied;
};

struct subscriber {
	const struct asks *asks; /* NULL: nobody */
	struct client client;
	char last[128];      /* id of the newest event that it has */
	unsigned next, cuts; /* number of the event that it waits for at least */
};

enum { SUBSCRIBERS_MAX = 5 };

struct world {
	struct house house;
	char dir[64], control[96], public[96]; /* its folder; unix sockets in it */
	int port, proxied_port;                /* of 127.0.0.1 */
	struct subscriber subscribers[SUBSCRIBERS_MAX];
	struct client publisher;
	unsigned published;           /* numbers given to events */
	bool is_accepted[EVENTS_MAX]; /* by number */
	int out;                      /* standard output: the usual one is the daemon's */
	const char *call;             /* that fails */
	int err;                      /* and how, once it has; 0 = not yet */
	char what[160];               /* the case, for what goes wrong */
	int hit_subscriber;           /* -1: none of them */
	bool may_cut_anybody;         /* by what was hit */
	bool must_poke;
	unsigned cuts_max;
	/* The process that had the ring has ended, when so many events were published. */
	bool may_begin_anew;
	unsigned begun_anew_at;
};

extern struct world world;

void world_fail(const char *why) __attribute__((noreturn));

#define EXPECT(is_true, why)             \
	do {                             \
		if (!(is_true))          \
			world_fail(why); \
	} while (0)

/* Makes the folder and what lies in it; removes all that. */
void world_prepare(void);
void world_clean(void);

/* A path in the folder; valid until the next but three. */
const char *world_path(const char *name);

/* Starts the daemon in this process, NULL-terminated options; or one that goes on from what the one
 * before has left in the environment. 0 or -errno. */
int world_start(const char *const *options);
int world_go_on(void);

/* The daemon's process ends here and now: what it has is gone, but for descriptors that stay open
 * through execve(2) if `execs`. If that, or the next process, goes wrong, everybody may be cut. */
void world_die(bool execs);

/* Options of all stories but the program's. */
#define USUAL                                                                                   \
	"--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0,proxy", "--control", world.control, \
		"--config", world_path("config"), "--sndbuf", "8K", "--ring-bytes", "8M",       \
		"--log-level", "info", "--heartbeat", "1s", "--access-log", "--stall-timeout",  \
		"1h", "--head-timeout", "1h", "--body-timeout", "1h", "--idle-timeout", "1h"

/* Learns its ports, after a start. */
void world_look(void);

/* Some turns of the daemon, with the fault; all else is without. */
void turn(void);

/* The fault happens: notes whom it hits. */
void people_hit(const char *call, int err, int fd);

/* --- clients --- */

/* Connects by TCP to that port, or to the unix socket where path is not NULL. rcvbuf: 0 = as it is.
 */
void client_open(struct client *c, int port, int rcvbuf);
void client_open_unix(struct client *c, const char *path);
void client_close(struct client *c);
void client_say(struct client *c, const char *text);

/* Reads up to max bytes of what is there: false when the other side has gone. */
bool client_read(struct client *c, size_t max);
bool client_has(const struct client *c, const char *text);

/* Says text on a fresh connection and turns until the answer has ended; true if it begins like
 * that. Anything else needs a fault. */
bool client_ask(bool is_control, const char *text, const char *begins);

/* --- subscribers and the publisher --- */

/* Everybody subscribes, and knows where it stands so that it misses nothing. */
void people_come(const struct asks *const asks[SUBSCRIBERS_MAX]);

/* Reads up to max bytes of what has come for subscriber i, who comes back where it was cut. */
void people_read(size_t max_of_slow);

/* Publishes the next number on topic a, and so many bytes more. */
void publish(size_t filler);

/* That everybody has everything in the end, that service goes on, and that nothing waits for the
 * daemon which it does not know of. */
void people_catch_up(void);

/* Everybody goes; the daemon ends with nothing left. */
void people_go(void);

/* All of it: starts a daemon and tells what happens to it, to its end. */
void live(const char *const *options, const struct asks *const asks[SUBSCRIBERS_MAX],
	  void (*act)(void));

/* Descriptors of this process: all, or those below OURS. */
unsigned descriptors_open(int below);

/* fd, moved to where it is ours; the old one is closed. */
int descriptor_ours(int fd);

#endif
