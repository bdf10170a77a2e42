/*
 * names: a list of byte strings in one run of bytes: each a 16-bit length and its bytes.
 *
 * Topics and selectors come in lists of any length. Packed like this a list is one slice, which can
 * be copied, kept and handed to another process (of the same machine) as it is.
 */
#ifndef NAMES_H
#define NAMES_H

#include "buf.h"

/* Appends a name of at most UINT16_MAX bytes to a list: list->err, or -EMSGSIZE if it is longer. */
int names_add(struct buf *list, struct str name);

/* Takes the first name off *list; it borrows from the list. False at the end. */
bool names_next(struct str *list, struct str *name);

/* How many there are. */
size_t names_count(struct str list);

#endif
