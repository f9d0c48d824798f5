import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { RMGR_XLOG, XLOG_SWITCH } from "./records/cursor.ts";
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
