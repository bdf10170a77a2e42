// Shows a stream of events: every one as a line of text, newest last.
import { describeRole, openStream } from "./stream.js";

const LINES_MAX = 500;
const clock = new Intl.DateTimeFormat([], {
	hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

const element = (id) => document.getElementById(id);
const log = element("sse-data");

// What the page's own address asks for: ?topic=A&topic=B&event=TYPE.
const query = new URLSearchParams(location.search);
const topics = query.getAll("topic").filter((topic) => topic !== "");
const types = new Set(["message", "gap", ...query.getAll("event")]);

let waiting = []; // lines to be shown with the next show(), the newest LINES_MAX
let events = 0;
let aheadMs = 0; // how far the server's clock seems to be ahead of ours

function streamUrl() {
	const url = new URL("/sse", location);
	for (const topic of topics)
		url.searchParams.append("topic", topic);
	return url;
}

function make(name, className, text) {
	const made = document.createElement(name);
	made.className = className;
	made.textContent = text;
	return made;
}

function line({ time, type, data, latency }) {
	const made = make("div", "event", "");
	const when = make("time", "", clock.format(time));
	when.dateTime = time.toISOString();
	made.dataset.type = type;
	made.append(when, make("span", "type", type), make("span", "data", data),
		make("span", "latency", latency));
	return made;
}

// Follows the end of the log unless the visitor has scrolled away from it.
function show() {
	const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
	const newest = waiting[waiting.length - 1];
	log.append(...waiting.map(line));
	waiting = [];
	while (log.childElementCount > LINES_MAX)
		log.firstElementChild.remove();
	if (atEnd)
		log.scrollTop = log.scrollHeight;
	element("count").textContent = events.toLocaleString();
	element("latency").textContent = newest.latency || "–";
	element("last").textContent = element("last").title = source.lastEventId || "none yet";
}

// An id of the server begins with the time at which it was made. The first event of a stream is a
// welcome with an older one.
function latencyOf(id, now) {
	const made = /^(\d{13})-\d+$/.exec(id);
	if (!made || events === 0)
		return "";
	const ms = now - Number(made[1]);
	aheadMs = Math.max(aheadMs, -ms);
	return ms + aheadMs < 10000 ? `${ms + aheadMs} ms` : `${Math.round((ms + aheadMs) / 1000)} s`;
}

// A burst of events is shown at once: the browser stays quick however many there are.
function receive(event) {
	if (!(event instanceof MessageEvent))
		return; // ?event=error: a lost connection is no event
	const time = new Date();
	const latency = latencyOf(event.lastEventId, time);
	events++;
	if (waiting.length === 0)
		setTimeout(show, 30);
	waiting.push({ time, type: event.type, data: event.data, latency });
	if (waiting.length > LINES_MAX)
		waiting.shift();
}

async function showConnection() {
	const words = await describeRole(source);
	element("role").textContent = element("role").title = words;
	element("reconnects").textContent = source.reconnects;
}

const source = openStream(streamUrl());
for (const type of types)
	source.addEventListener(type, receive);
source.addEventListener("open", showConnection);
setInterval(showConnection, 1000);

element("topic").value = topics.length === 1 ? topics[0] : "";
element("topic").placeholder = topics.join(", ") || "broadcast";
element("address").textContent = topics.length ? `'${source.url}'` : source.url;
