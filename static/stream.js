// What both pages have in common: a stream, and its state in words.
import { SharedEventSource } from "./ssecast.js";

/** Opens a stream whose state is shown by the page's element #state. */
export function openStream(url) {
	const source = new SharedEventSource(url);
	const shown = document.getElementById("state");
	const show = (state, words) => {
		shown.dataset.state = state;
		if (shown.textContent !== words)
			shown.textContent = words;
	};
	source.addEventListener("open", () => show("open", "open"));
	source.addEventListener("error", (event) => {
		if (event instanceof MessageEvent)
			return; // somebody published an event of type "error"
		if (event.retryIn === null)
			show("closed", `closed: ${event.message}`);
		else
			show("lost", "lost, reconnecting");
		shown.title = event.message;
	});
	return source;
}

/** Who has the connection, and for how many tabs. */
export async function describeRole(source) {
	const tabs = await source.tabs();
	if (tabs === 1)
		return "this tab alone";
	const who = source.role === "leader" ? "this one leads" : "another leads";
	return `${tabs === null ? "shared" : `${tabs} tabs`}, ${who}`;
}
