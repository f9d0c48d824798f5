import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsRule } from "./words.ts";

const glossary = `| word | meaning | not |
|---|---|---|
| **primary** | the server that takes writes | master, head node |
| **LSN** | a position | |
`;
const said = (text: string, file = "src/wal/spool.ts") =>
  wordsRule(
    new Map([
      ["docs/glossary.md", glossary],
      [file, text],
    ]),
  ).map(({ message }) => message);

test("a banned synonym is refused in prose, in the plural and inside an identifier", () => {
  assert.deepEqual(said("// asks the master"), ['says "master": our word is "primary"']);
  assert.deepEqual(said("two Masters", "docs/operating.md"), ['says "Masters": our word is "primary"']);
  assert.deepEqual(said("const masterHost = 1;"), ['says "master": our word is "primary"']);
  assert.deepEqual(said("the head node"), ['says "head node": our word is "primary"']);
});

test("a word that only contains a banned one passes, and so do the glossary and product texts", () => {
  assert.deepEqual(said("mastery, pg_master_x, lsn"), []);
  assert.deepEqual(said("master", "src/wares/titles.ts"), []);
});

test("a glossary without a table is refused, since it would ban nothing", () => {
  assert.equal(wordsRule(new Map()).length, 1);
});
