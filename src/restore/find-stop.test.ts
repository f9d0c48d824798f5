import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type SyntheticRecord, writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { formatLsn, type Lsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import { formatWalTime } from "../wal/records/events.ts";
import { findStop } from "./find-stop.ts";
import { planRestore, type RestorePlan } from "./plan.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { type RecoveryTarget, serverTarget } from "./target.ts";

const MIB = 1024 * 1024;
const START = BigInt(16 * MIB) as Lsn;
const SYSTEM = 7_000_000_000_000_000_001n;
const EPOCH_MICROSECONDS = 946_684_800_000_000;
const DAY_MS = Date.parse("2026-01-01T00:00:00Z");

type Told =
  | { readonly kind: "commit" | "abort"; readonly xid: number; readonly atMs: number }
  | { readonly kind: "name"; readonly name: string }
  /** Fills a good part of a segment, or so many bytes. */
  | { readonly kind: "bulk"; readonly sizeBytes?: number };

/** WAL of these records, and backups that lie between two of them: by the index of their first and of their last record. */
function world(told: readonly Told[], spans: readonly (readonly [first: number, last: number])[]) {
  const { bytes, records } = writeSyntheticWal(
    { start: START, walSegmentBytes: MIB, systemId: SYSTEM },
    told.map(recordOf),
  );
  const at = (offset: number): Lsn => (START + BigInt(offset)) as Lsn;
  const names = Array.from({ length: bytes.byteLength / MIB }, (_, index) =>
    segmentName({ timeline: 1 as Timeline, lsn: at(index * MIB), walSegmentBytes: MIB }),
  );
  const wal: RestoreWal = {
    holdings: async () => assert.fail("not asked"),
    history: async () => undefined,
    segment: async (name) => {
      const index = names.indexOf(name);
      return index < 0 ? undefined : bytes.subarray(index * MIB, (index + 1) * MIB);
    },
  };
  const backups = spans.map(([first, last], index) =>
    backupOf(index + 1, at(records[first]?.start ?? 0), at(records[last]?.end ?? 0)),
  );
  const holdings = {
    systemId: String(SYSTEM) as SystemId,
    walSegmentBytes: MIB,
    segments: names,
    tails: [],
    histories: new Map(),
  };
  const find = async (target: RecoveryTarget, backupId?: string): Promise<RestorePlan> => {
    const outcome = planRestore({ backups, holdings }, { target, backupId, timeline: undefined, acceptGap: false });
    assert.ok(outcome.kind === "plans", outcome.kind);
    return findStop(outcome.plans, { wal, onSegment: () => undefined }, {});
  };
  const startOf = (index: number): string => formatLsn(at(records[index]?.start ?? 0));
  return { find, startOf };
}

function recordOf(told: Told): SyntheticRecord {
  if (told.kind === "bulk")
    return { rmgr: 10, info: 0, xid: 5, mainData: Buffer.alloc(told.sizeBytes ?? 700 * 1024, 1) };
  const time = Buffer.alloc(8);
  if (told.kind !== "name") {
    time.writeBigInt64LE(BigInt((DAY_MS + told.atMs) * 1000 - EPOCH_MICROSECONDS));
    return { rmgr: 1, info: told.kind === "commit" ? 0x00 : 0x20, xid: told.xid, mainData: time };
  }
  const name = Buffer.alloc(64);
  name.write(told.name);
  return { rmgr: 0, info: 0x70, xid: 0, mainData: Buffer.concat([time, name]) };
}

function backupOf(number: number, start: Lsn, end: Lsn): BackupRecord {
  return {
    format: "lifeboat-backup",
    version: 1,
    backupId: `2025120${number}t000000z-00000000` as BackupId,
    systemId: String(SYSTEM) as SystemId,
    tier: "manual",
    label: "",
    serverVersion: 180_000,
    timeline: 1 as Timeline,
    startLsn: formatLsn(start),
    endLsn: formatLsn(end),
    walSegmentBytes: MIB,
    startedAt: "2025-12-01T00:00:00.000Z",
    endedAt: "2025-12-01T01:00:00.000Z",
    whyFull: "no-parent",
    parent: null,
    fileCount: 1,
    dataBytes: 1,
    storedBytes: 1,
    durationMs: 1,
  };
}

const commit = (xid: number, atMs: number): Told => ({ kind: "commit", xid, atMs });
const name = (text: string): Told => ({ kind: "name", name: text });
const bulk: Told = { kind: "bulk" };

const numberOf = (plan: RestorePlan): string => plan.backup.backupId.slice(7, 8);
const stopOf = (plan: RestorePlan) => (plan.stop.kind === "record" ? formatLsn(plan.stop.record.lsn) : plan.stop.kind);

describe("what recovery stops at", () => {
  // 0, 1: the first backup; 2; 3 to 6: the second, during which much happens; 7 to 9.
  const told = [
    commit(10, 0),
    bulk,
    commit(11, 1),
    name("other"),
    name("n"),
    commit(12, 2),
    bulk,
    name("n"),
    bulk,
    commit(13, 3),
  ];
  const spans = [
    [0, 1],
    [3, 6],
  ] as const;

  test("while a backup was taken belongs to the backup before it, also when there is a later one of that name", async () => {
    const { find, startOf } = world(told, spans);
    const named = await find({ kind: "name", name: "n" });
    // From the second backup recovery would stop at the first of that name, and is not consistent there.
    assert.deepEqual([numberOf(named), stopOf(named)], ["1", startOf(4)]);
    const xid = await find({ kind: "xid", xid: 12n, inclusive: true });
    assert.deepEqual([numberOf(xid), stopOf(xid)], ["1", startOf(5)]);
    const time = await find({ kind: "time", time: (DAY_MS + 1) as Instant, inclusive: true });
    assert.deepEqual([numberOf(time), stopOf(time)], ["1", startOf(5)]);
    const later = await find({ kind: "xid", xid: 13n, inclusive: true });
    assert.deepEqual([numberOf(later), stopOf(later)], ["2", startOf(9)]);
  });

  test("from a named backup is refused when it is not consistent there", async () => {
    const { find } = world(told, spans);
    for (const target of [
      { kind: "name", name: "n" },
      { kind: "xid", xid: 12n, inclusive: true },
      { kind: "time", time: (DAY_MS + 1) as Instant, inclusive: true },
    ] satisfies RecoveryTarget[]) {
      await assert.rejects(
        find(target, "20251202t000000z-00000000"),
        (error) =>
          isLifeboatError(error, "restore.point-out-of-reach") && /before backup .* is consistent/.test(error.message),
        target.kind,
      );
    }
  });

  test("is a transaction of the very microsecond when the moment is left out, and the one after when it is not", async () => {
    const { find, startOf } = world(
      [commit(10, 0), bulk, commit(11, 1), bulk, commit(12, 2), bulk, commit(13, 3)],
      [[0, 1]],
    );
    const time = (DAY_MS + 2) as Instant;
    assert.equal(stopOf(await find({ kind: "time", time, inclusive: false })), startOf(4));
    assert.equal(stopOf(await find({ kind: "time", time, inclusive: true })), startOf(6));
    await assert.rejects(find({ kind: "time", time: (time + 1) as Instant, inclusive: true }), (error) =>
      isLifeboatError(error, "restore.point-out-of-reach"),
    );
    assert.equal(stopOf(await find({ kind: "time", time: (time + 1) as Instant, inclusive: false })), startOf(6));
  });
});

describe("a moment", () => {
  const time = DAY_MS as Instant;
  const at = (minutes: number): number => minutes * 60_000;
  const leftOutOf = (plan: RestorePlan) => (plan.stop.kind === "record" ? plan.stop.leftOut : plan.stop.kind);

  test("is found where a clock was ahead long before: the server is told the place that was found, not the time", async () => {
    // A backup, ten minutes between two commits, a segment each; at one the clock is five hours ahead.
    const minutes = [-70, -60, 240, -40, -30, -20, -10, 0, 10, 20];
    const told = minutes.flatMap((each, index) => [commit(100 + index, at(each)), bulk]);
    const { find, startOf } = world(told, [[0, 0]]);
    const plan = await find({ kind: "time", time, inclusive: true });
    assert.equal(stopOf(plan), startOf(16));
    const asked = serverTarget(plan.target, plan.stop);
    assert.ok(asked.kind === "lsn" && !asked.inclusive && formatLsn(asked.lsn) === startOf(16));
    assert.equal(leftOutOf(plan), undefined);
  });

  test("before a time that was ahead for long is told to leave out what came when the clock was set back", async () => {
    const minutes = [-70, -60, 240, 250, 260, 270, -10, -5, 5];
    const told = minutes.flatMap((each, index) => [commit(100 + index, at(each)), bulk]);
    const { find, startOf } = world(told, [[0, 0]]);
    const plan = await find({ kind: "time", time, inclusive: true });
    assert.equal(stopOf(plan), startOf(4));
    const leftOut = leftOutOf(plan);
    assert.ok(typeof leftOut === "object");
    assert.equal(formatWalTime(leftOut.time), "2025-12-31T23:50:00.000000Z");
  });

  test("ends at a rollback, and at a commit that crosses into the next segment, though no commit lies in several segments around", async () => {
    const before = [commit(1, at(-9)), bulk, commit(2, at(-1))];
    const after = [bulk, bulk, bulk, commit(4, at(2)), bulk];
    const abort: Told = { kind: "abort", xid: 3, atMs: at(1) };
    // So much that the next record begins 16 bytes before a segment's end.
    const startBehind = (sizeBytes: number): number => {
      const script = [...before, { kind: "bulk", sizeBytes } as const, abort].map(recordOf);
      return writeSyntheticWal({ start: START, walSegmentBytes: MIB, systemId: SYSTEM }, script).records[4]?.start ?? 0;
    };
    let sizeBytes = 1_200_000;
    // Each page that is added has a header.
    for (let round = 0; round < 5; round += 1) sizeBytes += 2 * MIB - 16 - startBehind(sizeBytes);
    assert.equal(startBehind(sizeBytes), 2 * MIB - 16);
    for (const [filler, end] of [
      [bulk, abort],
      [{ kind: "bulk", sizeBytes }, commit(3, at(1))],
    ] satisfies [Told, Told][]) {
      const { find, startOf } = world([...before, filler, end, ...after], [[0, 0]]);
      assert.equal(stopOf(await find({ kind: "time", time, inclusive: true })), startOf(4), end.kind);
    }
  });
});
