/* Browsers behind proxies: TLS, HTTP/2, and more streams than HTTP/1.1 has connections. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { open, useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { startProxy } from "./lib/proxy.js";
import { openTabs } from "./lib/tabs.js";
import { until } from "./lib/until.js";

const freshContext = useBrowser();
const STREAMS = 120;

/* Two daemons with a proxy before them; HAProxy speaks the PROXY protocol to their other port. */
async function start(t, name) {
	const daemons = await Promise.all([1, 2].map(() =>
		Daemon.start(t, "--listen", "127.0.0.1:0,proxy", "--heartbeat", "300ms")));
	const ports = daemons.map(({ port, otherPort }) => name === "haproxy" ? otherPort : port);
	return { daemons, url: await startProxy(t, name, daemons[0].folder, ports) };
}

for (const name of ["nginx", "haproxy"]) {
	test(`${STREAMS} EventSources in one page through ${name}, over TLS and HTTP/2`, async (t) => {
		const { daemons, url } = await start(t, name);
		const page = await open(await freshContext(t), `${url}/healthz`);
		assert.equal(await page.evaluate(() =>
			performance.getEntriesByType("navigation")[0].nextHopProtocol), "h2");
		await page.evaluate((count) => {
			globalThis.got = Array.from({ length: count }, () => []);
			globalThis.sources = globalThis.got.map((data, i) => {
				const source = new EventSource(`/sse?topic=all&topic=${i}`);
				source.onmessage = (event) => data.push(event.data);
				return source;
			});
		}, STREAMS);
		await until("all are open", () => page.evaluate(() =>
			globalThis.sources.every(({ readyState }) => readyState === 1)));
		assert.equal(await daemons[0].streams() + await daemons[1].streams(), STREAMS);
		for (const [i, daemon] of daemons.entries()) {
			await daemon.publish(`from ${i}`, "?topic=all");
			for (let stream = 0; stream < STREAMS; stream++)
				await daemon.publish(`for ${stream}`, `?topic=${stream}`);
		}
		await until("all have got theirs", () => page.evaluate(() =>
			globalThis.got.every((data) => data.length === 3)));
		const got = await page.evaluate(() => globalThis.got);
		got.forEach(([welcome, all, own], stream) => {
			assert.match(welcome, /^welcome/);
			assert.match(all, /^from [01]$/);
			assert.equal(own, `for ${stream}`);
		});
		assert.deepEqual(page.errors, []);
	});

	test(`tabs through ${name} share a stream that outlives many heartbeats`, async (t) => {
		const { daemons, url } = await start(t, name);
		const tabs = await openTabs(await freshContext(t), { url }, 3);
		const beats = async () => (await daemons[0].metrics()).ssecast_heartbeats_total +
			(await daemons[1].metrics()).ssecast_heartbeats_total;
		await until("there were ten heartbeats", async () => await beats() >= 10);
		for (const daemon of daemons)
			await daemon.publish("after them");
		for (const tab of tabs) {
			await tab.has("after them");
			assert.deepEqual(await tab.got("errors"), []);
		}
		assert.equal(await daemons[0].streams() + await daemons[1].streams(), 1);
	});
}
