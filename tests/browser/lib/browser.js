/*
 * Debian's Chromium and Firefox, headless, by playwright-core. A browser per test file, closed at
 * its end; a context per test, which is as if it were a browser of its own: the tabs of one share
 * what tabs of a browser share.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before } from "node:test";

import { BUILD, fromBuild } from "./build.js";

const { chromium, firefox } = fromBuild("playwright-core");

const launchers = {
	chromium: (args) => chromium.launch({
		executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync",
			...args],
	}),
	/* The channel means the protocol of an unmodified Firefox, WebDriver BiDi. */
	firefox: () => firefox.launch({
		executablePath: process.env.FIREFOX || "/usr/bin/firefox-esr",
		channel: "moz-firefox",
	}),
};

/* For test files: a function that returns a fresh context of a browser with these arguments. */
export function useBrowser(name = "chromium", ...args) {
	let browser;
	before(async () => { browser = await launchers[name](args); });
	after(() => browser.close());
	return async (t, options = {}) => {
		const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
		t.after(() => context.close());
		return context;
	};
}

/* A page that fails its test when a script on it fails. */
export async function open(context, url) {
	const page = await context.newPage();
	page.errors = [];
	page.on("pageerror", (error) => page.errors.push(String(error)));
	await page.goto(url);
	return page;
}

/* Shows the page in the windows that it is made for, and fails where it does not fit. */
export async function portray(page, name) {
	for (const colorScheme of ["light", "dark"]) {
		for (const [width, height] of [[1280, 800], [390, 844]]) {
			await page.emulateMedia({ colorScheme });
			await page.setViewportSize({ width, height });
			const size = await page.evaluate(() => [document.documentElement.scrollWidth,
				document.documentElement.scrollHeight]);
			assert.ok(size[0] <= width, `${width} by ${height}: it is ${size[0]} wide`);
			assert.ok(width < 1000 || size[1] <= height, `it is ${size[1]} high`);
			await page.screenshot({
				path: join(BUILD, `${name}-${width}-${colorScheme}.png`),
				fullPage: width < 1000,
			});
		}
	}
}
