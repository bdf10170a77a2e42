// What an operator looks at: the daemon's own counters, which it publishes every second on the topic
// $stats. Rates are differences of counters of two events; nothing is kept but the last minutes.
import { Chart, WINDOW_MS, draw, make, timeAt } from "./chart.js";
import { openStream } from "./stream.js";

const element = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat([], {
	hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

// Numbers as words.

function withPrefix(number, base, prefixes, unit) {
	let i = 0;
	while (i + 1 < prefixes.length && number >= base * 0.9995) {
		number /= base;
		i++;
	}
	const digits = number >= 100 || Number.isInteger(number) ? 0 : number >= 10 ? 1 : 2;
	return `${number.toFixed(digits)} ${prefixes[i]}${unit}`.trim();
}

const whole = (number) => Math.round(number).toLocaleString("en");
const rate = (number) => withPrefix(number, 1000, ["", "k", "M", "G"], "/s").replace(" /s", "/s");
const bytes = (number) => withPrefix(number, 1024, ["", "Ki", "Mi", "Gi", "Ti"], "B");
const byteRate = (number) => `${bytes(number)}/s`;
const percent = (number) => `${number.toFixed(number < 10 ? 1 : 0)} %`;

function seconds(number) {
	return number === 0 ? "0 s" : withPrefix(number * 1e6, 1000, ["µ", "m", ""], "s");
}

function age(number) {
	const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
	const i = units.findIndex(([size]) => number >= size);
	if (i < 0 || i === 3)
		return `${Math.floor(number)} s`;
	const [size, name] = units[i];
	const [smaller, smallerName] = units[i + 1];
	const rest = Math.floor(number % size / smaller);
	return `${Math.floor(number / size)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
}

// Numbers out of two events, `now` and the one before it; null where there is none.

const growth = (key) => (now, before) => {
	const more = now[key] - before[key];
	return more < 0 ? null : more * 1000 / (now.time_ms - before.time_ms); // < 0: it was restarted
};

// The mean, and what 99 of 100 do not exceed.
const durations = (key) => [
	(now, before) => {
		const count = now[key].count - before[key].count;
		return count > 0 ? (now[key].sum - before[key].sum) / count : null;
	},
	(now, before) => {
		const counts = now[key].buckets.map((count, i) => count - before[key].buckets[i]);
		let left = counts.reduce((sum, count) => sum + count, 0) * 0.99;
		if (!(left > 0))
			return null;
		const bucket = counts.findIndex((count) => (left -= count) <= 0);
		return now[key].le[Math.min(bucket, now[key].le.length - 1)];
	},
];

const CHARTS = [
	{ id: "clients", title: "Clients", lines: ["live", "walking"], format: whole, least: 5,
		of: [(now) => now.clients.live, (now) => now.clients.walking] },
	{ id: "events", title: "Events", lines: [""], format: rate, least: 1,
		of: [growth("events_total")] },
	{ id: "deliveries", title: "Deliveries", lines: [""], format: rate, least: 1,
		of: [growth("deliveries_total")] },
	{ id: "sent", title: "Sent", lines: [""], format: byteRate, least: 1024, base: 1024,
		of: [growth("sent_bytes_total")] },
	{ id: "turn", title: "Turn of the loop", lines: ["mean", "99 %"], format: seconds, least: 1e-5,
		of: durations("turn_duration_seconds") },
	{ id: "flush", title: "Flush to all", lines: ["mean", "99 %"], format: seconds, least: 1e-5,
		of: durations("flush_duration_seconds") },
	{ id: "lag", title: "Largest lag", lines: [""], format: bytes, least: 1024, base: 1024,
		of: [(now) => now.lag_max_bytes] },
	{ id: "ring", title: "Ring fill", lines: [""], format: percent, top: 100,
		of: [(now) => 100 * now.ring_bytes / now.ring_size_bytes] },
	{ id: "age", title: "Oldest event in the ring", lines: [""], format: age, least: 60, base: 60,
		of: [(now) => now.ring_oldest_age_seconds] },
];

const TOTALS = [
	["Uptime", (now) => age(now.uptime_seconds)],
	["Connections now", (now) => whole(now.connections)],
	["Topics now", (now) => whole(now.topics)],
	["Events", (now) => whole(now.events_total)],
	["Deliveries", (now) => whole(now.deliveries_total)],
	["Gaps told", (now) => whole(now.gaps_total)],
	["Events refused", (now) => whole(now.events_refused_total)],
];

const charts = CHARTS.map((row) => ({ of: row.of, chart: new Chart(row), samples: [] }));
let last = null; // event
let lookedAt = null; // time of the samples that are shown; null = the newest

function showCharts() {
	const { samples } = charts[0];
	if (samples.length === 0)
		return;
	let at = samples.length - 1;
	if (lookedAt !== null)
		while (at > 0 && samples[at].time > lookedAt)
			at--;
	const isNow = lookedAt === null;
	for (const { chart, samples } of charts)
		chart.show(samples, at, isNow);
	element("moment").textContent = isNow ? "now" : clock.format(samples[at].time);
}

function setPairs(list, pairs) {
	while (list.childElementCount < 2 * pairs.length)
		list.append(make("dt", ""), make("dd", ""));
	pairs.flat().forEach((words, i) => { list.children[i].textContent = words; });
}

function showDisconnects(counts) {
	const list = element("disconnects").querySelector("ol");
	const most = Math.max(1, ...Object.values(counts));
	Object.entries(counts).forEach(([reason, count], i) => {
		if (!list.children[i]) {
			const bar = draw("svg", { "aria-hidden": "true" });
			bar.append(draw("rect", { height: "100%" }));
			const item = make("li", "");
			item.append(make("span", "", ""), bar, make("b", "", ""));
			list.append(item);
		}
		const item = list.children[i];
		item.dataset.reason = reason;
		item.dataset.count = count;
		item.firstChild.textContent = reason.replace("_", " ");
		item.querySelector("rect").setAttribute("width", `${100 * count / most}%`);
		item.lastChild.textContent = whole(count);
	});
}

function receive(event) {
	const now = JSON.parse(event.data);
	element("notice").hidden = true;
	showDisconnects(now.disconnects_total);
	setPairs(element("totals").querySelector("dl"), TOTALS.map(([name, of]) => [name, of(now)]));
	if (last) {
		for (const { of, samples } of charts) {
			samples.push({ time: now.time_ms, values: of.map((number) => number(now, last)) });
			while (samples[0].time < now.time_ms - WINDOW_MS)
				samples.shift();
		}
		showCharts();
	}
	last = now;
}

// Looking back: with the pointer over a plot, or with the arrow keys.

function look(time) {
	const { samples } = charts[0];
	const isPast = time !== null && samples.length > 0 && time < samples[samples.length - 1].time;
	lookedAt = isPast ? Math.max(time, samples[0].time) : null;
	showCharts();
}

function lookBack() {
	const main = element("charts");
	const newest = () => (last ? last.time_ms : 0);
	main.addEventListener("pointermove", (event) => {
		const plot = event.target.closest(".plot");
		if (!plot)
			return look(null);
		const { left, width } = plot.getBoundingClientRect();
		if (last)
			look(timeAt(charts[0].samples, (event.clientX - left) / width));
	});
	main.addEventListener("pointerleave", () => look(null));
	main.addEventListener("keydown", ({ key }) => {
		const step = { ArrowLeft: -1000, ArrowRight: 1000 }[key];
		if (step)
			look((lookedAt === null ? newest() : lookedAt) + step);
		else if (key === "Escape")
			look(null);
	});
}

element("charts").prepend(...charts.map(({ chart }) => chart.element));
lookBack();
const source = openStream("/sse?topic=$stats");
source.addEventListener("stats", receive);
source.addEventListener("error", ({ retryIn }) => {
	if (retryIn !== null)
		return;
	element("notice").textContent = "The daemon does not show its counters here. Start it with " +
		"--public-stats, or open this page on one of its control listeners.";
	element("notice").hidden = false;
});
