/*
 * attacks: what hostile clients do.
 *
 * Each is one round, repeated for as long as the attack lasts, by a process on the attackers' host:
 * see hosts.sh. None of them waits where a real attacker would not.
 */
#ifndef ATTACKS_H
#define ATTACKS_H

#include <stdint.h>

struct target {
	uint16_t port;       /* of 10.66.0.1 */
	const char *control; /* path of the control socket, for the one who may publish */
};

typedef void attack(const struct target *target);

attack slow_heads, slow_bodies, slow_chunks, silent_ones, half_open, slow_readers, pages_unread,
	many_topics, long_lists, connections, one_address, resets, pipelined, rubbish, header_bombs,
	full_speed;

#endif
