/*
 * bounds: see bounds.h.
 */
#include "bounds.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uint64_t limit_said(const struct daemon *d, const char *name)
{
	const char *at = strstr(d->log.p, name);

	cr_assert(at, "%s", d->log.p);
	return strtoull(at + strlen(name), NULL, 10);
}

/* A number of a file of /proc/PID, in bytes. */
static uint64_t number_of(const struct daemon *d, const char *in, const char *name)
{
	char path[64], line[256];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)d->pid, in);
	file = fopen(path, "r");
	cr_assert(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoull(line + strlen(name), NULL, 10);
	fclose(file);
	return kib * 1024;
}

uint64_t memory_held(const struct daemon *d)
{
	return number_of(d, "status", "RssAnon:") + number_of(d, "status", "RssShmem:");
}

uint64_t memory_shared(const struct daemon *d)
{
	/* A page of the ring may be mapped twice: RssShmem counts it as two. */
	return number_of(d, "smaps_rollup", "Pss_Shmem:");
}

uint64_t memory_peak(const struct daemon *d)
{
	return number_of(d, "status", "VmHWM:") - number_of(d, "status", "RssFile:");
}

enum { STATE_LISTEN = 10 }; /* as the kernel numbers them */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void add_socket(struct sockets_held *held, const struct nlmsghdr *head)
{
	const char *at = NLMSG_DATA(head), *end = (const char *)head + head->nlmsg_len;

	for (at += sizeof(struct inet_diag_msg); at + RTA_LENGTH(0) <= end;) {
		const struct rtattr *field = (const void *)at;
		const uint32_t *number = RTA_DATA(field);

		at += RTA_ALIGN(field->rta_len);
		if (field->rta_type != INET_DIAG_SKMEMINFO)
			continue;
		held->count++;
		held->sent += number[SK_MEMINFO_WMEM_QUEUED];
		held->received += number[SK_MEMINFO_RMEM_ALLOC];
		held->bytes += number[SK_MEMINFO_WMEM_QUEUED] + number[SK_MEMINFO_RMEM_ALLOC] +
			       number[SK_MEMINFO_FWD_ALLOC];
		held->sndbuf = larger(held->sndbuf, number[SK_MEMINFO_SNDBUF]);
		held->rcvbuf = larger(held->rcvbuf, number[SK_MEMINFO_RCVBUF]);
	}
}

/* Reads one answer of the kernel: true when there is more to come. */
static bool read_sockets(int fd, struct sockets_held *held, bool *is_done)
{
	static char bytes[1 << 16] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
	unsigned left = n > 0 ? (unsigned)n : 0;

	for (const struct nlmsghdr *head = (const void *)bytes; NLMSG_OK(head, left);
	     head = NLMSG_NEXT(head, left)) {
		*is_done = head->nlmsg_type == NLMSG_DONE;
		if (*is_done || head->nlmsg_type == NLMSG_ERROR)
			return false;
		add_socket(held, head);
	}
	return n > 0;
}

bool sockets_held(int port, struct sockets_held *held)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 request;
	} ask = { .head = { .nlmsg_len = sizeof(ask),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  .request = { .sdiag_family = AF_INET,
			       .sdiag_protocol = IPPROTO_TCP,
			       .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
			       .idiag_states = ~(1u << STATE_LISTEN),
			       .id.idiag_sport = htons((uint16_t)port) } };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	bool is_done = false;

	*held = (struct sockets_held){ 0 };
	if (fd >= 0 && send(fd, &ask, sizeof(ask), 0) == sizeof(ask))
		while (read_sockets(fd, held, &is_done))
			continue;
	if (fd >= 0)
		close(fd);
	return is_done;
}
