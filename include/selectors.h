/*
 * selectors: the table of what audiences ask for and may see: exact topics, "*" and templates (see
 * selector.h for what one means).
 *
 * Exact topics are found by their hash when something is published to them; "*" and templates are
 * patterns: each is matched once against a record, however many audiences ask for it.
 *
 * The table moves when it grows: selectors are named by their index; 0 is none.
 */
#ifndef SELECTORS_H
#define SELECTORS_H

#include "ring.h"

enum { SELECTORS_MAX = 1000 }; /* of one list */

/* One name that audiences ask for, or claim. */
struct selector {
	char *name; /* owned; NULL while the entry is free */
	uint64_t hash;
	uint64_t asked; /* twice the record + 1 that it was last matched with, + whether it asks */
	uint16_t len;
	uint8_t kind;    /* enum selector_kind: exact ones are looked up by their hash */
	uint32_t next;   /* in its bucket, or in the free list */
	uint32_t claims; /* audiences that have it as a claim */
	uint32_t place;  /* of a pattern that somebody asks for, in selectors.patterns */
	uint32_t audience_count, audience_cap; /* those that ask for it */
	union {
		uint32_t one;   /* where audience_cap is 0 */
		uint32_t *many; /* owned */
	} audiences;
};

struct selectors {
	const struct ring *ring; /* borrowed: for its hash, and for the topics of records */
	struct selector *table;
	uint32_t count, cap, free; /* count: entries ever used */
	uint32_t *buckets;
	uint32_t mask;      /* buckets - 1 */
	uint32_t *patterns; /* selectors that are patterns, and are asked for */
	uint32_t pattern_count, pattern_cap;
	uint32_t in_use;          /* the limit is the caller's */
	uint64_t pattern_matches; /* a pattern against a record; since the start */
};

/* 0 or -ENOMEM. */
int selectors_init(struct selectors *selectors, const struct ring *ring);
void selectors_done(struct selectors *selectors);

struct str selector_name(const struct selector *selector);

/* The audiences that ask for it: audience_count of them. */
const uint32_t *selector_audiences(const struct selector *selector);

/* The selector of that name (and its ring_hash()), or 0. */
uint32_t selectors_find(const struct selectors *selectors, struct str name, uint64_t hash);

/*
 * Puts the selectors of these packed names, made where they are missing, into numbers (room for
 * SELECTORS_MAX): *got of them, sorted, without doubles. New ones are made only while fewer than
 * selectors_max are in use. 0, -ENOMEM or -ENOSPC; in every case release those that are got.
 */
int selectors_get(struct selectors *selectors, struct str names, uint64_t selectors_max,
		  uint32_t *numbers, uint32_t *got);

/* Frees those of them that no audience has any more; one may be there twice. */
void selectors_release(struct selectors *selectors, const uint32_t *numbers, uint32_t count);

/*
 * Has a selector know an audience that asks for it: 0, with its place in the list in *place, or
 * -ENOMEM. And has it forget that one: another audience gets its place, which is returned, or 0.
 */
int selectors_attach(struct selectors *selectors, uint32_t index, uint32_t audience,
		     uint32_t *place);
uint32_t selectors_detach(struct selectors *selectors, uint32_t index, uint32_t audience,
			  uint32_t place);

/* Whether one of these selectors asks for one of the record's topics. */
bool selectors_want(const struct selectors *selectors, const uint32_t *numbers, uint32_t count,
		    const struct record *record);

/* Whether a selector asks for record number: matched at the first question, known from then on. */
bool selectors_ask_once(struct selectors *selectors, uint32_t index, uint64_t number,
			const struct record *record);

#endif
