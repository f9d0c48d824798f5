import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, lsnAdd, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { RestorePlan } from "./plan.ts";
import { findWholeEnd } from "./whole-end.ts";

const MIB = 1024 * 1024;
const START = BigInt(16 * MIB) as Lsn;
const SYSTEM = 7_000_000_000_000_000_001n;

/** Three segments of records of this size, planned up to `endAt`, with some bytes overwritten; answers where the end is, counted from the start. */
async function endOf(
  change: (bytes: Buffer, ends: readonly number[]) => void,
  endAt = 3 * MIB,
  size = 960,
): Promise<number> {
  const record = { rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(size, 1) };
  const records = Array.from({ length: Math.ceil((3.1 * MIB) / (size + 40)) }, () => record);
  const written = writeSyntheticWal({ start: START, walSegmentBytes: MIB, systemId: SYSTEM }, records);
  const { bytes } = written;
  const ends = written.records.map(({ end }) => end);
  change(bytes, ends);
  const segments = [0, MIB, 2 * MIB].map((at) => ({
    name: segmentName({ timeline: 1 as Timeline, lsn: lsnAdd(START, at), walSegmentBytes: MIB }),
    start: lsnAdd(START, at),
    validBytes: Math.min(MIB, endAt - at),
  }));
  const plan: Pick<RestorePlan, "systemId" | "walSegmentBytes" | "stop" | "segments" | "endLsn" | "timeline"> = {
    systemId: String(SYSTEM) as SystemId,
    walSegmentBytes: MIB,
    stop: { kind: "end-of-wal" },
    segments,
    endLsn: lsnAdd(START, endAt),
    timeline: 1 as Timeline,
  };
  const wal = {
    holdings: async () => assert.fail("not asked"),
    history: async () => undefined,
    segment: async (name: string) => {
      const index = segments.findIndex((each) => each.name === name);
      return bytes.subarray(index * MIB, (index + 1) * MIB);
    },
  };
  const end = await findWholeEnd(plan as RestorePlan, wal, {});
  return Number((end?.at ?? START) - START);
}

const loseSector = (at: number) => (bytes: Buffer) => {
  bytes.fill(0, at, at + 512);
};

test("WAL that ends inside a record, or with zeros, has an end there", async () => {
  const end = await endOf(() => undefined, 2.5 * MIB);
  assert.ok(end > 2.5 * MIB - 1100 && end <= 2.5 * MIB, String(end));
  let last = 0;
  const unwritten = await endOf((bytes, ends) => {
    last = ends.find((each) => each > 2.25 * MIB) ?? 0;
    bytes.fill(0, last);
  });
  assert.equal(unwritten, last);
});

test("a record that is damaged in one of the last two segments, with more behind it, is not taken for the end of the WAL", async () => {
  const lost = [1.5 * MIB, 2.5 * MIB, 2.75 * MIB - 2048].map(loseSector);
  const flip = (bytes: Buffer): void => {
    bytes[2.25 * MIB] = 2;
  };
  for (const damage of [...lost, flip]) {
    await assert.rejects(endOf(damage, 2.75 * MIB), (error) => {
      assert.ok(isLifeboatError(error, "restore.point-not-reached"), String(error));
      assert.match(error.message, /would end at 0\/1[12]\w+, where the WAL is damaged \(.*held up to 0\/12C0000/);
      return true;
    });
  }
});

test("where the damage lies in a record that is longer than a segment's rest, the end is that of the record before it", async () => {
  let before = 0;
  const damaged = endOf(
    (bytes, ends) => {
      before = ends.findLast((end) => end < MIB) ?? 0;
      loseSector(MIB + 3 * 8192)(bytes);
    },
    2.75 * MIB,
    300_000,
  );
  await assert.rejects(damaged, (error) => {
    assert.ok(isLifeboatError(error, "restore.point-not-reached"), String(error));
    assert.ok(error.message.includes(`would end at ${formatLsn(lsnAdd(START, before))},`), error.message);
    return true;
  });
});
