/*
 * The hub with clients that people use: Symfony's Mercure component publishes with a token, the
 * package eventsource receives, curl does both.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Daemon } from "../browser/lib/daemon.js";
import { until } from "../browser/lib/until.js";
import { Wire } from "../browser/lib/wire.js";

const require = createRequire(join(process.cwd(), process.env.MERCURE_BUILD, "/"));
const { EventSource } = require("eventsource");
const run = promisify(execFile);

const KEY = "!ChangeThisMercureHubJWTSecretKey!";
const HUB = "/.well-known/mercure";
const BOOKS = "https://example.com/books/{id}";

function token(claims, key = KEY) {
	const part = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");
	const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
	return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

async function hub(t, ...options) {
	const keys = join(tmpdir(), "key");
	writeFileSync(keys, KEY);
	return Daemon.start(t, "--mercure-publisher-key-file", keys, "--mercure-subscriber-key-file",
		keys, "--retry", "200ms", ...options);
}

/* Publishes from PHP: the id. */
async function publish(daemon, update, { key = KEY, algorithm = "HS256" } = {}) {
	const { stdout } = await run("php", [fileURLToPath(new URL("publish.php", import.meta.url)),
		`${daemon.url}${HUB}`, key, algorithm, JSON.stringify(update)]);
	return stdout;
}

/* Subscribes with npm's eventsource: what it gets is in .got, as [type, data, id]. */
async function listen(t, url, { claims, types = ["message"] } = {}) {
	const headers = claims ? { Authorization: `Bearer ${token(claims)}` } : {};
	const source = new EventSource(url, {
		fetch: (target, init) => fetch(target, { ...init, headers: { ...init.headers, ...headers } }),
	});
	t.after(() => source.close());
	source.got = [];
	source.opens = 0;
	source.addEventListener("open", () => { source.opens++; });
	source.addEventListener("error", (error) => { source.failed = error.code; });
	for (const type of types)
		source.addEventListener(type, (event) =>
			source.got.push([type, event.data, event.lastEventId]));
	await until("it is open or refused", () => source.opens || source.failed);
	return source;
}

const topic = (...topics) => `${HUB}?${topics.map((one) => `topic=${encodeURIComponent(one)}`)
	.join("&")}`;
const got = (source, count) => until(`${count} events`, () => source.got.length >= count);

test("Symfony publishes, eventsource receives", async (t) => {
	const daemon = await hub(t);
	const source = await listen(t, daemon.url + topic(BOOKS), {
		claims: { mercure: { subscribe: [] } }, types: ["message", "changed"],
	});
	const made = await publish(daemon, { topics: ["https://example.com/books/1"], data: "a\nb c+d" });
	const given = await publish(daemon, {
		topics: ["https://example.com/other", "https://example.com/books/2"],
		data: "{\"n\":1}", id: "urn:uuid:5", type: "changed", retry: 300,
	}, { algorithm: "HS512" });
	await publish(daemon, { topics: ["https://example.com/other"], data: "not for us" });
	const last = await publish(daemon, { topics: ["https://example.com/books/3"], data: "last" },
		{ algorithm: "HS384" });
	assert.equal(given, "urn:uuid:5");
	await got(source, 3);
	assert.deepEqual(source.got, [["message", "a\nb c+d", made], ["changed", "{\"n\":1}", given],
		["message", "last", last]]);
});

test("a private update reaches who may see it, and nobody else", async (t) => {
	const daemon = await hub(t, "--mercure-anonymous");
	const sees = { mercure: { subscribe: ["https://example.com/users/1"] } };
	const [mine, other, anonymous] = await Promise.all([
		listen(t, daemon.url + topic(BOOKS), { claims: sees }),
		listen(t, daemon.url + topic(BOOKS),
			{ claims: { mercure: { subscribe: ["https://example.com/users/2"] } } }),
		listen(t, daemon.url + topic(BOOKS)),
	]);
	await publish(daemon, {
		topics: ["https://example.com/books/1", "https://example.com/users/1"],
		data: "secret", private: true,
	});
	await publish(daemon, { topics: ["https://example.com/books/1"], data: "open" });
	await Promise.all([got(mine, 2), got(other, 1), got(anonymous, 1)]);
	assert.deepEqual(mine.got.map(([, data]) => data), ["secret", "open"]);
	assert.deepEqual(other.got.map(([, data]) => data), ["open"]);
	assert.deepEqual(anonymous.got.map(([, data]) => data), ["open"]);
});

test("after a drop eventsource gets exactly what it missed", async (t) => {
	const daemon = await hub(t, "--mercure-anonymous");
	const wire = await Wire.start(t, daemon.port);
	const source = await listen(t, wire.url + topic("*"));
	for (let n = 0; n < 3; n++) {
		await publish(daemon, { topics: ["a"], data: `before ${n}`, id: `id-${n}` });
		await got(source, 2 * n + 1);
		wire.cut();
		await publish(daemon, { topics: ["a"], data: `after ${n}` });
		await got(source, 2 * n + 2);
	}
	assert.deepEqual(source.got.map(([, data]) => data), ["before 0", "after 0", "before 1",
		"after 1", "before 2", "after 2"]);
});

test("who may not is refused", async (t) => {
	const daemon = await hub(t);
	await assert.rejects(publish(daemon, { topics: ["a"] }, { key: "another key" }));
	await assert.rejects(publish(daemon, { topics: ["a"], allowed: ["b"] }));
	assert.equal((await listen(t, daemon.url + topic("a"))).failed, 401);
	assert.equal((await listen(t, daemon.url + topic("a"), { claims: { exp: 1 } })).failed, 401);
});

test("a token's end is the stream's", async (t) => {
	const daemon = await hub(t);
	const source = await listen(t, daemon.url + topic("a"), {
		claims: { mercure: { subscribe: ["*"] }, exp: Date.now() / 1000 + 2 },
	});
	assert.equal(source.opens, 1);
	await until("it was ended, came back and was refused", () => source.failed === 401);
});

test("the two commands of the README", async (t) => {
	const daemon = await hub(t, "--mercure-anonymous");
	const source = await listen(t, daemon.url + topic(BOOKS));
	const { stdout } = await run("curl", ["-sS", "-H",
		`Authorization: Bearer ${token({ mercure: { publish: ["*"] } })}`,
		"-d", "topic=https://example.com/books/1", "-d", "data=hello", `${daemon.url}${HUB}`]);
	await got(source, 1);
	assert.deepEqual(source.got, [["message", "hello", stdout]]);
});
