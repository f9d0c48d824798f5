import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLsn, type Lsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import { recoveryPoints } from "./recovery-points.ts";

const walSegmentBytes = 1024 * 1024;
const systemId = "7000000000000000001" as SystemId;
const at = (segment: number): Lsn => BigInt(Math.round(segment * walSegmentBytes)) as Lsn;

function backup(timeline: number, segment: number): BackupRecord {
  return {
    format: "lifeboat-backup",
    version: 1,
    backupId: `2026010${segment}t000000z-00000000` as BackupId,
    systemId,
    tier: "manual",
    label: "",
    serverVersion: 160_000,
    timeline: timeline as Timeline,
    startLsn: formatLsn(at(segment + 0.1)),
    endLsn: formatLsn(at(segment + 0.2)),
    walSegmentBytes,
    startedAt: "2026-01-01T00:00:00.000Z",
    endedAt: "2026-01-01T01:00:00.000Z",
    whyFull: "no-parent",
    parent: null,
    fileCount: 1,
    dataBytes: 1,
    storedBytes: 1,
    durationMs: 1,
  };
}

/** What can be restored of these segments, by their timelines; 2 left 1 in the middle of segment 6. */
function pointsOf(backups: readonly BackupRecord[], held: Readonly<Record<number, readonly number[]>>) {
  const segments = Object.entries(held).flatMap(([timeline, numbers]) =>
    numbers.map((each) => segmentName({ timeline: Number(timeline) as Timeline, lsn: at(each), walSegmentBytes })),
  );
  const history = [{ timeline: 1 as Timeline, switchLsn: at(6.5) }];
  const histories = new Map(held[2] === undefined ? [] : [[2 as Timeline, history] as const]);
  return recoveryPoints(backups, { systemId, walSegmentBytes, segments, tails: [], histories });
}

/** Where nothing behind can be restored, with so many gaps. */
function outOfReach(...of: Parameters<typeof pointsOf>) {
  const points = pointsOf(...of);
  return [points.gaps.length, points.outOfReach.map(({ from, to }) => `${formatLsn(from)}-${formatLsn(to)}`)];
}

test("what lies behind a gap is out of reach until a backup begins there", () => {
  const held = { 1: [1, 2, 3, 5, 6] };
  assert.deepEqual(outOfReach([backup(1, 1)], held), [1, ["0/400000-0/500000"]]);
  assert.deepEqual(outOfReach([backup(1, 1), backup(1, 5)], held), [1, []]);
  assert.deepEqual(outOfReach([backup(1, 1)], { 1: [1, 2, 3, 4] }), [0, []]);
  // That no moment at all can be restored is told otherwise.
  assert.deepEqual(outOfReach([], held), [1, []]);
});

test("of several gaps behind which no backup begins it is the first, also on the way to a newer timeline", () => {
  const held = { 1: [1, 2, 4], 2: [6, 8] };
  assert.deepEqual(outOfReach([backup(1, 1)], held)[1], ["0/300000-0/400000"]);
  assert.deepEqual(outOfReach([backup(1, 1), backup(2, 8)], held)[1], []);
});

test("what a timeline wrote behind the place where a newer one left it is told, where a backup leads there", () => {
  const leftBehind = (...of: Parameters<typeof pointsOf>) =>
    pointsOf(...of).leftBehind.map(({ timeline, from, to }) => `${timeline}: ${formatLsn(from)}-${formatLsn(to)}`);
  const held = { 1: [1, 2, 3, 4, 5, 6, 7, 8], 2: [6, 7, 9, 10] };
  assert.deepEqual(leftBehind([backup(1, 1)], held), ["1: 0/680000-0/900000"]);
  assert.deepEqual(leftBehind([backup(1, 1)], { 1: [1, 2, 3, 4, 5], 2: [6, 7] }), []);
  assert.deepEqual(leftBehind([backup(1, 1)], { 1: [1, 2, 3, 4, 5, 6, 8], 2: [6, 7] }), ["1: 0/680000-0/700000"]);
  assert.deepEqual(leftBehind([backup(2, 7)], held), []);
  // Its own range has it.
  assert.deepEqual(leftBehind([backup(1, 1), backup(1, 7)], held), []);
});

test("the newest timeline is told whole where no backup leads onto it", () => {
  const unreached = (...of: Parameters<typeof pointsOf>) =>
    pointsOf(...of).unreached.map(({ timeline, from, to }) => `${timeline}: ${formatLsn(from)}-${formatLsn(to)}`);
  // The backup ended behind the place where 2 left 1.
  const held = { 1: [1, 2, 3, 4, 5, 6, 7, 8], 2: [6, 7, 9, 10] };
  assert.deepEqual(unreached([backup(1, 7)], held), ["2: 0/680000-0/B00000"]);
  assert.deepEqual(unreached([backup(1, 7), backup(2, 9)], held), []);
  assert.deepEqual(unreached([backup(1, 1)], held), []);
  // Nothing tells where 2 left 1.
  const lost = pointsOf([backup(1, 1)], { 1: held[1], 2: [6, 7], 3: [8] });
  assert.deepEqual(
    lost.untold.map(({ timeline, from, to }) => `${timeline}: ${formatLsn(from)}-${formatLsn(to)}`),
    ["3: 0/800000-0/900000"],
  );
  // Nothing at all can be restored, or nothing was written on it yet: no fault of the timeline.
  assert.deepEqual(unreached([], held), []);
  assert.deepEqual(unreached([backup(1, 7)], { 1: held[1], 2: [] }), []);
});
