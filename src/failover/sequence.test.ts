import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { primaryAnswer, RECORD, standbyAnswer } from "../../test/support/failover-views.ts";
import { HELD_NAMES } from "../durability/names.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { Acting } from "./acting.ts";
import { SEQUENCE_LIMITS } from "./limits.ts";
import type { Plan, Step } from "./plan.ts";
import type {
  ClusterRecord,
  Epoch,
  FailoverPorts,
  GapAnswer,
  HeldWal,
  MachinePort,
  NodePort,
  PoolerPort,
  RecordPort,
  WitnessPort,
} from "./ports.ts";
import { type PlanOutcome, runPlan } from "./sequence.ts";

const HELD: HeldWal = {
  timeline: RECORD.timeline,
  from: 0n as Lsn,
  flushed: 1_000n as Lsn,
  recordEnd: 990n as Lsn,
};

function planOf(...steps: readonly Step[]): Plan {
  return { kind: "failover", from: "a", to: "b", stages: steps.map((step) => [step]) };
}

function run(ports: FailoverPorts, plan: Plan): Promise<PlanOutcome> {
  const acting = new Acting(ports, leaseThat(true), undefined);
  const stored = { version: 3, epoch: 7 as Epoch, record: RECORD };
  return runPlan({ acting, limits: SEQUENCE_LIMITS, plan, stored });
}

/** Ports where the witness answers so to a gap that is to be filled, and b has replayed so far. */
function gapPorts(answer: GapAnswer, role: Parameters<typeof standbyAnswer>[0] = {}): FailoverPorts {
  const witness = only<WitnessPort>("witness", {
    withdraw: async () => ({ kind: "withdrawn", held: HELD }),
    fillGap: async () => answer,
  });
  const b = only<NodePort>("b", { name: "b", probe: async () => standbyAnswer(role) });
  return portsFor({ witness, nodes: [b] });
}

const GAP: readonly Step[] = [
  { kind: "withdraw-witness" },
  { kind: "fill-gap", overHole: false },
  { kind: "await-replay" },
];

test("a candidate with other bytes than the vault, or WAL that is nowhere, ends the plan before anything is promoted", async () => {
  for (const answer of [
    { kind: "diverged", at: 1n as Lsn },
    { kind: "hole", from: 1n as Lsn, to: 2n as Lsn },
  ] as const) {
    const outcome = await run(gapPorts(answer), planOf(...GAP));
    assert.ok(outcome.kind === "failed");
    assert.deepEqual([outcome.at, outcome.error.code, outcome.lost], ["fill-gap", "failover.unsafe-candidate", false]);
  }
});

test("a hole is gone over where the decision counts without the vault, and the vault's end is not waited for", async () => {
  const over = GAP.map((step) => (step.kind === "fill-gap" ? { ...step, overHole: true } : step));
  const role = { flushed: 900n as Lsn, replayed: 900n as Lsn, replayIdle: true };
  const hole = await run(gapPorts({ kind: "hole", from: 900n as Lsn, to: 950n as Lsn }, role), planOf(...over));
  assert.equal(hole.kind, "done");
  // What became reachable in between is waited for all the same.
  const reachable = await run(gapPorts({ kind: "serving", recordEnd: 990n as Lsn }, role), planOf(...over));
  assert.ok(reachable.kind === "failed" && reachable.at === "await-replay");
  const diverged = await run(gapPorts({ kind: "diverged", at: 1n as Lsn }, role), planOf(...over));
  assert.ok(diverged.kind === "failed" && diverged.at === "fill-gap");
});

test("two replicas, the other one received more before it stopped: the candidate is not promoted", async () => {
  const probing = (name: string, flushed: Lsn): NodePort =>
    only<NodePort>(name, {
      name,
      probe: async () => standbyAnswer({ flushed, replayed: flushed, replayIdle: true, upstream: false }),
    });
  const steps: readonly Step[] = [{ kind: "see-receivers-gone", nodes: ["b", "c"] }, { kind: "await-replay" }];
  for (const [other, expected] of [
    [901n as Lsn, "failed"],
    [900n as Lsn, "done"],
  ] as const) {
    const outcome = await run(portsFor({ nodes: [probing("b", 900n as Lsn), probing("c", other)] }), planOf(...steps));
    assert.equal(outcome.kind, expected);
    if (outcome.kind === "failed") assert.equal(outcome.at, "await-replay");
  }
});

