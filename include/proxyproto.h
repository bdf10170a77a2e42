/*
 * proxyproto: the header that a balancer sends before the bytes of the client (the PROXY protocol,
 * versions 1 and 2, as HAProxy's doc/proxy-protocol.txt has it). Pure.
 */
#ifndef PROXYPROTO_H
#define PROXYPROTO_H

#include "ipnet.h"

enum { PROXYPROTO_MAX = 4096 }; /* bytes of a header; those in use have some hundred */

/*
 * Reads the header that bytes begin with. Returns 0 with *len = its bytes, and *ip, the client's
 * address: all zeros where the header names none (LOCAL, UNKNOWN, a unix socket). -EAGAIN where it
 * is not complete; -EINVAL as soon as it can be no header.
 */
int proxyproto_read(struct str bytes, size_t *len, struct in6_addr *ip);

#endif
