/* Many tabs, one connection: whatever becomes of the tab that has it. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { open, useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { leaderOf, numbered, openTab, openTabs } from "./lib/tabs.js";
import { until } from "./lib/until.js";
import { Wire } from "./lib/wire.js";

/* A page from plain http: that is not from localhost: there, a browser has no Web Locks. */
const PLAIN_HOST = "plain.test";
const freshContext = useBrowser("chromium", `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`);
const TABS = 20;

/* Publishes numbered events one by one, and goes on with `between` after half of them. */
async function publishAround(daemon, prefix, count, between) {
	for (const datum of numbered(prefix, 1, count / 2))
		await daemon.publish(datum);
	const during = between();
	for (const datum of numbered(prefix, count / 2 + 1, count))
		await daemon.publish(datum);
	await during;
	await daemon.publish(`${prefix} end`);
}

async function eachHas(tabs, expected) {
	await Promise.all(tabs.map((tab) => tab.has(expected[expected.length - 1])));
	for (const tab of tabs) {
		const data = (await tab.data()).filter((datum) => !datum.startsWith("welcome"));
		assert.deepEqual(data, expected);
		assert.deepEqual(await tab.got("gaps"), []);
		assert.deepEqual(tab.page.errors, []);
	}
}

test("20 tabs over HTTP/1.1 have one connection, every event in order, and room for requests", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await freshContext(t), daemon, TABS);
	assert.equal(await daemon.streams(), 1);
	await daemon.publishAll(numbered("a", 1, 200).map((data) => ({ data })));
	for (const datum of numbered("b", 1, 20))
		await daemon.publish(datum);
	await eachHas(tabs, [...numbered("a", 1, 200), ...numbered("b", 1, 20)]);
	assert.equal(await daemon.streams(), 1);
	assert.equal((await daemon.metrics())['ssecast_requests_total{route="stream",status="200"}'], 1);
	const answers = await Promise.all(tabs.map((tab) =>
		tab.page.evaluate(async () => (await fetch("/healthz")).text())));
	assert.deepEqual(answers, tabs.map(() => "ok\n"));
	assert.equal(await tabs[0].page.evaluate(() => globalThis.source.tabs()), TABS);
	assert.ok(await leaderOf(tabs));
});

test("a late tab stands where the others stand", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await freshContext(t);
	const [first] = await openTabs(context, daemon, 1);
	const id = await daemon.publish("before");
	await first.has("before");
	const late = await openTab(context, daemon);
	await late.opened();
	assert.equal(await late.ask("lastEventId"), id);
	assert.equal(await late.ask("role"), "follower");
	await daemon.publish("after");
	await eachHas([late], ["after"]);
	assert.equal(await daemon.streams(), 1);
});

test("the leader's tab is closed: nothing is lost or doubled", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await freshContext(t), daemon, 5);
	const leader = await leaderOf(tabs);
	await publishAround(daemon, "e", 60, () => leader.page.close());
	const others = tabs.filter((tab) => tab !== leader);
	await eachHas(others, [...numbered("e", 1, 60), "e end"]);
	assert.ok(await leaderOf(others));
	assert.equal(await daemon.streams(), 1);
});

test("the leader's source is closed, its tab stays", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await freshContext(t), daemon, 3);
	const leader = await leaderOf(tabs);
	await publishAround(daemon, "e", 20, () => leader.page.evaluate(() => globalThis.source.close()));
	await eachHas(tabs.filter((tab) => tab !== leader), [...numbered("e", 1, 20), "e end"]);
	assert.equal(await leader.ask("readyState"), 2);
	assert.ok(!(await leader.data()).includes("e end"));
});

test("the leader's tab is killed: nothing is lost or doubled", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await freshContext(t);
	const tabs = await openTabs(context, daemon, 5);
	const leader = await leaderOf(tabs);
	const crashed = new Set();
	for (const tab of tabs)
		tab.page.on("crash", () => crashed.add(tab));
	const inspector = await context.newCDPSession(leader.page);
	await publishAround(daemon, "e", 60, async () => {
		inspector.send("Page.crash").catch(() => {}); // nobody is left to answer
		await until("the tab is dead", () => crashed.has(leader));
	});
	const others = tabs.filter((tab) => !crashed.has(tab));
	assert.ok(others.length > 0, "no tab survived");
	await eachHas(others, [...numbered("e", 1, 60), "e end"]);
	assert.ok(await leaderOf(others));
});

