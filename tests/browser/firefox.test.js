/* What is most likely to differ between browsers, in Firefox. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { open, useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { leaderOf, numbered, openTabs } from "./lib/tabs.js";
import { until } from "./lib/until.js";
import { Wire } from "./lib/wire.js";

const freshContext = useBrowser("firefox");

test("the page shows ticks, and a published event as text", async (t) => {
	const daemon = await Daemon.start(t, "--tick-interval", "200ms");
	const page = await open(await freshContext(t), daemon.url);
	const shown = () => page.textContent("#sse-data");
	await until("there is a tick", async () => (await shown()).includes("Server time is 20"));
	await daemon.publish("<b>markup</b>");
	await until("the event is there", async () => (await shown()).includes("<b>markup</b>"));
	assert.equal(await page.textContent("#state"), "open");
	assert.deepEqual(page.errors, []);
});

test("plain EventSource resumes with Last-Event-ID", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "200ms");
	const wire = await Wire.start(t, daemon.port);
	const page = await open(await freshContext(t), `${wire.url}/healthz`);
	await page.evaluate(() => {
		globalThis.got = [];
		globalThis.source = new EventSource("/sse");
		globalThis.source.onmessage = ({ data }) => globalThis.got.push(data);
	});
	const has = (datum) => until(`the page has got ${datum}`, () =>
		page.evaluate((datum) => globalThis.got.includes(datum), datum));
	await has("welcome to server sent event");
	await daemon.publish("1");
	await has("1");
	wire.cut();
	await until("the daemon has seen it", async () => await daemon.streams() === 0);
	await daemon.publish("2");
	await has("2");
	assert.deepEqual(await page.evaluate(() => globalThis.got),
		["welcome to server sent event", "1", "2"]);
	assert.ok(wire.sent.some((text) => /^Last-Event-ID:/im.test(text)));
});

test("tabs share a stream, and lose nothing when the leader is closed", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await freshContext(t), daemon, 8);
	assert.equal(await daemon.streams(), 1);
	const leader = await leaderOf(tabs);
	for (const datum of numbered("a", 1, 20))
		await daemon.publish(datum);
	const closed = leader.page.close();
	for (const datum of numbered("b", 1, 20))
		await daemon.publish(datum);
	await closed;
	for (const tab of tabs.filter((tab) => tab !== leader)) {
		await tab.has("b20");
		const data = (await tab.data()).filter((datum) => !datum.startsWith("welcome"));
		assert.deepEqual(data, [...numbered("a", 1, 20), ...numbered("b", 1, 20)]);
	}
	assert.equal(await daemon.streams(), 1);
});

test("the dashboard draws", async (t) => {
	const daemon = await Daemon.start(t, "--public-stats");
	const page = await open(await freshContext(t), `${daemon.url}/dashboard.html`);
	await until("lines are drawn", () => page.evaluate(() =>
		document.querySelectorAll('.plot path[d*="L"]').length >= 4));
	assert.deepEqual(page.errors, []);
});
