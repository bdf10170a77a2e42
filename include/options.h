/*
 * options: the table of all options, one row each (value.h says what a row means).
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdio.h>

#include "value.h"

enum { OPTIONS_MAX = 64 }; /* for what needs a place for each */

extern const struct option option_table[];
extern const size_t option_count;

/* The row of the option with exactly that name (without hyphens), or NULL. */
const struct option *option_find(struct str name);

/* What --help says: every option with its default, by group. */
void options_print_help(FILE *out);

#endif
