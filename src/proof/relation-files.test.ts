import assert from "node:assert/strict";
import { test } from "node:test";
import { RelationFiles, type StoredRelation } from "./relation-files.ts";

const SEGMENT_BLOCKS = 4;
const TABLE = {
  database: "shop",
  name: "public.orders",
  kind: "table",
  path: "base/5/1",
  neverEmpty: false,
  tablePath: null,
} as const;

/** A page with one line pointer, in use or not. */
function pageWith(pointerState: number): Buffer {
  const page = Buffer.alloc(8192);
  page.writeUInt16LE(28, 12);
  page.writeUInt32LE((pointerState << 15) | 8000, 24);
  return page;
}

/** The blocks of each segment file: "x" for one with a row, "v" for one that VACUUM emptied, "0" for one that is all zero; undefined for no file. */
function findingsOf(segments: readonly (string | undefined)[], relation: StoredRelation = TABLE): readonly string[] {
  const files = new RelationFiles([relation], SEGMENT_BLOCKS);
  for (const [segment, blocks] of segments.entries()) {
    if (blocks === undefined) continue;
    const of = { relationPath: relation.path, segment };
    files.takeFile({ ...of, blocks: blocks.length });
    for (const [at, kind] of [...blocks].entries()) {
      const verdict = kind === "0" ? "empty" : "good";
      const bytes = pageWith(kind === "x" ? 1 : 0);
      files.takePage({ ...of, block: segment * SEGMENT_BLOCKS + at, verdict, bytes, at: 0 });
    }
  }
  return files.findings().map(({ message }) => message);
}

test("a relation of several segments, with none used behind the first that is not full, is whole", () => {
  for (const segments of [[""], ["xxxx"], ["xxxx", "x"], ["xxxx", "xxxx", ""], ["xx", "", ""]]) {
    assert.deepEqual(findingsOf(segments), [], segments.join());
  }
});

test("pages that were added and never used may lie behind a segment that is not full: no WAL tells of them", () => {
  assert.deepEqual(findingsOf(["xxx", "00"]), []);
});

test("pages without a row may lie behind a table's end: VACUUM cut them off while the backup ran", () => {
  assert.deepEqual(findingsOf(["xx", "vvvv"]), []);
  assert.deepEqual(findingsOf(["xx", "vvxv"]).length, 1);
  assert.deepEqual(findingsOf(["xx", "vvvv"], { ...TABLE, kind: "index" }).length, 1);
});

test("a segment that is missing or cut before one with pages is told, with its file", () => {
  assert.match(
    findingsOf(["xxxx", undefined, "x"]).join(),
    /ends with block 4, for its file base\/5\/1\.1 is not there, and base\/5\/1\.2 has/,
  );
  assert.match(
    findingsOf(["xx", "xx"]).join(),
    /ends with block 2, for its file base\/5\/1 is not full, and base\/5\/1\.1 has/,
  );
  assert.match(findingsOf([undefined, "x"]).join(), /file of public\.orders, base\/5\/1, is not there/);
  assert.match(findingsOf([]).join(), /is not there/);
});

test("an index or a sequence is never empty, a table may be", () => {
  assert.match(findingsOf([""], { ...TABLE, kind: "sequence", neverEmpty: true }).join(), /is empty/);
  assert.deepEqual(findingsOf([""]), []);
});
