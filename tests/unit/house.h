/*
 * house: the whole daemon in this process, driven turn by turn: for the model test and for fuzzing.
 *
 * It has no listener: clients come in over socketpairs. Its clocks are the machine's plus offsets
 * that the test sets, the kernel can be made to take less than it is given, and the hub to find
 * itself late (the binary is linked with --wrap for the three). It asserts and never uses
 * Criterion, so that a fuzz target can live in it.
 */
#ifndef HOUSE_H
#define HOUSE_H

#include "server.h"

enum { HOUSE_ARGS_MAX = 64 };

struct house {
	struct server server;
	int argc;
	char *argv[HOUSE_ARGS_MAX];
};

/* Milliseconds that both clocks, and the real clock beyond that, are ahead of the machine's. */
extern int64_t house_ahead_ms, house_step_ms;

/* Where it is not 0, the machine's clocks stand at this second. */
extern int64_t house_stopped_s;

/*
 * Bytes that the kernel takes of the next sock_send() are a number below this, by house_random; 0 =
 * as many as it likes. It does not tell when it would take more: house_poke() does.
 */
extern size_t house_send_max;
extern uint64_t house_random;

/* How often in a hundred looks the hub finds that it is late, by house_random. Else it never is. */
extern unsigned house_hurry;

/* A number below n, from house_random. */
uint64_t house_choose(uint64_t n);

/* Tells every conn that it can be written to. */
void house_poke(struct house *house);

/* Starts it with these options, NULL-terminated. */
int house_try(struct house *house, const char *const *options);

/* The same, where it cannot fail; house_try() gives 0, or -errno with nothing left to close. */
void house_open(struct house *house, const char *const *options);

/* The same options again, in a process that goes on from the state that a binary before has handed
 * over (see upgrade.h): as house_try(). */
int house_go_on(struct house *house);

/* Ends it; its clients see their end. */
void house_close(struct house *house);

/*
 * A new client: its end, non-blocking. flags: CONN_CONTROL. sndbuf: of the daemon's end in bytes,
 * 0 = as it is; the kernel takes some 4 KB at least.
 */
int house_connect(struct house *house, uint16_t flags, int sndbuf);

/* The same from that address; house_connect()'s clients come from 127.0.0.1. */
int house_connect_from(struct house *house, const struct in6_addr *ip, uint16_t flags, int sndbuf);

/* Turns, until nothing is left to do at once. */
void house_turn(struct house *house);

/* Visits every conn once for its time-outs, and turns. */
void house_sweep(struct house *house);

/* Fails unless every conn is gone and has given everything back. */
void house_expect_idle(const struct house *house);

#endif
