/*
 * loop: one epoll instance, and what its events mean.
 *
 * Each descriptor is added once, edge-triggered, and never modified. An event carries a key, never
 * a pointer: the kind of thing that the descriptor is, its index in the table of that kind, and
 * the generation of that table entry, so that a stale event for a re-used entry is recognised. The
 * epoll descriptor survives exec (no CLOEXEC), and so do its keys: the next binary goes on with it.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

enum { LOOP_EVENTS_MAX = 4096 }; /* kernel events that one turn takes */

/* The numbers cross to the next binary: new kinds go to the end, before LOOP_KINDS. */
enum loop_kind {
	LOOP_CONN,
	LOOP_LISTENER,
	LOOP_TICK,
	LOOP_SWEEP,
	LOOP_METER,
	LOOP_SIGNAL,
	LOOP_STDIN,
	LOOP_PULSE,
	LOOP_KINDS
};

struct loop_key {
	enum loop_kind kind;
	uint32_t index;
	uint32_t generation; /* 24 bits count */
};

#define LOOP_GENERATION_MASK 0xffffffu

struct loop {
	int epoll_fd;
	struct epoll_event *events; /* owned; LOOP_EVENTS_MAX of them */
};

/* A new epoll instance: 0 or -errno. */
int loop_init(struct loop *loop);

/* Goes on with the epoll instance of an earlier binary, and all that is in it. 0 or -errno. */
int loop_adopt(struct loop *loop, int epoll_fd);
void loop_done(struct loop *loop);

/* Watches fd for bits (EPOLLIN …; EPOLLET is added). It ends when fd is closed. 0 or -errno. */
int loop_add(struct loop *loop, int fd, uint32_t bits, struct loop_key key);

/* Gives an adopted descriptor another key; what waits on it is told again. 0 or -errno. */
int loop_rekey(struct loop *loop, int fd, uint32_t bits, struct loop_key key);

/*
 * Waits for events, forever with timeout_ms -1. Returns how many there are (0 after a time-out or
 * a signal), or -errno.
 */
int loop_wait(struct loop *loop, int timeout_ms);

/* The key and the bits of the i-th event of the last wait. */
struct loop_key loop_event(const struct loop *loop, int i, uint32_t *bits);

/* A non-blocking timerfd on the monotonic clock, added to the loop: its descriptor or -errno. */
int loop_add_timer(struct loop *loop, enum loop_kind kind);

/*
 * Sets a timer of loop_add_timer() to fire at first_ms (monotonic) and then every period_ms,
 * without drift; first_ms 0 stops it. 0 or -errno.
 */
int loop_set_timer(int timer_fd, uint64_t first_ms, uint64_t period_ms);

/* How often the timer has fired since the last call; 0 if it has not. */
uint64_t loop_read_timer(int timer_fd);

#endif