test("replay is done at the last whole record of the vault, not at its flushed position (rule B8)", async () => {
  const role = { flushed: 995n as Lsn, replayed: 990n as Lsn, replayIdle: true };
  const outcome = await run(gapPorts({ kind: "serving", recordEnd: 990n as Lsn }, role), planOf(...GAP));
  assert.equal(outcome.kind, "done");
});

test("replay that stands before the vault's last record ends the plan, however idle it says it is", async () => {
  const role = { flushed: 900n as Lsn, replayed: 900n as Lsn, replayIdle: true };
  const outcome = await run(gapPorts({ kind: "serving", recordEnd: 990n as Lsn }, role), planOf(...GAP));
  assert.ok(outcome.kind === "failed");
  assert.deepEqual([outcome.at, outcome.error.code], ["await-replay", "failover.step-failed"]);
});

test("a receiver that still runs after its upstream was taken away is waited for, and seen gone twice (rule B7)", async () => {
  let looks = 0;
  const b = only<NodePort>("b", {
    name: "b",
    probe: async () => {
      looks += 1;
      const receiver = looks < 3 ? ({ kind: "streaming", receivedAgoMs: 1 } as const) : ({ kind: "none" } as const);
      return standbyAnswer({ upstream: false, receiver });
    },
  });
  const outcome = await run(portsFor({ nodes: [b] }), planOf({ kind: "see-receivers-gone", nodes: ["b"] }));
  assert.equal(outcome.kind, "done");
  assert.equal(looks, 4);
});

test("the intents of a plan and of its first stage go to the journal in one turn, and nothing is done before both are there", async () => {
  const settle: (() => void)[] = [];
  let resumed = 0;
  const pooler = only<PoolerPort>("pooler", {
    name: "pooler",
    resume: async () => {
      resumed += 1;
      return { kind: "done" };
    },
  });
  const append = (): Promise<void> => new Promise((resolve) => settle.push(resolve));
  const running = run(portsFor({ poolers: [pooler], journal: { append } }), planOf({ kind: "resume-poolers" }));
  await turn();
  assert.equal(settle.length, 2);
  settle[1]?.();
  await turn();
  assert.equal(resumed, 0);
  for (let next = settle[0]; next !== undefined; next = settle.pop()) {
    next();
    await turn();
  }
  assert.equal((await running).kind, "done");
  assert.equal(resumed, 1);
});

test("a candidate is made ready for those who will confirm to it, and keeps no slot for itself", async () => {
  const kept: (readonly string[])[] = [];
  const names: string[] = [];
  const b = only<NodePort>("b", {
    name: "b",
    probe: async () => standbyAnswer(),
    makeSlots: async ({ slots }) => {
      kept.push(slots);
      return { kind: "done" };
    },
    setSynchronousNames: async (order) => {
      names.push(order.names);
      return { kind: "done" };
    },
  });
  const a = only<NodePort>("a", { name: "a" });
  const acting = new Acting(portsFor({ nodes: [a, b] }), leaseThat(true), undefined);
  const stored = { version: 3, epoch: 7 as Epoch, record: RECORD };
  const limits = { ...SEQUENCE_LIMITS, slots: ["lifeboat_vault", "a", "b"] };
  const outcome = await runPlan({ acting, limits, plan: planOf({ kind: "prepare-candidate" }), stored });
  assert.equal(outcome.kind, "done");
  assert.deepEqual([kept, names], [[["lifeboat_vault", "a"]], ["ANY 1 (a, lifeboat_vault_e8)"]]);
});

