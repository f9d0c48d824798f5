import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { RMGR_XLOG, XLOG_SWITCH } from "./records/cursor.ts";
import { RecordEnds } from "./records/ends.ts";
import { filledBehind, UNMARKED_BYTES_MAX } from "./spool-marks.ts";

const MIB = 1024 * 1024;
const PLACE = { start: BigInt(5 * MIB) as Lsn, walSegmentBytes: MIB };
const PARTIAL = { ...PLACE, timeline: 1 as Timeline };
const plain = (length: number) => ({ rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(length, 255) });

function fileOf(bytes: Buffer) {
  return {
    read: async ({ position, length }: { readonly position: number; readonly length: number }) =>
      bytes.subarray(position, position + length),
  };
}

function walOf(lengths: readonly number[]) {
  const { bytes, records } = writeSyntheticWal(PLACE, lengths.map(plain));
  const ends = records.map(({ end }) => end);
  return { bytes, ends, at: (record: number): number => ends[record] ?? Number.NaN };
}

test("whole records behind a mark count, over pages and up to the first that is not whole", async () => {
  const { bytes, ends, at } = walOf([100, 9000, 300, 8192, 50]);
  for (const end of ends) assert.equal(await filledBehind(fileOf(bytes), PARTIAL, end), at(4));
  const torn = Buffer.from(bytes);
  torn[at(3) - 9] = 0;
  assert.equal(await filledBehind(fileOf(torn), PARTIAL, at(0)), at(2));
});

test("behind a mark inside a record nothing counts: its rest may not be there", async () => {
  const { bytes, at } = walOf([100, 30_000, 300]);
  const inside = at(0) + 10_000;
  assert.equal(await filledBehind(fileOf(bytes), PARTIAL, inside), inside);
  const hole = Buffer.from(bytes).fill(0, inside, inside + 100);
  assert.equal(await filledBehind(fileOf(hole), PARTIAL, inside), inside);
  assert.equal(await filledBehind(fileOf(bytes), PARTIAL, 0), at(2), "a segment that begins with a record");
});

test("what follows a switch does not count, nor what lies farther than a mark is ever away", async () => {
  const { bytes, records } = writeSyntheticWal(PLACE, [
    plain(100),
    { rmgr: RMGR_XLOG, info: XLOG_SWITCH, xid: 0, mainData: Buffer.alloc(0) },
  ]);
  const first = records[0]?.end ?? Number.NaN;
  assert.equal(await filledBehind(fileOf(bytes), PARTIAL, first), first);
  const long = walOf(Array.from({ length: 90 }, () => 2000));
  const filled = await filledBehind(fileOf(long.bytes), PARTIAL, long.at(0));
  assert.ok(filled <= long.at(0) + UNMARKED_BYTES_MAX && filled > long.at(0) + UNMARKED_BYTES_MAX - 4096);
});

test("a file without a segment's header counts as far as its mark", async () => {
  const { bytes, at } = walOf([100, 200]);
  const headless = Buffer.from(bytes).fill(0, 0, 40);
  assert.equal(await filledBehind(fileOf(headless), PARTIAL, at(0)), at(0));
});

test("wherever groups end: behind a mark at one end of a record all counts up to the next ones", async () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 7000, max: 20_000 }));
  const script = fc.record({
    lengths: fc.array(sizes, { minLength: 2, maxLength: 30 }),
    // The second segment begins with the rest of a record, or with one.
    first: fc.integer({ min: MIB - 40_000, max: MIB + 20_000 }),
    cuts: fc.array(fc.nat(), { maxLength: 10 }),
  });
  await fc.assert(
    fc.asyncProperty(script, async ({ lengths, first, cuts }) => {
      const { bytes, records } = writeSyntheticWal(PLACE, [plain(first), ...lengths.map(plain)]);
      const of = { ...PARTIAL, start: (PLACE.start + BigInt(MIB)) as Lsn };
      const last = (records.at(-1)?.end ?? 0) - MIB;
      if (last <= 0) return;
      const segment = bytes.subarray(MIB, 2 * MIB);
      const groupEnds = [...records.map(({ end }) => end - MIB), ...cuts.map((each) => each % last)]
        .filter((end) => end > 0 && end <= last)
        .sort((a, b) => a - b);
      const ends = new RecordEnds();
      const known: number[] = [];
      let offset = 0;
      for (const end of groupEnds) {
        ends.pass(segment.subarray(offset, end), offset);
        if (ends.atEnd) known.push(end);
        offset = end;
      }
      for (const [index, mark] of known.entries()) {
        const held = known.slice(index).findLast((end) => end - mark <= UNMARKED_BYTES_MAX) ?? mark;
        const file = Buffer.alloc(MIB);
        segment.copy(file, 0, 0, held);
        assert.equal(await filledBehind(fileOf(file), of, mark), held);
      }
    }),
  );
});
