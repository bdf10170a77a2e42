/*
 * audience: who gets which record, live (topics_publish) and on replay (topics_wanted): by rows,
 * and against a plain model with random audiences. And what a publish costs, by counting.
 */
#include "names.h"
#include "topic.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selector.h"

enum { LIST_MAX = 4 };

struct world {
	struct ring ring;
	struct topics topics;
	uint64_t now_ms;
};

static void world_init(struct world *w)
{
	w->now_ms = 1000;
	cr_assert(ring_init(&w->ring, RING_BYTES_MIN, w->now_ms) == 0);
	cr_assert(topics_init(&w->topics, &w->ring) == 0);
}

static void world_done(struct world *w)
{
	topics_done(&w->topics);
	ring_done(&w->ring);
}

/* A list of names, NULL-terminated, packed. */
static void pack(struct buf *out, const char *const *names)
{
	buf_init(out, 1 << 16);
	for (; names && *names; names++)
		cr_assert(names_add(out, str_of(*names)) == 0);
}

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static uint32_t join_framed(struct world *w, const char *const *selectors,
			    const char *const *claims, enum topic_framing framing)
{
	struct buf asked, claimed;
	uint32_t audience;

	pack(&asked, selectors);
	pack(&claimed, claims);
	struct audience_terms terms = { buf_str(&asked), buf_str(&claimed), framing };

	cr_assert(topics_join(&w->topics, &terms, 100000, &audience) == 0);
	buf_done(&asked);
	buf_done(&claimed);
	return audience;
}

static uint32_t join(struct world *w, const char *const *selectors, const char *const *claims)
{
	return join_framed(w, selectors, claims, TOPIC_CHUNKED);
}

/* Publishes; returns how many subscribers get it. The record's number is *number. */
static uint64_t publish_as(struct world *w, const char *const *topics, bool is_private,
			   uint64_t *number)
{
	struct str names[LIST_MAX];
	struct event event = { .topics = names,
			       .is_private = is_private,
			       .data = STR("x"),
			       .retry_ms = SSE_NO_RETRY };

	for (; topics[event.topic_count]; event.topic_count++)
		names[event.topic_count] = str_of(topics[event.topic_count]);
	cr_assert(ring_append(&w->ring, &event, w->now_ms, number) == 0);
	return topics_publish(&w->topics, *number);
}

static void flush(struct world *w)
{
	uint32_t pending;

	ring_flushed(&w->ring);
	while (topics_next_dirty(&w->topics, &pending))
		continue;
	topics_flushed(&w->topics);
}

/* Whether the audience gets a record, live and on replay alike. */
static bool gets(struct world *w, uint32_t audience, const char *const *topics, bool is_private)
{
	uint64_t number, reached = publish_as(w, topics, is_private, &number);
	bool wanted = topics_wanted(&w->topics, topics_audience(&w->topics, audience),
				    ring_record(&w->ring, number));

	flush(w);
	cr_assert(reached == wanted, "live and replay agree");
	return wanted;
}

static const struct {
	const char *selectors[LIST_MAX], *claims[LIST_MAX], *topics[LIST_MAX];
	bool is_private, gets;
} rows[] = {
	{ { "a" }, { 0 }, { "a" }, false, true },
	{ { "a" }, { 0 }, { "b" }, false, false },
	{ { "a" }, { 0 }, { "b", "a" }, false, true },
	{ { "*" }, { 0 }, { "b" }, false, true },
	{ { "*" }, { 0 }, { "*" }, false, true },
	{ { "*" }, { 0 }, { "$b" }, false, false },
	{ { "$b" }, { 0 }, { "$b" }, false, true },
	{ { "b{/x}" }, { 0 }, { "b/1" }, false, true },
	{ { "b{/x}" }, { 0 }, { "b{/x}" }, false, true },
	{ { "b{/x}" }, { 0 }, { "c/1", "b/1" }, false, true },
	{ { "b{/x}" }, { 0 }, { "c/1" }, false, false },
	{ { "c", "b{/x}", "d" }, { 0 }, { "b/1" }, false, true },
	/* Private: nobody without a claim, whatever it subscribes to. */
	{ { "a" }, { 0 }, { "a" }, true, false },
	{ { "*" }, { 0 }, { "a" }, true, false },
	{ { "a" }, { "a" }, { "a" }, true, true },
	{ { "a" }, { "*" }, { "a" }, true, true },
	{ { "a" }, { "b" }, { "a" }, true, false },
	{ { "a" }, { "{x}" }, { "a" }, true, true },
	{ { "*" }, { "a" }, { "a" }, true, true },
	/* What is asked for and what is claimed may be different topics of one record. */
	{ { "a" }, { "b" }, { "a", "b" }, true, true },
	{ { "b" }, { "c", "a" }, { "a", "b" }, true, true },
	{ { "a" }, { "c" }, { "a", "b" }, true, false },
	/* A claim alone subscribes to nothing. */
	{ { "a" }, { "b", "*" }, { "b" }, true, false },
	{ { "a" }, { "b", "*" }, { "b" }, false, false },
};

