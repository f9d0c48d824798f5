import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lsn, SystemId, Timeline } from "../postgres/lsn.ts";
import { decideStart, type StartFacts } from "./decide.ts";
import { lineageOf } from "./history.ts";

const MIB = 1024 * 1024;
const lsn = (mib: number, bytes = 0): Lsn => BigInt(mib * MIB + bytes) as Lsn;
const ONE = 1 as Timeline;
const TWO = 2 as Timeline;
const THREE = 3 as Timeline;
const FOUR = 4 as Timeline;

function facts(given: Partial<StartFacts> & { readonly timeline?: Timeline }): StartFacts {
  const timeline = given.timeline ?? ONE;
  const history = timeline === ONE ? [] : [{ timeline: ONE, switchLsn: lsn(5, 300) }];
  return {
    server: { systemId: "7000000000000000001" as SystemId, timeline, flushedLsn: lsn(9, 100) },
    lineage: lineageOf(timeline, history),
    slotRestartLsn: lsn(7, 500),
    held: new Map(),
    walSegmentBytes: MIB,
    gone: undefined,
    ...given,
  };
}

test("nothing held: begins at the first byte of the segment the slot keeps", () => {
  assert.deepEqual(decideStart(facts({})), { kind: "begin", timeline: 1, at: lsn(7), skipped: undefined });
});

test("nothing held and no slot position: begins at the segment the server writes", () => {
  const decision = decideStart(facts({ slotRestartLsn: undefined }));
  assert.deepEqual(decision, { kind: "begin", timeline: 1, at: lsn(9), skipped: undefined });
});

test("a partial held: goes on behind it, after a look at the last two pages", () => {
  for (const [end, from] of [
    [30_000, 16_384],
    [24_576, 8192],
    [10_000, 0],
    [8192, 0],
    [77, 0],
  ] as const) {
    const decision = decideStart(facts({ held: new Map([[ONE, lsn(8, end)]]) }));
    assert.deepEqual(decision, { kind: "continue", timeline: 1, at: lsn(8, end), compareFrom: lsn(8, from) });
  }
});

test("held to the end of a segment whose page the server no longer has: goes on without the look", () => {
  const held = new Map([[ONE, lsn(8)]]);
  assert.deepEqual(decideStart(facts({ held })), {
    kind: "continue",
    timeline: 1,
    at: lsn(8),
    compareFrom: lsn(8, -16_384),
  });
  assert.deepEqual(decideStart(facts({ held, gone: "comparison" })), {
    kind: "continue",
    timeline: 1,
    at: lsn(8),
    compareFrom: undefined,
  });
});

test("held WAL of which the continuation is gone: begins at the slot's segment and names the gap", () => {
  const decision = decideStart(facts({ held: new Map([[ONE, lsn(4, 77)]]), gone: "wal" }));
  assert.deepEqual(decision, {
    kind: "begin",
    timeline: 1,
    at: lsn(7),
    skipped: { timeline: 1, from: lsn(4, 77), to: lsn(7) },
  });
});

test("a slot that lies before the gap does not help: begins at the segment the server writes", () => {
  const decision = decideStart(facts({ held: new Map([[ONE, lsn(7, 77)]]), gone: "wal" }));
  assert.deepEqual(decision, {
    kind: "begin",
    timeline: 1,
    at: lsn(9),
    skipped: { timeline: 1, from: lsn(7, 77), to: lsn(9) },
  });
});

test("the continuation gone and nothing later there: says so", () => {
  const decision = decideStart(facts({ held: new Map([[ONE, lsn(9, 50)]]), gone: "wal" }));
  assert.deepEqual(decision, { kind: "gone", at: lsn(9, 50) });
});

test("a server that has less of the timeline than is held is behind", () => {
  const decision = decideStart(facts({ held: new Map([[ONE, lsn(9, 101)]]) }));
  assert.deepEqual(decision, { kind: "server-behind", timeline: 1, heldLsn: lsn(9, 101) });
});

test("a promoted server whose old timeline is not held to its end: finishes that first", () => {
  const decision = decideStart(facts({ timeline: TWO, held: new Map([[ONE, lsn(4, 77)]]) }));
  assert.deepEqual(decision, { kind: "continue", timeline: 1, at: lsn(4, 77), compareFrom: lsn(4) });
});

