import assert from "node:assert/strict";
import { test } from "node:test";
import { writeSyntheticWal } from "../../test/support/synthetic-wal.ts";
import { parseLsn, type Timeline } from "../postgres/lsn.ts";
import { contradictionOf, type HeldBesideHistory } from "./given-history.ts";
import { parseHistory, type TimelineHistory } from "./history.ts";

const MIB = 1024 * 1024;
const SECOND = 2 as Timeline;

/** As `1 0/300000, 2 0/500000`. */
const historyOf = (timeline: number, says: string): TimelineHistory =>
  parseHistory(timeline as Timeline, Buffer.from(says.replaceAll(", ", "\n")));

function contradiction(
  says: string,
  {
    timeline = 2,
    histories = {},
    ...held
  }: Partial<HeldBesideHistory> & { timeline?: number; histories?: Record<number, string> },
): string | undefined {
  const known = Object.entries(histories).map(
    ([id, its]) => [Number(id) as Timeline, historyOf(Number(id), its)] as const,
  );
  const segments = ["000000020000000000000003", "000000010000000000000003", "000000020000000000000004"];
  const holdings = { walSegmentBytes: MIB, segments, histories: new Map(known) };
  const given = { timeline: timeline as Timeline, history: historyOf(timeline, says) };
  return contradictionOf(given, { holdings, backups: [], first: undefined, ...held });
}

test("a history by which a timeline began behind WAL or a backup of it is refused", () => {
  assert.equal(contradiction("1 0/300500", {}), undefined);
  assert.equal(contradiction("1 0/100000", {}), undefined, "what came before may have been pruned");
  assert.match(contradiction("1 0/400000", {}) ?? "", /held from 0\/300000 on, and by this it began at 0\/400000/);
  const backups = [{ backupId: "b", timeline: SECOND, startLsn: "0/300400" }];
  assert.match(contradiction("1 0/300500", { backups }) ?? "", /backup b was begun .* at 0\/300400/);
  assert.equal(contradiction("1 0/300400", { backups }), undefined);
});

test("a history that a held one of an ancestor or a descendant contradicts is refused", () => {
  const third = { 3: "1 0/300500, 2 0/500000" };
  assert.equal(contradiction("1 0/300500", { histories: third }), undefined);
  assert.match(contradiction("1 0/300600", { histories: third }) ?? "", /timeline 3 .* another branch/);
  const second = { histories: { 2: "1 0/300500" }, timeline: 3 };
  assert.equal(contradiction("1 0/300500, 2 0/700000", second), undefined);
  assert.match(contradiction("1 0/200000, 2 0/700000", second) ?? "", /timeline 2 .* another branch/);
  assert.equal(contradiction("1 0/200000", second), undefined, "it grew out of another");
});

test("a history must say that a timeline began where the pages of its first segment do", () => {
  const start = parseLsn("0/300000");
  const [ancestors, own] = [1, 2].map((timeline) => {
    const record = { rmgr: 10, info: 0, xid: 7, mainData: Buffer.alloc(MIB / 2) };
    return writeSyntheticWal({ start, walSegmentBytes: MIB, timeline }, [record]).bytes;
  });
  assert.ok(ancestors !== undefined && own !== undefined);
  const first = Buffer.concat([ancestors.subarray(0, 3 * 8192), own.subarray(3 * 8192)]);
  assert.equal(contradiction("1 0/304500", { first }), undefined);
  assert.match(contradiction("1 0/303F00", { first }) ?? "", /pages of .*03 .* between 0\/304000 and 0\/306028/);
  assert.notEqual(contradiction("1 0/307000", { first }), undefined);
  assert.notEqual(contradiction("1 0/200000", { first }), undefined);
  // It began in a segment that was pruned, or with this one.
  assert.equal(contradiction("1 0/200000", { first: own }), undefined);
  assert.equal(contradiction("1 0/300000", { first: own }), undefined);
  assert.match(contradiction("1 0/304500", { first: own }) ?? "", /at 0\/300000 or before/);
});
