/*
 * http: request heads. See http.h.
 *
 * In two steps: http_find_head() looks for the empty line and for nothing else but bytes that no
 * line may have, as often as bytes arrive; http_parse_head() runs once, on a head that is whole.
 * The latter cuts everything first (request line, fields) and then draws the conclusions (host,
 * framing, expectation), each a function that can refuse.
 */
#include "http.h"

#include <assert.h>
#include <errno.h>

#include "httpvalue.h"
#include "uri.h"

enum {
	/* A longer first line has a target over HTTP_URI_MAX. */
	REQUEST_LINE_MAX = HTTP_URI_MAX + sizeof("OPTIONS  HTTP/1.1\r") - 1,
	VERSION_LEN = sizeof("HTTP/1.1") - 1,
};

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{ "GET", HTTP_GET },         { "HEAD", HTTP_HEAD },   { "POST", HTTP_POST },
	{ "OPTIONS", HTTP_OPTIONS }, { "PUT", HTTP_PUT },     { "DELETE", HTTP_OTHER },
	{ "CONNECT", HTTP_OTHER },   { "TRACE", HTTP_OTHER }, { "PATCH", HTTP_OTHER },
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 100, "Continue" },
	{ 200, "OK" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *http_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* The status for a head that does not end within HTTP_HEAD_MAX. */
static int too_long(struct str head)
{
	struct str line = str_from(head, str_starts(head, STR("\r\n")) ? 2 : 0);

	return str_find(line, '\n') > REQUEST_LINE_MAX ? 414 : 431;
}

int http_find_head(const char *bytes, size_t n, size_t *scanned, size_t *head_len)
{
	struct str head = { bytes, n < HTTP_HEAD_MAX ? n : HTTP_HEAD_MAX };

	while (*scanned < head.n) {
		struct str rest = str_from(head, *scanned);
		struct str line = { rest.p, str_find(rest, '\n') };
		size_t cr = str_find(line, '\r'), end;

		if (str_find(line, '\0') < line.n || cr + 1 < line.n)
			return 400; /* NUL, or a CR with something else than LF behind it */
		if (line.n == rest.n) {
			*scanned += cr; /* a CR at the end is looked at again, with what follows */
			break;
		}
		if (cr == line.n)
			return 400; /* LF without CR */
		*scanned += line.n + 1;
		end = *scanned;
		if (end < 4 || !str_eq((struct str){ bytes + end - 4, 4 }, STR("\r\n\r\n")))
			continue;
		if (end == 4)
			return 400; /* two empty lines and no request line */
		*head_len = end;
		return 0;
	}
	return head.n == HTTP_HEAD_MAX ? too_long(head) : -EAGAIN;
}

static int refuse(const char **why, int status, const char *sentence)
{
	*why = sentence;
	return status;
}

/* Takes the next line off *rest, without its CRLF. */
static struct str take_line(struct str *rest)
{
	struct str line;

	if (!str_cut(rest, '\n', &line) || line.n == 0)
		return (struct str){ NULL, 0 };
	line.n--;
	assert(line.p[line.n] == '\r');
	return line;
}

static int parse_method(struct http_request *request, const char **why)
{
	if (!http_is_token(request->method_name))
		return refuse(why, 400, "The method is not a token.");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(request->method_name, str_of(methods[i].name))) {
			request->method = methods[i].method;
			return 0;
		}
	}
	return refuse(why, 501, "The method is unknown.");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9112 section 2.3: the name in capitals, one digit, a full stop, one digit. */
static int parse_version(struct http_request *request, struct str s, const char **why)
{
	if (s.n != VERSION_LEN || !str_starts(s, STR("HTTP/")) || !is_digit(s.p[5]) ||
	    s.p[6] != '.' || !is_digit(s.p[7]))
		return refuse(why, 400, "The request line does not end in a version of HTTP.");
	if (s.p[5] != '1')
		return refuse(why, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
	request->minor = s.p[7] == '0' ? 0 : 1;
	return 0;
}

/* What comes behind the authority: a path, which may be left out, and a query. */
static void parse_path(struct http_request *request, struct str s)
{
	request->query = s;
	str_cut(&request->query, '?', &request->path);
	if (request->path.n > 0)
		return;
	if (request->method == HTTP_OPTIONS && !request->query.p)
		request->path = STR("*"); /* RFC 9112 section 3.2.4 */
	else
		request->path = STR("/");
}

static int parse_absolute(struct http_request *request, const char **why)
{
	const struct str scheme = STR("http://");
	struct str target = request->target, rest = str_from(target, scheme.n);
	size_t end = 0;

	if (target.n < scheme.n || !str_eq_nocase((struct str){ target.p, scheme.n }, scheme))
		return refuse(why, 400, "The target is neither a path nor an http:// URI.");
	while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
		end++;
	request->host = (struct str){ rest.p, end };
	if (!uri_is_host(request->host))
		return refuse(why, 400, "The target's host is malformed.");
	parse_path(request, str_from(rest, end));
	return 0;
}

static bool is_target(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '#')
			return false;
	return s.n > 0;
}

