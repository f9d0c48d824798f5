import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import type { Instant } from "../platform/clock.ts";
import {
  formatLsn,
  type Lsn,
  lsnAdd,
  parseLsn,
  parseSegmentName,
  type SystemId,
  segmentName,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import { lineageOf, partAt, type TimelineHistory } from "../wal/history.ts";
import type { WalHoldings, WalTail } from "../wal/ranges.ts";
import {
  describeGap,
  type PlanRequest,
  planRestore,
  type RestorePlan,
  replayBytes,
  settlePlan,
  shortenPlan,
  stopPlan,
} from "./plan.ts";

const MIB = 1024 * 1024;
const systemId = "7" as SystemId;
const latest: PlanRequest = { target: { kind: "latest" }, backupId: undefined, timeline: undefined, acceptGap: false };

/** Positions in segments of one mebibyte: `at(3.5)` lies in the middle of the fourth. */
function at(segments: number): Lsn {
  return BigInt(Math.round(segments * MIB)) as Lsn;
}

function name(timeline: number, segment: number): string {
  return segmentName({ timeline: timeline as Timeline, lsn: at(segment), walSegmentBytes: MIB });
}

function backupOf(number: number, timeline: number, range: readonly [number, number]): BackupRecord {
  const day = String(number).padStart(2, "0");
  return {
    format: "lifeboat-backup",
    version: 1,
    backupId: `202601${day}t000000z-00000000` as BackupId,
    systemId,
    tier: "manual",
    label: "",
    serverVersion: 160_000,
    timeline: timeline as Timeline,
    startLsn: formatLsn(at(range[0])),
    endLsn: formatLsn(at(range[1])),
    walSegmentBytes: MIB,
    startedAt: `2026-01-${day}T00:00:00.000Z`,
    endedAt: `2026-01-${day}T01:00:00.000Z`,
    whyFull: "no-parent",
    parent: null,
    fileCount: 1,
    dataBytes: 1,
    storedBytes: 1,
    durationMs: 1,
  };
}

type Held = {
  readonly segments?: readonly string[];
  readonly tails?: readonly (readonly [timeline: number, start: number, end: number])[];
  readonly histories?: Readonly<Record<number, readonly (readonly [timeline: number, switchAt: number])[]>>;
};

function holdingsOf(held: Held): WalHoldings {
  const histories = new Map<Timeline, TimelineHistory>();
  for (const [timeline, ancestors] of Object.entries(held.histories ?? {})) {
    const history = ancestors.map(([each, switchAt]) => ({ timeline: each as Timeline, switchLsn: at(switchAt) }));
    histories.set(Number(timeline) as Timeline, history);
  }
  const tails: WalTail[] = (held.tails ?? []).map(([timeline, start, end]) => ({
    timeline: timeline as Timeline,
    start: at(start),
    end: at(end),
  }));
  return { systemId, walSegmentBytes: MIB, segments: held.segments ?? [], tails, histories };
}

function names(timeline: number, first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, more) => name(timeline, first + more));
}

function planned(backups: readonly BackupRecord[], held: Held, request: Partial<PlanRequest> = {}): RestorePlan {
  const outcome = planRestore({ backups, holdings: holdingsOf(held) }, { ...latest, ...request });
  assert.ok(outcome.kind === "plans", outcome.kind);
  return outcome.plans[0];
}

function refused(backups: readonly BackupRecord[], held: Held, request: Partial<PlanRequest> = {}) {
  const outcome = planRestore({ backups, holdings: holdingsOf(held) }, { ...latest, ...request });
  assert.ok(outcome.kind !== "plans");
  return outcome;
}

const segmentsOf = (plan: RestorePlan): readonly string[] => plan.segments.map((segment) => segment.name);

