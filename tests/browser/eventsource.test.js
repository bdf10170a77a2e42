/* Plain EventSource: what pages have that know nothing of ssecast.js. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { open, useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { until } from "./lib/until.js";
import { Wire } from "./lib/wire.js";

const freshContext = useBrowser();

function listen(page, url) {
	return page.evaluate((url) => {
		const source = new EventSource(url);
		globalThis.got = [];
		globalThis.source = source;
		source.onmessage = (event) => globalThis.got.push([event.data, event.lastEventId]);
	}, url);
}

const data = async (page) => (await page.evaluate(() => globalThis.got)).map(([datum]) => datum);
const has = (page, datum) =>
	until(`the page has got ${datum}`, async () => (await data(page)).includes(datum));

test("new EventSource('/sse') receives", async (t) => {
	const daemon = await Daemon.start(t);
	const page = await open(await freshContext(t), `${daemon.url}/healthz`);
	await listen(page, "/sse");
	await has(page, "welcome to server sent event");
	const id = await daemon.publish("hello\nworld");
	await has(page, "hello\nworld");
	assert.deepEqual((await page.evaluate(() => globalThis.got)).pop(), ["hello\nworld", id]);
});

test("a page from a file receives from http://localhost", async (t) => {
	const daemon = await Daemon.start(t);
	const path = daemon.path("page.html", `<!DOCTYPE html><title>file</title><ul></ul><script>
		const source = new EventSource("http://localhost:${daemon.port}/events");
		source.onmessage = (event) => {
			const item = document.createElement("li");
			item.textContent = event.data;
			document.querySelector("ul").append(item);
		};
	</script>`);
	const page = await open(await freshContext(t), pathToFileURL(path).href);
	assert.equal(await page.evaluate(() => globalThis.origin), "null");
	await page.waitForSelector("li");
	await daemon.publish("across origins");
	await until("it is shown", async () =>
		(await page.textContent("ul")).includes("across origins"));
});

test("after a drop it sends Last-Event-ID, and gets exactly what it missed", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "200ms");
	const wire = await Wire.start(t, daemon.port);
	const page = await open(await freshContext(t), `${wire.url}/healthz`);
	await listen(page, "/sse");
	await has(page, "welcome to server sent event");
	await daemon.publish("1");
	const id = await daemon.publish("2");
	await has(page, "2");
	wire.cut();
	await until("the daemon has seen it", async () => await daemon.streams() === 0);
	await daemon.publish("3");
	await daemon.publish("4");
	await has(page, "4");
	await daemon.publish("5");
	await has(page, "5");
	assert.deepEqual(await data(page), ["welcome to server sent event", "1", "2", "3", "4", "5"]);
	const resumed = wire.sent.find((text) => /^Last-Event-ID:/im.test(text));
	assert.match(resumed, new RegExp(`^Last-Event-ID: ${id}\r$`, "im"));
});
