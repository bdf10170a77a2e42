/*
 * request: reads requests from a conn, has them answered, and sends the answers.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "hub.h"

/* A kernel event for a conn; one for an earlier conn in that slot is ignored. */
void request_event(struct hub *hub, uint32_t slot, uint32_t generation, uint32_t bits);

/*
 * Visits what is on the agenda now, once; closes the doomed. When the hub is late, the rest stays:
 * true if there is one.
 */
bool request_run_agenda(struct hub *hub);

/* A head or a body has taken too long: 408, and the connection ends for that reason. */
void request_timed_out(struct hub *hub, struct conn *conn, enum stats_reason reason);

/* A flow of events, which may have no end of its own, is answered now; other conns are left alone.
 */
void request_stop_flow(struct hub *hub, struct conn *conn, int status, const char *why);

#endif