test("a candidate that was not seen with a standby's names is led to only when its commits were seen to wait, and one that was at once", async () => {
  const target = 900n as Lsn;
  const action = { kind: "failover", epoch: 8 as Epoch, from: "a", to: "b", phase: "promoting", target } as const;
  const stored = { version: 3, epoch: 7 as Epoch, record: { ...RECORD, action } };
  const promoted = primaryAnswer({ timelineStart: 950n as Lsn }, { timeline: 9 as typeof RECORD.timeline });
  for (const [names, waits, expected] of [
    ["", false, "failed"],
    ["", true, "done"],
    // Told by a try before this one, or by nobody knows whom: it may not have read them.
    ["ANY 1 (a, lifeboat_vault_e7)", false, "failed"],
    [undefined, false, "failed"],
    [HELD_NAMES, undefined, "done"],
  ] as const) {
    let prepared = false;
    const b = only<NodePort>("b", {
      name: "b",
      probe: async () => {
        if (prepared) return promoted;
        return names === undefined ? { kind: "silent" } : standbyAnswer({}, { synchronousNames: names });
      },
      makeSlots: async () => ({ kind: "done" }),
      setSynchronousNames: async () => {
        prepared = true;
        return { kind: "done" };
      },
      ...(waits === undefined ? {} : { commitsWait: async () => waits }),
    });
    const acting = new Acting(portsFor({ nodes: [b] }), leaseThat(true), undefined);
    const plan: Plan = { ...planOf({ kind: "prepare-candidate" }, { kind: "see-promoted" }), kind: "switchover" };
    const outcome = await runPlan({ acting, limits: SEQUENCE_LIMITS, plan, stored });
    assert.equal(outcome.kind, expected, names);
    if (outcome.kind === "failed") assert.equal(outcome.at, "see-promoted");
  }
});

test("a primary that crashes while it is to be stopped for a switchover is not followed by a promotion", async () => {
  for (const [shutdownLsn, expected] of [
    [undefined, "stop-primary"],
    [990n as Lsn, "promote"],
  ] as const) {
    const machines = only<MachinePort>("machines", { stop: async () => ({ kind: "stopped", shutdownLsn }) });
    const b = only<NodePort>("b", {
      name: "b",
      promote: async () => {
        throw new Error("it is to be promoted");
      },
    });
    const plan: Plan = { ...planOf({ kind: "stop-primary" }, { kind: "promote" }), kind: "switchover" };
    const outcome = await run(portsFor({ machines, nodes: [b] }), plan);
    assert.equal(outcome.kind === "failed" && outcome.at, expected);
  }
});

test("that a primary was seen to do less stays in the record for as long as it is the primary", async () => {
  const written: ClusterRecord[] = [];
  const record = only<RecordPort>("record", {
    write: async ({ over, record: next }) => {
      written.push(next);
      return { kind: "done", version: over + 1 };
    },
  });
  const ports = portsFor({ record });
  const noted: Step = { kind: "note-unkept", waitsFor: 0 };
  await run(ports, planOf(noted, { kind: "note-primary", keepJoined: true }));
  await run(ports, planOf(noted, { kind: "note-primary", keepJoined: false }));
  assert.deepEqual(
    written.map(({ waitsFor }) => waitsFor),
    [0, 0, 0, undefined],
  );
  assert.deepEqual(ports.told, ["durability-unkept", "durability-unkept"]);
});

test("each step has its intent and its outcome in the journal, the plan around them", async () => {
  const ports = portsFor({});
  await run(ports, planOf({ kind: "resume-poolers" }));
  assert.deepEqual(
    ports.written.map(({ kind, name, epoch }) => [kind, name, epoch]),
    [
      ["intent", "failover", 8],
      ["intent", "resume-poolers", 8],
      ["outcome", "resume-poolers", 8],
      ["outcome", "failover", 8],
    ],
  );
});