Test(audience, who_gets_what)
{
	struct world w;

	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t audience = join(&w, rows[i].selectors, rows[i].claims);

		cr_assert(gets(&w, audience, rows[i].topics, rows[i].is_private) == rows[i].gets,
			  "row %zu", i);
		topics_leave(&w.topics, audience);
		cr_assert(w.topics.audiences.selectors.in_use == 0, "row %zu leaves nothing behind",
			  i);
	}
	world_done(&w);
}

Test(audience, the_same_terms_are_the_same_audience)
{
	struct world w;
	struct buf selectors, claims;

	world_init(&w);
	uint32_t a = join(&w, NAMES("x", "y{/z}"), NAMES("p", "x"));

	cr_assert(join(&w, NAMES("y{/z}", "x", "x"), NAMES("x", "p", "p")) == a);
	cr_assert(join(&w, NAMES("x", "y{/z}"), NAMES("p")) != a);
	cr_assert(join(&w, NAMES("x", "y{/z}", "p"), NAMES("x")) != a, "claims are not selectors");
	cr_assert(join(&w, NAMES("x", "y{/z}"), NULL) != a);
	cr_assert(join_framed(&w, NAMES("x", "y{/z}"), NAMES("p", "x"), TOPIC_PLAIN) != a);

	/* What describes it joins it again. */
	buf_init(&selectors, 1000);
	buf_init(&claims, 1000);
	const struct audience *audience = topics_audience(&w.topics, a);

	cr_assert(audience_describe(&w.topics.audiences, audience, &selectors, &claims) == 0);
	cr_assert(names_count(buf_str(&selectors)) == 2 && names_count(buf_str(&claims)) == 2);
	struct audience_terms terms = { buf_str(&selectors), buf_str(&claims), audience->framing };
	uint32_t again;

	cr_assert(topics_join(&w.topics, &terms, 100000, &again) == 0 && again == a);
	buf_done(&selectors);
	buf_done(&claims);
	world_done(&w);
}

Test(audience, selectors_have_a_limit_and_a_refusal_leaves_nothing)
{
	struct world w;
	struct buf two, one;
	uint32_t audience;

	world_init(&w);
	pack(&two, NAMES("a", "b{/c}"));
	pack(&one, NAMES("c"));
	struct audience_terms terms = { .selectors = buf_str(&two), .claims = buf_str(&one) };

	cr_assert(topics_join(&w.topics, &terms, 1, &audience) == -ENOSPC);
	cr_assert(topics_join(&w.topics, &terms, 2, &audience) == -ENOSPC);
	cr_assert(w.topics.audiences.selectors.in_use == 0);
	cr_assert(topics_join(&w.topics, &terms, 3, &audience) == 0);
	cr_assert(topics_join(&w.topics, &terms, 0, &audience) == 0, "they are there already");
	buf_done(&two);
	buf_done(&one);
	world_done(&w);
}

static int join_template(struct world *w, unsigned i, uint64_t selectors_max)
{
	struct buf text, names;
	uint32_t audience;
	int err;

	buf_init(&text, 64);
	buf_addf(&text, "%u{/id}", i);
	buf_init(&names, 64);
	cr_assert(names_add(&names, buf_str(&text)) == 0);
	struct audience_terms terms = { .selectors = buf_str(&names) };

	err = topics_join(&w->topics, &terms, selectors_max, &audience);
	buf_done(&text);
	buf_done(&names);
	return err;
}

/* Each publish looks at all patterns: so they may only be a part of what exact topics may be. */
Test(audience, patterns_have_a_limit_of_their_own)
{
	enum { SELECTORS = 6400, PATTERNS = SELECTORS / 64 };
	const struct selectors *selectors;
	struct world w;

	world_init(&w);
	selectors = &w.topics.audiences.selectors;
	for (unsigned i = 0; i < PATTERNS; i++)
		cr_assert(join_template(&w, i, SELECTORS) == 0);
	cr_assert(join_template(&w, PATTERNS, SELECTORS) == -ENOSPC);
	cr_assert(selectors->pattern_count == PATTERNS && selectors->in_use == PATTERNS);
	cr_assert(join_template(&w, 0, SELECTORS) == 0, "it is there already");
	join(&w, NAMES("exact"), NULL);
	world_done(&w);
}