/* A headless tab is never hidden, and so never frozen: it is told that it will be. */
test("the leader's tab is told to freeze: another leads, and the thawed one has everything", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await freshContext(t), daemon, 3);
	const leader = await leaderOf(tabs);
	const others = tabs.filter((tab) => tab !== leader);
	const tell = (type) =>
		leader.page.evaluate((type) => document.dispatchEvent(new Event(type)), type);
	await publishAround(daemon, "e", 20, () => tell("freeze"));
	await eachHas(others, [...numbered("e", 1, 20), "e end"]);
	await leaderOf(others);
	assert.ok(!(await leader.data()).includes("e end"));
	await tell("resume");
	await eachHas([leader], [...numbered("e", 1, 20), "e end"]);
	await daemon.publish("thawed");
	await eachHas(tabs, [...numbered("e", 1, 20), "e end", "thawed"]);
	await until("they share again", async () => await daemon.streams() === 1);
});

test("a leader whose script hangs loses the lock, and follows when it is back", async (t) => {
	const daemon = await Daemon.start(t, "--heartbeat", "300ms");
	const context = await freshContext(t);
	const tabs = await openTabs(context, daemon, 3);
	const leader = await leaderOf(tabs);
	const others = tabs.filter((tab) => tab !== leader);
	await daemon.publish("before");
	await Promise.all(tabs.map((tab) => tab.has("before")));
	const hung = leader.page.evaluate(() => {
		const end = Date.now() + 8000;
		while (Date.now() < end);
	});
	await leaderOf(others);
	await daemon.publish("hung");
	await eachHas(others, ["before", "hung"]);
	await hung;
	await daemon.publish("after");
	await eachHas(tabs, ["before", "hung", "after"]);
	assert.ok(others.includes(await leaderOf(tabs)));
	await until("they share again", async () => await daemon.streams() === 1);
});

test("a hidden tab closes its stream by option, and returns to where it was", async (t) => {
	const daemon = await Daemon.start(t);
	const tab = await openTab(await freshContext(t), daemon, "/sse", { closeWhenHidden: true });
	await tab.opened();
	const hide = (hidden) => tab.page.evaluate((hidden) => {
		Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
		document.dispatchEvent(new Event("visibilitychange"));
	}, hidden);
	await daemon.publish("1");
	await tab.has("1");
	await hide(true);
	await until("the stream is closed", async () => await daemon.streams() === 0);
	await daemon.publish("2");
	await daemon.publish("3");
	await hide(false);
	await eachHas([tab], ["1", "2", "3"]);
	assert.equal(await tab.got("opens"), 2);
	assert.deepEqual(await tab.got("errors"), []);
});

test("tabs with other headers or topics share nothing", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await freshContext(t);
	const tabs = [
		await openTab(context, daemon, "/sse"),
		await openTab(context, daemon, "/sse", { headers: { Authorization: "Bearer a" } }),
		await openTab(context, daemon, "/sse", { headers: { Authorization: "Bearer b" } }),
		await openTab(context, daemon, "/sse/other"),
		await openTab(context, daemon, "/sse", { shared: false }),
	];
	await Promise.all(tabs.map((tab) => tab.opened()));
	assert.equal(await daemon.streams(), tabs.length);
	assert.deepEqual(await Promise.all(tabs.map((tab) => tab.ask("role"))),
		["leader", "leader", "leader", "leader", "alone"]);
});

test("a tab that a message does not reach notices, and catches up", async (t) => {
	const daemon = await Daemon.start(t);
	const tabs = await openTabs(await freshContext(t), daemon, 3);
	const leader = await leaderOf(tabs);
	const follower = tabs.find((tab) => tab !== leader);
	await daemon.publish("1");
	await follower.has("1");
	await follower.page.evaluate(() => {
		const channel = globalThis.source._member._channel;
		const hear = channel.onmessage;
		channel.onmessage = (message) => {
			if (message.data.kind === "events")
				channel.onmessage = hear; // this one was lost
			else
				hear(message);
		};
	});
	await daemon.publish("2");
	await leader.has("2");
	await daemon.publish("3");
	await eachHas(tabs, ["1", "2", "3"]);
	await daemon.publish("4");
	await eachHas(tabs, ["1", "2", "3", "4"]);
	await until("they share again", async () => await daemon.streams() === 1);
});

test("whatever happens to whom, each tab gets every event once and in order", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "50ms", "--heartbeat", "300ms");
	const wire = await Wire.start(t, daemon.port);
	const context = await freshContext(t);
	const tabs = await openTabs(context, wire, 6);
	const tell = (tab, type) =>
		tab.page.evaluate((type) => document.dispatchEvent(new Event(type)), type);
	const steal = (tab) => tab.page.evaluate(async () => {
		const { held } = await navigator.locks.query();
		navigator.locks.request(held[0].name, { steal: true }, () => {});
	});
	const troubles = [
		() => wire.cut(),
		(tab) => tell(tab, "freeze"),
		(tab) => tell(tab, "resume"),
		(tab) => steal(tab),
		async () => tell(await leaderOf(tabs), "freeze"),
		() => Promise.all(tabs.map((tab) => tell(tab, "resume"))),
	];
	let published = 0;
	for (let round = 0; round < 60; round++) {
		const trouble = troubles[round % troubles.length];
		const struck = Promise.resolve(trouble(tabs[round * 5 % tabs.length])).catch(() => {});
		for (let i = 0; i < 10; i++)
			await daemon.publish(`${++published}`);
		await struck;
	}
	await Promise.all(tabs.map((tab) => tell(tab, "resume")));
	await daemon.publish("end");
	await eachHas(tabs, [...numbered("", 1, published), "end"]);
	assert.ok(await leaderOf(tabs));
});

