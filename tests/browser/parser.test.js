/* EventStreamParser against the rules of the HTML standard, section 9.2.6. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStreamParser } from "../../static/ssecast.js";

/* What the parser makes of the pieces, and of the stream's end. */
function parse(pieces, lastEventId) {
	const got = { events: [], comments: [], retries: [] };
	const parser = new EventStreamParser({
		event: ({ type, data, id }) => got.events.push([type, data, id]),
		comment: (text) => got.comments.push(text),
		retry: (ms) => got.retries.push(ms),
	}, lastEventId);
	for (const piece of pieces)
		parser.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
	got.lastEventId = parser.lastEventId;
	return got;
}

/* Rules: what it shows, the stream, the events as [type, data, id]. */
const RULES = [
	["one line of data", "data: a\n\n", [["message", "a", ""]]],
	["lines of data are joined by LF", "data: a\ndata: b\n\n", [["message", "a\nb", ""]]],
	["the standard's example", "data: YHOO\ndata: +2\ndata: 10\n\n", [["message", "YHOO\n+2\n10", ""]]],
	["blocks with empty data are events", "data\n\ndata\ndata\n\ndata:", [
		["message", "", ""], ["message", "\n", ""],
	]],
	["one space behind the colon is taken away", "data:test\n\ndata: test\n\ndata:  test\n\n", [
		["message", "test", ""], ["message", "test", ""], ["message", " test", ""],
	]],
	["only a space, no tab", "data:\ta\n\n", [["message", "\ta", ""]]],
	["a colon in the value stays", "data: a: b\n\n", [["message", "a: b", ""]]],
	["LF, CR and CRLF end lines", "data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r", [
		["message", "a\nb\nc", ""], ["message", "d", ""],
	]],
	["an event without its empty line is none", "data: a\n\ndata: b\n", [["message", "a", ""]]],
	["no data, no event; the type does not stay", "event: x\n\ndata: a\n\n", [["message", "a", ""]]],
	["a type", "event: price\ndata: 1\n\ndata: 2\n\n", [["price", "1", ""], ["message", "2", ""]]],
	["the last type counts, an empty one is message", "event: x\nevent\ndata: 1\n\n", [["message", "1", ""]]],
	["an id stays", "id: 7\ndata: a\n\ndata: b\n\n", [["message", "a", "7"], ["message", "b", "7"]]],
	["an empty id takes it away", "id: 7\ndata: a\n\nid\ndata: b\n\n", [["message", "a", "7"], ["message", "b", ""]]],
	["an id with NUL is ignored", "id: 7\nid: 8\0\ndata: a\n\n", [["message", "a", "7"]]],
	["names are compared as they are", "Data: a\ndata : b\n data: c\nfoo: d\ndata: e\n\n", [["message", "e", ""]]],
	["a comment inside an event", "data: a\n: no\ndata: b\n\n", [["message", "a\nb", ""]]],
	["a byte order mark at the beginning", "\ufeffdata: a\n\n", [["message", "a", ""]]],
	["only one of them", "\ufeff\ufeffdata: a\n\ndata: b\n\n", [["message", "b", ""]]],
	["a NUL in data", "data: \0\n\n", [["message", "\0", ""]]],
	["UTF-8", "data: ok…\u{1f600}\n\n", [["message", "ok…\u{1f600}", ""]]],
	["other line ends of Unicode are none", "data: a\u2028b\u0085c\vd\n\n", [["message", "a\u2028b\u0085c\vd", ""]]],
];

for (const [name, stream, events] of RULES) {
	test(`${name}, in one piece and in every two`, () => {
		const bytes = new TextEncoder().encode(stream);
		assert.deepEqual(parse([stream]).events, events);
		for (let i = 0; i <= bytes.length; i++)
			assert.deepEqual(parse([bytes.subarray(0, i), bytes.subarray(i)]).events, events,
				`cut at ${i}`);
	});
	test(`${name}, byte by byte`, () => {
		const bytes = [...new TextEncoder().encode(stream)].map((byte) => Uint8Array.of(byte));
		assert.deepEqual(parse(bytes).events, events);
	});
}

test("bytes that are not UTF-8 become replacement characters", () => {
	const bytes = Uint8Array.of(...Buffer.from("data: a"), 0xff, 0xc3, ...Buffer.from("\n\n"));
	assert.deepEqual(parse([bytes]).events, [["message", "a\ufffd\ufffd", ""]]);
});

test("an id without data moves the last id, but only at the empty line", () => {
	assert.equal(parse(["id: 5\n"]).lastEventId, "");
	assert.equal(parse(["id: 5\n\n"]).lastEventId, "5");
	assert.deepEqual(parse(["id: 5\n\n"]).events, []);
});

test("a new connection begins with the last id of the one before", () => {
	assert.deepEqual(parse(["data: a\n\n"], "9").events, [["message", "a", "9"]]);
});

test("retry takes digits only", () => {
	assert.deepEqual(parse(["retry: 250\nretry: 1x\nretry: -1\nretry:\nretry: 0\nretry: 1.5\n"]).retries,
		[250, 0]);
	assert.deepEqual(parse(["retry: 99999999999999999999\n"]).retries, [0x7fffffff]);
});

test("comments are told, with all that is behind the colon", () => {
	assert.deepEqual(parse([":\n: a\n:b: c\n\n"]).comments, ["", " a", "b: c"]);
});
