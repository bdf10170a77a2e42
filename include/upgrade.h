/*
 * upgrade: the binary on disk takes over, in the same process and without a disconnect.
 *
 * The new binary is first asked, in a child and with a copy of the state, whether it could go on
 * from here with the configuration as it is now; the loop serves on meanwhile. Only then, at the
 * end of a turn, it replaces this one by exec. Whatever goes wrong before that is a sentence in
 * the log, and this binary goes on.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "server.h"

/* Finds out where the binary lies: before anything changes the working folder. */
void upgrade_init(struct upgrade *upgrade, const char *argv0);
void upgrade_done(struct upgrade *upgrade);

/* SIGUSR2: asks the binary on disk. */
void upgrade_ask(struct server *server);

/* A child has ended: reads its answer. */
void upgrade_answered(struct server *server);

/* Gives up on a child that takes too long. Called now and then while there is one. */
void upgrade_check(struct server *server);

/* The turn is over: if the new binary has accepted, it takes over, and this does not return. */
void upgrade_turn_end(struct server *server);

/*
 * For --check-handover: says on standard output that this binary can go on from the state in that
 * descriptor with this configuration, and returns true; or says on standard error why not.
 */
bool upgrade_try(const struct config *config, int state_fd);

/* The state that the binary before this one left in this process, or -1. Asked once. */
int upgrade_state_fd(void);

#endif