/* What a reader of the ring may look at in a turn is counted in this. */
Test(audience, looking_costs_more_where_there_are_templates)
{
	struct world w;
	uint32_t exact, mixed;

	world_init(&w);
	exact = join(&w, NAMES("a", "b"), NAMES("*"));
	mixed = join(&w, NAMES("a", "b{/c}"), NAMES("d{/e}"));
	cr_assert(topics_audience(&w.topics, exact)->look_cost == 3);
	cr_assert(topics_audience(&w.topics, mixed)->look_cost > 100);
	world_done(&w);
}

/* A thousand audiences with the same template, as selector or as claim: one match a publish. */
Test(audience, a_pattern_is_matched_once_for_all_who_ask)
{
	struct world w;
	uint64_t number, before;
	char own[32];

	world_init(&w);
	for (int i = 0; i < 1000; i++) {
		snprintf(own, sizeof(own), "own-%d", i);
		join(&w, NAMES("books{/id}", own), NAMES("{+any}"));
	}
	before = w.topics.audiences.selectors.pattern_matches;
	cr_assert(publish_as(&w, NAMES("books/1"), false, &number) == 1000);
	cr_assert(w.topics.audiences.selectors.pattern_matches - before == 1);
	flush(&w);
	before = w.topics.audiences.selectors.pattern_matches;
	cr_assert(publish_as(&w, NAMES("books/1", "other"), true, &number) == 1000);
	cr_assert(w.topics.audiences.selectors.pattern_matches - before == 2, "selector and claim");
	flush(&w);
	world_done(&w);
}

/* Who asks for exact topics does not pay for the patterns that others only claim. */
Test(audience, exact_topics_cost_no_match)
{
	struct world w;
	uint64_t number;
	char claim[32];

	world_init(&w);
	for (int i = 0; i < 1000; i++) {
		snprintf(claim, sizeof(claim), "user-%d{/x}", i);
		join(&w, NAMES("a"), NAMES(claim));
	}
	cr_assert(publish_as(&w, NAMES("a"), false, &number) == 1000);
	cr_assert(w.topics.audiences.selectors.pattern_matches == 0);
	flush(&w);
	world_done(&w);
}

/* --- a model --- */

static const char *const names[] = { "a",   "b",     "a/1",  "b/1", "*",
				     "{x}", "a{/x}", "{+x}", "$s",  "b{/x,y}" };

enum { NAME_COUNT = sizeof(names) / sizeof(names[0]), TOPIC_COUNT = 4, AUDIENCES = 40 };

struct wish {
	const char *selectors[LIST_MAX], *claims[LIST_MAX];
	uint32_t audience; /* 0 = gone */
};

static void choose(const char **out, unsigned least, unsigned kinds)
{
	unsigned count = least + (unsigned)rand() % (LIST_MAX - least);

	memset(out, 0, LIST_MAX * sizeof(*out));
	for (unsigned i = 0; i < count; i++)
		out[i] = names[(unsigned)rand() % kinds];
}

static bool any_asks(const char *const *list, const char *const *topics)
{
	for (; *list; list++)
		for (const char *const *topic = topics; *topic; topic++)
			if (selector_asks(str_of(*list), selector_kind(str_of(*list)),
					  str_of(*topic)))
				return true;
	return false;
}

static uint64_t model_reach(const struct wish *wishes, const char *const *topics, bool is_private)
{
	uint64_t reached = 0;

	for (int i = 0; i < AUDIENCES; i++)
		if (wishes[i].audience && any_asks(wishes[i].selectors, topics) &&
		    (!is_private || any_asks(wishes[i].claims, topics)))
			reached++;
	return reached;
}

Test(audience, agrees_with_a_model)
{
	struct wish wishes[AUDIENCES] = { { { NULL }, { NULL }, 0 } };
	struct world w;

	world_init(&w);
	for (unsigned seed = 1; seed <= 20; seed++) {
		srand(seed);
		for (int step = 0; step < 500; step++) {
			struct wish *wish = &wishes[rand() % AUDIENCES];
			const char *topics[LIST_MAX];
			bool is_private = rand() % 2;
			uint64_t number;

			if (wish->audience) {
				topics_leave(&w.topics, wish->audience);
				wish->audience = 0;
			} else {
				choose(wish->selectors, 1, NAME_COUNT);
				choose(wish->claims, 0, NAME_COUNT);
				wish->audience = join_framed(&w, wish->selectors, wish->claims,
							     (enum topic_framing)(rand() % 2));
			}
			choose(topics, 1, TOPIC_COUNT);
			cr_assert(publish_as(&w, topics, is_private, &number) ==
					  model_reach(wishes, topics, is_private),
				  "seed %u, step %d", seed, step);
			flush(&w);
		}
	}
	for (int i = 0; i < AUDIENCES; i++)
		if (wishes[i].audience)
			topics_leave(&w.topics, wishes[i].audience);
	cr_assert(w.topics.audiences.selectors.in_use == 0 &&
		  w.topics.audiences.selectors.pattern_count == 0);
	world_done(&w);
}
