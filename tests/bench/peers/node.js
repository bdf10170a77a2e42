// A plain server of Server-Sent Events for node, as its tutorials write it.
'use strict';
const http = require('http');

const readers = new Set();
let last = 0;

const server = http.createServer((request, response) => {
	if (request.method === 'GET') {
		response.writeHead(200, {
			'Content-Type': 'text/event-stream',
			'Cache-Control': 'no-cache',
		});
		response.write('retry: 3000\n\n');
		readers.add(response);
		request.on('close', () => readers.delete(response));
		return;
	}
	let data = '';
	request.setEncoding('utf8');
	request.on('data', (piece) => (data += piece));
	request.on('end', () => {
		const frame = `id: ${++last}\ndata: ${data}\n\n`;
		for (const reader of readers) reader.write(frame);
		response.writeHead(200, { 'Content-Length': 2 });
		response.end('ok');
	});
});
server.requestTimeout = 0;
server.keepAliveTimeout = 0;
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 65535 });
