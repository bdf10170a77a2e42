/*
 * forwarded: for whom a proxy asks. Pure.
 */
#ifndef FORWARDED_H
#define FORWARDED_H

#include "http.h"
#include "ipnet.h"

/*
 * The client behind a trusted proxy, by X-Forwarded-For: true with *ip. Each proxy has added the
 * address that the request came from at the end of the list; so it is read from there, past those
 * that are trusted, to the first that is not: what stands before that one, anybody can have
 * written. False where there is no list, or where it ends in what is no address.
 */
bool forwarded_for(const struct http_request *request, const struct ipnets *trusted,
		   struct in6_addr *ip);

#endif
