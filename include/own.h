/*
 * own: own bytes first. Sends what a conn's exchange has to say, before anything of the ring.
 */
#ifndef OWN_H
#define OWN_H

#include "hub.h"

/*
 * Sends of the conn's own bytes what the kernel takes, within a budget: true when nothing is left.
 * If not, the conn is called again by EPOLLOUT or by the agenda. A conn whose client is
 * gone is doomed (and true is returned).
 */
bool own_send(struct hub *hub, struct conn *conn);

/*
 * Sends bytes at once where nothing else waits, and keeps what the kernel did not take as own
 * bytes. 0, or -ENOMEM: the conn has been doomed then.
 */
int own_say(struct hub *hub, struct conn *conn, struct str bytes);

#endif
