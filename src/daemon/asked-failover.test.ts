import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import type { Decision } from "../failover/decide.ts";
import type { ClusterRecord, Epoch } from "../failover/ports.ts";
import { reason } from "../failover/reasons.ts";
import type { Monotonic } from "../platform/clock.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { askedFailover } from "./asked-failover.ts";
import type { Look } from "./watcher.ts";

const record: ClusterRecord = {
  systemId: "1" as SystemId,
  primary: "db",
  reign: 3 as Epoch,
  timeline: 1 as Timeline,
  durability: "quorum",
  joined: ["db_replica"],
  action: undefined,
  maintenance: false,
};

const unseen = { sentAt: 0 as Monotonic, at: 0 as Monotonic, view: undefined, last: undefined };

function look(decision: Decision): Look {
  const seen = {
    now: 0 as Monotonic,
    record,
    nodes: new Map(),
    witness: unseen,
    primaryEnd: undefined,
    unkept: undefined,
  };
  return { seen, decision, poolers: [] };
}

function refusal(decision: Decision, acceptLoss?: string): ErrorCode {
  try {
    askedFailover(look(decision), record, acceptLoss);
  } catch (error) {
    if (isLifeboatError(error)) return error.code;
    throw error;
  }
  return assert.fail("it was not refused");
}

const gone = [reason("nobody-listens", "db")];

function blockedWith(bytesMax: number | undefined): Extract<Decision, { readonly kind: "blocked" }> {
  const loss = { kind: "possible", bytesMax, seenAgoMs: 5 } as const;
  return { kind: "blocked", reasons: gone, offers: [{ kind: "accept-loss", candidate: "db_replica", loss }] };
}

test("a primary that lives, or is not provably gone, is not replaced, whatever was accepted", () => {
  for (const decision of [
    { kind: "healthy", concerns: [] },
    { kind: "suspect", since: 0 as Monotonic, reasons: gone },
    { kind: "lost-quorum", reasons: gone },
    { kind: "hold", reasons: gone },
    { kind: "unknown", reasons: gone },
  ] satisfies readonly Decision[]) {
    assert.equal(refusal(decision), "failover.primary-lives");
    assert.equal(refusal(decision, "unknown"), "failover.primary-lives");
  }
});

test("whoever is refused is told what a node lacks, and by which SQLSTATE it answers", () => {
  const lacking = reason("parameters-too-small", "db_replica", { lacks: "max_connections 100 of 300" });
  const refusing = reason("candidate-error", "db_third", { sqlstate: "28P01" });
  const decision: Decision = { kind: "blocked", reasons: [...gone, lacking, refusing], offers: [] };
  assert.throws(
    () => askedFailover(look(decision), record, undefined),
    /lacks max_connections 100 of 300.*sqlstate 28P01/,
  );
});

test("a loss is accepted only as it is stated", () => {
  assert.equal(refusal(blockedWith(8_192)), "failover.blocked");
  for (const typed of ["8191 bytes", "8193", "unknown", "yes", "0 bytes"]) {
    assert.equal(refusal(blockedWith(8_192), typed), "failover.loss-not-stated", typed);
  }
  assert.equal(refusal(blockedWith(undefined), "8192 bytes"), "failover.loss-not-stated");
  for (const [bytes, typed] of [
    [8_192, "8192 bytes"],
    [8_192, " 8192  Bytes"],
    [8_192, "8192"],
    [undefined, "unknown"],
  ] as const) {
    const plan = askedFailover(look(blockedWith(bytes)), record, typed);
    assert.deepEqual([plan.kind, plan.from, plan.to], ["failover", "db", "db_replica"]);
    // The old primary is down for sure before anything is promoted.
    const fences = plan.stages.flat().filter((step) => step.kind === "fence");
    assert.ok(fences.every((step) => step.kind === "fence" && step.wait) && fences.length === 1);
  }
});

test("an accepted loss that was stated over a hole before the vault's WAL is not waited for beyond it", () => {
  const view = { held: {} } as NonNullable<Look["seen"]["witness"]["view"]>;
  for (const hole of [true, false]) {
    const decision = blockedWith(8_192);
    const reasons = hole ? [...decision.reasons, reason("witness-hole", "db_replica")] : decision.reasons;
    const { seen, ...rest } = look({ ...decision, reasons });
    const plan = askedFailover(
      { ...rest, seen: { ...seen, witness: { ...seen.witness, view } } },
      record,
      "8192 bytes",
    );
    const gaps = plan.stages.flat().filter((step) => step.kind === "fill-gap");
    assert.deepEqual(gaps, [{ kind: "fill-gap", overHole: hole }]);
  }
});

test("where nobody can take over there is no loss to accept", () => {
  const decision: Decision = { kind: "blocked", reasons: gone, offers: [{ kind: "restore-from-vault" }] };
  assert.equal(refusal(decision, "unknown"), "failover.blocked");
});
