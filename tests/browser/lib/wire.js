/*
 * A wire between clients and a port, which can be cut, go silent, or hold answers back as some
 * proxies do.
 */
import net from "node:net";

export class Wire {
	static async start(t, toPort) {
		const wire = new Wire(toPort);
		t.after(() => wire.end());
		await new Promise((resolve) => wire.server.listen(0, "127.0.0.1", resolve));
		return wire;
	}

	constructor(toPort) {
		this.toPort = toPort;
		this.pairs = new Set(); // of sockets
		this.sent = []; // by clients, a string per connection
		this.isSilent = false; // nothing comes from the server any more
		this.isHeld = false; // an answer comes only when it is complete
		this.server = net.createServer((client) => this.join(client));
	}

	get port() {
		return this.server.address().port;
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	join(client) {
		const server = net.connect(this.toPort, "127.0.0.1");
		const pair = [client, server];
		const index = this.sent.push("") - 1;
		let held = [];
		this.pairs.add(pair);
		client.on("data", (bytes) => {
			this.sent[index] += bytes.toString("latin1");
			server.write(bytes);
		});
		server.on("data", (bytes) => {
			if (this.isSilent)
				return;
			held.push(bytes);
			if (this.isHeld && isStream(held))
				return;
			client.write(Buffer.concat(held));
			held = [];
		});
		for (const [socket, other] of [[client, server], [server, client]]) {
			socket.on("error", () => {});
			socket.on("close", () => {
				this.pairs.delete(pair);
				other.destroy();
			});
		}
	}

	/* Ends all connections as a lost network does. */
	cut() {
		for (const [client, server] of this.pairs) {
			client.resetAndDestroy();
			server.destroy();
		}
	}

	end() {
		this.cut();
		return new Promise((resolve) => this.server.close(resolve));
	}
}

function isStream(held) {
	return Buffer.concat(held).includes("text/event-stream");
}
