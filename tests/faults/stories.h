/*
 * stories: what a daemon lives through, once for each fault.
 *
 * Each is a function of its own that begins with a fresh daemon and ends with nothing left. At the
 * start the daemon may refuse to start; from then on everybody who was not hit is served.
 */
#ifndef STORIES_H
#define STORIES_H

#include <stdbool.h>

struct story {
	const char *name;
	void (*tell)(void);
	bool is_apart; /* in a process of its own */
};

/* Streams, fast and slow, of two framings; reload, heartbeats, ticks, the meter. */
void story_streams(void);

/* Files, flows, long polls, proxies, Mercure, on public and control listeners. */
void story_requests(void);

/* Standard input as a pipe, and as a socket, with a log that nobody reads. */
void story_pipe(void);
void story_socket(void);

/* The next binary takes over; before, one that does not. */
void story_upgrade(void);

/* A manager keeps what a crash leaves; the next process goes on. */
void story_crash(void);

/* The whole program, from main() on, to an orderly end. */
void story_program(void);

#endif
