/*
 * uri: percent-encoding, queries, paths and hosts. See uri.h.
 *
 * What is encoded stays encoded until it has been cut at its separators: a separator that comes
 * out of an escape is data. decoded_next() is the only decoder; all others go through it.
 */
#include "uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { PORT_MAX = 65535 };

int uri_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Takes one decoded byte off *s. Returns 1, 0 at the end, or -EINVAL for a bad escape. */
static int decoded_next(struct str *s, bool plus, char *c)
{
	if (s->n == 0)
		return 0;
	*c = s->p[0];
	if (*c != '%') {
		if (plus && *c == '+')
			*c = ' ';
		*s = str_from(*s, 1);
		return 1;
	}
	if (s->n < 3 || uri_hex(s->p[1]) < 0 || uri_hex(s->p[2]) < 0)
		return -EINVAL;
	*c = (char)(uri_hex(s->p[1]) << 4 | uri_hex(s->p[2]));
	*s = str_from(*s, 3);
	return 1;
}

int uri_decode(struct str s, bool plus, struct buf *out)
{
	char c;
	int more;

	while ((more = decoded_next(&s, plus, &c)) > 0)
		buf_add_char(out, c);
	return more < 0 ? more : out->err;
}

int uri_decode_in_place(char *p, size_t *n, bool plus)
{
	struct str rest = { p, *n };
	size_t written = 0;
	char c;
	int more;

	/* What has been read is never behind what is written. */
	while ((more = decoded_next(&rest, plus, &c)) > 0)
		p[written++] = c;
	*n = written;
	return more;
}

bool uri_eq(struct str encoded, bool plus, struct str plain)
{
	char c;

	for (size_t i = 0; i < plain.n; i++)
		if (decoded_next(&encoded, plus, &c) <= 0 || c != plain.p[i])
			return false;
	return encoded.n == 0;
}

bool uri_query_next(struct str *query, struct str *name, struct str *value)
{
	struct str piece;

	do {
		if (!str_cut(query, '&', &piece))
			return false;
	} while (piece.n == 0);
	*name = (struct str){ piece.p, str_find(piece, '=') };
	*value = str_from(piece, name->n + 1);
	return true;
}

int uri_query_get(struct str query, struct str name, struct buf *out)
{
	struct str found, value;

	while (uri_query_next(&query, &found, &value)) {
		if (uri_eq(found, true, name)) {
			int err = uri_decode(value, true, out);

			return err ? err : 1;
		}
	}
	return 0;
}

/* Appends one segment of a path to out, decoded. Only the last may be empty. */
static int segment_add(struct str segment, bool last, struct buf *out)
{
	size_t start = out->n;
	struct str name;
	int err = uri_decode(segment, false, out);

	if (err)
		return err;
	name = str_from(buf_str(out), start);
	if (name.n == 0)
		return last ? 0 : -EACCES;
	if (name.p[0] == '.' || str_find(name, '/') < name.n || str_find(name, '\0') < name.n)
		return -EACCES;
	return 0;
}

int uri_file_path(struct str path, struct buf *out)
{
	struct str rest = str_from(path, 1), segment;
	int err = 0;

	if (!str_starts(path, STR("/")))
		return -EACCES;
	while (!err && str_cut(&rest, '/', &segment)) {
		bool last = !rest.p;

		err = segment_add(segment, last, out);
		if (!err && !last)
			err = buf_add_char(out, '/');
	}
	return err;
}

/* RFC 3986 section 2.3 and 2.2: unreserved and sub-delims. */
static bool is_reg_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~!$&'()*+,;=", c));
}

static bool is_reg_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%') {
			if (s.n - i < 3 || uri_hex(s.p[i + 1]) < 0 || uri_hex(s.p[i + 2]) < 0)
				return false;
			i += 2;
		} else if (!is_reg_name_char(s.p[i])) {
			return false;
		}
	}
	return s.n > 0;
}

static bool is_ipv6(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (s.n == 0 || s.n >= sizeof(text) || str_find(s, '\0') < s.n)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* "" or ":" or ":80": what may stand behind a host. */
static bool is_port_part(struct str s)
{
	uint64_t port;

	if (s.n == 0)
		return true;
	if (s.p[0] != ':')
		return false;
	return s.n == 1 || str_to_u64(str_from(s, 1), PORT_MAX, &port) == 0;
}

bool uri_is_host(struct str s)
{
	size_t end;

	if (str_starts(s, STR("["))) {
		end = str_find(s, ']');
		return end < s.n && is_ipv6((struct str){ s.p + 1, end - 1 }) &&
		       is_port_part(str_from(s, end + 1));
	}
	end = str_find(s, ':');
	return is_reg_name((struct str){ s.p, end }) && is_port_part(str_from(s, end));
}
