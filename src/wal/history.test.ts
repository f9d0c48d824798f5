import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { lineageOf, parseHistory, partAt } from "./history.ts";

const TEXT =
  "1\t0/3000148\tno recovery target specified\n\n# by hand\n2\t0/5000000\tbefore 2026-11-22 10:00:00.000000+00\n";

test("a history of two promotions is three stretches", () => {
  const history = parseHistory(3 as Timeline, Buffer.from(TEXT));
  assert.deepEqual(history, [
    { timeline: 1, switchLsn: 0x3000148n },
    { timeline: 2, switchLsn: 0x5000000n },
  ]);
  assert.deepEqual(lineageOf(3 as Timeline, history), [
    { timeline: 1, from: 0n, to: 0x3000148n },
    { timeline: 2, from: 0x3000148n, to: 0x5000000n },
    { timeline: 3, from: 0x5000000n, to: undefined },
  ]);
});

test("the byte at a switch belongs to the new timeline", () => {
  const lineage = lineageOf(3 as Timeline, parseHistory(3 as Timeline, Buffer.from(TEXT)));
  assert.equal(partAt(lineage, 0x3000147n as Lsn).timeline, 1);
  assert.equal(partAt(lineage, 0x3000148n as Lsn).timeline, 2);
  assert.equal(partAt(lineage, 0xffffffffffn as Lsn).timeline, 3);
});

test("timeline 1 is its own lineage", () => {
  assert.deepEqual(lineageOf(1 as Timeline, []), [{ timeline: 1, from: 0n, to: undefined }]);
});

for (const [what, text] of [
  ["of nothing", ""],
  ["of words", "one\tzero\n"],
  ["naming itself", "3\t0/3000148\tx\n"],
  ["naming a later timeline first", "2\t0/3000148\tx\n1\t0/4000000\tx\n"],
  ["whose positions go back", "1\t0/4000000\tx\n2\t0/3000000\tx\n"],
] as const) {
  test(`a history ${what} is refused`, () => {
    assert.throws(
      () => parseHistory(3 as Timeline, Buffer.from(text)),
      (error) => isLifeboatError(error, "wal.history-damaged"),
    );
  });
}
