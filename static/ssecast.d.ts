/** What a {@link SharedEventSource} can be told. Each option has the default that is named. */
export interface SharedEventSourceOptions {
	/** Send cookies also to another origin. Default: false. */
	withCredentials?: boolean;
	/**
	 * Request headers of your own, such as a token. A function is asked before every request, and
	 * may take its time; with one, 401 and 403 are tried again instead of ending the stream. Tabs
	 * with different headers share no connection; what a function returns is not looked at.
	 * Default: none.
	 */
	headers?: Record<string, string> |
		(() => Record<string, string> | Promise<Record<string, string>>) | null;
	/**
	 * How often the server sends at least a comment, in milliseconds. After twice that time in
	 * silence, the connection is made anew. ssecastd says it of itself, which counts more; other
	 * servers need the option, and 0 where they send nothing. Default: 15000.
	 */
	heartbeat?: number;
	/** The wait before reconnecting, in ms, as long as the server names none. Default: 3000. */
	retry?: number;
	/** The most that failed attempts in a row make of that wait, in ms. Default: 30000. */
	retryMax?: number;
	/** Close the stream while the tab is hidden, and resume it on return. Default: false. */
	closeWhenHidden?: boolean;
	/** Share the connection with the other tabs, where the browser can. Default: true. */
	shared?: boolean;
	/**
	 * How the stream is read. "auto" is by fetch; by EventSource where responses cannot be read
	 * as they come; by long polling where that is missing too, or where something on the way holds
	 * streams back. Default: "auto".
	 */
	transport?: "auto" | Transport;
}

export type Transport = "fetch" | "eventsource" | "poll";

/** The connection was lost, or is given up. */
export interface SharedErrorEvent extends Event {
	/** What happened, in words. */
	readonly message: string;
	/** The status of the answer, or 0 where there was none. */
	readonly status: number;
	/** Milliseconds to the next attempt; null where there will be none. */
	readonly retryIn: number | null;
}

/**
 * The server no longer has every event since the last one: here something is missing.
 * The data is JSON: `{"from": …, "floor": …, "reason": …}`.
 */
export type GapEvent = MessageEvent<string>;

export interface SharedEventSourceEventMap {
	open: Event;
	message: MessageEvent<string>;
	gap: GapEvent;
	error: SharedErrorEvent;
}

/**
 * An EventSource with one connection for all tabs of the browser that have the same stream.
 *
 * Where the browser has BroadcastChannel, one tab has the connection and passes all events on; when
 * it closes, sleeps or crashes, another goes on at the same place: at once where there are Web Locks
 * (on pages from https: and localhost), else after a crash within some heartbeats. Without
 * BroadcastChannel each tab has its own connection. Every event comes exactly once and in order; if
 * that cannot be, there is a `gap` event.
 *
 * It reconnects by itself: after the server's `retry:` time, longer with each failure, at once when
 * the browser is online again or the tab is looked at again. Only 204 and statuses that say that
 * the request is wrong end it.
 *
 * @example
 * const source = new SharedEventSource("/sse?topic=weather");
 * source.addEventListener("alert", (event) => console.log(event.data, event.lastEventId));
 */
export class SharedEventSource extends EventTarget {
	/** @throws TypeError if there is no such URL or transport. */
	constructor(url: string | URL, options?: SharedEventSourceOptions);

	static readonly CONNECTING: 0;
	static readonly OPEN: 1;
	static readonly CLOSED: 2;
	readonly CONNECTING: 0;
	readonly OPEN: 1;
	readonly CLOSED: 2;

	/** The absolute URL. */
	readonly url: string;
	readonly withCredentials: boolean;
	/** CONNECTING, OPEN or CLOSED; CLOSED is for good. */
	readonly readyState: 0 | 1 | 2;
	/** Everything up to this id has come. */
	readonly lastEventId: string;

	/** Has the connection; gets what the leader has; or does without others. */
	readonly role: "leader" | "follower" | "alone";
	/** How the stream is read at present, be it by another tab. */
	readonly transport: Transport | null;
	/** How often the stream has been opened again. */
	readonly reconnects: number;
	/** How many tabs share the connection; null where there are no Web Locks to tell. */
	tabs(): Promise<number | null>;

	onopen: ((this: SharedEventSource, event: Event) => unknown) | null;
	onmessage: ((this: SharedEventSource, event: MessageEvent<string>) => unknown) | null;
	onerror: ((this: SharedEventSource, event: SharedErrorEvent) => unknown) | null;
	ongap: ((this: SharedEventSource, event: GapEvent) => unknown) | null;

	addEventListener<K extends keyof SharedEventSourceEventMap>(
		type: K,
		listener: (this: SharedEventSource, event: SharedEventSourceEventMap[K]) => unknown,
		options?: boolean | AddEventListenerOptions,
	): void;
	addEventListener(
		type: string,
		listener: (this: SharedEventSource, event: MessageEvent<string>) => unknown,
		options?: boolean | AddEventListenerOptions,
	): void;
	addEventListener(
		type: string,
		listener: EventListenerOrEventListenerObject | null,
		options?: boolean | AddEventListenerOptions,
	): void;
	removeEventListener(
		type: string,
		listener: ((event: never) => unknown) | EventListenerObject | null,
		options?: boolean | EventListenerOptions,
	): void;

	/** Leaves the stream for good; other tabs keep it. */
	close(): void;
}

/** What an {@link EventStreamParser} calls. */
export interface EventStreamSink {
	event(event: { type: string; data: string; id: string }): void;
	retry?(ms: number): void;
	/** All that is behind the colon. */
	comment?(text: string): void;
}

/** Parses text/event-stream as the HTML standard says in section 9.2.6. */
export class EventStreamParser {
	/** lastEventId: that of the connection before. */
	constructor(sink: EventStreamSink, lastEventId?: string);
	/** As of the last empty line, which may have ended a block without an event. */
	readonly lastEventId: string;
	/** Takes bytes as they come; a character or a line may be cut anywhere. */
	push(bytes: Uint8Array): void;
}

declare global {
	interface Window {
		SharedEventSource: typeof SharedEventSource;
	}
}
