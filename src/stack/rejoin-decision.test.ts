import assert from "node:assert/strict";
import { test } from "node:test";
import { type Lsn, parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { lineageOf } from "../wal/history.ts";
import type { NodeData } from "./plan.ts";
import { decideRejoin, type NodePast, type RejoinFacts } from "./rejoin-decision.ts";

const FORK = parseLsn("0/5000000");
const OURS = "1" as SystemId;
const [T1, T2, T3, T9] = [1, 2, 3, 9].map((number) => number as Timeline) as [Timeline, Timeline, Timeline, Timeline];
const oldestWal = parseLsn("0/1000000");
const upstream = { systemId: OURS, lineage: lineageOf(T2, [{ timeline: T1, switchLsn: FORK }]), oldestWal };

type Past = Partial<NodePast> & Pick<NodePast, "timeline" | "walEnd">;

/** Of the primary's past where nothing else is said, and what it did last is what it would do. */
function past(data: NodeData, node: Past): NodePast {
  const lineage = node.timeline === T2 ? upstream.lineage : lineageOf(node.timeline, []);
  return { systemId: OURS, lineage, wasPrimary: data === "primary", heldBack: false, ...node };
}

function decide(data: NodeData, node: Past | undefined, facts: Partial<RejoinFacts> = {}) {
  return decideRejoin({ data, node: node && past(data, node), upstream, asked: false, ...facts });
}

/** A history of switches, the newest last. */
function lineage(...parts: readonly (readonly [Timeline, Lsn] | Timeline)[]) {
  const switches = parts.flatMap((part) =>
    typeof part === "number" ? [] : [{ timeline: part[0], switchLsn: part[1] }],
  );
  return lineageOf(parts.at(-1) as Timeline, switches);
}

test("a primary that was stopped before the fork, or at it, only follows", () => {
  for (const end of ["0/4FFFFF8", "0/5000000"]) {
    const walEnd = parseLsn(end);
    for (const data of ["primary", "standby"] as const) {
      assert.deepEqual(decide(data, { timeline: T1, walEnd }), { kind: "follow", from: walEnd });
    }
  }
});

test("a node whose WAL goes on beyond the fork by one byte has diverged, and so has one that cannot tell its end", () => {
  const own = { timeline: T1, fork: FORK, apart: false };
  for (const walEnd of [parseLsn("0/5000001"), undefined]) {
    assert.deepEqual(decide("primary", { timeline: T1, walEnd }), { kind: "delta", own });
  }
});

test("a standby of the primary's own timeline follows, and what was a primary there is written over on request only", () => {
  const node = { timeline: T2, walEnd: parseLsn("0/6000000") };
  assert.deepEqual(decide("standby", node), { kind: "follow", from: node.walEnd });
  const own = { timeline: T2, fork: undefined, apart: true };
  // With a standby.signal that somebody put there it would start as one, and mix what two primaries wrote.
  for (const [data, was] of [["primary", {}] as const, ["standby", { wasPrimary: true }] as const]) {
    assert.deepEqual(decide(data, { ...node, ...was }), { kind: "refused", reason: "second-primary" });
    assert.deepEqual(decide(data, { ...node, ...was }, { asked: true }), { kind: "delta", own });
  }
});

test("a node that is so far behind that the primary has no more what it needs is written over, to the byte", () => {
  const at = (lsn: string) => decide("standby", { timeline: T1, walEnd: parseLsn(lsn) });
  assert.deepEqual(at("0/FFFFFF"), { kind: "delta", own: undefined });
  assert.deepEqual(at("0/1000000"), { kind: "follow", from: oldestWal });
  const late = { ...upstream, oldestWal: parseLsn("0/9000000") };
  const diverged = { timeline: T1, walEnd: parseLsn("0/6000000") };
  // What it has beyond the fork is kept all the same.
  const own = { timeline: T1, fork: FORK, apart: false };
  assert.deepEqual(decide("primary", diverged, { upstream: late }), { kind: "delta", own });
});

test("what ran as a primary on a timeline that the primary's history does not know is written over on request only, unless it acknowledged nothing", () => {
  const [early, late] = [parseLsn("0/4000000"), parseLsn("0/5800000")];
  const ofT1 = { ...upstream, lineage: lineageOf(T1, []) };
  const scenes: readonly [string, Past, RejoinFacts["upstream"], object][] = [
    ["promoted, and the primary went on", { timeline: T2, walEnd: late }, ofT1, { timeline: T2, fork: FORK }],
    [
      "promoted after the primary had been replaced by another one",
      { timeline: T3, walEnd: late, lineage: lineage([T1, late], T3) },
      upstream,
      { timeline: T1, fork: FORK },
    ],
    [
      "promoted before that",
      { timeline: T3, walEnd: late, lineage: lineage([T1, early], T3) },
      upstream,
      { timeline: T3, fork: early },
    ],
    [
      "promoted to the same number elsewhere",
      { timeline: T2, walEnd: late, lineage: lineage([T1, early], T2) },
      upstream,
      { timeline: T2, fork: early },
    ],
    [
      "promoted at the same place",
      { timeline: T3, walEnd: late, lineage: lineage([T1, FORK], T3) },
      upstream,
      { timeline: T3, fork: FORK },
    ],
    [
      "its history is gone",
      { timeline: T2, walEnd: late, lineage: undefined },
      upstream,
      { timeline: T2, fork: undefined },
    ],
    ["of no common past", { timeline: T9, walEnd: late }, upstream, { timeline: T9, fork: undefined }],
  ];
  for (const [scene, node, of, own] of scenes) {
    const delta = { kind: "delta", own: { ...own, apart: true } };
    const refused = { kind: "refused", reason: "second-primary" };
    assert.deepEqual(decide("primary", node, { upstream: of }), refused, scene);
    // Whatever it would start as.
    assert.deepEqual(decide("standby", { ...node, wasPrimary: true }, { upstream: of }), refused, scene);
    assert.deepEqual(decide("primary", node, { upstream: of, asked: true }), delta, scene);
    assert.deepEqual(decide("primary", { ...node, heldBack: true }, { upstream: of }), delta, scene);
    // One that only replayed: it never follows by the number of its timeline alone.
    assert.deepEqual(decide("standby", node, { upstream: of }), delta, scene);
  }
});

test("another system's data is refused, and nothing is restored into an empty place", () => {
  const node = { systemId: "2" as SystemId, timeline: T1, walEnd: undefined };
  for (const asked of [false, true]) {
    assert.deepEqual(decide("primary", node, { asked }), { kind: "refused", reason: "other-system" });
  }
  assert.deepEqual(decide("absent", undefined), { kind: "restore" });
  assert.deepEqual(decide("unfinished", undefined), { kind: "restore" });
});

test("without an answer of the primary a standby starts as it is, and everything else is left alone", () => {
  const node = { timeline: T1, walEnd: parseLsn("0/6000000") };
  const silent = (data: NodeData) =>
    decide(data, data === "absent" ? undefined : node, { upstream: undefined, asked: true });
  assert.deepEqual(silent("standby"), { kind: "start" });
  for (const data of ["primary", "unfinished", "absent"] as const) {
    assert.deepEqual(silent(data), { kind: "refused", reason: "no-answer" });
  }
});
