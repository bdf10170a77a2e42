/*
 * ceiling: the most memory that a configuration can come to use, whatever clients do.
 */
#ifndef CEILING_H
#define CEILING_H

#include <stdio.h>

#include "config.h"

/*
 * Prints a line for each part, `NAME BYTES WHY`, then the total of user space, and what the kernel
 * may hold for the sockets. clients_max: those that there are descriptors for.
 */
void ceiling_print(const struct config *config, uint64_t clients_max, FILE *out);

#endif
