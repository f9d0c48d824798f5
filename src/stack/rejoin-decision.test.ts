import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { lineageOf } from "../wal/history.ts";
import type { NodeData } from "./plan.ts";
import { decideRejoin, type RejoinFacts } from "./rejoin-decision.ts";

const FORK = parseLsn("0/5000000");
const OURS = "1" as SystemId;
const T1 = 1 as Timeline;
const T2 = 2 as Timeline;
const oldestWal = parseLsn("0/1000000");
const upstream = { systemId: OURS, lineage: lineageOf(T2, [{ timeline: T1, switchLsn: FORK }]), oldestWal };

function decide(data: NodeData, node: RejoinFacts["node"]) {
  return decideRejoin({ data, node, upstream });
}

test("a primary that was stopped before the fork, or at it, only follows", () => {
  for (const end of ["0/4FFFFF8", "0/5000000"]) {
    const walEnd = parseLsn(end);
    const node = { systemId: OURS, timeline: T1, walEnd };
    assert.deepEqual(decide("primary", node), { kind: "follow", from: walEnd });
    assert.deepEqual(decide("standby", node), { kind: "follow", from: walEnd });
  }
});

test("a node whose WAL goes on beyond the fork by one byte has diverged, and so has one that cannot tell its end", () => {
  for (const walEnd of [parseLsn("0/5000001"), undefined]) {
    const node = { systemId: OURS, timeline: T1, walEnd };
    assert.deepEqual(decide("primary", node), { kind: "delta", fork: FORK });
  }
});

test("a standby of the primary's own timeline follows, and what was a primary there is written over", () => {
  const walEnd = parseLsn("0/6000000");
  const node = { systemId: OURS, timeline: T2, walEnd };
  assert.deepEqual(decide("standby", node), { kind: "follow", from: walEnd });
  assert.deepEqual(decide("primary", node), { kind: "delta", fork: undefined });
});

test("a node that is so far behind that the primary has no more what it needs is written over, to the byte", () => {
  const timeline = T1;
  const at = (lsn: string) => decide("standby", { systemId: OURS, timeline, walEnd: parseLsn(lsn) });
  assert.deepEqual(at("0/FFFFFF"), { kind: "delta", fork: undefined });
  assert.deepEqual(at("0/1000000"), { kind: "follow", from: oldestWal });
  const late = { ...upstream, oldestWal: parseLsn("0/9000000") };
  const diverged = { systemId: OURS, timeline, walEnd: parseLsn("0/6000000") };
  // What it has beyond the fork is kept all the same.
  assert.deepEqual(decideRejoin({ data: "primary", node: diverged, upstream: late }), { kind: "delta", fork: FORK });
});

test("a timeline that the primary's history does not know is written over", () => {
  const node = { systemId: OURS, timeline: 9 as Timeline, walEnd: parseLsn("0/1000001") };
  assert.deepEqual(decide("standby", node), { kind: "delta", fork: undefined });
});

test("another system's data is refused, and nothing is restored into an empty place", () => {
  const node = { systemId: "2" as SystemId, timeline: T1, walEnd: undefined };
  assert.deepEqual(decide("primary", node), { kind: "refused", reason: "other-system" });
  assert.deepEqual(decide("absent", undefined), { kind: "restore" });
  assert.deepEqual(decide("unfinished", undefined), { kind: "restore" });
});

test("without an answer of the primary a standby starts as it is, and everything else is left alone", () => {
  const node = { systemId: OURS, timeline: T1, walEnd: parseLsn("0/6000000") };
  const silent = (data: NodeData) =>
    decideRejoin({ data, node: data === "absent" ? undefined : node, upstream: undefined });
  assert.deepEqual(silent("standby"), { kind: "start" });
  for (const data of ["primary", "unfinished", "absent"] as const) {
    assert.deepEqual(silent(data), { kind: "refused", reason: "no-answer" });
  }
});