/* RFC 9112 section 3.2: the four forms of a target. */
static int parse_target(struct http_request *request, const char **why)
{
	struct str target = request->target;

	if (target.n > HTTP_URI_MAX)
		return refuse(why, 414, "The target is too long.");
	if (!is_target(target))
		return refuse(why, 400, "The target has a character that no URI may have.");
	if (str_eq(request->method_name, STR("CONNECT"))) {
		request->host = target;
		request->path = STR("*");
		if (!uri_is_host(target))
			return refuse(why, 400, "The target of CONNECT is no host.");
	} else if (str_eq(target, STR("*"))) {
		request->path = target;
		if (request->method != HTTP_OPTIONS)
			return refuse(why, 400, "The target * is for OPTIONS only.");
	} else if (str_starts(target, STR("/"))) {
		parse_path(request, target);
	} else {
		return parse_absolute(request, why);
	}
	return 0;
}

static int parse_request_line(struct http_request *request, struct str line, const char **why)
{
	int status;

	if (!str_cut(&line, ' ', &request->method_name) || !str_cut(&line, ' ', &request->target))
		return refuse(why, 400, "The request line is not METHOD SP TARGET SP VERSION.");
	status = parse_version(request, line, why);
	if (!status)
		status = parse_method(request, why);
	if (!status)
		status = parse_target(request, why);
	return status;
}

static int parse_field(struct http_field *field, struct str line, const char **why)
{
	struct str rest = line;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(why, 400, "A line begins with white space.");
	if (!str_cut(&rest, ':', &field->name) || !rest.p)
		return refuse(why, 400, "A header field has no colon.");
	if (!http_is_token(field->name))
		return refuse(why, 400, "The name of a header field is not a token.");
	field->value = str_trim(rest);
	if (!http_is_value(field->value))
		return refuse(why, 400, "A header field has a control character.");
	return 0;
}

static int parse_fields(struct http_request *request, struct str rest, const char **why)
{
	struct str line;

	while ((line = take_line(&rest)).n > 0) {
		int status;

		if (request->field_count == HTTP_FIELDS_MAX)
			return refuse(why, 431, "There are too many header fields.");
		status = parse_field(&request->fields[request->field_count], line, why);
		if (status)
			return status;
		request->field_count++;
	}
	return 0;
}

/* The next field of that name, from *at on, which moves behind it; or NULL. */
static const struct str *field_next(const struct http_request *request, struct str name, size_t *at)
{
	while (*at < request->field_count) {
		const struct http_field *field = &request->fields[(*at)++];

		if (str_eq_nocase(field->name, name))
			return &field->value;
	}
	return NULL;
}

const struct str *http_header(const struct http_request *request, struct str name)
{
	size_t at = 0;

	return field_next(request, name, &at);
}

/*
 * Goes over the elements of a list that may be spread over several fields (RFC 9110 section 5.6.1).
 * Begin with a zeroed walk; the element is trimmed and may be empty.
 */
struct list_walk {
	size_t at;
	struct str rest;
};

static bool list_next(const struct http_request *request, struct str name, struct list_walk *walk,
		      struct str *element)
{
	while (!str_cut(&walk->rest, ',', element)) {
		const struct str *value = field_next(request, name, &walk->at);

		if (!value)
			return false;
		walk->rest = *value;
	}
	*element = str_trim(*element);
	return true;
}

bool http_header_has(const struct http_request *request, struct str name, struct str token)
{
	struct list_walk walk = { 0 };
	struct str element;

	while (list_next(request, name, &walk, &element))
		if (str_eq_nocase(element, token))
			return true;
	return false;
}