describe("a plan to restore the latest", () => {
  const first = backupOf(1, 1, [2.1, 2.5]);
  const second = backupOf(2, 1, [5.1, 6.2]);

  test("takes the newest backup and all WAL from its start on", () => {
    const plan = planned([first, second], { segments: names(1, 1, 8) });
    assert.equal(plan.backup, second);
    assert.deepEqual(segmentsOf(plan), names(1, 5, 8));
    assert.equal(plan.endLsn, at(9));
    assert.equal(plan.gapAfter, undefined);
    assert.equal(replayBytes(plan), 9 * MIB - Math.round(5.1 * MIB));
  });

  test("ends with the unfinished tail, of two the longer, and takes a complete segment before any tail", () => {
    const segments = names(1, 5, 7);
    const tails = [
      [1, 8, 8.25],
      [1, 8, 8.5],
      [1, 8, 8.1],
      [1, 6, 6.1],
    ] as const;
    const plan = planned([second], { segments, tails });
    assert.deepEqual(segmentsOf(plan), names(1, 5, 8));
    assert.deepEqual(
      plan.segments.map((segment) => segment.validBytes),
      [MIB, MIB, MIB, MIB / 2],
    );
    assert.equal(plan.endLsn, at(8.5));
  });

  test("is refused when WAL goes on after a hole, and told how far it would reach", () => {
    const outcome = refused([second], { segments: [...names(1, 5, 7), ...names(1, 9, 10)] });
    assert.ok(outcome.kind === "gap-before-latest");
    assert.deepEqual([outcome.backup, outcome.reach], [second, at(8)]);
    assert.match(
      describeGap(outcome.gap),
      /^0\/800000 to 0\/900000 on timeline 1 \(1 segments from 000000010000000000000008\)$/,
    );
  });

  test("ends before the hole when that is accepted", () => {
    const segments = [...names(1, 5, 7), ...names(1, 9, 10)];
    const plan = planned([second], { segments }, { acceptGap: true });
    assert.deepEqual(segmentsOf(plan), names(1, 5, 7));
    assert.equal(plan.endLsn, at(8));
    assert.equal(plan.gapAfter?.firstSegment, name(1, 8));
  });

  test("is refused beside WAL of a newer timeline whose history is lost, unless the timeline is named or what is lost accepted", () => {
    const segments = [...names(1, 5, 8), ...names(2, 8, 10)];
    const outcome = refused([second], { segments });
    assert.ok(outcome.kind === "history-lost");
    assert.deepEqual([outcome.timeline, outcome.reach], [1, at(9)]);
    assert.deepEqual(outcome.untold, { timeline: 2, from: at(8), to: at(11) });
    assert.equal(planned([second], { segments }, { timeline: 1 as Timeline }).untold, undefined);
    assert.equal(planned([second], { segments }, { acceptGap: true }).untold?.timeline, 2);
    assert.equal(planned([second], { segments }, { target: { kind: "immediate" } }).untold?.timeline, 2);
    // An older one that led nowhere, and one that a later history names.
    const later = { 3: [[1, 8.5]] } as const;
    assert.equal(planned([second], { segments: [...segments, name(3, 8)], histories: later }).timeline, 3);
    const elsewhere = {
      segments: [...names(1, 5, 8), name(2, 8), name(3, 9)],
      histories: {
        3: [
          [1, 2],
          [2, 9.5],
        ],
      },
    } as const;
    assert.equal(planned([second], elsewhere).untold, undefined);
    // Behind the place where the later one left it that tells nothing.
    const behind = { ...elsewhere, segments: [...elsewhere.segments, ...names(2, 9, 10)] };
    const untold = { timeline: 2, from: at(9.5), to: at(11) };
    assert.deepEqual(refused([second], behind), { kind: "history-lost", timeline: 1, reach: at(9), untold });
    assert.equal(refused([second], behind, { timeline: 2 as Timeline }).kind, "history-lost");
    const first = backupOf(3, 1, [1.1, 1.2]);
    const followed = { ...behind, segments: [...names(1, 1, 1), ...names(2, 2, 10), name(3, 9)] };
    assert.deepEqual(planned([first], followed).untold, untold, "the newer one is followed, and this is said");
  });

  test("falls back to an older backup when the newest lacks WAL of its own", () => {
    const plan = planned([first, second], { segments: names(1, 2, 5) });
    assert.equal(plan.backup, first);
    assert.deepEqual(segmentsOf(plan), names(1, 2, 5));
    const holed = { segments: [...names(1, 2, 4), ...names(1, 6, 7)] };
    assert.equal(refused([first, second], holed).kind, "gap-before-latest");
    assert.equal(planned([first, second], holed, { acceptGap: true }).endLsn, at(5));
  });

  test("is refused when no backup has its own WAL, and a named backup is not replaced by another", () => {
    assert.equal(refused([first, second], { segments: names(1, 3, 4) }).kind, "backup-wal-missing");
    const outcome = refused([first, second], { segments: names(1, 2, 5) }, { backupId: second.backupId });
    assert.ok(outcome.kind === "backup-wal-missing");
    assert.deepEqual(
      outcome.gaps.map((gap) => gap.firstSegment),
      [name(1, 6)],
    );
  });

  test("without a backup, or with a name that none has, is refused", () => {
    assert.deepEqual(refused([], {}), { kind: "no-backup", why: "none-held" });
    assert.deepEqual(refused([first], {}, { backupId: "x" }), { kind: "no-backup", why: "unknown-name" });
    assert.equal(planned([first, second], { segments: names(1, 2, 8) }, { backupId: first.backupId }).backup, first);
  });
});