test("on a page from plain http: tabs share, too, and go on when the leader leaves", async (t) => {
	const daemon = await Daemon.start(t);
	const there = { url: `http://${PLAIN_HOST}:${daemon.port}` };
	const tabs = await openTabs(await freshContext(t), there, 8);
	assert.equal(await tabs[0].page.evaluate(() => "locks" in navigator), false);
	const first = await leaderOf(tabs);
	await until("they share", async () => await daemon.streams() === 1);
	await publishAround(daemon, "e", 20, () => first.page.close());
	const others = tabs.filter((tab) => tab !== first);
	await eachHas(others, [...numbered("e", 1, 20), "e end"]);
	const second = await leaderOf(others);
	await second.page.evaluate(() => globalThis.source.close());
	await daemon.publish("closed");
	const rest = others.filter((tab) => tab !== second);
	await eachHas(rest, [...numbered("e", 1, 20), "e end", "closed"]);
	await until("they share again", async () => await daemon.streams() === 1);
});

test("on a page from plain http: a leader that was killed is missed within some heartbeats", async (t) => {
	const daemon = await Daemon.start(t, "--heartbeat", "300ms");
	const context = await freshContext(t);
	const there = { url: `http://${PLAIN_HOST}:${daemon.port}` };
	const tabs = await openTabs(context, there, 3);
	const leader = await leaderOf(tabs);
	const crashed = new Set();
	for (const tab of tabs)
		tab.page.on("crash", () => crashed.add(tab));
	(await context.newCDPSession(leader.page)).send("Page.crash").catch(() => {});
	await until("the tab is dead", () => crashed.has(leader));
	await daemon.publish("1");
	const others = tabs.filter((tab) => !crashed.has(tab));
	assert.ok(others.length > 0, "no tab survived");
	await eachHas(others, ["1"]);
});

test("a page that may not use locks, or has an origin for itself, still has its stream", async (t) => {
	const daemon = await Daemon.start(t);
	const page = await open(await freshContext(t), `${daemon.url}/healthz`);
	await page.evaluate(() => {
		const frame = document.createElement("iframe");
		frame.sandbox = "allow-scripts";
		frame.src = "/healthz";
		document.body.append(frame);
		return new Promise((resolve) => { frame.onload = resolve; });
	});
	const frame = page.frames()[1];
	const library = await (await fetch(`${daemon.url}/ssecast.js`)).text();
	await frame.evaluate(async ([library, url]) => {
		const { SharedEventSource } =
			await import(`data:text/javascript,${encodeURIComponent(library)}`);
		globalThis.got = [];
		globalThis.source = new SharedEventSource(url);
		globalThis.source.onmessage = ({ data }) => globalThis.got.push(data);
	}, [library, `${daemon.url}/sse`]);
	assert.equal(await frame.evaluate(() => globalThis.origin), "null");
	await until("it is open", () => frame.evaluate(() => globalThis.source.readyState === 1));
	await daemon.publish("1");
	await until("it has it", () => frame.evaluate(() => globalThis.got.includes("1")));
	assert.deepEqual(page.errors, []);
});

for (const [what, type, target] of [
	["the browser is online again", "online", "window"],
	["another tab is looked at", "visibilitychange", "document"],
]) {
	test(`the leader does not wait any longer when ${what}`, async (t) => {
		const daemon = await Daemon.start(t, "--retry", "10m");
		const wire = await Wire.start(t, daemon.port);
		const tabs = await openTabs(await freshContext(t), wire, 2);
		const leader = await leaderOf(tabs);
		const other = tabs.find((tab) => tab !== leader);
		await daemon.publish("1");
		await other.has("1");
		wire.cut();
		const [error] = await until("each tab is told", async () =>
			(await other.got("errors")).length === 1 && leader.got("errors"));
		assert.ok(error.retryIn >= 600000);
		assert.equal(await other.ask("readyState"), 0);
		await daemon.publish("2");
		await other.page.evaluate(([type, target]) =>
			globalThis[target].dispatchEvent(new Event(type)), [type, target]);
		await eachHas(tabs, ["1", "2"]);
		assert.equal(await other.ask("reconnects"), 1);
	});
}
