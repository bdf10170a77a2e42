/*
 * version: the name of this release. A build may set another one (`make VERSION=…`).
 */
#ifndef VERSION_H
#define VERSION_H

#ifndef SSECAST_VERSION
#define SSECAST_VERSION "0.1.0"
#endif

#endif
