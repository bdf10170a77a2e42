/*
 * ssecast.js: Server-Sent Events for pages, over one connection for all tabs of a browser.
 *
 * import { SharedEventSource } from "/ssecast.js";
 * const source = new SharedEventSource("/sse");
 * source.onmessage = (event) => console.log(event.data, event.lastEventId);
 *
 * As `<script type="module" src="/ssecast.js">` it also leaves SharedEventSource with the other
 * globals, for scripts that are no modules. ssecast.d.ts says what each member and option does.
 *
 * How it is made, from the wire to the page:
 *
 * - EventStreamParser turns bytes into events, as the HTML standard says in section 9.2.6.
 * - A transport is a function that runs one connection to its end: readStream(), listen() by
 *   EventSource, poll(). A Link runs one after the other for as long as it is wanted: it waits in
 *   between, sees to it that silence does not last, and knows the last id, with which every
 *   connection begins.
 * - A Member is a tab's part in the group of all tabs with the same stream. The tab that holds the
 *   group's Web Lock leads: it has the link, and says on the group's BroadcastChannel what comes
 *   out of it. All others follow. Every member knows the id that it stands at, so each can lead.
 *   Without Web Locks, who asks for a leader and hears of none leads.
 * - SharedEventSource is the face of it: an EventTarget that looks like an EventSource.
 *
 * What holds in a group:
 *
 * - Each time somebody begins to lead, that is a term; its number is higher than all before. What a
 *   leader says has the number of its term and, if it moves the others, a sequence number. Messages
 *   of older terms mean nothing, and a leader that hears of a higher term steps down: so it does no
 *   harm if two lead for a moment, as when a frozen tab thaws. The lock only makes that rare.
 * - A term begins at the id where its leader stood. Who was further already drops the events that
 *   come again; who was not as far (after a pause, or because a message was lost) reads a link of
 *   its own until both meet, and only then follows. Nobody misses or doubles an event.
 *
 * No `?.`, `??` or `#` below: the fallbacks are for browsers that do not know them either.
 */

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

const DEFAULTS = {
	withCredentials: false,
	headers: null, // an object, or a function that returns one or a promise of one
	heartbeat: 15000, // ms; what the daemon says of itself counts more
	retry: 3000, // ms before the first attempt to reconnect; the stream's `retry:` counts more
	retryMax: 30000, // ms that failed attempts can make of it
	closeWhenHidden: false,
	shared: true,
	transport: "auto", // or "fetch", "eventsource", "poll"
};

const FIRST_BYTE_MS = 10000; // a stream begins at once, or something on the way holds it back
const HELD_BACK_MAX = 2; // such attempts in a row, before polling is tried
const POLL_MS = 60000; // the longest that a poll may take
const ANSWER_MS = 3000; // a leader that does not answer for so long is not there, …
const ANSWER_LOCKLESS_MS = 300; // … or sooner, where no lock says that there is one
const RECENT_MAX = 1024; // ids remembered, at the least
const TIMER_MS_MAX = 0x7fffffff;
const HEARTBEAT = /^ heartbeat ([0-9]+)$/; // the daemon's comment on its comments

/** Turns the bytes of a text/event-stream into calls of its sink. */
export class EventStreamParser {
	/*
	 * The sink has event({ type, data, id }), and may have retry(ms) and comment(text). The id that
	 * a stream begins with is that of the stream before: a browser's EventSource keeps it, too.
	 */
	constructor(sink, lastEventId) {
		this.sink = sink;
		this.lastEventId = lastEventId || ""; // as of the last empty line
		this._decoder = new TextDecoder(); // it takes a byte order mark away
		this._line = ""; // what has come of a line
		this._afterCr = false; // a LF now would belong to the CR before
		this._id = this.lastEventId;
		this._type = "";
		this._data = [];
	}

	push(bytes) {
		let text = this._decoder.decode(bytes, { stream: true });
		if (text === "")
			return;
		if (this._afterCr && text[0] === "\n")
			text = text.slice(1);
		this._afterCr = text === "" ? false : text.endsWith("\r");
		const lines = text.split(/\r\n|\r|\n/);
		lines[0] = this._line + lines[0];
		this._line = lines.pop();
		for (const line of lines)
			this._take(line);
	}

