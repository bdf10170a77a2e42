/*
 * options: the table of all options, one row each (value.h says what a row means).
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdio.h>

#include "value.h"

enum { OPTION_COUNT = 32 };

extern const struct option option_table[OPTION_COUNT];

/* The row of the option with exactly that name (without hyphens), or NULL. */
const struct option *option_find(struct str name);

/* What --help says: every option with its default, by group. */
void options_print_help(FILE *out);

#endif
