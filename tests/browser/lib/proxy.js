/* A proxy before two daemons, with its configuration of docs/proxies and a fresh certificate. */
import { spawn } from "node:child_process";
import net from "node:net";
import tls from "node:tls";

import { until } from "./until.js";

/* A port that nobody listened on a moment ago. */
async function freePort() {
	const server = net.createServer();
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address();
	await new Promise((resolve) => server.close(resolve));
	return port;
}

function shakesHands(port) {
	return new Promise((resolve) => {
		const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
		socket.once("error", () => resolve(false));
		socket.once("secureConnect", () => {
			resolve(true);
			socket.destroy();
		});
	});
}

/* Starts nginx or haproxy before those ports of the daemons; returns its URL when it answers. */
export async function startProxy(t, name, folder, ports) {
	const port = await freePort();
	const proxy = spawn("sh", ["tests/proxies/start.sh", name, folder, port, ...ports],
		{ stdio: ["ignore", "pipe", "pipe"] });
	const ended = new Promise((resolve) => proxy.once("close", resolve));
	let log = "";
	for (const output of [proxy.stdout, proxy.stderr])
		output.setEncoding("utf8").on("data", (text) => { log += text; });
	t.after(async () => {
		proxy.kill("SIGTERM");
		await ended;
	});
	await until(`${name} answers`, () => {
		if (proxy.exitCode !== null)
			throw new Error(`${name} ended: ${log}`);
		return shakesHands(port);
	});
	return `https://localhost:${port}`;
}
