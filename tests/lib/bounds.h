/*
 * bounds: what the daemon says that it may hold at most, and what it holds.
 */
#ifndef BOUNDS_H
#define BOUNDS_H

#include "daemon.h"

/* The number behind a name in what --print-limits has said (`"\nring "`). */
uint64_t limit_said(const struct daemon *d, const char *name);

/* Bytes of memory that are the daemon's own: not the code, which is a file. */
uint64_t memory_held(const struct daemon *d);

#endif