test("a primary that ends as soon as it is started is not waited for as one that recovers, and a candidate that cannot be started holds up nobody", async () => {
  const ports = portsFor({
    nodes: [only<NodePort>("b", { name: "b", probe: async () => ({ kind: "nobody-listens" }) })],
    machines: only<MachinePort>("machines", {
      start: async ({ node }) => {
        if (node === "a") throw new Error("no data");
        return { kind: "done" };
      },
    }),
  });
  const plan: Plan = { ...planOf(), stages: [[{ kind: "start-primary" }, { kind: "start-candidate", node: "a" }]] };
  const outcome = await run(ports, plan);
  assert.ok(outcome.kind === "failed" && outcome.at === "start-primary");
  const tookMs = ports.clock.monotonic();
  assert.ok(tookMs >= SEQUENCE_LIMITS.listenMs && tookMs < SEQUENCE_LIMITS.startMs / 2, `${tookMs} ms`);
  const candidate = ports.written.findLast(({ kind, name }) => kind === "outcome" && name === "start-candidate");
  assert.deepEqual(candidate?.facts["shortcomings"], ["a: no data"]);
});

test("replay that waits is hurried once, and one that is through is left as it is (rule B13)", async () => {
  const hurried: number[] = [];
  const through = { flushed: 990n as Lsn, replayed: 990n as Lsn, replayIdle: true };
  for (const busyLooks of [0, 3]) {
    let looks = 0;
    let orders = 0;
    const b = only<NodePort>("b", {
      name: "b",
      probe: async () => {
        looks += 1;
        return standbyAnswer({ ...through, replayIdle: looks > busyLooks });
      },
      hurryReplay: async () => {
        orders += 1;
        return { kind: "done" };
      },
    });
    const outcome = await run(portsFor({ nodes: [b] }), planOf({ kind: "await-replay" }));
    assert.equal(outcome.kind, "done");
    hurried.push(orders);
  }
  assert.deepEqual(hurried, [0, 1]);
});

test("a slow pause keeps nobody from being promoted, and has ended before clients are sent elsewhere", async () => {
  const paused = Promise.withResolvers<{ readonly kind: "done" }>();
  const orders: string[] = [];
  const pooler = only<PoolerPort>("pooler", {
    name: "pooler",
    pause: async () => await paused.promise,
    repoint: async () => {
      orders.push("repoint");
      return { kind: "done" };
    },
  });
  const b = only<NodePort>("b", {
    name: "b",
    promote: async () => {
      orders.push("promote");
      return { kind: "done" };
    },
  });
  const plan = planOf({ kind: "pause-poolers", drain: false }, { kind: "promote" }, { kind: "repoint-poolers" });
  const running = run(portsFor({ nodes: [b], poolers: [pooler] }), plan);
  for (let turns = 0; turns < 20; turns += 1) await turn();
  assert.deepEqual(orders, ["promote"]);
  paused.resolve({ kind: "done" });
  assert.equal((await running).kind, "done");
  assert.deepEqual(orders, ["promote", "repoint"]);
});

test("a pooler that does not drain says what it waited for, and what ran meanwhile", async () => {
  const pooler = only<PoolerPort>("pooler", {
    name: "pooler",
    pause: async () => {
      await turn();
      return { kind: "not-drained", because: "statements-run" };
    },
  });
  const a = only<NodePort>("a", { name: "a", openTransactions: async () => ["process 7 of shop"] });
  const outcome = await run(
    portsFor({ nodes: [a], poolers: [pooler] }),
    planOf({ kind: "pause-poolers", drain: true }),
  );
  assert.ok(outcome.kind === "failed");
  assert.equal(
    outcome.error.message,
    "pause-poolers: pooler: transactions did not end within 3000 ms; halfway there was: process 7 of shop",
  );
});

test("a pooler whose write is acknowledged on another timeline than the primary's leads elsewhere, and is named (I26)", async () => {
  const writingOn = (name: string, timeline: number): PoolerPort =>
    only<PoolerPort>(name, { name, proveWrite: async () => ({ timeline: timeline as Timeline }) });
  const own = RECORD.timeline;
  const poolers = [writingOn("one", own), writingOn("two", own + 1)];
  const outcome = await run(portsFor({ poolers }), planOf({ kind: "prove-writes" }));
  assert.ok(outcome.kind === "done");
  assert.deepEqual(outcome.shortcomings, [
    `two: it leads to a server that writes on timeline ${own + 1}, the primary is on ${own}`,
  ]);
});
