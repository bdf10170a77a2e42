/* ssecast.d.ts: it is sound, and says of ssecast.js what is so. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

import * as library from "../../static/ssecast.js";
import { fromBuild } from "./lib/build.js";

const ts = fromBuild("typescript");
const DECLARATIONS = resolve("static/ssecast.d.ts");

/* What a page may write; where it must not, the line before says so. */
const USE = `
import { EventStreamParser, SharedEventSource, type SharedEventSourceOptions } from "ssecast";
const options: SharedEventSourceOptions = {
	headers: async () => ({ Authorization: "Bearer x" }), heartbeat: 5000, transport: "poll",
};
const source = new SharedEventSource(new URL("https://example.org/sse"), options);
source.onmessage = function (event) { const data: string = event.data; this.close(); void data; };
source.onerror = ({ message, status, retryIn }) => void [message.length, status + 1, retryIn];
source.ongap = null;
source.addEventListener("price", (event) => void event.lastEventId.length);
source.addEventListener("error", (event) => void event.retryIn, { once: true });
source.addEventListener("open", { handleEvent() {} });
source.tabs().then((count) => void ((count ?? 0) + 1));
const state: 0 | 1 | 2 = source.readyState;
const events: EventTarget = source;
new EventStreamParser({ event: ({ type, data, id }) => void (type + data + id) }).push(new Uint8Array());
void [state, events, SharedEventSource.CLOSED, source.OPEN, window.SharedEventSource];
// @ts-expect-error
source.readyState = 1;
// @ts-expect-error
new SharedEventSource("/sse", { transport: "websocket" });
// @ts-expect-error
source.onmessage = (event: CloseEvent) => event.code;
// @ts-expect-error
new EventStreamParser({});
`;

/* The compiler's complaints. */
function compile(t) {
	const folder = mkdtempSync(join(tmpdir(), "types-"));
	t.after(() => rmSync(folder, { recursive: true }));
	const file = join(folder, "use.ts");
	writeFileSync(file, USE);
	const program = ts.createProgram([file, DECLARATIONS], {
		strict: true, noEmit: true, types: [], target: ts.ScriptTarget.ES2020,
		module: ts.ModuleKind.ES2020, moduleResolution: ts.ModuleResolutionKind.Bundler,
		lib: ["lib.es2020.d.ts", "lib.dom.d.ts"], baseUrl: folder, paths: { ssecast: [DECLARATIONS] },
	});
	return ts.getPreEmitDiagnostics(program).map(({ messageText, start, file }) => {
		const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
		return `${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
	});
}

/* The names that the declarations give to a class's members, static ones with a dot before them. */
function declared(name) {
	const source = ts.createSourceFile(DECLARATIONS, readFileSync(DECLARATIONS, "utf8"),
		ts.ScriptTarget.ES2020);
	const found = source.statements.find((statement) =>
		ts.isClassDeclaration(statement) && statement.name.text === name);
	return new Set(found.members.filter((member) => member.name).map((member) =>
		(member.modifiers || []).some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword)
			? `.${member.name.text}` : member.name.text));
}

/* The public names that a class has; members of parents are not told. */
function existing(constructor, instance) {
	const names = [...Object.keys(instance), ...Object.getOwnPropertyNames(constructor.prototype),
		...Object.keys(constructor).map((name) => `.${name}`)];
	return new Set(names.filter((name) => !/^_|^constructor$|^member[A-Z]|^sink$/.test(name)));
}

test("a page that uses it compiles, and mistakes do not", (t) => {
	assert.deepEqual(compile(t), []);
});

test("classes have the members that are declared, and no others", (t) => {
	const source = new library.SharedEventSource("http://127.0.0.1:9/", { shared: false });
	t.after(() => source.close());
	const names = declared("SharedEventSource");
	names.delete("removeEventListener"); // narrowed only
	assert.deepEqual([...names].sort(), [...existing(library.SharedEventSource, source)].sort());
	const parser = new library.EventStreamParser({ event() {} });
	assert.deepEqual([...declared("EventStreamParser")].sort(),
		[...existing(library.EventStreamParser, parser)].sort());
});

test("package.json names files that exist, and the version of the daemon", () => {
	const manifest = JSON.parse(readFileSync("static/package.json", "utf8"));
	for (const file of [...manifest.files, manifest.main, manifest.types])
		assert.ok(readFileSync(join("static", file)).length > 0);
	const [, version] = /SSECAST_VERSION "(.*)"/.exec(readFileSync("include/version.h", "utf8"));
	assert.equal(manifest.version, version);
});
