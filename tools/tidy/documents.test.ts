import assert from "node:assert/strict";
import { test } from "node:test";
import { architectureRule, formatsRule, namedPathsRule } from "./documents.ts";

const said = (page: string) =>
  namedPathsRule(
    new Map([
      ["docs/operating.md", page],
      ["src/wal/spool.ts", ""],
    ]),
  ).map(({ message }) => message);

test("a page that names a path or links to a page that is not there is refused", () => {
  assert.deepEqual(said("see `src/wal/spol.ts`"), ["names src/wal/spol.ts, which is not there"]);
  assert.deepEqual(said("see [the spool](../src/wal/gone.ts#top)"), [
    "links to ../src/wal/gone.ts, which is not there",
  ]);
});

test("a path that exists, its folder, and a link to another site pass", () => {
  assert.deepEqual(said("`src/wal/spool.ts`, `src/wal/`, [it](operating.md), [x](https://example.org)"), []);
});

test("a line number in a page is refused", () => {
  assert.equal(said("see spool.ts:12").length, 1);
});

test("a folder of src that the architecture page does not name is refused, down to the second level", () => {
  const check = (page: string) =>
    architectureRule(
      new Map([
        ["docs/architecture.md", page],
        ["src/store/disk/deep/disk-store.ts", ""],
      ]),
    ).length;
  assert.equal(check(""), 2);
  assert.equal(check("`store/` and `store/disk/`"), 0);
});

test("a format without a page that names it is refused", () => {
  const check = (page: string, source: string) =>
    formatsRule(
      new Map([
        ["src/vault/pack.ts", source],
        ["docs/formats/pack.md", page],
      ]),
    ).length;
  assert.equal(check("A pack begins with `LBPACK1`.", 'const PACK_MAGIC = Buffer.from("LBPACK1");'), 0);
  assert.equal(check("A pack begins with `LBPACK1`.", 'const PACK_MAGIC = Buffer.from("LBPACK2");'), 1);
  assert.equal(check("", 'return { format: "lifeboat-backup", version: 1 };'), 1);
});
