/*
 * The state that the binary before has packed, damaged: it is refused with a sentence, or restored
 * into rooms that can be closed again.
 *
 * The input is a list of patches, 5 bytes each: where in the state, and the byte that is written.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/house.h"
#include "handover.h"

enum { STATE_MAX = 1 << 18, PATCH_BYTES = 5 };

static struct {
	char bytes[STATE_MAX];
	size_t n;
} state;

/* The state of a daemon with a stream, half a head, and a flow of events. */
static void make_state(void)
{
	static const char *const texts[] = {
		"GET /sse?topic=a&topic=b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHo",
		"POST /publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
		"Transfer-Encoding: chunked\r\n\r\n9\r\n{\"data\":1\r\n"
	};
	static const char *const options[] = { "--ring-bytes", "64K", NULL };
	struct house *house = calloc(1, sizeof(*house));
	int fds[3], fd;

	EXPECT(house);
	house_open(house, options);
	for (int i = 0; i < 3; i++) {
		fds[i] = house_connect(house, CONN_CONTROL, 0);
		EXPECT(send(fds[i], texts[i], strlen(texts[i]), 0) > 0);
	}
	house_turn(house);
	fd = handover_write(&house->server, 1);
	EXPECT(fd >= 0);
	state.n = (size_t)pread(fd, state.bytes, sizeof(state.bytes), 0);
	EXPECT(state.n > 0 && state.n < sizeof(state.bytes));
	close(fd);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	house_turn(house);
	house_close(house);
	free(house);
}

static int damaged(struct str in)
{
	int fd = memfd_create("state", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	EXPECT(fd >= 0 && write(fd, state.bytes, state.n) == (ssize_t)state.n);
	for (; in.n >= PATCH_BYTES; in = str_from(in, PATCH_BYTES)) {
		uint32_t at;

		memcpy(&at, in.p, sizeof(at));
		EXPECT(pwrite(fd, in.p + sizeof(at), 1, (off_t)(at % state.n)) == 1);
	}
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
	       0);
	return fd;
}

/* As a trial before an upgrade does it: no descriptor of the state is touched. */
static void try_restore(const struct handover *handover)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	uint32_t closed;

	EXPECT(hub && config_init(&hub->config) == 0);
	EXPECT(ring_init(&hub->ring, RING_BYTES_MIN, 1) == 0);
	EXPECT(topics_init(&hub->topics, &hub->ring) == 0);
	hub->conns.fd = -1;
	EXPECT(peers_init(&hub->conns.peers) == 0);
	exchanges_init(&hub->conns.exchanges);
	presences_init(&hub->presences);
	handover_restore(handover, hub, &closed);
	presences_done(&hub->presences);
	exchanges_done(&hub->conns.exchanges);
	peers_done(&hub->conns.peers);
	topics_done(&hub->topics);
	ring_done(&hub->ring);
	config_done(&hub->config);
	free(hub);
}

int FUZZ_TARGET(handover)(const uint8_t *bytes, size_t n)
{
	struct handover handover;
	const char *wrong;

	if (!state.n)
		make_state();
	wrong = handover_read(&handover, damaged((struct str){ (const char *)bytes, n }));
	if (!wrong)
		try_restore(&handover);
	handover_done(&handover);
	return 0;
}