describe("a plan to restore to a time", () => {
  const backups = [backupOf(1, 1, [2.1, 2.5]), backupOf(3, 1, [5.1, 6.2])];
  const to = (text: string): Partial<PlanRequest> => ({
    target: { kind: "time", time: Date.parse(text) as Instant, inclusive: true },
  });

  test("begins with the newest backup that had ended by then, whatever hole follows", () => {
    const segments = [...names(1, 1, 4), ...names(1, 6, 9)];
    const plan = planned(backups, { segments }, to("2026-01-03T00:30:00Z"));
    assert.equal(plan.backup, backups[0]);
    assert.equal(plan.gapAfter?.firstSegment, name(1, 5));
    assert.equal(planned(backups, { segments: names(1, 1, 9) }, to("2026-01-03T01:00:00Z")).backup, backups[1]);
  });

  test("is refused before the first backup had ended", () => {
    const outcome = refused(backups, { segments: names(1, 1, 9) }, to("2026-01-01T00:30:00Z"));
    assert.deepEqual(outcome, { kind: "no-backup", why: "none-old-enough" });
  });

  test("is shortened to the last segment it needs", () => {
    const whole = planned(backups, { segments: names(1, 1, 9) });
    const short = shortenPlan(whole, name(1, 7));
    assert.deepEqual(segmentsOf(short), names(1, 5, 7));
    assert.deepEqual([short.endLsn, short.gapAfter], [at(8), undefined]);
    assert.equal(shortenPlan(whole, name(1, 9)), whole);
  });
});

describe("a plan along timelines", () => {
  const backup = backupOf(1, 1, [2.1, 3.5]);
  const histories = {
    2: [[1, 5.5]],
    3: [
      [1, 5.5],
      [2, 8.25],
    ],
    4: [[1, 3.2]],
    7: [[6, 1]],
  } as const;
  const held = { segments: [...names(1, 2, 9), ...names(2, 5, 9), ...names(3, 8, 10), ...names(4, 3, 9)], histories };

  test("follows the newest one that grew out of the backup's after its end", () => {
    const plan = planned([backup], held);
    assert.equal(plan.timeline, 3);
    assert.deepEqual(segmentsOf(plan), [...names(1, 2, 4), ...names(2, 5, 7), ...names(3, 8, 10)]);
    assert.equal(plan.endLsn, at(11));
  });

  test("takes the segment of a switch from the newest timeline that holds it", () => {
    const segments = [...names(1, 2, 5), ...names(3, 8, 8), ...names(2, 6, 7)];
    const outcome = refused([backup], { segments, histories });
    // The second timeline's own first segment is not held: what follows the switch in it is a hole.
    assert.ok(outcome.kind === "gap-before-latest");
    assert.deepEqual([outcome.reach, outcome.gap.timeline], [at(5.5), 2]);
  });

  test("lays every history, those of other branches too", () => {
    assert.deepEqual(planned([backup], held).histories, [2, 3, 4, 7]);
  });

  test("ends at the switch when nothing of the newer timeline is held", () => {
    const plan = planned([backup], { segments: names(1, 2, 9), histories: { 2: [[1, 5.5]] } });
    assert.deepEqual([plan.timeline, plan.endLsn], [2, at(5.5)]);
    assert.deepEqual(segmentsOf(plan), names(1, 2, 5));
    assert.equal(plan.segments.at(-1)?.validBytes, MIB / 2);
  });

  test("uses the tail that an ended timeline left, up to the switch", () => {
    const plan = planned([backup], { segments: names(1, 2, 4), tails: [[1, 5, 5.75]], histories: { 2: [[1, 5.5]] } });
    assert.deepEqual(segmentsOf(plan), names(1, 2, 5));
    assert.equal(plan.endLsn, at(5.5));
    assert.equal(plan.segments.at(-1)?.validBytes, MIB / 2);
  });

  test("takes the old timeline's copy of the switch segment where less is held of the new one's, which is being taken up", () => {
    const wal = { segments: names(1, 2, 4), histories: { 2: [[1, 5.5]] } } as const;
    const taken = (end: number): RestorePlan =>
      planned([backup], { ...wal, tails: [[1, 5, 5.75] as const, [2, 5, end] as const] });
    const short = taken(5.125);
    assert.deepEqual([short.timeline, short.endLsn], [2, at(5.5)]);
    assert.deepEqual(short.segments.at(-1), { name: name(1, 5), start: at(5), validBytes: MIB / 2 });
    assert.equal(taken(5.5).segments.at(-1)?.name, name(2, 5));
    assert.deepEqual(taken(5.625).segments.at(-1), { name: name(2, 5), start: at(5), validBytes: 0.625 * MIB });
  });
});

