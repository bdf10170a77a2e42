/*
 * conns: the table, its slots and its agenda. See conns.h.
 */
#include "conns.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"

_Static_assert(sizeof(struct conn) <= 64, "a conn is one cache line");

static size_t table_bytes(uint32_t capacity)
{
	return (size_t)capacity * sizeof(struct conn);
}

/* Gives the memfd its size and maps it; what is not touched costs nothing. 0 or -errno. */
static int table_map(struct conns *conns)
{
	void *table;

	if (ftruncate(conns->fd, (off_t)table_bytes(conns->capacity)) < 0)
		return -errno;
	table = mmap(NULL, table_bytes(conns->capacity), PROT_READ | PROT_WRITE, MAP_SHARED,
		     conns->fd, 0);
	if (table == MAP_FAILED)
		return -errno;
	conns->table = table;
	return 0;
}

/* A table in that memfd (taken), for at least so many slots. 0 or -errno. */
static int table_open(struct conns *conns, int fd, uint64_t slots)
{
	int err;

	*conns = (struct conns){ .fd = fd, .high = 1 };
	exchanges_init(&conns->exchanges);
	conns->capacity = slots < UINT32_MAX ? (uint32_t)slots : UINT32_MAX;
	conns->input = malloc(CONN_INPUT_BYTES);
	err = conns->input ? peers_init(&conns->peers) : -ENOMEM;
	if (!err)
		err = table_map(conns);
	if (err)
		conns_done(conns);
	return err;
}

int conns_init(struct conns *conns, uint64_t clients_max)
{
	int fd = memfd_create("ssecast-conns", MFD_CLOEXEC);

	*conns = (struct conns){ .fd = -1 };
	return fd < 0 ? -errno : table_open(conns, fd, clients_max + CONN_SPARE + 1);
}

int conns_adopt(struct conns *conns, int fd, uint32_t high, uint64_t clients_max)
{
	uint64_t slots = clients_max + CONN_SPARE + 1;
	struct stat st;
	int err;

	*conns = (struct conns){ .fd = -1 };
	if (fstat(fd, &st) < 0 || high == 0 || (uint64_t)st.st_size < table_bytes(high)) {
		close(fd);
		return -EINVAL;
	}
	/* It never shrinks: conns may be anywhere in it. */
	if (slots < (uint64_t)st.st_size / sizeof(struct conn))
		slots = (uint64_t)st.st_size / sizeof(struct conn);
	err = table_open(conns, fd, slots);
	if (!err)
		conns->high = high;
	return err;
}

void conns_done(struct conns *conns)
{
	for (uint32_t slot = 1; conns->table && slot < conns->high; slot++)
		if (conns->table[slot].state != CONN_FREE)
			close(conns->table[slot].fd);
	if (conns->table)
		munmap(conns->table, table_bytes(conns->capacity));
	if (conns->fd >= 0)
		close(conns->fd);
	exchanges_done(&conns->exchanges);
	peers_done(&conns->peers);
	free(conns->input);
	*conns = (struct conns){ .fd = -1 };
}

struct conn *conns_at(const struct conns *conns, uint32_t slot)
{
	assert(slot > 0 && slot < conns->high);
	return &conns->table[slot];
}

uint32_t conns_slot(const struct conns *conns, const struct conn *conn)
{
	return (uint32_t)(conn - conns->table);
}

struct conn *conns_take(struct conns *conns)
{
	uint32_t slot = conns->free;

	if (slot)
		conns->free = conns->table[slot].next;
	else if (conns->high < conns->capacity)
		slot = conns->high++;
	else
		return NULL;
	conns->count++;
	return &conns->table[slot];
}

void conns_give_back(struct conns *conns, struct conn *conn)
{
	conns->refused -= !!(conn->flags & CONN_OVER_LIMIT);
	*conn = (struct conn){ .fd = -1,
			       .generation = (conn->generation + 1) & LOOP_GENERATION_MASK,
			       .next = conns->free };
	conns->free = conns_slot(conns, conn);
	conns->count--;
}

void conns_link_free(struct conns *conns)
{
	conns->free = 0;
	for (uint32_t slot = conns->high - 1; slot > 0; slot--) {
		if (conns->table[slot].state != CONN_FREE)
			continue;
		conns->table[slot].next = conns->free;
		conns->free = slot;
	}
}

void conns_agenda_add(struct conns *conns, struct conn *conn)
{
	if (conn->flags & CONN_ON_AGENDA)
		return;
	conn->flags |= CONN_ON_AGENDA;
	conn->next = 0;
	if (conns->agenda)
		conns_at(conns, conns->agenda_last)->next = conns_slot(conns, conn);
	else
		conns->agenda = conns_slot(conns, conn);
	conns->agenda_last = conns_slot(conns, conn);
}

uint32_t conns_agenda_take(struct conns *conns)
{
	uint32_t slot = conns->agenda;
	struct conn *conn = conns_at(conns, slot);

	conns->agenda = conn->next;
	conn->flags &= (uint16_t)~CONN_ON_AGENDA;
	return slot;
}
