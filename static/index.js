// Shows a stream of events: every one as a line of text, newest last. EventSource reconnects by
// itself; where a proxy's answer made it give up, this page opens a new one that resumes.
"use strict";

const LINES_MAX = 500;
const REOPEN_MS = 5000;
const clock = new Intl.DateTimeFormat([], {
	hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

const log = document.getElementById("sse-data");
const state = document.getElementById("state");
const count = document.getElementById("count");
const last = document.getElementById("last");

// What the page's own address asks for: ?topic=A&topic=B&event=TYPE.
const query = new URLSearchParams(location.search);
const topics = query.getAll("topic");
const types = new Set(["message", "gap", ...query.getAll("event")]);

let waiting = []; // lines to be shown with the next show(), the newest LINES_MAX
let events = 0;
let lastId = "";

function streamUrl(parameters) {
	const url = new URL("/sse", location);
	for (const topic of topics)
		url.searchParams.append("topic", topic);
	for (const [name, value] of Object.entries(parameters))
		url.searchParams.set(name, value);
	return url;
}

function setState(name, words) {
	if (state.dataset.state === name)
		return;
	state.dataset.state = name;
	state.textContent = words;
}

function element(name, className, text) {
	const made = document.createElement(name);
	made.className = className;
	made.textContent = text;
	return made;
}

function line({ time, type, data }) {
	const made = element("div", "event", "");
	const when = element("time", "", clock.format(time));
	when.dateTime = time.toISOString();
	made.dataset.type = type;
	made.append(when, element("span", "type", type), element("span", "data", data));
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
	count.textContent = events.toLocaleString();
	last.textContent = clock.format(newest.time);
	last.dateTime = newest.time.toISOString();
}

// A burst of events is shown at once: the browser stays quick however many there are.
function receive(event) {
	if (!(event instanceof MessageEvent))
		return; // ?event=error: a lost connection is no event
	events++;
	lastId = event.lastEventId || lastId;
	if (waiting.length === 0)
		setTimeout(show, 30);
	waiting.push({ time: new Date(), type: event.type, data: event.data });
	if (waiting.length > LINES_MAX)
		waiting.shift();
}

function open() {
	const source = new EventSource(streamUrl(lastId ? { lastEventID: lastId } : {}));
	source.onopen = () => setState("open", "open");
	source.onerror = () => {
		if (source.readyState === EventSource.OPEN)
			return; // somebody published an event of type "error"
		setState("lost", "lost, reconnecting");
		if (source.readyState === EventSource.CLOSED)
			setTimeout(open, REOPEN_MS * (1 + Math.random()));
	};
	for (const type of types)
		source.addEventListener(type, receive);
}

const shown = streamUrl({});
document.getElementById("stream").textContent = topics.length ? topics.join(", ") : "/sse";
document.getElementById("address").textContent =
	shown.search ? `'${shown.href}'` : shown.href;
open();
