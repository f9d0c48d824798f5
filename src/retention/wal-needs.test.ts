import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Instant } from "../platform/clock.ts";
import { type Lsn, type SystemId, segmentName, type Timeline } from "../postgres/lsn.ts";
import type { BackupId } from "../vault/names.ts";
import type { TimelineHistory } from "../wal/history.ts";
import type { RetainedBackup } from "./decide.ts";
import { decideWal } from "./wal-needs.ts";

const walSegmentBytes = 1024 * 1024;
const systemId = "7" as SystemId;

/** A position in a segment, which is counted from 0. */
function at(segment: number): Lsn {
  return BigInt(Math.round(segment * walSegmentBytes)) as Lsn;
}

function backup(timeline: number, segment: number): RetainedBackup {
  const backupId = `${timeline}-${segment}` as BackupId;
  const lsns = { startLsn: at(segment + 0.1), endLsn: at(segment + 0.2) };
  const rest = { tier: "hourly", endedMs: 0 as Instant, restorable: true, tombstone: undefined } as const;
  const on = timeline as Timeline;
  return { backupId, systemId, timeline: on, reaches: { timeline: on, storedMs: 0 }, ...lsns, ...rest };
}

/** What goes of eight segments of each timeline, as `timeline:segment`. Timelines branch off at the given positions. */
function removed(backups: readonly RetainedBackup[], branches: Readonly<Record<number, TimelineHistory>>) {
  const histories = new Map(Object.entries(branches).map(([id, history]) => [Number(id) as Timeline, history]));
  const segments = [1, 2, 3].flatMap((timeline) =>
    Array.from({ length: 8 }, (_, number) => ({
      segment: segmentName({ timeline: timeline as Timeline, lsn: at(number), walSegmentBytes }),
      sizeBytes: 1,
      storedMs: number,
    })),
  );
  const facts = { systemId, walSegmentBytes, backups, segments, histories, settledBeforeMs: 8 };
  const names = (settledBeforeMs: number) =>
    decideWal({ ...facts, settledBeforeMs }).remove.map(
      ({ segment }) => `${Number(segment.slice(0, 8))}:${Number.parseInt(segment.slice(16), 16)}`,
    );
  assert.deepEqual(names(0), []);
  return names(8).join(" ");
}

const first = { timeline: 1 as Timeline, switchLsn: at(4.5) };
const branched = { 2: [first] };

describe("the WAL that goes", () => {
  test("lies before the oldest backup, on the branches that are known", () => {
    assert.equal(removed([backup(1, 3), backup(1, 5)], {}), "1:0 1:1 1:2");
  });

  test("is none while there is no backup", () => {
    assert.equal(removed([], branched), "");
  });

  test("leaves what leads from a backup to every later branch, and both copies of the segment of the switch", () => {
    assert.equal(removed([backup(1, 3), backup(2, 6)], branched), "1:0 1:1 1:2 2:0 2:1 2:2 2:3");
  });

  test("is nothing that a branch needs which began before the one it was to follow", () => {
    const back = { ...branched, 3: [first, { timeline: 2 as Timeline, switchLsn: at(2.5) }] };
    assert.equal(removed([backup(1, 1), backup(3, 7)], back), "1:0 2:0 2:1 2:3 3:0 3:1");
    assert.equal(
      removed([backup(1, 3), backup(3, 7)], back),
      "1:0 1:1 1:2 2:0 2:1 2:2 2:3 3:0 3:1 3:2 3:3 3:4 3:5 3:6",
    );
  });

  test("includes the end of a branch that no backup is on any more", () => {
    assert.equal(removed([backup(2, 4.6)], branched), "1:0 1:1 1:2 1:3 1:5 1:6 1:7 2:0 2:1 2:2 2:3");
    assert.equal(removed([backup(2, 6)], branched), "1:0 1:1 1:2 1:3 1:4 1:5 1:6 1:7 2:0 2:1 2:2 2:3 2:4 2:5");
  });

  test("is none of a timeline whose history is not held, or that is later than every backup", () => {
    assert.equal(removed([backup(3, 7)], {}), "1:0 1:1 1:2 1:3 1:4 1:5 1:6 1:7");
    assert.equal(removed([backup(1, 7)], branched), "1:0 1:1 1:2 1:3 1:4 1:5 1:6");
  });
});
