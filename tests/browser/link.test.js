/*
 * How ssecast.js keeps one connection going: what it sends, how it waits, what it makes of answers
 * and of silence. Node has all that it needs for that.
 */
import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { SharedEventSource } from "../../static/ssecast.js";
import { Daemon } from "./lib/daemon.js";
import { until } from "./lib/until.js";
import { Wire } from "./lib/wire.js";

/* A source that notes what it gets, closed at the end of the test. */
function listen(t, url, options = {}) {
	const source = new SharedEventSource(url, { shared: false, ...options });
	const got = { data: [], errors: [], gaps: [], opens: 0 };
	t.after(() => source.close());
	source.onopen = () => { got.opens++; };
	source.onmessage = (event) => got.data.push(event.data);
	source.ongap = (event) => got.gaps.push(JSON.parse(event.data));
	source.onerror = (event) => got.errors.push(event);
	return { source, got };
}

/* A server that answers by a script: one function per request, the last one for all further. */
async function serve(t, ...answers) {
	const requests = [];
	const server = http.createServer((request, response) => {
		requests.push({ url: request.url, headers: request.headers, at: Date.now() });
		answers[Math.min(requests.length, answers.length) - 1](response, request);
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	t.after(() => {
		server.closeAllConnections();
		return new Promise((resolve) => server.close(resolve));
	});
	return { url: `http://127.0.0.1:${server.address().port}/sse`, requests };
}

const stream = (text, end) => (response) => {
	response.writeHead(200, { "Content-Type": "text/event-stream" });
	response.write(text);
	if (end)
		response.end();
};
const status = (code, headers = {}) => (response) => {
	response.writeHead(code, headers);
	response.end("no");
};

const has = (got, datum) => until(`it has got ${datum}`, () => got.data.includes(datum));

test("it is an EventSource to who uses it", async (t) => {
	const server = await serve(t, stream("id: 1\nevent: price\ndata: 7\n\ndata: a\n\n"));
	const { source, got } = listen(t, server.url);
	const prices = [];
	assert.equal(source.readyState, SharedEventSource.CONNECTING);
	assert.equal(source.url, server.url);
	assert.equal(source.withCredentials, false);
	source.addEventListener("price", (event) => prices.push(event));
	await has(got, "a");
	assert.equal(source.readyState, source.OPEN);
	assert.equal(got.opens, 1);
	assert.equal(prices.length, 1);
	assert.ok(prices[0] instanceof MessageEvent);
	assert.equal(prices[0].data, "7");
	assert.equal(prices[0].lastEventId, "1");
	assert.equal(prices[0].origin, new URL(server.url).origin);
	assert.equal(source.lastEventId, "1");
	assert.equal(typeof source.onmessage, "function");
	source.onmessage = null;
	assert.equal(source.onmessage, null);
	source.close();
	assert.equal(source.readyState, SharedEventSource.CLOSED);
	assert.equal(server.requests[0].headers.accept, "text/event-stream");
	assert.equal("last-event-id" in server.requests[0].headers, false);
});

test("what is no URL or transport is refused", () => {
	assert.throws(() => new SharedEventSource("http://["), TypeError);
	assert.throws(() => new SharedEventSource("http://a/", { transport: "smoke" }), TypeError);
});

test("nothing comes after close(), not even of what has been read", async (t) => {
	const server = await serve(t, stream("data: 1\n\ndata: 2\n\ndata: 3\n\n"));
	const { source, got } = listen(t, server.url);
	source.addEventListener("message", ({ data }) => data === "2" && source.close());
	await until("it is closed", () => source.readyState === SharedEventSource.CLOSED);
	await new Promise(setImmediate);
	assert.deepEqual(got.data, ["1", "2"]);
	assert.deepEqual(got.errors, []);
});

test("it sends headers of its own, asked for anew each time", async (t) => {
	const server = await serve(t, status(401), stream("retry: 0\ndata: a\n\n", true), stream(""));
	let token = 0;
	const { got } = listen(t, server.url, {
		retry: 0,
		headers: async () => ({ Authorization: `Bearer ${++token}` }),
	});
	await until("it has come three times", () => server.requests.length === 3 && got.opens === 2);
	assert.deepEqual(server.requests.map(({ headers }) => headers.authorization),
		["Bearer 1", "Bearer 2", "Bearer 3"]);
	assert.equal(got.errors[0].status, 401);
});

test("it comes back with the last id, whatever characters that has", async (t) => {
	const server = await serve(t, stream("retry: 0\nid: ä…7\ndata: a\n\n", true), stream("data: b\n\n"));
	const { source, got } = listen(t, server.url);
	await has(got, "b");
	const sent = server.requests[1].headers["last-event-id"];
	assert.equal(Buffer.from(sent, "latin1").toString(), "ä…7");
	assert.equal(source.lastEventId, "ä…7");
	assert.equal(source.reconnects, 1);
});

for (const code of [204, 400, 401, 403, 404]) {
	test(`${code} is the end`, async (t) => {
		const server = await serve(t, status(code));
		const { source, got } = listen(t, server.url, { retry: 0 });
		await until("it is closed", () => source.readyState === SharedEventSource.CLOSED);
		assert.equal(got.errors.length, 1);
		assert.equal(got.errors[0].status, code);
		assert.equal(got.errors[0].retryIn, null);
		assert.equal(server.requests.length, 1);
	});
}

for (const code of [408, 429, 500, 502, 503]) {
	test(`${code} is not the end`, async (t) => {
		const server = await serve(t, status(code), stream("data: a\n\n"));
		const { got } = listen(t, server.url, { retry: 0 });
		await has(got, "a");
		assert.equal(got.errors.length, 1);
		assert.equal(got.errors[0].status, code);
		assert.ok(got.errors[0].retryIn >= 0);
	});
}

test("another media type is an error, and is tried again", async (t) => {
	const html = (response) => {
		response.writeHead(200, { "Content-Type": "text/html" });
		response.end("data: no\n\n");
	};
	const server = await serve(t, html, stream("data: a\n\n"));
	const { got } = listen(t, server.url, { retry: 0 });
	await has(got, "a");
	assert.deepEqual(got.data, ["a"]);
	assert.match(got.errors[0].message, /text\/html/);
});

test("failures make it wait longer, with jitter, up to the cap; a byte forgives them", async (t) => {
	const server = await serve(t, stream("retry: 100\ndata: a\n\n", true), status(500), status(500),
		status(500), status(500), status(500), stream("data: b\n\n", true), stream(""));
	const { got } = listen(t, server.url, { retryMax: 500 });
	await until("it has come eight times", () => server.requests.length === 8);
	const waits = got.errors.map(({ retryIn }) => retryIn);
	const least = [100, 500, 500, 500, 500, 500, 100];
	assert.equal(waits.length, least.length);
	waits.forEach((wait, i) =>
		assert.ok(wait >= least[i] && wait <= 1.5 * least[i], `wait ${i} is ${wait} ms`));
	assert.ok(new Set(waits).size > 5, "they are spread");
	for (let i = 1; i < server.requests.length; i++)
		assert.ok(server.requests[i].at - server.requests[i - 1].at >= least[i - 1] - 5);
});

test("Retry-After is waited for", async (t) => {
	const server = await serve(t, status(503, { "Retry-After": "1" }), stream("data: a\n\n"));
	const { got } = listen(t, server.url, { retry: 0 });
	await has(got, "a");
	assert.ok(got.errors[0].retryIn >= 1000);
});

test("a half-open connection is noticed within two heartbeats, by what the daemon says", async (t) => {
	const daemon = await Daemon.start(t, "--heartbeat", "300ms", "--retry", "50ms");
	const wire = await Wire.start(t, daemon.port);
	const { source, got } = listen(t, `${wire.url}/sse`);
	await until("it is open", () => source.readyState === SharedEventSource.OPEN);
	await daemon.publish("before");
	await has(got, "before");
	wire.isSilent = true;
	const silentAt = Date.now();
	await daemon.publish("unheard");
	await until("it has noticed", () => got.errors.length === 1);
	const tookMs = Date.now() - silentAt;
	assert.ok(tookMs > 100 && tookMs < 10000, `after ${tookMs} ms`);
	assert.match(got.errors[0].message, /silent/);
	wire.isSilent = false;
	await has(got, "unheard");
	assert.deepEqual(got.data, ["welcome to server sent event", "before", "unheard"]);
});

test("heartbeats keep it from reconnecting", async (t) => {
	const daemon = await Daemon.start(t, "--heartbeat", "1s");
	const { source, got } = listen(t, `${daemon.url}/sse`);
	await until("it is open", () => source.readyState === SharedEventSource.OPEN);
	await until("there were some heartbeats", async () =>
		(await daemon.metrics()).ssecast_heartbeats_total >= 4);
	assert.deepEqual(got.errors, []);
	assert.equal(got.opens, 1);
});

test("without a heartbeat, silence is no sign", async (t) => {
	const daemon = await Daemon.start(t, "--heartbeat", "0");
	const { source, got } = listen(t, `${daemon.url}/sse`, { heartbeat: 100 });
	await until("it is open", () => source.readyState === SharedEventSource.OPEN);
	await new Promise((resolve) => setTimeout(resolve, 500));
	assert.deepEqual(got.errors, []);
});

test("a gap comes as such", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "100ms", "--ring-bytes", "64K");
	const wire = await Wire.start(t, daemon.port);
	const { got } = listen(t, `${wire.url}/sse`);
	await has(got, "welcome to server sent event");
	const id = await daemon.publish("seen");
	await has(got, "seen");
	wire.cut();
	await until("the daemon has seen it", async () => await daemon.streams() === 0);
	await daemon.publishAll(Array.from({ length: 100 }, () => ({ data: "x".repeat(2000) })));
	await until("it is told", () => got.gaps.length === 1);
	assert.equal(got.gaps[0].from, id);
	assert.equal(got.gaps[0].reason, "evicted");
});