bool http_accepts_encoding(const struct http_request *request, struct str coding)
{
	struct list_walk walk = { 0 };
	struct str element, name;
	bool named = false, accepted = false, star_accepted = false;

	while (list_next(request, STR("Accept-Encoding"), &walk, &element)) {
		str_cut(&element, ';', &name);
		name = str_trim(name);
		if (str_eq_nocase(name, coding)) {
			named = true;
			accepted = http_weight_is_positive(element);
		} else if (str_eq(name, STR("*"))) {
			star_accepted = http_weight_is_positive(element);
		}
	}
	return named ? accepted : star_accepted;
}

/* RFC 9112 section 3.2: one Host in HTTP/1.1, also where the target's own host wins over it. */
static int conclude_host(struct http_request *request, const char **why)
{
	size_t at = 0;
	const struct str *host = field_next(request, STR("Host"), &at);

	if (!host)
		return request->minor == 0 ? 0 : refuse(why, 400, "There is no Host field.");
	if (field_next(request, STR("Host"), &at))
		return refuse(why, 400, "There is more than one Host field.");
	if (!uri_is_host(*host))
		return refuse(why, 400, "The Host field is malformed.");
	if (request->host.n == 0)
		request->host = *host;
	return 0;
}

/* RFC 9112 section 6.1: nothing but the one coding that everybody reads alike. */
static int conclude_chunked(struct http_request *request, const char **why)
{
	struct list_walk walk = { 0 };
	struct str coding;
	unsigned chunked = 0;

	if (request->minor == 0)
		return refuse(why, 400, "HTTP/1.0 has no Transfer-Encoding.");
	if (http_header(request, STR("Content-Length")))
		return refuse(why, 400, "There are both Content-Length and Transfer-Encoding.");
	while (list_next(request, STR("Transfer-Encoding"), &walk, &coding)) {
		if (!http_is_token(coding))
			return refuse(why, 400, "The Transfer-Encoding is malformed.");
		if (!str_eq_nocase(coding, STR("chunked")))
			return refuse(why, 501, "Only the transfer coding chunked is known.");
		chunked++;
	}
	if (chunked != 1)
		return refuse(why, 400, "The transfer coding chunked is applied twice.");
	request->framing = HTTP_CHUNKED;
	return 0;
}

/* RFC 9112 section 6.2 and 6.3. */
static int conclude_framing(struct http_request *request, const char **why)
{
	size_t at = 0;
	const struct str *length;
	int err;

	if (http_header(request, STR("Transfer-Encoding")))
		return conclude_chunked(request, why);
	length = field_next(request, STR("Content-Length"), &at);
	if (!length)
		return 0;
	if (field_next(request, STR("Content-Length"), &at))
		return refuse(why, 400, "There is more than one Content-Length.");
	err = str_to_u64(*length, INT64_MAX, &request->content_length);
	if (err == -ERANGE)
		return refuse(why, 413, "The Content-Length is beyond all limits.");
	if (err)
		return refuse(why, 400, "The Content-Length is malformed.");
	request->framing = HTTP_LENGTH;
	return 0;
}

/* RFC 9110 section 10.1.1: a client of HTTP/1.0 cannot mean it. */
static int conclude_expectation(struct http_request *request, const char **why)
{
	struct list_walk walk = { 0 };
	struct str expectation;

	while (list_next(request, STR("Expect"), &walk, &expectation)) {
		if (!str_eq_nocase(expectation, STR("100-continue")))
			return refuse(why, 417, "Only the expectation 100-continue is known.");
		request->expect_continue = request->minor >= 1;
	}
	return 0;
}

/* RFC 9112 section 9.3. */
static bool wants_keep_alive(const struct http_request *request)
{
	const struct str connection = STR("Connection");

	if (http_header_has(request, connection, STR("close")))
		return false;
	return request->minor >= 1 || http_header_has(request, connection, STR("keep-alive"));
}

int http_parse_head(const char *bytes, size_t head_len, struct http_request *request,
		    const char **why)
{
	struct str rest = { bytes, head_len };
	struct str line;
	int status;

	*request = (struct http_request){ .framing = HTTP_NO_BODY };
	*why = NULL;
	line = take_line(&rest);
	if (line.n == 0)
		line = take_line(&rest);
	status = parse_request_line(request, line, why);
	if (!status)
		status = parse_fields(request, rest, why);
	if (!status)
		status = conclude_host(request, why);
	if (!status)
		status = conclude_framing(request, why);
	if (!status)
		status = conclude_expectation(request, why);
	request->keep_alive = wants_keep_alive(request);
	return status;
}