	_take(line) {
		const colon = line.indexOf(":");
		if (line === "") {
			this._dispatch();
		} else if (colon === 0) {
			if (this.sink.comment)
				this.sink.comment(line.slice(1));
		} else if (colon < 0) {
			this._field(line, "");
		} else {
			const space = line[colon + 1] === " " ? 1 : 0;
			this._field(line.slice(0, colon), line.slice(colon + 1 + space));
		}
	}

	_field(name, value) {
		if (name === "data")
			this._data.push(value);
		else if (name === "event")
			this._type = value;
		else if (name === "id" && !value.includes("\0"))
			this._id = value;
		else if (name === "retry" && /^[0-9]+$/.test(value) && this.sink.retry)
			this.sink.retry(Math.min(Number(value), TIMER_MS_MAX));
	}

	_dispatch() {
		const data = this._data;
		const type = this._type || "message";
		this.lastEventId = this._id;
		this._data = [];
		this._type = "";
		if (data.length > 0)
			this.sink.event({ type, data: data.join("\n"), id: this._id });
	}
}

/* Why a connection ended. A final one is not tried again. */
class LinkError extends Error {
	constructor(message, details) {
		super(message);
		Object.assign(this, { status: 0, final: false, waitMs: 0 }, details);
	}
}

/* An answer that is no stream. What the server may change its mind about is tried again. */
function refusal(response, mayAskAnew) {
	const { status } = response;
	const again = status >= 500 || [408, 425, 429].includes(status) ||
		(mayAskAnew && (status === 401 || status === 403));
	const seconds = Number(response.headers.get("Retry-After"));
	return new LinkError(status === 204 ? "the server says that this is the end" :
		`the server answers ${status}`, {
		status,
		final: !again,
		waitMs: seconds > 0 ? seconds * 1000 : 0,
	});
}

/* A header's value is bytes; fetch() wants each as one character. */
function headerOf(text) {
	return String.fromCharCode(...new TextEncoder().encode(text));
}

function urlWith(url, parameters) {
	const made = new URL(url);
	for (const [name, value] of Object.entries(parameters))
		made.searchParams.set(name, value);
	return made.href;
}

async function request(link, url, accept, fields) {
	const { headers, withCredentials } = link.options;
	const own = typeof headers === "function" ? await headers() : headers;
	const response = await fetch(url, {
		headers: Object.assign({ Accept: accept }, own, fields),
		credentials: withCredentials ? "include" : "same-origin",
		cache: "no-store",
		signal: link.abort.signal,
	});
	if (response.status !== 200)
		throw refusal(response, typeof headers === "function");
	const type = response.headers.get("Content-Type") || "none";
	if (!type.toLowerCase().startsWith(accept))
		throw new LinkError(`the answer is of type ${type}`, { status: 200 });
	return response;
}

/* The transport of choice: it sees comments, status and header, and sends headers of its own. */
async function readStream(link) {
	const fields = link.lastId ? { "Last-Event-ID": headerOf(link.lastId) } : {};
	let events = [];

	link.watch(Math.min(FIRST_BYTE_MS, 2 * link.options.heartbeat || FIRST_BYTE_MS));
	const response = await request(link, link.url, "text/event-stream", fields);
	link.opened();
	const parser = new EventStreamParser({
		event: (event) => events.push(event),
		retry: (ms) => { link.retryMs = ms; },
		comment: (text) => {
			const said = HEARTBEAT.exec(text);
			if (said)
				link.heartbeatMs = Number(said[1]);
		},
	}, link.lastId);
	const reader = response.body.getReader();
	for (;;) {
		const { value, done } = await reader.read();
		if (done)
			throw new LinkError("the stream ended", { status: 200 });
		parser.push(value);
		link.heard(2 * link.heartbeatMs);
		link.received(events, parser.lastEventId);
		events = [];
	}
}

/*
 * By EventSource. It reconnects by itself, and remembers an id that it does not tell us; it is made
 * anew only where it gives up.
 */
function listen(link) {
	const url = link.lastId ? urlWith(link.url, { lastEventID: link.lastId }) : link.url;
	const source = new EventSource(url, { withCredentials: link.options.withCredentials });
	const hear = (event) => {
		if (event instanceof MessageEvent)
			link.received([{ type: event.type, data: event.data, id: event.lastEventId }],
				event.lastEventId);
	};
	link.listenTo = (type) => source.addEventListener(type, hear);
	for (const type of link.owner.types)
		link.listenTo(type);
	return new Promise((resolve, reject) => {
		source.onopen = () => link.opened();
		source.onerror = (event) => {
			if (event instanceof MessageEvent)
				return; // somebody published an event of type "error"
			const error = new LinkError("the connection was lost");
			if (source.readyState === CLOSED)
				reject(error);
			else
				link.lost(error, link.retryMs);
		};
		link.abort.signal.addEventListener("abort", () => {
			source.close();
			reject(new LinkError("closed"));
		});
	});
}

