import assert from "node:assert/strict";
import { test } from "node:test";
import { observe, primaryAnswer, RECORD, type SeenRound } from "../../test/support/failover-views.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { decideAdoption } from "./adoption.ts";
import type { ClusterRecord, NodeProbe } from "./ports.ts";

const GONE: NodeProbe = { kind: "nobody-listens" };
const BY_HAND = primaryAnswer({ confirmers: [] }, { timeline: 4 as Timeline, synchronousNames: "" });

function planned(round: Omit<SeenRound, "atMs">, node: string, record: Partial<ClusterRecord> = {}) {
  const answer = decideAdoption(observe([{ atMs: 0, ...round }], record), node);
  if (answer.kind === "refused") return answer.why;
  const { kind, from, to, stages } = answer.plan;
  const fenced = stages
    .flat()
    .flatMap((step) => (step.kind === "fence" ? [`fence ${step.node} ${step.wait}`] : [step.kind]));
  return { kind, moved: `${from} ${to}`, steps: fenced };
}

const ESTABLISHED = [
  "name-confirmers",
  "witness-follows",
  "repoint-poolers",
  "resume-poolers",
  "drop-dead",
  "prove-writes",
];

test("of two primaries the one that somebody promoted is the recorded one once the other is down for sure, whatever was under way", () => {
  const steps = ["see-promoted", "fence a true", "note-primary", ...ESTABLISHED];
  const action = {
    kind: "failover",
    epoch: RECORD.reign,
    from: "a",
    to: "b",
    phase: "preparing",
    target: undefined,
  } as const;
  for (const record of [{}, { maintenance: true }, { action }]) {
    for (const a of [primaryAnswer(), GONE, { kind: "silent" } as const]) {
      assert.deepEqual(planned({ a, b: BY_HAND }, "b", record), { kind: "adopt", moved: "a b", steps });
    }
  }
});

test("one that is down is started and looked at before anything else is done", () => {
  const steps = ["start-candidate", "see-promoted", "fence a true", "note-primary", ...ESTABLISHED];
  assert.deepEqual(planned({ b: GONE }, "b"), { kind: "adopt", moved: "a b", steps });
});

test("the recorded primary that is down is started once the other one is down for sure", () => {
  const steps = ["fence b true", "start-primary", "note-primary", ...ESTABLISHED];
  assert.deepEqual(planned({ a: GONE, b: BY_HAND }, "a"), { kind: "adopt", moved: "a a", steps });
});

test("who is none of two primaries is not adopted", () => {
  const other = { systemId: "2" as SystemId, timeline: 4 as Timeline };
  for (const [round, node, why] of [
    [{ b: BY_HAND }, "a", /recorded primary, and answers/],
    [{}, "b", /standby/],
    [{ b: { kind: "silent" } }, "b", /does not answer/],
    [{ a: { kind: "silent" }, b: BY_HAND }, "a", /does not answer/],
    [{ b: primaryAnswer({}, other) }, "b", /of system 2/],
    [{ b: primaryAnswer({}, { synchronousNames: "" }) }, "b", /timeline 3/],
    [{}, "c", /no such node/],
  ] as const) {
    assert.match(String(planned(round, node)), why);
  }
});
