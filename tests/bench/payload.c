/*
 * payload: see payload.h.
 */
#include "payload.h"

#include <string.h>

enum { LETTERS = 26, SEQ_AT = 3, TIME_AT = 12, FILL_AT = 29 };

static void hex_write(char *out, uint64_t value, int digits)
{
	static const char hex[] = "0123456789abcdef";

	for (int i = digits; i-- > 0; value >>= 4)
		out[i] = hex[value & 15];
	out[digits] = ' ';
}

/* Reads so many digits and the space behind them. */
static bool hex_read(const char *in, int digits, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++) {
		unsigned c = (unsigned char)in[i];
		unsigned digit = c <= '9' ? c - '0' : c - 'a' + 10;

		if (digit > 15)
			return false;
		*value = *value << 4 | digit;
	}
	return in[digits] == ' ';
}

void payload_write(const struct payload *payload, char *out, size_t size)
{
	hex_write(out, payload->publisher, 2);
	hex_write(out + SEQ_AT, payload->seq, 8);
	hex_write(out + TIME_AT, payload->sent_ns, 16);
	for (size_t i = FILL_AT; i < size; i++)
		out[i] = (char)('a' + (payload->seq + i) % LETTERS);
}

/* Whether the letters go round: each is the one 26 before it, and the first ones are right. */
static bool is_filled(struct str data, uint32_t seq)
{
	size_t first = data.n < FILL_AT + LETTERS ? data.n : FILL_AT + LETTERS;

	for (size_t i = FILL_AT; i < first; i++)
		if (data.p[i] != (char)('a' + (seq + i) % LETTERS))
			return false;
	return data.n == first || memcmp(data.p + FILL_AT, data.p + first, data.n - first) == 0;
}

enum payload_kind payload_read(struct str data, size_t size, struct payload *payload)
{
	uint64_t publisher, seq;

	if (data.n < PAYLOAD_MIN || !hex_read(data.p, 2, &publisher) ||
	    !hex_read(data.p + SEQ_AT, 8, &seq) ||
	    !hex_read(data.p + TIME_AT, 16, &payload->sent_ns))
		return PAYLOAD_FOREIGN;
	payload->publisher = (uint32_t)publisher;
	payload->seq = (uint32_t)seq;
	return data.n == size && is_filled(data, payload->seq) ? PAYLOAD_OURS : PAYLOAD_TORN;
}
