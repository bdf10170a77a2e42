/*
 * cli: ssebench's command line.
 */
#ifndef CLI_H
#define CLI_H

#include "bench.h"

/* Reads argv. 0; 1 after --help; 2 after a sentence about what is wrong. */
int cli_read(struct options *options, int argc, char **argv);
void cli_done(struct options *options);

#endif
