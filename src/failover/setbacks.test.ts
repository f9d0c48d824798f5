import assert from "node:assert/strict";
import { test } from "node:test";
import { lasting, observe, POLICY, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import type { Monotonic } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { decideFailover } from "./decide.ts";
import type { SeenPooler } from "./look.ts";
import type { Plan } from "./plan.ts";
import type { Epoch, NodeProbe, PoolerPort, PoolerView } from "./ports.ts";
import {
  EQUAL_FAILURES,
  type Failure,
  isDue,
  noteFailure,
  type Setbacks,
  setbackOf,
  standingSetback,
  stateOf,
  withSetback,
} from "./setbacks.ts";

const FAILOVER: Plan = { kind: "failover", from: "a", to: "b", stages: [] };
const RETRY_MS = 500;

function failing(times: number, before: Setbacks = new Map(), different: Partial<Failure> = {}): Setbacks {
  let setbacks = before;
  for (let index = 0; index < times; index += 1) {
    const at = (index * 1_000) as Monotonic;
    const failure = { plan: FAILOVER, step: "await-replay", code: "failover.step-failed", why: "stalled" } as const;
    setbacks = noteFailure(setbacks, { ...failure, state: "same", at, ...different });
  }
  return setbacks;
}

test("a plan is put off when it failed three times at one step with one error, and only that plan", () => {
  assert.equal(setbackOf(failing(2), FAILOVER, "same"), undefined);
  assert.equal(setbackOf(failing(EQUAL_FAILURES), FAILOVER, "same")?.count, EQUAL_FAILURES);
  const elsewhere = failing(1, failing(2), { step: "promote" });
  assert.equal(setbackOf(failing(1, elsewhere), FAILOVER, "same"), undefined, "another step begins anew");
  assert.equal(setbackOf(failing(1, failing(2), { code: "platform.no-answer" }), FAILOVER, "same"), undefined);
  assert.equal(setbackOf(failing(9), { ...FAILOVER, to: "c" }, "same"), undefined);
  assert.equal(setbackOf(failing(9), { ...FAILOVER, kind: "reinstate" }, "same"), undefined);
  assert.equal(setbackOf(failing(9), undefined, "same"), undefined);
  assert.equal(standingSetback(failing(EQUAL_FAILURES), "same")?.plan, "failover");
  assert.equal(standingSetback(failing(EQUAL_FAILURES), "other"), undefined);
  assert.equal(standingSetback(failing(2), "same"), undefined);
});

test("a state that was not seen before ends the wait at once; one that returns does not", () => {
  const setbacks = failing(EQUAL_FAILURES);
  assert.equal(setbackOf(setbacks, FAILOVER, "other"), undefined);
  const tried = failing(1, setbacks, { state: "other" });
  assert.equal(setbackOf(tried, FAILOVER, "other")?.count, EQUAL_FAILURES + 1);
  assert.equal(setbackOf(tried, FAILOVER, "same")?.count, EQUAL_FAILURES + 1);
});

test("the wait doubles with every failure and has an end", () => {
  const dueAfter = (times: number): number => {
    const setback = setbackOf(failing(times), FAILOVER, "same");
    assert(setback !== undefined);
    let ms = 0;
    while (!isDue(setback, (setback.at + ms) as Monotonic, RETRY_MS)) ms += 500;
    return ms;
  };
  assert.deepEqual([3, 4, 5, 8, 9, 100].map(dueAfter), [1_000, 2_000, 4_000, 32_000, 32_000, 32_000]);
});

const GONE: NodeProbe = { kind: "nobody-listens" };

test("what could be done by itself is blocked and offered to a person; a primary that serves stays healthy, with a concern", () => {
  const setback = setbackOf(failing(4), FAILOVER, "same");
  const promotable = decideFailover(observe(lasting({ a: GONE }, 500)), POLICY);
  assert.equal(withSetback(promotable, undefined), promotable);
  const blocked = withSetback(promotable, setback);
  assert(blocked.kind === "blocked");
  assert.deepEqual(blocked.offers, [{ kind: "promote-by-hand", candidate: "b" }]);
  const { facts } = blocked.reasons.find(({ code }) => code === "plan-fails") ?? {};
  assert.deepEqual([facts?.["plan"], facts?.["step"], facts?.["times"]], ["failover", "await-replay", 4]);
  const healthy = withSetback(decideFailover(observe([{ atMs: 0 }]), POLICY), setback);
  assert.equal(healthy.kind, "healthy");
  assert.ok(healthy.kind === "healthy" && healthy.concerns.some(({ code }) => code === "plan-fails"));
});

function stateWith(b: NodeProbe, witness = witnessAnswer(), pooler: Partial<PoolerView> | "away" = {}): string {
  const seen = observe(lasting({ a: GONE, b, witness }, 500));
  const view: PoolerView | undefined =
    pooler === "away" ? undefined : { epoch: 7, mode: "serving", target: "a", ...pooler };
  const poolers: readonly SeenPooler[] = [{ pooler: { name: "pooler" } as PoolerPort, view, sentAt: 0 as Monotonic }];
  return stateOf(seen, decideFailover(seen, POLICY), poolers);
}

test("what an attempt changes by itself is no other state; what somebody mended is", () => {
  const usual = stateWith(standbyAnswer());
  assert.equal(stateWith(standbyAnswer({}, { freeBytes: 999_999 })), usual);
  assert.equal(stateWith(standbyAnswer(), witnessAnswer(), { mode: "paused", epoch: 9 }), usual);
  const withdrawn = (by: number) =>
    stateWith(standbyAnswer(), witnessAnswer({ mode: { kind: "withdrawn", by: by as Epoch } }));
  assert.equal(withdrawn(8), withdrawn(9));
  const streaming = { kind: "streaming", receivedAgoMs: 1 } as const;
  const at = (flushed: bigint) => stateWith(standbyAnswer({ receiver: streaming, flushed: flushed as Lsn }));
  assert.equal(at(1_000n), at(2_000n));
  for (const other of [
    stateWith(standbyAnswer({ replayed: 1_200n as Lsn })),
    stateWith(standbyAnswer({}, { freeBytes: 10 })),
    stateWith({ kind: "silent" }),
    stateWith(standbyAnswer(), witnessAnswer(), "away"),
    withdrawn(8),
  ]) {
    assert.notEqual(other, usual);
  }
});
