/* Browsers and ways on which streams do not work: what falls back to what. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { leaderOf, numbered, openTab, openTabs } from "./lib/tabs.js";
import { until } from "./lib/until.js";

const freshContext = useBrowser();

/* A context whose browser lacks something, as older ones do. */
async function contextWithout(t, ...names) {
	const context = await freshContext(t);
	await context.addInitScript((names) => {
		for (const name of names)
			delete globalThis[name];
	}, names);
	return context;
}

const received = async (tab) =>
	(await tab.data()).filter((datum) => !datum.startsWith("welcome"));

test("without streams in responses it is an EventSource, with types and a last id", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "100ms");
	const context = await contextWithout(t, "ReadableStream");
	const tab = await openTab(context, daemon);
	await tab.opened();
	assert.equal(await tab.ask("transport"), "eventsource");
	assert.equal(await tab.ask("role"), "alone");
	await tab.page.evaluate(() => {
		globalThis.prices = [];
		globalThis.source.addEventListener("price", ({ data }) => globalThis.prices.push(data));
	});
	await daemon.publish("7", "?event=price");
	const id = await daemon.publish("1");
	await tab.has("1");
	assert.deepEqual(await tab.page.evaluate(() => globalThis.prices), ["7"]);
	assert.equal(await tab.ask("lastEventId"), id);
	await daemon.stop("SIGKILL");
	await until("it is told", async () => (await tab.got("errors")).length > 0);
	await daemon.run();
	await daemon.publish("2");
	await tab.has("2");
	assert.deepEqual(await received(tab), ["1", "2"]);
	await tab.page.evaluate(() => globalThis.source.close());
	await until("it is closed", async () => await daemon.streams() === 0);
});

test("without EventSource, too, it polls", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await contextWithout(t, "ReadableStream", "EventSource");
	const tab = await openTab(context, daemon);
	await until("it polls", async () => await daemon.streams() > 0);
	assert.equal(await tab.ask("transport"), "poll");
	await daemon.publish("1");
	await tab.has("1");
	await daemon.publishAll(numbered("n", 1, 300).map((data) => ({ data })));
	await tab.has("n300");
	assert.deepEqual(await received(tab), ["1", ...numbered("n", 1, 300)]);
});

test("without BroadcastChannel each tab has its own stream", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await contextWithout(t, "BroadcastChannel"), daemon, 2);
	assert.equal(await daemon.streams(), 2);
	assert.equal(await tabs[0].ask("role"), "alone");
	await daemon.publish("1");
	for (const tab of tabs) {
		await tab.has("1");
		assert.deepEqual(await received(tab), ["1"]);
	}
});

test("tabs share one poll, also when its tab is closed", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await freshContext(t);
	const tabs = [await openTab(context, daemon, "/sse", { transport: "poll" })];
	await until("it polls", async () => await daemon.streams() > 0);
	await daemon.publish("0"); // only an answer opens the stream
	await tabs[0].has("0");
	for (let i = 0; i < 3; i++)
		tabs.push(await openTab(context, daemon, "/sse", { transport: "poll" }));
	await Promise.all(tabs.map((tab) => tab.opened()));
	assert.equal(await daemon.streams(), 1);
	for (const datum of numbered("a", 1, 30))
		await daemon.publish(datum);
	const leader = await leaderOf(tabs);
	assert.equal(leader, tabs[0]);
	await leader.page.close();
	for (const datum of numbered("b", 1, 30))
		await daemon.publish(datum);
	for (const tab of tabs.slice(1)) {
		await tab.has("b30");
		assert.deepEqual(await received(tab), [...numbered("a", 1, 30), ...numbered("b", 1, 30)]);
	}
});