test("where streams are held back on the way, it polls, and loses nothing", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "50ms");
	const wire = await Wire.start(t, daemon.port);
	wire.isHeld = true;
	const { source, got } = listen(t, `${wire.url}/sse`, { heartbeat: 100, retry: 50 });
	await until("it polls", async () => source.transport === "poll" &&
		await daemon.streams() > 0);
	await daemon.publish("1");
	await has(got, "1");
	assert.equal(source.readyState, SharedEventSource.OPEN);
	await daemon.publishAll([{ data: "2" }, { data: "3", event: "message" }]);
	await has(got, "3");
	assert.deepEqual(got.data, ["1", "2", "3"]);
});

test("polling loses nothing of a thousand events published while polls come and go", async (t) => {
	const daemon = await Daemon.start(t);
	const { got } = listen(t, `${daemon.url}/sse`, { transport: "poll" });
	await until("it polls", async () => await daemon.streams() > 0);
	const expected = [];
	for (let i = 0; i < 100; i++) {
		const events = Array.from({ length: 10 }, (_, j) => `${10 * i + j}`);
		expected.push(...events);
		await daemon.publishAll(events.map((data) => ({ data, id: i % 3 ? `own-${data}` : undefined })));
	}
	await has(got, "999");
	assert.deepEqual(got.data, expected);
	assert.deepEqual(got.errors, []);
	const polls = (await daemon.metrics())['ssecast_requests_total{route="poll",status="200"}'];
	assert.ok(polls > 5, `in only ${polls} polls`);
});
