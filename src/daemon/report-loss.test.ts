import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLsn } from "../postgres/lsn.ts";
import { gapOf, lossAtFirst, lossWith, type ReportedPosition, renderLoss, reportedPositions } from "./report-loss.ts";

function position(of: string, flushed: string): ReportedPosition {
  return { of, timeline: 1, flushed, whole: null, seenAgoMs: 0 };
}

const beyond = { fork: parseLsn("0/100"), end: parseLsn("0/180"), commits: 3 };

test("the gap is what was known of anybody beyond the beginning of the new timeline; what is not known is null", () => {
  // Compared as positions: as texts 0/90 would be beyond 0/100.
  const positions = [position("db", "0/100"), position("db_replica", "0/90"), position("receiver", "0/110")];
  assert.deepEqual(gapOf(positions, parseLsn("0/100")), {
    promotedAt: "0/100",
    highestKnown: "0/110",
    of: "receiver",
    bytes: 16,
  });
  assert.equal(gapOf(positions, parseLsn("0/200"))?.bytes, 0);
  assert.equal(gapOf(positions, undefined), null);
  assert.equal(gapOf([], parseLsn("0/100")), null);
});

test("with proof nothing acknowledged is lost, whatever the old primary has; without, it is counted when that is seen", () => {
  const proven = lossAtFirst("failover", { loss: { kind: "none" } });
  assert.deepEqual(proven, { acknowledged: 0, basis: "proven", commitsBeyond: null, bytesBeyond: null });
  assert.deepEqual(lossWith(proven, beyond), { acknowledged: 0, basis: "proven", commitsBeyond: 3, bytesBeyond: 128 });
  const unknown = lossAtFirst("failover", { loss: { kind: "possible", bytesMax: 128 } });
  assert.deepEqual([unknown.acknowledged, unknown.basis], [null, "unknown"]);
  assert.deepEqual(lossWith(unknown, beyond), {
    acknowledged: 3,
    basis: "counted",
    commitsBeyond: 3,
    bytesBeyond: 128,
  });
  assert.equal(lossAtFirst("switchover", null).basis, "proven");
  assert.equal(lossAtFirst("finish", null).basis, "unknown");
});

test("people are told that a number is not known yet, and whose the newest position was", () => {
  const unknown = lossAtFirst("failover", null);
  assert.match(renderLoss(null, unknown).join("\n"), /not known before the old primary is seen again/);
  const gap = gapOf([position("db", "0/110")], parseLsn("0/100"));
  const text = renderLoss(gap, lossWith(unknown, beyond)).join("\n");
  assert.match(text, /0\/110 \(db\): a gap of 16 bytes/);
  assert.match(text, /lost: 3 \(counted\)/);
});

test("positions are read from what was journaled, and from nothing else", () => {
  const one = position("db", "0/100");
  assert.deepEqual(reportedPositions({ positions: [one, { of: "db" }] }), [one]);
  assert.deepEqual(reportedPositions({ positions: [{ of: "a", timeline: 1, flushed: "0/1", seenAgoMs: 2 }] }), [
    { of: "a", timeline: 1, flushed: "0/1", whole: null, seenAgoMs: 2 },
  ]);
  for (const other of [null, "text", {}, { positions: 1 }]) assert.deepEqual(reportedPositions(other), []);
});
