import assert from "node:assert/strict";
import { test } from "node:test";
import { exportsDocumentedRule, headersRule } from "./doc-comments.ts";

const undocumented = (text: string, file = "src/wal/spool.ts") =>
  exportsDocumentedRule(new Map([[file, text]])).map(({ message }) => message.split(" ")[0]);
const headerless = (text: string) => headersRule(new Map([["src/wal/spool.ts", text]])).map(({ file }) => file);

test("an export without a doc comment is refused, whatever it is", () => {
  assert.deepEqual(undocumented("export function fill(): void {}"), ["fill"]);
  assert.deepEqual(undocumented("// no doc comment\nexport const limit = 1;"), ["limit"]);
  assert.deepEqual(undocumented("/** Of something else. */\nlet a = 1;\nexport type Spool = {};"), ["Spool"]);
  assert.deepEqual(undocumented("export class Spool {}"), ["Spool"]);
});

test("a documented export, an inner function and a test are left alone", () => {
  assert.deepEqual(undocumented("/** Fills it. */\nexport function fill(): void {}\nfunction inner() {}"), []);
  assert.deepEqual(undocumented("export const limit = 1;", "src/wal/spool.test.ts"), []);
});

test("the signatures of one overloaded function need one comment", () => {
  assert.deepEqual(undocumented("/** Fills. */\nexport function f(): void;\nexport function f(a?: 1): void {}"), []);
});

test("a folder whose files all lack nouns or invariants in their header is refused", () => {
  assert.deepEqual(headerless("/** Nouns: a spool. Invariants: none is lost. */\nlet a = 1;"), []);
  assert.deepEqual(headerless("/** Nouns: a spool. */\nlet a = 1;"), ["src/wal"]);
  assert.deepEqual(headerless("let a = 1;\n/** Nouns: a spool. Invariants: too late. */"), ["src/wal"]);
});

test("a header of 40 lines is too long", () => {
  assert.deepEqual(headerless(`/** Nouns, invariants.${"\n *".repeat(39)}/\nlet a = 1;`), ["src/wal/spool.ts"]);
});
