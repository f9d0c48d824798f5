import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLsn, type Timeline } from "../postgres/lsn.ts";
import { standingGaps } from "./standing-gaps.ts";

const gapOn = (timeline: number, from: string, to: string) => ({
  timeline: timeline as Timeline,
  from: parseLsn(from),
  to: parseLsn(to),
  noticedAt: "2026-11-22T11:00:00.000Z",
});
const backupOn = (timeline: number, startLsn: string) => ({ timeline: timeline as Timeline, startLsn });
const gap = gapOn(1, "0/3000000", "0/5000000");
const first = { timeline: 1 as Timeline, history: "", gaps: [gap] };

test("a gap stands until a backup begins behind it", () => {
  assert.deepEqual(standingGaps(first, []), [gap]);
  assert.deepEqual(standingGaps(first, [backupOn(1, "0/2000000"), backupOn(1, "0/4FFFFFF")]), [gap]);
  assert.deepEqual(standingGaps(first, [backupOn(1, "0/5000000")]), []);
  const later = gapOn(1, "0/7000000", "0/8000000");
  assert.deepEqual(standingGaps({ ...first, gaps: [gap, later] }, [backupOn(1, "0/6000000")]), [later]);
});

test("what lies on a branch that was left neither stands nor helps", () => {
  const left = (at: string) => ({
    timeline: 2 as Timeline,
    history: `1\t${at}\tno recovery target specified\n`,
    gaps: [gap],
  });
  assert.deepEqual(standingGaps(left("0/3000000"), []), []);
  assert.deepEqual(standingGaps(left("0/4000000"), []), [gap]);
  assert.deepEqual(standingGaps(left("0/4000000"), [backupOn(1, "0/6000000")]), [gap]);
  assert.deepEqual(standingGaps(left("0/4000000"), [backupOn(2, "0/4000100")]), []);
});
