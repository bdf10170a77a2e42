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
	if (source.role === "alone")
		return "this tab alone";
	const tabs = await source.tabs();
	if (tabs < 2)
		return "this tab alone";
	return `${tabs} tabs, ${source.role === "leader" ? "this one leads" : "another leads"}`;
}
