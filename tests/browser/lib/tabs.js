/*
 * Tabs that share a stream. Each is a page of the daemon's origin with nothing on it, where a
 * SharedEventSource notes whatever it gets.
 */
import { open } from "./browser.js";
import { until } from "./until.js";

/* The page: /healthz is plain text, without a policy or a script of its own. */
export async function openTab(context, daemon, path = "/sse", options = {}) {
	const page = await open(context, `${daemon.url}/healthz`);
	await page.evaluate(async ({ path, options }) => {
		const { SharedEventSource } = await import("/ssecast.js");
		const got = { data: [], gaps: [], errors: [], opens: 0 };
		const source = new SharedEventSource(path, options);
		source.onopen = () => { got.opens++; };
		source.onmessage = (event) => got.data.push(event.data);
		source.ongap = (event) => got.gaps.push(JSON.parse(event.data));
		source.onerror = ({ message, status, retryIn }) =>
			got.errors.push({ message, status, retryIn });
		Object.assign(globalThis, { source, got });
	}, { path, options });
	return new Tab(page);
}

class Tab {
	constructor(page) {
		this.page = page;
	}

	ask(name) {
		return this.page.evaluate((name) => globalThis.source[name], name);
	}

	got(name) {
		return this.page.evaluate((name) => globalThis.got[name], name);
	}

	async data() {
		return this.got("data");
	}

	opened() {
		return until("a tab's stream is open", async () => await this.ask("readyState") === 1);
	}

	has(datum) {
		return until(`a tab has got ${datum}`, async () => (await this.data()).includes(datum));
	}
}

/* The tab that leads, once there is exactly one. */
export function leaderOf(tabs) {
	return until("one tab leads", async () => {
		const roles = await Promise.all(tabs.map((tab) => tab.ask("role")));
		const leaders = tabs.filter((tab, i) => roles[i] === "leader");
		return leaders.length === 1 && leaders[0];
	});
}

/* Opens so many tabs, all of which follow the stream when this returns. */
export async function openTabs(context, daemon, count, path, options) {
	const tabs = await Promise.all(Array.from({ length: count },
		() => openTab(context, daemon, path, options)));
	await Promise.all(tabs.map((tab) => tab.opened()));
	return tabs;
}

/* `prefix` with the numbers from first to last. */
export function numbered(prefix, first, last) {
	return Array.from({ length: last - first + 1 }, (_, i) => `${prefix}${first + i}`);
}