describe("a plan that stops before its timeline began", () => {
  const backup = backupOf(1, 1, [2.1, 3.5]);
  const histories = { 2: [[1, 5.5]] } as const;
  const settled = (held: Held, reaches: number): RestorePlan => {
    const plan = stopPlan(planned([backup], held), { kind: "consistent", reaches: at(reaches) });
    return settlePlan(plan, holdingsOf(held));
  };

  test("follows the timeline on which it stops, over that one's own copy of the segment, up to where it was left", () => {
    const held = { segments: [...names(1, 2, 7), ...names(2, 5, 9)], histories };
    const plan = settled(held, 5.25);
    assert.equal(plan.timeline, 1);
    assert.deepEqual(segmentsOf(plan), names(1, 2, 5));
    assert.equal(plan.segments.at(-1)?.validBytes, MIB / 2);
    assert.equal(plan.endLsn, at(5.5));
    assert.deepEqual(segmentsOf(settled(held, 4.5)), names(1, 2, 4));
    assert.equal(settled(held, 5.5).timeline, 1);
  });

  test("goes on with the newer one where only that one tells of the timeline on which it stops", () => {
    const third = [
      [1, 2],
      [2, 5.5],
    ] as const;
    const second = backupOf(1, 2, [2.1, 3.5]);
    const held = { segments: [...names(2, 2, 7), ...names(3, 5, 9)], histories: { 3: third } };
    for (const [histories, timeline] of [
      [{ 3: third }, 3],
      [{ 2: [[1, 2]] as const, 3: third }, 2],
    ] as const) {
      const plan = stopPlan(planned([second], { ...held, histories }), { kind: "consistent", reaches: at(4.5) });
      assert.equal(settlePlan(plan, holdingsOf({ ...held, histories })).timeline, timeline);
    }
  });

  test("takes the tail of that timeline where it reaches", () => {
    const held = { segments: [...names(1, 2, 4), ...names(2, 5, 9)], tails: [[1, 5, 5.4]] as const, histories };
    const plan = settled(held, 5.25);
    assert.deepEqual([plan.timeline, plan.endLsn], [1, at(5.4)]);
    assert.equal(settled(held, 5.45).timeline, 2);
  });

  test("follows the newer one where only that one's copy of the segment is held", () => {
    const plan = settled({ segments: [...names(1, 2, 4), ...names(2, 5, 9)], histories }, 5.25);
    assert.equal(plan.timeline, 2);
    assert.deepEqual(segmentsOf(plan), [...names(1, 2, 4), name(2, 5)]);
  });

  test("follows the timeline on which its WAL ends, at a hole or before anything of the newer one is held", () => {
    const hole = { segments: [...names(1, 2, 3), ...names(1, 5, 5), ...names(2, 5, 9)], histories };
    const none = { segments: names(1, 2, 4), histories };
    for (const [held, end] of [
      [hole, 4],
      [none, 5],
    ] as const) {
      const first = planned([backup], held, { acceptGap: true });
      const plan = settlePlan(first, holdingsOf(held));
      assert.deepEqual([plan.timeline, plan.endLsn, plan.gapAfter], [1, at(end), first.gapAfter]);
      assert.deepEqual(segmentsOf(plan), segmentsOf(first));
    }
  });

  test("and one that stops on its timeline, or at nothing, is left as it is", () => {
    const held = { segments: [...names(1, 2, 7), ...names(2, 5, 9)], histories };
    assert.equal(settled(held, 5.6).timeline, 2);
    const plan = planned([backup], held);
    assert.equal(settlePlan(plan, holdingsOf(held)), plan);
  });
});

test("a backup behind the position to which a later timeline went back is not on its way", () => {
  const histories = {
    2: [[1, 6.5]],
    3: [
      [1, 6.5],
      [2, 4.5],
    ],
  } as const;
  const held = { segments: [...names(1, 2, 6), ...names(2, 6, 9), ...names(3, 4, 9)], histories };
  const behind = backupOf(1, 1, [5.1, 5.5]);
  assert.equal(planned([behind], held).timeline, 2);
  const before = planned([backupOf(1, 1, [2.1, 3.5])], held);
  assert.equal(before.timeline, 3);
  assert.deepEqual(segmentsOf(before), [...names(1, 2, 3), ...names(3, 4, 9)]);
});

