/* The Mercure hub with Chromium: a page with the cookie sees what is private, another page does not. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import { open, useBrowser } from "./lib/browser.js";
import { ask, Daemon } from "./lib/daemon.js";
import { until } from "./lib/until.js";

const KEY = "!ChangeThisMercureHubJWTSecretKey!";
const HUB = "/.well-known/mercure";

function token(mercure) {
	const part = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");
	const signed = `${part({ alg: "HS256" })}.${part({ mercure })}`;
	return `${signed}.${createHmac("sha256", KEY).update(signed).digest("base64url")}`;
}

const freshContext = useBrowser();

async function listen(t, daemon, cookie) {
	const context = await freshContext(t);
	if (cookie)
		await context.addCookies([{ name: "mercureAuthorization", value: cookie, url: daemon.url }]);
	const page = await open(context, `${daemon.url}/healthz`);
	await page.evaluate((url) => new Promise((resolve) => {
		const source = new EventSource(url);
		globalThis.got = [];
		source.onmessage = (event) => globalThis.got.push(event.data);
		source.onopen = resolve;
	}), `${HUB}?topic=${encodeURIComponent("https://example.com/books/{id}")}`);
	return page;
}

test("a private update reaches the page whose cookie allows it", async (t) => {
	process.env.MERCURE_PUBLISHER_JWT_KEY = process.env.MERCURE_SUBSCRIBER_JWT_KEY = KEY;
	const daemon = await Daemon.start(t, "--mercure-anonymous");
	const mine = await listen(t, daemon, token({ subscribe: ["https://example.com/users/1"] }));
	const other = await listen(t, daemon);
	for (const form of ["topic=https://example.com/books/1&topic=https://example.com/users/1" +
		"&data=secret&private=on", "topic=https://example.com/books/1&data=open"]) {
		const answer = await ask({ host: "127.0.0.1", port: daemon.port, path: HUB }, {
			method: "POST", body: form,
			headers: { Authorization: `Bearer ${token({ publish: ["*"] })}`,
				"Content-Type": "application/x-www-form-urlencoded" },
		});
		assert.equal(answer.status, 200, answer.body);
	}
	const got = (page) => page.evaluate(() => globalThis.got);
	for (const page of [mine, other])
		await until("the open one has come", async () => (await got(page)).includes("open"));
	assert.deepEqual(await got(mine), ["secret", "open"]);
	assert.deepEqual(await got(other), ["open"]);
});