/* One request after the other, each answered as soon as there is something to tell. */
async function poll(link) {
	for (;;) {
		const parameters = link.lastId ? { poll: "", lastEventID: link.lastId } : { poll: "" };
		link.watch(POLL_MS);
		const response = await request(link, urlWith(link.url, parameters), "application/json");
		const answer = await response.json();
		const events = answer.events.map(({ id, event, data }) =>
			({ id, type: event || "message", data }));
		link.heard(POLL_MS);
		link.opened();
		if (answer.gap)
			events.unshift({ id: link.lastId, type: "gap", data: JSON.stringify(answer.gap) });
		link.received(events, answer.last_id || link.lastId);
	}
}

const TRANSPORTS = { fetch: readStream, eventsource: listen, poll };

function hasStreams() {
	return typeof ReadableStream === "function" && typeof Response === "function" &&
		"body" in Response.prototype;
}

function chooseTransport({ transport, headers }) {
	if (transport !== "auto")
		return transport;
	if (hasStreams())
		return "fetch";
	return typeof EventSource === "function" && !headers ? "eventsource" : "poll";
}

/*
 * One connection after the other to a stream, from start() to stop(). Its owner has types (the
 * names of events that somebody wants), linkOpened(), linkReceived(events, lastId), linkHeard(),
 * linkLost(error, waitMs) and linkFailed(error), after which nothing comes any more.
 */
class Link {
	constructor(url, options, owner, lastId) {
		this.url = url;
		this.options = options;
		this.owner = owner;
		this.lastId = lastId;
		this.transport = chooseTransport(options);
		this.isOpen = false;
		this.heartbeatMs = options.heartbeat;
		this.retryMs = options.retry;
		this.abort = null; // of the connection
		this._stopped = false;
		this._failures = 0; // attempts since something was heard
		this._heldBack = 0; // of them, those that were silent for as long as they could
		this._hasHeard = false; // something of this connection
		this._isSilent = false; // for too long
		this._heardAt = 0;
		this._patienceMs = 0; // longest silence; 0 = any
		this._watchTimer = 0;
		this._sleepTimer = 0;
		this._wake = null; // ends the wait between two connections
	}

	async start() {
		while (!this._stopped) {
			const error = await this._connect();
			clearTimeout(this._watchTimer);
			this.isOpen = false;
			if (this._stopped)
				return;
			if (error.final) {
				this.owner.linkFailed(error);
				return;
			}
			const waitMs = this._waitMs(error);
			this._failures++;
			this.lost(error, waitMs);
			if (!this._stopped)
				await this._sleep(waitMs);
		}
	}

	stop() {
		this._stopped = true;
		clearTimeout(this._watchTimer);
		if (this.abort)
			this.abort.abort();
		this.poke();
	}

	/* There is reason to hope: the browser is online again, or the tab is looked at. */
	poke() {
		if (this._wake)
			this._wake();
		else if (!this._stopped && this.isOpen)
			this._watch();
	}

	async _connect() {
		this.abort = new AbortController();
		this.listenTo = null;
		this._isSilent = false;
		this._hasHeard = false;
		try {
			await TRANSPORTS[this.transport](this);
		} catch (error) {
			this.abort.abort(); // an answer that nobody reads
			if (this.options.transport === "auto" && !this._hasHeard)
				this._reconsider();
			if (this._isSilent)
				return new LinkError("the server was silent for too long");
			return error instanceof LinkError ? error :
				new LinkError("the server cannot be reached", { cause: error });
		}
	}

	/* A stream that is silent from its beginning is held back by something on the way: poll. */
	_reconsider() {
		this._heldBack += this._isSilent ? 1 : 0;
		this.transport = chooseTransport(this.options);
		if (this._heldBack === HELD_BACK_MAX) {
			this._heldBack = 0;
			this.transport = "poll";
		}
	}

	_waitMs(error) {
		const grown = Math.max(this.retryMs, 250) * 2 ** Math.min(this._failures, 16);
		const plain = this._failures === 0 ? this.retryMs :
			Math.min(grown, Math.max(this.options.retryMax, this.retryMs));
		return Math.max(plain * (1 + Math.random() / 2), error.waitMs);
	}

