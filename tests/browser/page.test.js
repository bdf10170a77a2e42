/* The page that the daemon serves, as a visitor sees it. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { open, portray, useBrowser } from "./lib/browser.js";
import { Daemon } from "./lib/daemon.js";
import { until } from "./lib/until.js";

const freshContext = useBrowser();

/* The data of all lines, oldest first. */
const lines = (page) => page.locator("#sse-data .data").allTextContents();

const shows = (page, selector, text) =>
	until(`${selector} shows ${text}`, async () => (await page.textContent(selector)).includes(text));

async function openPage(t, daemon, path = "/") {
	const page = await open(await freshContext(t), daemon.url + path);
	await shows(page, "#state", "open");
	return page;
}

test("it shows ticks, and a published event", async (t) => {
	const daemon = await Daemon.start(t, "--tick-interval", "200ms");
	const page = await openPage(t, daemon);
	await shows(page, "#sse-data", "welcome to server sent event");
	await shows(page, "#sse-data", "Server time is 20");
	const id = await daemon.publish("hello");
	await shows(page, "#sse-data", "hello");
	await until("it is counted", async () => Number(await page.textContent("#count")) >= 3);
	assert.ok(await page.textContent("#last") >= id);
	await shows(page, "#latency", " ms");
	await shows(page, "#role", "this tab alone");
	assert.deepEqual(page.errors, []);
});

test("markup in data stays text, and nothing of it runs", async (t) => {
	const daemon = await Daemon.start(t);
	const page = await openPage(t, daemon);
	const data = "<img src=x onerror='window.ran = 1'><script>window.ran = 1</script> & <b>b</b>";
	await daemon.publish(data);
	await until("it is shown", async () => (await lines(page)).includes(data));
	assert.equal(await page.locator("#sse-data img, #sse-data script, #sse-data b").count(), 0);
	assert.equal(await page.evaluate(() => window.ran), undefined);
});

test("it says that the daemon is gone and back, and misses nothing", async (t) => {
	const daemon = await Daemon.start(t, "--retry", "200ms");
	const page = await openPage(t, daemon);
	await daemon.publish("before");
	await shows(page, "#sse-data", "before");
	await daemon.stop("SIGKILL");
	await shows(page, "#state", "lost");
	assert.equal(await page.getAttribute("#state", "data-state"), "lost");
	await daemon.run();
	await daemon.publish("while away");
	await shows(page, "#state", "open");
	await daemon.publish("after");
	await shows(page, "#sse-data", "after");
	const data = (await lines(page)).filter((text) => !text.startsWith("{"));
	assert.deepEqual(data, ["welcome to server sent event", "before", "while away", "after"]);
	await shows(page, "#reconnects", "1");
});

test("two tabs say who leads", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await freshContext(t);
	const first = await open(context, daemon.url);
	await shows(first, "#state", "open");
	const second = await open(context, daemon.url);
	await shows(first, "#role", "2 tabs, this one leads");
	await shows(second, "#role", "2 tabs, another leads");
	await first.close();
	await shows(second, "#role", "this tab alone");
});

test("the box chooses a topic, by keyboard alone", async (t) => {
	const daemon = await Daemon.start(t);
	const page = await openPage(t, daemon);
	await page.focus("#topic");
	await page.keyboard.type("weather & wind");
	await page.keyboard.press("Enter");
	await page.waitForURL("**/?topic=*");
	await shows(page, "#state", "open");
	await daemon.publish("elsewhere");
	await daemon.publish("storm", "?topic=weather%20%26%20wind");
	await shows(page, "#sse-data", "storm");
	assert.ok(!(await lines(page)).includes("elsewhere"));
	assert.equal(await page.inputValue("#topic"), "weather & wind");
});

test("it keeps the newest 500 lines", async (t) => {
	const daemon = await Daemon.start(t);
	const page = await openPage(t, daemon);
	await daemon.publishAll(Array.from({ length: 700 }, (_, i) => ({ data: `n${i}` })));
	await shows(page, "#count", "701");
	const shown = await lines(page);
	assert.equal(shown.length, 500);
	assert.equal(shown[0], "n200");
	assert.equal(shown[499], "n699");
});

test("it loads nothing from elsewhere, and breaks no rule of its policy", async (t) => {
	const daemon = await Daemon.start(t);
	const context = await freshContext(t);
	for (const path of ["/", "/dashboard.html"]) {
		const page = await context.newPage();
		const requested = [], complaints = [];
		page.on("request", (request) => requested.push(new URL(request.url()).origin));
		page.on("console", (message) => complaints.push(message.text()));
		const response = await page.goto(daemon.url + path);
		assert.match(response.headers()["content-security-policy"], /default-src 'none'/);
		await shows(page, "#state", path === "/" ? "open" : "closed");
		assert.deepEqual([...new Set(requested)], [daemon.url]);
		assert.deepEqual(complaints.filter((text) => !/Failed to load resource/.test(text)), []);
	}
});

test("it fits a desk and a telephone, light and dark", async (t) => {
	const daemon = await Daemon.start(t, "--tick-interval", "100ms");
	const page = await openPage(t, daemon);
	await daemon.publish("a line that is long enough to be broken on a telephone ".repeat(3));
	await until("there are some lines", async () => (await lines(page)).length > 7);
	await portray(page, "index");
});
