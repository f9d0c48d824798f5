import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isLifeboatError } from "../errors/error.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { leftAt, lineageOf, parseHistory, partAt, type TimelineHistory } from "./history.ts";

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

test("of a timeline that was told to follow 2, and stopped before 2 began, 2 is passed over", () => {
  const history = parseHistory(3 as Timeline, Buffer.from("1\t0/EF9FB8\tx\n2\t0/BABB90\tx\n"));
  assert.deepEqual(lineageOf(3 as Timeline, history), [
    { timeline: 1, from: 0n, to: 0xbabb90n },
    { timeline: 2, from: 0xbabb90n, to: 0xbabb90n },
    { timeline: 3, from: 0xbabb90n, to: undefined },
  ]);
  assert.equal(leftAt(history, 1 as Timeline), 0xbabb90n);
  assert.equal(leftAt(history, 3 as Timeline), undefined);
});

/** PostgreSQL's readTimeLineHistory and tliOfPointInHistory, line by line. */
function ownerInPostgres(timeline: number, history: TimelineHistory, lsn: bigint): number {
  let begin = 0n;
  const entries: { readonly tli: number; readonly begin: bigint; readonly end: bigint }[] = [];
  for (const { timeline: tli, switchLsn } of history) {
    entries.unshift({ tli, begin, end: switchLsn });
    begin = switchLsn;
  }
  entries.unshift({ tli: timeline, begin, end: 0n });
  const own = entries.find((each) => (each.begin === 0n || each.begin <= lsn) && (each.end === 0n || lsn < each.end));
  assert.ok(own !== undefined, "PostgreSQL finds each position");
  return own.tli;
}

test("whatever order the positions have, each byte is of the timeline that PostgreSQL takes it from", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 }), (positions) => {
      const history = positions.map((at, index) => ({
        timeline: (index + 1) as Timeline,
        switchLsn: BigInt(at) as Lsn,
      }));
      const newest = (positions.length + 1) as Timeline;
      const lineage = lineageOf(newest, history);
      for (let lsn = 0n as Lsn; lsn < 14n; lsn = (lsn + 1n) as Lsn) {
        assert.equal(partAt(lineage, lsn).timeline, ownerInPostgres(newest, history, lsn));
      }
      for (const [index, part] of lineage.entries()) assert.equal(part.from, lineage[index - 1]?.to ?? 0n);
    }),
  );
});

for (const [what, text] of [
  ["of nothing", ""],
  ["of words", "one\tzero\n"],
  ["naming itself", "3\t0/3000148\tx\n"],
  ["naming a later timeline first", "2\t0/3000148\tx\n1\t0/4000000\tx\n"],
] as const) {
  test(`a history ${what} is refused`, () => {
    assert.throws(
      () => parseHistory(3 as Timeline, Buffer.from(text)),
      (error) => isLifeboatError(error, "wal.history-damaged"),
    );
  });
}