	_sleep(ms) {
		return new Promise((resolve) => {
			this._wake = () => {
				clearTimeout(this._sleepTimer);
				this._wake = null;
				resolve();
			};
			this._sleepTimer = setTimeout(this._wake, Math.min(ms, TIMER_MS_MAX));
		});
	}

	/* For transports: from now on, silence may last so long. */
	watch(ms) {
		clearTimeout(this._watchTimer);
		this._patienceMs = ms;
		this._heardAt = Date.now();
		this._watch();
	}

	/* A timer may come late, as after a sleep, but never ends a connection too early. */
	_watch() {
		clearTimeout(this._watchTimer);
		if (this._patienceMs === 0)
			return;
		const leftMs = this._heardAt + this._patienceMs - Date.now();
		if (leftMs <= 0) {
			this._isSilent = true;
			this.abort.abort();
		} else {
			this._watchTimer = setTimeout(() => this._watch(), Math.min(leftMs, TIMER_MS_MAX));
		}
	}

	opened() {
		if (this.isOpen || this._stopped)
			return;
		this.isOpen = true;
		this.owner.linkOpened();
	}

	/* Something came, be it a comment; the next silence may last so long. */
	heard(patienceMs) {
		this._heardAt = Date.now();
		this._hasHeard = true;
		this._failures = this._heldBack = 0;
		if (patienceMs !== this._patienceMs)
			this.watch(patienceMs);
		if (!this._stopped)
			this.owner.linkHeard();
	}

	received(events, lastId) {
		if (this._stopped || (events.length === 0 && lastId === this.lastId))
			return;
		this.lastId = lastId;
		this.owner.linkReceived(events, lastId);
	}

	lost(error, waitMs) {
		this.isOpen = false;
		if (!this._stopped)
			this.owner.linkLost(error, waitMs);
	}
}

/* Tabs with the same stream have the same group; a token in a header is part of what that is. */
function groupOf(url, { headers, withCredentials }) {
	const text = JSON.stringify([url, withCredentials, headers]);
	let hash = 5381;
	for (let i = 0; i < text.length; i++)
		hash = (hash * 33 + text.charCodeAt(i)) % 0xffffffffff;
	return `ssecast ${hash.toString(36)} ${url}`;
}

function canShare(options) {
	return options.shared && chooseTransport(options) !== "eventsource" &&
		typeof BroadcastChannel === "function";
}

/*
 * A tab in its group. Its owner has memberOpened(), memberReceived(event), memberLost(why, waitMs)
 * and memberFailed(why). Alone, where nothing can be shared, it leads nobody.
 */
class Member {
	constructor(url, options, owner) {
		this.url = url;
		this.options = options;
		this.owner = owner;
		this.types = new Set(["message", "gap"]);
		this.group = canShare(options) ? groupOf(url, options) : null;
		this.joined = false;
		this.leads = false;
		this.link = null; // of a leader, or of a follower who catches up
		this.lastId = ""; // everything up to here has been received, nothing behind it
		this.leader = null; // what it said last of its link
		this._recent = []; // ids that it stood at, the newest last
		this._again = null; // of them, those that the term will bring again
		this._leaderId = ""; // where the leader stands
		this._ahead = []; // while catching up: an id, and all that the leader brought after it
		this._term = 0;
		this._sequence = 0;
		this._channel = null;
		this._saidAt = 0;
		/* Pages from plain http: have none. */
		this._locks = typeof navigator === "object" && navigator.locks || null;
		this._lock = null; // stands for the place in the queue for the lock
		this._release = null; // gives the lock back
		this._heardAt = 0;
		this._askedAt = 0; // 0 = no answer is awaited
		this._answerMs = 0; // the longest that it is awaited
		this._timer = 0;
	}

	join() {
		if (this.joined)
			return;
		this.joined = true;
		if (!this.group) {
			this._lead();
			return;
		}
		try {
			this._channel = new BroadcastChannel(this.group);
		} catch (error) {
			this.group = null; // a page that may not
			this._lead();
			return;
		}
		this._channel.onmessage = ({ data }) => this._hear(data);
		this._queue({});
		this._ask();
	}

