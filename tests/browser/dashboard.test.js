/* The dashboard: its numbers are those of /metrics. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { open, portray, useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { openTabs } from "./lib/tabs.js";
import { until } from "./lib/until.js";

const freshContext = useBrowser();

/* The totals by name, the disconnects by reason, and the first value of each chart. */
function read(page) {
	return page.evaluate(() => {
		const number = (text) => Number(text.replaceAll(",", ""));
		const pairs = (found) => Object.fromEntries(found);
		const terms = [...document.querySelectorAll("#totals dt")];
		return {
			totals: pairs(terms.map((term) => [term.textContent, term.nextSibling.textContent])),
			disconnects: pairs([...document.querySelectorAll("#disconnects li")].map((item) =>
				[item.dataset.reason, number(item.querySelector("b").textContent)])),
			values: pairs([...document.querySelectorAll(".card[id] .value:first-child")].map((value) =>
				[value.closest(".card").id, value.firstChild.data])),
			lines: document.querySelectorAll('.plot path[d^="M"]').length,
		};
	});
}

test("its numbers are those of /metrics", async (t) => {
	const daemon = await Daemon.start(t, "--public-stats");
	const context = await freshContext(t);
	const page = await open(await freshContext(t), `${daemon.url}/dashboard.html`);
	await openTabs(context, daemon, 3, "/sse", { shared: false });
	await daemon.publishAll(Array.from({ length: 1234 }, (_, i) => ({ data: `${i}` })));
	await daemon.publish("x", "?topic=other");
	await (await openTabs(context, daemon, 1, "/sse", { shared: false }))[0].page.close();
	/* Until nothing moves but what reading the numbers moves. */
	await until("both agree", async () => {
		const metrics = await daemon.metrics();
		const { totals, disconnects, values } = await read(page);
		return values.clients === String(metrics['ssecast_clients{state="live"}']) &&
			values.clients === "4" &&
			totals["Events"] === "1,235" && metrics.ssecast_events_total === 1235 &&
			totals["Deliveries"] === metrics.ssecast_deliveries_total.toLocaleString("en") &&
			totals["Topics now"] === String(metrics.ssecast_topics) &&
			disconnects.stalled === 0 && disconnects.client > 0;
	});
	const { disconnects, lines } = await read(page);
	const metrics = await daemon.metrics();
	const reasons = Object.keys(metrics).map((name) => /_disconnects_total\{reason="(\w+)"/.exec(name))
		.filter(Boolean).map(([, reason]) => reason);
	assert.deepEqual(Object.keys(disconnects), reasons);
	assert.ok(lines >= 8, `${lines} lines are drawn`);
	assert.deepEqual(page.errors, []);
});

test("events per second are what has been published", async (t) => {
	const daemon = await Daemon.start(t, "--public-stats");
	const page = await open(await freshContext(t), `${daemon.url}/dashboard.html`);
	await until("it has a rate", async () => (await read(page)).values.events === "0/s");
	await daemon.publishAll(Array.from({ length: 500 }, () => ({ data: "." })));
	const shown = await until("it shows the burst", async () => {
		const { values } = await read(page);
		return values.events !== "0/s" && values.events;
	});
	/* A snapshot every second, be it a little more or less. */
	assert.ok(parseFloat(shown) > 250 && parseFloat(shown) <= 550, shown);
});

test("where the numbers are not public, it says how to get them", async (t) => {
	const daemon = await Daemon.start(t);
	const page = await open(await freshContext(t), `${daemon.url}/dashboard.html`);
	await page.waitForSelector("#notice:not([hidden])");
	assert.match(await page.textContent("#notice"), /--public-stats/);
	assert.equal(await page.getAttribute("#state", "data-state"), "closed");
});

test("arrow keys look back, Escape returns, and a reader hears each chart", async (t) => {
	const daemon = await Daemon.start(t, "--public-stats");
	const page = await open(await freshContext(t), `${daemon.url}/dashboard.html`);
	const label = () => page.getAttribute("#clients svg", "aria-label");
	await until("there are two samples", async () =>
		(await page.getAttribute("#clients .first", "d") || "").includes("L"));
	assert.match(await label(), /^Clients, live: 1; Clients, walking: 0; at most 1 /);
	await page.focus("#charts");
	await page.keyboard.press("ArrowLeft");
	assert.match(await page.textContent("#moment"), /^\d\d:\d\d:\d\d$/);
	await page.keyboard.press("Escape");
	assert.equal(await page.textContent("#moment"), "now");
});

test("it fits a desk and a telephone, light and dark", async (t) => {
	const daemon = await Daemon.start(t, "--public-stats", "--ring-bytes", "128K");
	const page = await open(await freshContext(t), `${daemon.url}/dashboard.html`);
	await openTabs(await freshContext(t), daemon, 3, "/sse", { shared: false });
	for (let samples = 2; samples < 12; samples++) {
		await daemon.publishAll(Array.from({ length: 20 * (samples % 4) }, () =>
			({ data: ".".repeat(400) })));
		await until(`${samples} samples are drawn`, () => page.evaluate((samples) =>
			(document.querySelector("#clients .first").getAttribute("d") || "").split("L").length >= samples,
		samples));
	}
	assert.ok((await read(page)).lines >= 9);
	await portray(page, "dashboard");
});