/** Branches of one history: each timeline leaves an earlier one anywhere, also before that one began (a stop on its way). */
const branches = fc
  .array(fc.record({ from: fc.nat(), at: fc.integer({ min: 1, max: 96 }) }), { maxLength: 4 })
  .map((drawn) => {
    const histories: Record<number, readonly (readonly [number, number])[]> = {};
    for (const [index, { from, at: eighths }] of drawn.entries()) {
      const parent = 1 + (from % (index + 1));
      const before = histories[parent] ?? [];
      histories[index + 2] = [...before, [parent, eighths / 8]];
    }
    return histories;
  });

const held = fc.record({
  histories: branches,
  holes: fc.array(fc.record({ timeline: fc.integer({ min: 1, max: 5 }), segment: fc.integer({ min: 0, max: 13 }) }), {
    maxLength: 8,
  }),
  tails: fc.array(
    fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 13 }), fc.integer({ min: 1, max: 7 })),
    {
      maxLength: 3,
    },
  ),
  backup: fc.record({ timeline: fc.nat(), start: fc.nat({ max: 90 }), length: fc.integer({ min: 1, max: 16 }) }),
  acceptGap: fc.boolean(),
});

test("whatever is held, a plan's segments are held, follow one another, and cover the backup to the planned end", () => {
  fc.assert(
    fc.property(held, (drawn) => {
      const timelines = 1 + Object.keys(drawn.histories).length;
      const holes = new Set(drawn.holes.map(({ timeline, segment }) => name(timeline, segment)));
      const segments: string[] = [];
      for (let timeline = 1; timeline <= timelines; timeline += 1) {
        const begun = Math.floor(drawn.histories[timeline]?.at(-1)?.[1] ?? 0);
        for (let segment = begun; segment < 13; segment += 1) segments.push(name(timeline, segment));
      }
      const tails = drawn.tails
        .filter(([timeline]) => timeline <= timelines)
        .map(([timeline, start, eighths]) => [timeline, start, start + eighths / 8] as const);
      const wal = { segments: segments.filter((each) => !holes.has(each)), tails, histories: drawn.histories };
      const timeline = 1 + (drawn.backup.timeline % timelines);
      const start = Math.max(drawn.histories[timeline]?.at(-1)?.[1] ?? 0, drawn.backup.start / 8);
      const backup = backupOf(1, timeline, [start, start + drawn.backup.length / 8]);
      const holdings = holdingsOf(wal);
      const outcome = planRestore({ backups: [backup], holdings }, { ...latest, acceptGap: drawn.acceptGap });
      if (outcome.kind === "plans") assertSound(outcome.plans[0], holdings);
    }),
    { seed: testSeed(), numRuns: repetitions(500) },
  );
});

function assertSound(plan: RestorePlan, holdings: WalHoldings): void {
  const lineage = lineageOf(plan.timeline, holdings.histories.get(plan.timeline) ?? []);
  assert.ok(plan.endLsn >= parseLsn(plan.backup.endLsn));
  let next = segmentStart(parseLsn(plan.backup.startLsn), MIB);
  for (const segment of plan.segments) {
    assert.equal(segment.start, next, "segments follow one another");
    next = lsnAdd(segment.start, MIB);
    const named = parseSegmentName(segment.name, MIB);
    assert.equal(named?.start, segment.start);
    const part = lineage.find((each) => each.timeline === named?.timeline);
    const left = part?.to ?? next;
    const ends = holdings.tails
      .filter((each) => each.timeline === named?.timeline && each.start === segment.start)
      .map((each) => each.end);
    if (holdings.segments.includes(segment.name)) ends.push(next);
    const isEnd = (end: Lsn): boolean => (end < left ? end : left) === lsnAdd(segment.start, segment.validBytes);
    assert.ok(ends.some(isEnd), "it is held, and cut where the lineage left it");
    // All bytes up to the planned end are of the lineage: the segment's own timeline, or what it copied of its ancestors.
    const last = lsnAdd(next < plan.endLsn ? next : plan.endLsn, -1);
    assert.ok(part !== undefined && segmentStart(part.from, MIB) <= segment.start, "its timeline is of the lineage");
    assert.ok(partAt(lineage, last).timeline <= part.timeline, "nothing in it was left behind by the lineage");
    assert.ok(lsnAdd(segment.start, segment.validBytes) > last, "it is valid up to the planned end");
  }
  assert.ok(next >= plan.endLsn && lsnAdd(next, -MIB) < plan.endLsn, "they end where the plan ends");
}