	/* It keeps its place: join() goes on from there. */
	leave() {
		if (this.leads && !this._locks)
			this._say({ kind: "bye" });
		this.joined = this.leads = false;
		this._stopLink();
		this._leaveQueue();
		this._term = 0;
		clearTimeout(this._timer);
		if (this._channel)
			this._channel.close();
		this._channel = null;
	}

	/* There is reason to hope; see Link. */
	poke() {
		if (this.link)
			this.link.poke();
		else if (this.joined)
			this._say({ kind: "poke" });
	}

	listenTo(type) {
		if (!this.types.has(type) && this.link && this.link.listenTo)
			this.link.listenTo(type);
		this.types.add(type);
	}

	/* How many tabs are in the group: one has its lock, the others wait for it. */
	async count() {
		if (!this.group)
			return 1;
		if (!this._locks)
			return null;
		const { held, pending } = await this._locks.query();
		return held.concat(pending).filter(({ name }) => name === this.group).length;
	}

	/* Waits for the lock, or steals it from a leader that does nothing with it. */
	_queue({ steal }) {
		const lock = new AbortController();
		if (!this._locks) {
			if (steal)
				this._lead();
			return;
		}
		this._lock = lock;
		this._locks.request(this.group, steal ? { steal } : { signal: lock.signal }, () => {
			if (this._lock !== lock)
				return null;
			this._lead();
			return new Promise((resolve) => { this._release = resolve; });
		}).catch((error) => {
			if (this._lock !== lock)
				return;
			if (error.name !== "AbortError")
				this._locks = null; // a page that may not, as in a sandbox
			this._stepDown(); // the lock was stolen, or there is none
		});
	}

	_leaveQueue() {
		const lock = this._lock;
		this._lock = null;
		if (this._release)
			this._release();
		else if (lock)
			lock.abort();
		this._release = null;
	}

	_stopLink() {
		if (this.link)
			this.link.stop();
		this.link = null;
	}

	_startLink() {
		this.link = new Link(this.url, this.options, this, this.lastId);
		this.link.start();
	}

	_lead() {
		this.leads = true;
		this._again = null;
		/* The fraction tells two terms apart that begin in the same millisecond. */
		this._term = Math.max(Date.now(), Math.floor(this._term) + 1) + Math.random();
		this._sequence = 0;
		if (!this.link)
			this._startLink();
		this._sayState();
	}

	/* Somebody else leads: this tab waits for its turn again. */
	_stepDown() {
		this.leads = false;
		this._stopLink();
		this._leaveQueue();
		this._queue({});
		this._ask();
	}

	_ask() {
		this._askedAt = Date.now();
		this._answerMs = this._locks ? ANSWER_MS : ANSWER_LOCKLESS_MS * (1 + Math.random());
		this._say({ kind: "ask" });
		this._checkAfter(this._answerMs);
	}

	/* Sees to it that somebody leads who is alive: who leads speaks, or answers when asked. */
	_check() {
		const now = Date.now();
		if (this.leads) {
			this._askedAt = 0;
		} else if (this._askedAt && now - this._askedAt >= this._answerMs) {
			this._leaveQueue();
			this._queue({ steal: true });
			this._askedAt = now;
		} else if (!this._askedAt && now - this._heardAt > 2 * this._beatMs()) {
			this._ask();
			return;
		}
		this._checkAfter(this._askedAt ? this._answerMs : this._beatMs());
	}

	_beatMs() {
		return (this.leader && this.leader.heartbeatMs) || DEFAULTS.heartbeat;
	}

	_checkAfter(ms) {
		clearTimeout(this._timer);
		this._timer = setTimeout(() => this._check(), Math.min(ms, TIMER_MS_MAX));
	}

	_say(message) {
		this._saidAt = Date.now();
		if (this._channel)
			this._channel.postMessage(message);
	}

	_sayInTerm(kind, lastId, more) {
		const { _term: term, _sequence: sequence } = this;
		this._say(Object.assign({ kind, term, sequence, lastId }, more));
	}

	_sayState(more) {
		const { isOpen, heartbeatMs, transport } = this.link;
		this.leader = { isOpen, heartbeatMs, transport };
		this._sayInTerm("state", this.lastId, Object.assign({ leader: this.leader }, more));
	}

	_hear(message) {
		const { kind, term } = message;
		if (kind === "ask" || kind === "poke" || term < this._term) {
			if (this.leads && kind === "poke")
				this.link.poke();
			else if (this.leads)
				this._sayState(); // who thinks that it leads steps down
		} else if (kind === "bye" || (term > this._term && kind !== "state")) {
			this._ask(); // for the next one, or how this one began
		} else {
			this._heardAt = Date.now();
			this._askedAt = 0;
			this._follow(message);
		}
	}

