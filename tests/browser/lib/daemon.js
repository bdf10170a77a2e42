/*
 * The real daemon on free ports of 127.0.0.1, with a control socket in a folder of its own. It is
 * ended with the test that started it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { until } from "./until.js";

const BINARY = process.env.SSECASTD || "build/ssecastd";

/* Answers of a request, whole: { status, headers, body }. */
export function ask(target, { method = "GET", headers = {}, body = "" } = {}) {
	return new Promise((resolve, reject) => {
		const request = http.request({ ...target, method, headers, agent: false }, (response) => {
			let text = "";
			response.setEncoding("utf8");
			response.on("data", (part) => { text += part; });
			response.on("end", () => resolve({
				status: response.statusCode, headers: response.headers, body: text,
			}));
			response.on("error", reject);
		});
		request.on("error", reject);
		request.end(body);
	});
}

export class Daemon {
	/* Options are words of the command line; ticks are off unless they say otherwise. */
	static async start(t, ...options) {
		const daemon = new Daemon(options);
		t.after(() => daemon.end());
		await daemon.run("0");
		return daemon;
	}

	constructor(options) {
		this.options = options;
		this.folder = mkdtempSync(join(tmpdir(), "ssecastd-"));
		this.control = join(this.folder, "control.sock");
		this.port = 0;
		this.otherPort = 0; // of a --listen among the options
		this.process = null;
		this.log = "";
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	path(name, text) {
		const path = join(this.folder, name);
		if (text !== undefined)
			writeFileSync(path, text);
		return path;
	}

	/* Starts it; with the port that it had before, it is the same one to its clients. */
	async run(port = String(this.port)) {
		this.log = "";
		this.process = spawn(BINARY, [
			"--listen", `127.0.0.1:${port}`, "--control", `unix:${this.control}`,
			"--tick-interval", "0", ...this.options,
		], { stdio: ["pipe", "pipe", "pipe"] });
		this.exit = new Promise((resolve) => { this.process.once("close", resolve); });
		for (const output of [this.process.stdout, this.process.stderr])
			output.setEncoding("utf8").on("data", (text) => { this.log += text; });
		await until("the daemon is ready", () => {
			if (this.process.exitCode !== null)
				throw new Error(`the daemon ended: ${this.log}`);
			return this.log.includes("ready");
		});
		const listening = this.log.matchAll(/listening on http:\/\/127\.0\.0\.1:(\d+)/g);
		[this.port, this.otherPort] = [...listening].map(([, number]) => Number(number));
	}

	async stop(signal = "SIGTERM") {
		this.process.kill(signal);
		await this.exit;
	}

	async end() {
		if (this.process && this.process.exitCode === null && this.process.signalCode === null)
			await this.stop("SIGKILL");
		rmSync(this.folder, { recursive: true, force: true });
	}

	/* Publishes on the control socket; the answer's id. The query may have topic, event, id. */
	async publish(data, query = "") {
		const answer = await ask({ socketPath: this.control, path: `/publish${query}` },
			{ method: "POST", body: data });
		if (answer.status !== 200)
			throw new Error(`publish: ${answer.status} ${answer.body}`);
		return JSON.parse(answer.body).id;
	}

	/* One request for many events: objects as the daemon's NDJSON has them. */
	async publishAll(events) {
		const answer = await ask({ socketPath: this.control, path: "/publish" }, {
			method: "POST",
			headers: { "Content-Type": "application/x-ndjson" },
			body: events.map((event) => `${JSON.stringify(event)}\n`).join(""),
		});
		if (answer.status !== 200)
			throw new Error(`publish: ${answer.status} ${answer.body}`);
	}

	/* The numbers of /metrics by name and labels, as they stand there. */
	async metrics() {
		const { body } = await ask({ socketPath: this.control, path: "/metrics" });
		const found = {};
		for (const [, name, value] of body.matchAll(/^([^# ]\S*) (\S+)$/gm))
			found[name] = Number(value);
		return found;
	}

	async streams() {
		const found = await this.metrics();
		return found['ssecast_clients{state="live"}'] + found['ssecast_clients{state="walking"}'];
	}
}
