/* Targets: what any template does to any topic. The input is a template, a NUL, a topic. */
#include "fuzz.h"

#include "names.h"
#include "selector.h"
#include "uritemplate.h"

enum { TEXT_MAX = 2000 };

/* Whether the template, with something behind it, matches the topic with something behind it. */
static bool longer(struct str text, const char *more_text, struct str topic, const char *more_topic)
{
	struct buf both[2];
	bool matches;

	for (int i = 0; i < 2; i++) {
		buf_init(&both[i], 2 * TEXT_MAX);
		buf_add(&both[i], i ? topic : text);
		buf_add(&both[i], str_of(i ? more_topic : more_text));
	}
	EXPECT(uritemplate_is_valid(buf_str(&both[0])));
	matches = uritemplate_matches(buf_str(&both[0]), buf_str(&both[1]));
	buf_done(&both[0]);
	buf_done(&both[1]);
	return matches;
}

int FUZZ_TARGET(template)(const uint8_t *bytes, size_t n)
{
	struct str topic = { (const char *)bytes, n < TEXT_MAX ? n : TEXT_MAX }, text;
	char *text_copy, *topic_copy;
	enum selector_kind kind;

	if (!str_cut(&topic, '\0', &text))
		return 0;
	text.p = text_copy = fuzz_copy(text);
	topic.p = topic_copy = fuzz_copy(topic);
	kind = selector_kind(text);
	EXPECT((kind == SELECTOR_TEMPLATE) == uritemplate_is_valid(text));
	if (topic.n)
		EXPECT(selector_asks(text, kind, topic) || !str_eq(text, topic));
	if (kind == SELECTOR_TEMPLATE) {
		bool matches = uritemplate_matches(text, topic);

		EXPECT(str_find(text, '{') < text.n && str_is_utf8(text));
		/* The same literal behind both changes nothing; an expression may stand for
		 * nothing.
		 */
		EXPECT(longer(text, "z%41", topic, "z%41") == matches);
		EXPECT(!matches || longer(text, "{/a,b*}", topic, ""));
		EXPECT(!matches || longer(text, "{?a}", topic, "?b=1"));
	}
	free(text_copy);
	free(topic_copy);
	return 0;
}