	_follow(message) {
		const { kind, term, sequence, lastId } = message;
		const expected = this._sequence + (kind === "events" ? 1 : 0);
		this._sequence = sequence;
		this._leaderId = lastId;
		if (term > this._term)
			this._begin(message);
		else if (sequence !== expected && this.lastId !== "")
			this._catchUp(); // a message was lost
		else if (kind === "events" && this.link)
			this._noteAhead(message);
		else if (kind === "events")
			this._receive(message);
		if (kind === "state")
			this._learn(message);
	}

	/* A term begins, or this member comes into one. */
	_begin({ term, lastId }) {
		const place = this._recent.lastIndexOf(lastId);
		if (this.leads)
			this._stepDown();
		this._term = term;
		this._again = null;
		if (this.lastId === "")
			this.lastId = lastId;
		if (this.lastId !== lastId && place < 0) {
			this._catchUp();
			return;
		}
		this._stopLink();
		if (this.lastId !== lastId)
			this._again = new Set(this._recent.slice(place + 1));
	}

	/* How the leader's link is, and what has become of it. */
	_learn({ leader, lost, waitMs, failed }) {
		const isNews = !this.leader || leader.heartbeatMs !== this.leader.heartbeatMs;
		this.leader = leader;
		if (isNews)
			this._checkAfter(this._beatMs());
		if (this.link)
			return; // this member has a link of its own
		if (failed)
			this.owner.memberFailed(failed);
		else if (lost)
			this.owner.memberLost(lost, waitMs);
		else if (leader.isOpen)
			this.owner.memberOpened();
	}

	_receive({ events, lastId }) {
		for (const event of events) {
			if (!this.joined)
				return;
			if (this._again && this._again.delete(event.id))
				continue;
			this._recent.push(event.id);
			this.lastId = event.id;
			this.owner.memberReceived(event);
		}
		this.lastId = lastId;
		if (this._recent[this._recent.length - 1] !== lastId)
			this._recent.push(lastId);
		if (this._recent.length > 2 * RECENT_MAX)
			this._recent.splice(0, RECENT_MAX);
	}

	/* Reads a link of its own, from where it stands to where the leader stands. */
	_catchUp() {
		this._ahead = [{ id: this._leaderId }];
		if (!this.link)
			this._startLink();
	}

	/* What the leader brings meanwhile this member may have had, or will need. */
	_noteAhead({ events }) {
		for (const event of events) {
			if (event.id === this.lastId)
				this._ahead = [event];
			else if (!this._recent.includes(event.id))
				this._ahead.push(event);
		}
		if (this._ahead.length > 2 * RECENT_MAX)
			this._ahead.splice(0, RECENT_MAX);
		this._meet();
	}

	/* From where both have met, this member follows: true if that is so. */
	_meet() {
		const place = this._ahead.findIndex(({ id }) => id === this.lastId);
		const isThere = this.lastId === this._leaderId;
		if (!isThere && place < 0)
			return false;
		this._stopLink();
		this._receive({
			events: isThere ? [] : this._ahead.slice(place + 1),
			lastId: this._leaderId,
		});
		this._ahead = [];
		return true;
	}

	linkOpened() {
		if (this.leads)
			this._sayState();
		this.owner.memberOpened();
	}

	/* The others need to know now and then that there still is somebody, and how often. */
	linkHeard() {
		if (!this.leads)
			return;
		const isNews = this.link.heartbeatMs !== this.leader.heartbeatMs;
		if (isNews || Date.now() - this._saidAt > 1000)
			this._sayState();
	}

	linkReceived(events, lastId) {
		if (this.leads) {
			this._sequence++;
			this._sayInTerm("events", lastId, { events });
			this._receive({ events, lastId });
			return;
		}
		for (const event of events) {
			this._receive({ events: [event], lastId: event.id });
			if (!this.joined || this._meet())
				return; // the leader brings the rest
		}
		this.lastId = lastId;
		this._meet();
	}

	linkLost({ message, status }, waitMs) {
		const lost = { message, status };
		if (this.leads)
			this._sayState({ lost, waitMs });
		this.owner.memberLost(lost, waitMs);
	}

