import assert from "node:assert/strict";
import { test } from "node:test";
import { testCasesRule } from "./test-cases.ts";

const messages = (text: string) =>
  testCasesRule(new Map([["src/wal/spool.test.ts", `import "node:test";\n${text}`]])).map(({ message }) => message);

test("a case name of one word or with a capital is refused", () => {
  assert.deepEqual(messages('test("spool", f);'), ['the case name "spool" is not a sentence of behaviour']);
  assert.deepEqual(messages('it("Fills up", f);'), ['the case name "Fills up" begins with a capital']);
});

test("a sentence passes, also one that begins with an abbreviation or a name, or is made of pieces", () => {
  assert.deepEqual(messages('test("a full spool stops the receiver", f);'), []);
  assert.deepEqual(messages('test("WAL is confirmed after its sync", f); test("PostgreSQL 15 works", f);'), []);
  assert.deepEqual(messages(`for (const v of all) test(\`version \${v} works\`, f);`), []);
});

test("a focused, skipped or postponed test is refused in every spelling", () => {
  assert.equal(messages('test.only("a case runs", f);').length, 1);
  assert.equal(messages('describe.skip("a group", f);').length, 1);
  assert.equal(messages('test("a case runs", { skip: true }, f);').length, 1);
  assert.equal(messages('test("a case runs", (t) => { t.todo(); });').length, 1);
});