for (const [what, end] of [
  ["exactly to the switch", lsn(5, 300)],
  ["beyond the switch", lsn(6, 1)],
] as const) {
  test(`a promoted server, the old timeline held ${what}: follows from the switch segment's first byte`, () => {
    const decision = decideStart(facts({ timeline: TWO, held: new Map([[ONE, end]]) }));
    assert.deepEqual(decision, {
      kind: "follow",
      timeline: 2,
      at: lsn(5),
      ancestor: 1,
      sharedTo: lsn(5, 300),
      switchLsn: lsn(5, 300),
    });
  });
}

test("a server that stopped before the timeline began that it followed: that one is passed over", () => {
  const history = [
    { timeline: ONE, switchLsn: lsn(6, 10) },
    { timeline: TWO, switchLsn: lsn(5, 300) },
  ];
  const lineage = lineageOf(THREE, history);
  const follow = { kind: "follow", timeline: 3, at: lsn(5), sharedTo: lsn(5, 300), switchLsn: lsn(5, 300) };
  for (const [ancestor, end] of [
    [ONE, lsn(5, 300)],
    [ONE, lsn(6, 10)],
    [TWO, lsn(8, 1)],
  ] as const) {
    const decision = decideStart(facts({ timeline: THREE, lineage, held: new Map([[ancestor, end]]) }));
    assert.deepEqual(decision, { ...follow, ancestor });
  }
  const before = decideStart(facts({ timeline: THREE, lineage, held: new Map([[ONE, lsn(5, 299)]]) }));
  assert.deepEqual(before, { kind: "continue", timeline: 1, at: lsn(5, 299), compareFrom: lsn(5) });
});

test("the new timeline already held: the old one's longer tail does not count", () => {
  const held = new Map([
    [ONE, lsn(8)],
    [TWO, lsn(5, 400)],
  ]);
  const decision = decideStart(facts({ timeline: TWO, held }));
  assert.deepEqual(decision, { kind: "continue", timeline: 2, at: lsn(5, 400), compareFrom: lsn(5) });
});

test("a timeline that is not in the server's lineage does not count as held", () => {
  const decision = decideStart(facts({ held: new Map([[TWO, lsn(8, 1)]]) }));
  assert.equal(decision.kind, "begin");
});

test("the new timeline's first segment gone: begins later and names the gap from the switch on", () => {
  const decision = decideStart(facts({ timeline: TWO, held: new Map([[ONE, lsn(5, 300)]]), gone: "wal" }));
  assert.deepEqual(decision, {
    kind: "begin",
    timeline: 2,
    at: lsn(7),
    skipped: { timeline: 2, from: lsn(5, 300), to: lsn(7) },
  });
});

test("two promotions in one segment, and what is left of the first timeline there is gone: taken from the newest one's copy, once", () => {
  const history = [
    { timeline: ONE, switchLsn: lsn(5, 300) },
    { timeline: TWO, switchLsn: lsn(5, 700) },
    { timeline: THREE, switchLsn: lsn(5, 900) },
  ];
  const given = { timeline: FOUR, lineage: lineageOf(FOUR, history) };
  const follow = { kind: "follow", timeline: 4, at: lsn(5), ancestor: 1, switchLsn: lsn(5, 900) };
  for (const [end, sharedTo] of [
    [lsn(5), lsn(5)],
    [lsn(5, 200), lsn(5, 200)],
    [lsn(5, 300), lsn(5, 300)],
    [lsn(6, 100), lsn(5, 300)],
  ] as const) {
    const held = new Map([[ONE, end]]);
    assert.deepEqual(decideStart(facts({ ...given, held, gone: "wal" })), { ...follow, sharedTo });
    assert.equal(decideStart(facts({ ...given, held, gone: "copies" })).kind, "begin");
  }
  const before = decideStart(facts({ ...given, held: new Map([[ONE, lsn(4, 77)]]), gone: "wal" }));
  assert.equal(before.kind, "begin", "no later timeline has a copy of that segment");
});
