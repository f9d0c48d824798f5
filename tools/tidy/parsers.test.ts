import assert from "node:assert/strict";
import { test } from "node:test";
import { parsersRule, readersOf } from "./parsers.ts";

const TREE = new Map([
  ["src/a/json.ts", "const read = JSON.parse(text);"],
  ["src/a/bytes.ts", "const length = view.getUint32(at, true) + bytes.readBigUInt64LE(8);"],
  ["src/a/yaml.ts", 'import { parse } from "yaml";'],
  ["src/a/jitter.ts", "return random(2).readUInt16LE(0) / 0x20000;"],
  ["src/a/json.test.ts", "JSON.parse(text)"],
  ["test/fuzz/a.test.ts", 'fuzz("an a", [], parse)'],
]);

const check = (...rows: readonly string[]) =>
  parsersRule(new Map([...TREE, ["docs/formats/parsers.md", rows.join("\n")]])).map(({ message }) => message);

const ROWS = [
  "| an a | `src/a/json.ts` | `test/fuzz/a.test.ts`: an a |",
  "| bytes | `src/a/bytes.ts` | none: they were made here |",
  "| a file | `src/a/yaml.ts` | `test/fuzz/a.test.ts`: an a |",
];

test("files that read JSON, YAML or numbers are found, random bytes and tests are not", () => {
  assert.deepEqual(readersOf(TREE), ["src/a/json.ts", "src/a/bytes.ts", "src/a/yaml.ts"]);
});

test("a reader without a row, and a row without a file, are refused", () => {
  assert.deepEqual(check(...ROWS), []);
  assert.equal(check(...ROWS.slice(1)).length, 1);
  assert.equal(check(...ROWS, "| gone | `src/a/gone.ts` | none: gone |").length, 1);
});

test("a row whose test does not try it, or that has neither test nor reason, is refused", () => {
  assert.equal(check(...ROWS.slice(1), "| an a | `src/a/json.ts` | `test/fuzz/a.test.ts`: a b |").length, 1);
  assert.equal(check(...ROWS.slice(1), "| an a | `src/a/json.ts` | `test/fuzz/b.test.ts`: an a |").length, 1);
  assert.equal(check(...ROWS, "| an a | `src/a/json.ts` | of course |").length, 1);
});
