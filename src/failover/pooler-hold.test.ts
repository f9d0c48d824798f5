import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { RECORD, standbyAnswer } from "../../test/support/failover-views.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { Acting } from "./acting.ts";
import { SEQUENCE_LIMITS } from "./limits.ts";
import type { Plan } from "./plan.ts";
import type { Epoch, NodePort, PoolerPort, PoolerView } from "./ports.ts";
import { type PlanOutcome, runPlan } from "./sequence.ts";

/** Replay for two minutes behind a pause; what each pooler was told, and when. */
async function replaying(given: { readonly modes: readonly PoolerView["mode"][]; readonly drain: boolean }): Promise<{
  readonly outcome: PlanOutcome;
  readonly told: readonly (readonly string[])[];
  readonly endedAt: number;
}> {
  const clock = new ManualClock();
  const told = given.modes.map((): string[] => []);
  const poolers = given.modes.map((mode, index) =>
    only<PoolerPort>(`pooler ${index}`, {
      name: `pooler ${index}`,
      view: async () => ({ epoch: 8, mode, target: "a" }),
      pause: async ({ gone = false }) => {
        told[index]?.push(gone ? `renewed at ${clock.monotonic() / 1_000} s` : "paused");
        return { kind: "done" };
      },
      repoint: async () => {
        told[index]?.push("repointed");
        return { kind: "done" };
      },
    }),
  );
  const b = only<NodePort>("b", {
    name: "b",
    probe: async () => {
      const replayed = BigInt(900 + Math.floor(Math.min(clock.monotonic(), 25_000) / 1_000)) as Lsn;
      return standbyAnswer({ flushed: 925n as Lsn, replayed, replayIdle: replayed === 925n });
    },
    hurryReplay: async () => ({ kind: "done" }),
  });
  const plan: Plan = {
    kind: "switchover",
    from: "a",
    to: "b",
    stages: [
      [{ kind: "pause-poolers", drain: given.drain }],
      [{ kind: "await-replay" }],
      [{ kind: "repoint-poolers" }],
    ],
  };
  const acting = new Acting(portsFor({ clock, poolers, nodes: [b] }), leaseThat(true), undefined);
  const stored = { version: 3, epoch: 7 as Epoch, record: RECORD };
  const limits = { ...SEQUENCE_LIMITS, pollMs: 100 };
  const running = runPlan({ acting, limits, plan, stored });
  for (;;) {
    const outcome = await Promise.race([running, clock.advance(100)]);
    if (outcome !== undefined) return { outcome, told, endedAt: clock.monotonic() };
    assert.ok(clock.monotonic() < 60_000);
  }
}

test("a pause is renewed for as long as a plan has clients wait, well before its hold ends, and not after they are sent on", async () => {
  for (const drain of [false, true]) {
    const { outcome, told, endedAt } = await replaying({ modes: ["paused"], drain });
    assert.equal(outcome.kind, "done");
    assert.deepEqual(told, [["paused", "renewed at 10 s", "renewed at 20 s", "repointed"]]);
    assert.ok(endedAt > 20_000 && SEQUENCE_LIMITS.pauseHoldMs > 10_000);
  }
});

test("of two poolers the one that serves is not paused again", async () => {
  const { outcome, told } = await replaying({ modes: ["serving", "paused"], drain: false });
  assert.equal(outcome.kind, "done");
  assert.deepEqual(told[0], ["paused", "repointed"]);
  assert.equal(told[1]?.length, 4);
});