	linkFailed({ message, status }) {
		const failed = { message, status };
		if (this.leads)
			this._sayState({ failed });
		this.owner.memberFailed(failed);
	}
}

/** See ssecast.d.ts. */
export class SharedEventSource extends EventTarget {
	constructor(url, options) {
		super();
		const base = typeof document === "object" ? document.baseURI : globalThis.location;
		this._url = new URL(url, base);
		this._options = Object.assign({}, DEFAULTS, options);
		if (!(this._options.transport in TRANSPORTS) && this._options.transport !== "auto")
			throw new TypeError(`there is no transport ${this._options.transport}`);
		this._readyState = CONNECTING;
		this._opened = 0; // times
		this._handlers = {};
		this._undo = []; // what close() has to take back
		this._member = new Member(this._url.href, this._options, this);
		this._watchPage();
		this._join();
	}

	get url() { return this._url.href; }
	get withCredentials() { return this._options.withCredentials; }
	get readyState() { return this._readyState; }
	get lastEventId() { return this._member.lastId; }
	get reconnects() { return Math.max(this._opened - 1, 0); }

	get role() {
		const { group, leads } = this._member;
		return !group ? "alone" : leads ? "leader" : "follower";
	}

	get transport() {
		const { link, leader } = this._member;
		return link ? link.transport : leader ? leader.transport : null;
	}

	tabs() {
		return this._member.count();
	}

	close() {
		this._readyState = CLOSED;
		this._member.leave();
		for (const undo of this._undo)
			undo();
		this._undo = [];
	}

	addEventListener(type, listener, options) {
		super.addEventListener(type, listener, options);
		this._member.listenTo(type);
	}

	_on(target, type, handler) {
		target.addEventListener(type, handler);
		this._undo.push(() => target.removeEventListener(type, handler));
	}

	/* A tab that goes to sleep must not hold what the others wait for. */
	_watchPage() {
		if (typeof addEventListener !== "function")
			return;
		this._on(globalThis, "online", () => this._member.poke());
		if (typeof document !== "object")
			return; // a worker
		this._on(globalThis, "pagehide", () => this._leave());
		this._on(globalThis, "pageshow", () => this._join());
		this._on(document, "freeze", () => this._leave());
		this._on(document, "resume", () => this._join());
		this._on(document, "visibilitychange", () => {
			if (!document.hidden)
				this._join();
			else if (this._options.closeWhenHidden)
				this._leave();
		});
	}

	_join() {
		const isHidden = typeof document === "object" && document.hidden;
		if (isHidden && this._options.closeWhenHidden)
			return;
		if (this._member.joined)
			this._member.poke();
		else
			this._member.join();
	}

	_leave() {
		this._readyState = CONNECTING;
		this._member.leave();
	}

	memberOpened() {
		if (this._readyState !== CONNECTING)
			return;
		this._readyState = OPEN;
		this._opened++;
		this.dispatchEvent(new Event("open"));
	}

	memberReceived({ type, data, id }) {
		this.memberOpened();
		if (this._readyState === OPEN)
			this.dispatchEvent(new MessageEvent(type, {
				data,
				lastEventId: id,
				origin: this._url.origin,
			}));
	}

	memberLost({ message, status }, waitMs) {
		this._readyState = CONNECTING;
		this._dispatchError({ message, status, retryIn: waitMs });
	}

	memberFailed({ message, status }) {
		this.close();
		this._dispatchError({ message, status, retryIn: null });
	}

	_dispatchError(details) {
		this.dispatchEvent(Object.assign(new Event("error"), details));
	}
}

for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSED })) {
	Object.defineProperty(SharedEventSource, name, { value, enumerable: true });
	Object.defineProperty(SharedEventSource.prototype, name, { value, enumerable: true });
}

/* onopen and the like: the listener is added once, and calls what has been assigned last. */
for (const type of ["open", "message", "error", "gap"]) {
	Object.defineProperty(SharedEventSource.prototype, `on${type}`, {
		enumerable: true,
		configurable: true,
		get() { return this._handlers[type] || null; },
		set(handler) {
			if (!(type in this._handlers))
				this.addEventListener(type, (event) => {
					if (this._handlers[type])
						this._handlers[type].call(this, event);
				});
			this._handlers[type] = typeof handler === "function" ? handler : null;
		},
	});
}

if (!("SharedEventSource" in globalThis))
	globalThis.SharedEventSource = SharedEventSource;
