/*
 * forwarded: X-Forwarded-For, from its end. See forwarded.h.
 */
#include "forwarded.h"

/* `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:80`. */
static bool parse_element(struct str element, struct in6_addr *ip)
{
	struct str port = { NULL, 0 }, host = element;
	uint64_t number;

	if (str_starts(element, STR("["))) {
		port = str_from(element, 1);
		str_cut(&port, ']', &host);
		if (!port.p || (port.n && port.p[0] != ':'))
			return false;
		port = port.n ? str_from(port, 1) : (struct str){ NULL, 0 };
	} else if (str_find(element, '.') < element.n) {
		/* A dotted IPv4 address may have a port; one inside IPv6 parses without. */
		if (ipnet_parse_ip(element, ip) == 0)
			return true;
		port = element;
		str_cut(&port, ':', &host);
	}
	if (port.p && str_to_u64(port, UINT16_MAX, &number))
		return false;
	return ipnet_parse_ip(host, ip) == 0;
}

/* Takes the last element of a list off it: false when it is empty. */
static bool cut_last(struct str *list, struct str *element)
{
	size_t begin = list->n;

	if (!list->p)
		return false;
	while (begin > 0 && list->p[begin - 1] != ',')
		begin--;
	*element = str_trim(str_from(*list, begin));
	*list = begin ? (struct str){ list->p, begin - 1 } : (struct str){ NULL, 0 };
	return true;
}

bool forwarded_for(const struct http_request *request, const struct ipnets *trusted,
		   struct in6_addr *ip)
{
	bool found = false;

	for (size_t i = request->field_count; i-- > 0;) {
		const struct http_field *field = &request->fields[i];
		struct str list = field->value, element;

		if (!str_eq_nocase(field->name, STR("X-Forwarded-For")))
			continue;
		while (cut_last(&list, &element)) {
			struct in6_addr parsed;

			if (element.n == 0)
				continue;
			if (!parse_element(element, &parsed))
				return found;
			*ip = parsed;
			found = true;
			if (!ipnets_have(trusted, ip))
				return true;
		}
	}
	return found;
}
