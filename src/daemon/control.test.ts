import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { controlOf, recordedControlOf } from "../../test/support/controls.ts";
import { leapingClock, leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { confirmer, primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { collation, inventory, logicalSlot } from "../../test/support/inventories.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/registry.ts";
import { CHECKPOINT_EFFECT } from "../failover/checkpoint-before.ts";
import type { Inventory } from "../failover/costs.ts";
import type { FailoverPorts, MachinePort, NodePort, PoolerPort, WitnessPort } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import type { Clock } from "../platform/clock.ts";
import type { LogicalSlot } from "../postgres/logical-slots.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { recordPort } from "./authority.ts";
import type { CheckReport } from "./check-report.ts";
import type { Control } from "./control.ts";
import type { Surveyed } from "./survey.ts";

/** A stack of which nobody answers. */
function silentPorts(given: Partial<FailoverPorts> = {}): FailoverPorts {
  const silent = (name: string): NodePort => only<NodePort>(name, { name, probe: async () => ({ kind: "silent" }) });
  const away = async (): Promise<never> => {
    throw new Error("away");
  };
  return portsFor({
    nodes: [silent("a"), silent("b")],
    witness: only<WitnessPort>("witness", { status: away }),
    poolers: [only<PoolerPort>("pooler", { name: "pooler", view: away })],
    lease: { durationMs: 1_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: recordPort(memoryRegister(), "the record"),
    ...given,
  });
}

/** Nodes that tell what they have that replication does not carry: nothing, unless it is given. */
function tellingOf(given: { readonly a?: Partial<Inventory>; readonly b?: Partial<Inventory> }): readonly Surveyed[] {
  return [
    { name: "a", ask: async () => inventory(given.a) },
    { name: "b", ask: async () => inventory({ isStandby: true, ...given.b }) },
  ];
}

function recorded(given: Partial<FailoverPorts> = {}, surveyed = tellingOf({})): Promise<Control> {
  return recordedControlOf(silentPorts(given), surveyed);
}

function rejectsWith(code: ErrorCode, asked: Promise<unknown>): Promise<void> {
  return assert.rejects(asked, (error) => isLifeboatError(error, code));
}

test("without a record nothing is said or done", async () => {
  await rejectsWith("failover.no-record", controlOf(silentPorts(), tellingOf({})).check({}));
  await rejectsWith(
    "failover.no-record",
    controlOf(silentPorts(), tellingOf({})).promote({ acceptLoss: undefined }, {}),
  );
});

test("where nobody answers, it is said that too little is known, and nothing is promoted or handed over", async () => {
  const control = await recorded();
  const report = await control.check({});
  assert.deepEqual([report.state, report.primary, report.poolers[0]?.mode], ["unknown", "a", "does not answer"]);
  await rejectsWith("failover.primary-lives", control.promote({ acceptLoss: undefined }, {}));
  await rejectsWith(
    "failover.switchover-refused",
    control.switchover({ to: "b", dryRun: false, accept: undefined }, {}),
  );
  const preview = await control.switchover({ to: "b", dryRun: true, accept: undefined }, {});
  assert.ok("blockedBy" in preview && preview.blockedBy.length > 0);
});

test("whoever asks while another controller holds the lease is told who does", async () => {
  const control = await recorded({
    lease: { durationMs: 1_000, claim: async () => ({ kind: "held", by: "another" }) },
  });
  await assert.rejects(control.promote({ acceptLoss: undefined }, {}), (error) => {
    assert.ok(isLifeboatError(error, "failover.lease-held"));
    return error.message.includes("another");
  });
});

test("the primary is not rebuilt", async () => {
  await rejectsWith("stack.rejoin-refused", (await recorded()).rebuild({ node: "a" }, {}));
});

test("maintenance is recorded, and ended again", async () => {
  const control = await recorded();
  assert.equal((await control.setMaintenance({ paused: true, reason: "disks" }, {})).maintenance, true);
  assert.equal((await control.setMaintenance({ paused: false, reason: "" }, {})).maintenance, false);
});

test("of two primaries the one that a person names is in the record once the other is down for sure, and who is no primary never", async () => {
  const did: string[] = [];
  const record = recordPort(memoryRegister(), "the record");
  const done = async () => ({ kind: "done" }) as const;
  const byHand = only<NodePort>("b", {
    name: "b",
    probe: async () => primaryAnswer({ confirmers: [] }, { timeline: 4 as Timeline, synchronousNames: "" }),
    makeSlots: done,
    // As of one that works for a while: nothing keeps WAL for anybody there.
    hasWalSince: async (from) => from !== 500n,
    setSynchronousNames: async ({ names }) => {
      did.push(`b waits for ${names}`);
      return { kind: "done" };
    },
  });
  const fence: MachinePort["fence"] = async ({ node }) => {
    did.push(`${node} is down, the record names ${(await record.read({ timeoutMs: 100 }))?.record.primary}`);
    return { kind: "stopped", shutdownLsn: undefined };
  };
  const control = await recorded({
    record,
    nodes: [only<NodePort>("a", { name: "a", probe: async () => primaryAnswer() }), byHand],
    poolers: [],
    machines: only<MachinePort>("machines", { fence }),
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer(),
      follow: async ({ upstream, timeline }) => {
        did.push(`the receiver follows ${upstream} on ${timeline}`);
        return { kind: "done" };
      },
      grant: done,
    }),
  });
  assert.equal((await control.check({})).state, "hold");
  await rejectsWith("failover.not-adopted", control.adopt({ node: "a" }, {}));
  const { from, to, outageMs, shortcomings } = await control.adopt({ node: "b" }, {});
  assert.match(
    shortcomings.join(),
    /^b has not all WAL since its promotion: nobody .* commits wait .* lifeboat backup$/,
  );
  assert.deepEqual({ from, to, outageMs }, { from: "a", to: "b", outageMs: null });
  assert.deepEqual(did, [
    "a is down, the record names a",
    "b waits for ANY 1 (a, lifeboat_vault_e8)",
    "the receiver follows b on 4",
  ]);
  const { primary, timeline, reign } = (await record.read({ timeoutMs: 100 }))?.record ?? {};
  assert.deepEqual({ primary, timeline, reign }, { primary: "b", timeline: 4, reign: 8 });
});

test("primary down, replica promoted by a switchover that was cut short: that is said, and a promotion asked for finishes it", async () => {
  const record = recordPort(memoryRegister(), "the record");
  const done = async () => ({ kind: "done" }) as const;
  const control = await recorded({
    record,
    nodes: [
      only<NodePort>("a", { name: "a", probe: async () => ({ kind: "nobody-listens" }) }),
      only<NodePort>("b", {
        name: "b",
        probe: async () => primaryAnswer({ confirmers: [] }, { timeline: 4 as Timeline }),
        makeSlots: done,
        hasWalSince: async () => true,
        commitsWait: async () => true,
        setSynchronousNames: done,
      }),
    ],
    poolers: [],
    witness: only<WitnessPort>("witness", { status: async () => witnessAnswer(), follow: done, grant: done }),
  });
  const action = {
    kind: "switchover",
    epoch: RECORD.reign,
    from: "a",
    to: "b",
    phase: "promoting",
    target: 500n as Lsn,
  } as const;
  await record.write({ epoch: RECORD.reign, over: 1, record: { ...RECORD, action } }, { timeoutMs: 100 });
  const { state, candidate, reasons, offers } = await control.check({});
  const codes = reasons.map(({ code }) => code);
  assert.deepEqual([state, candidate, codes, offers], ["promotable", "b", ["promoted-already"], []]);
  const { from, to } = await control.promote({ acceptLoss: undefined }, {});
  assert.deepEqual([from, to], ["a", "b"]);
  assert.equal((await record.read({ timeoutMs: 100 }))?.record.primary, "b");
  assert.equal((await control.check({})).state === "promotable", false);
});

/** A primary that does what it is told, with one confirmer that has synced all and one that has synced nothing. */
function obedient(): FailoverPorts["nodes"] {
  let synchronousNames = "ANY 1 (b, lifeboat_vault_e7)";
  const confirmers = [confirmer("b", 1_000), confirmer("lifeboat_vault_e7", 0)];
  const a = only<NodePort>("a", {
    name: "a",
    probe: async () => primaryAnswer({ flushed: 1_000n as Lsn, confirmers }, { synchronousNames }),
    setSynchronousNames: async ({ names }) => {
      synchronousNames = names;
      return { kind: "done" };
    },
    commitsWait: async () => synchronousNames !== "",
  });
  return [a, only<NodePort>("b", { name: "b", probe: async () => ({ kind: "silent" }) })];
}

test("durability is changed in the record too, and what is recorded is told", async () => {
  const control = await recorded({ nodes: obedient() });
  assert.deepEqual(await control.recordedDurability({}), { recorded: "quorum" });
  assert.deepEqual(await control.setDurability({ to: "async", force: false }, {}), { recorded: "async" });
  assert.deepEqual(await control.recordedDurability({}), { recorded: "async" });
  assert.deepEqual(await control.setDurability({ to: "quorum", force: false }, {}), { recorded: "quorum" });
});

test("by force the primary waits for confirmers that lack something, and the record goes on saying less", async () => {
  const control = await recorded({ nodes: obedient() });
  assert.deepEqual(await control.setDurability({ to: "strict", force: true }, {}), { recorded: "quorum" });
  await control.setDurability({ to: "async", force: false }, {});
  await rejectsWith("durability.not-taken", control.setDurability({ to: "strict", force: true }, {}));
  assert.deepEqual(await control.recordedDurability({}), { recorded: "async" });
});

const TOLD_MAX = 50;

test("what the loop fails at again and again is blocked for whoever asks, and the outside is told once", async () => {
  const stop = new AbortController();
  const told: string[] = [];
  const checked = Promise.withResolvers<CheckReport>();
  const control = await recorded({
    nodes: [
      only<NodePort>("a", { name: "a", probe: async () => ({ kind: "nobody-listens" }) }),
      // Of a failover nothing more is possible here: it takes no orders.
      only<NodePort>("b", { name: "b", probe: async () => standbyAnswer() }),
    ],
    witness: only<WitnessPort>("witness", { status: async () => witnessAnswer() }),
    hooks: {
      tell: ({ kind }) => {
        told.push(kind);
        if (told.length === TOLD_MAX) {
          checked.reject(new Error(`it goes on and on: ${told.slice(-3).join()}`));
          stop.abort();
        }
        if (kind !== "decision-blocked") return;
        checked.resolve(control.check({}).finally(() => stop.abort()));
      },
    },
  });
  await control.run({ signal: stop.signal });
  const report = await checked.promise;
  assert.equal(report.state, "blocked");
  assert.deepEqual(report.reasons.find(({ code }) => code === "plan-fails")?.facts["times"], 3);
  assert.deepEqual(
    report.offers.map(({ kind }) => kind),
    ["promote-by-hand"],
  );
  assert.equal(told.filter((kind) => kind === "failover-failed").length >= 3, true);
});

test("a loop that was told to stop before it began ends at once", async () => {
  await (await recorded()).run({ signal: AbortSignal.abort() });
});

/** A clock that leaps, and lets others have their turn. */
function turningClock(): Clock {
  const clock = leapingClock();
  return {
    ...clock,
    sleep: async (durationMs, options) => {
      await turn();
      await clock.sleep(durationMs, options);
    },
  };
}

/** A stack that is well, until its primary is asked for a checkpoint. */
function lostInItsCheckpoint(told: Promise<unknown>): Partial<FailoverPorts> {
  let isWell = true;
  return {
    nodes: [
      only<NodePort>("a", {
        name: "a",
        probe: async () => (isWell ? primaryAnswer() : { kind: "nobody-listens" }),
        checkpoint: async () => {
          isWell = false;
          await told;
          throw new Error("the server is gone");
        },
      }),
      only<NodePort>("b", {
        name: "b",
        probe: async () => standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs: 1_000 } }),
      }),
    ],
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer(),
      grant: async () => ({ kind: "done" }),
    }),
  };
}

test("the loop goes on while a switchover's checkpoint is written: a primary that is lost then is noticed, and the switchover refused", {
  timeout: 10_000,
}, async () => {
  const stop = new AbortController();
  const noticed = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const control = await recorded({
    ...lostInItsCheckpoint(noticed.promise),
    clock: turningClock(),
    hooks: {
      tell: ({ kind }) => {
        if (kind === "decision-healthy") begun.resolve();
        if (kind === "decision-promotable") noticed.resolve();
      },
    },
  });
  const running = control.run({ signal: stop.signal });
  await begun.promise;
  const preview = await control.switchover({ to: "b", dryRun: true, accept: undefined }, {});
  assert.ok("plan" in preview);
  assert.deepEqual([preview.plan[0], preview.blockedBy], [[CHECKPOINT_EFFECT], []]);
  await rejectsWith(
    "failover.switchover-refused",
    control.switchover({ to: "b", dryRun: false, accept: undefined }, {}),
  );
  stop.abort();
  await running;
});

/** A stack that is well; `checkpointed` is told when a switchover has begun. */
function wellUntilCheckpoint(checkpointed: () => void): Partial<FailoverPorts> {
  return {
    nodes: [
      only<NodePort>("a", {
        name: "a",
        probe: async () => primaryAnswer(),
        checkpoint: async () => {
          checkpointed();
          throw new Error("no further");
        },
      }),
      only<NodePort>("b", {
        name: "b",
        probe: async () => standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs: 1_000 } }),
      }),
    ],
    witness: only<WitnessPort>("witness", { status: async () => witnessAnswer() }),
  };
}

test("a logical slot that the target does not have stands in the way of a switchover until it is accepted by its name", async () => {
  let begun = 0;
  const nodes = wellUntilCheckpoint(() => {
    begun += 1;
  });
  const control = await recorded(nodes, tellingOf({ a: { slots: [logicalSlot(), logicalSlot({ name: "audit" })] } }));
  const preview = await control.switchover({ to: "b", dryRun: true, accept: undefined }, {});
  assert.ok("costs" in preview);
  assert.deepEqual(
    [preview.blockedBy, preview.costs.map(({ of }) => of), preview.accept],
    [[], ["cdc", "audit"], "audit, cdc"],
  );
  assert.deepEqual(preview.plan[0], [CHECKPOINT_EFFECT]);
  for (const accept of [undefined, "", "cdc", "unknown", "audit, cdc, more"]) {
    await rejectsWith("failover.cost-not-accepted", control.switchover({ to: "b", dryRun: false, accept }, {}));
  }
  assert.equal(begun, 0);
  const accepted = await control.switchover({ to: "b", dryRun: true, accept: "cdc,audit" }, {});
  assert.ok("costs" in accepted);
  assert.equal(accepted.accept, null);
  await rejectsWith(
    "failover.switchover-refused",
    control.switchover({ to: "b", dryRun: false, accept: "cdc,audit" }, {}),
  );
  assert.equal(begun, 1);
});

test("a logical slot that was made while the checkpoint was written was accepted by nobody: nothing is begun", async () => {
  const words: { slots: readonly LogicalSlot[] } = { slots: [logicalSlot()] };
  const waited: number[] = [];
  const a = only<NodePort>("a", {
    name: "a",
    probe: async () => primaryAnswer(),
    checkpoint: async () => {
      // Of a moment ago, too.
      words.slots = [logicalSlot(), logicalSlot({ name: "late" })];
    },
  });
  const { nodes: [, b] = [], witness } = wellUntilCheckpoint(() => undefined);
  assert.ok(b !== undefined && witness !== undefined);
  const surveyed: readonly Surveyed[] = [
    {
      name: "a",
      ask: async ({ timeoutMs }) => {
        waited.push(timeoutMs);
        return inventory(words);
      },
    },
    { name: "b", ask: async () => inventory({ isStandby: true }) },
  ];
  const control = await recorded({ nodes: [a, b], witness }, surveyed);
  await assert.rejects(control.switchover({ to: "b", dryRun: false, accept: "cdc" }, {}), (error) => {
    assert.ok(isLifeboatError(error, "failover.cost-not-accepted"));
    return error.details["stated"] === "cdc, late";
  });
  // Before anything is begun a slow node is waited for; with the lease in hand no longer than by anybody.
  assert.deepEqual(waited, [5_000, 500]);
});

test("what must be accepted is said as a shell takes it", async () => {
  const told = tellingOf({ b: { collations: [collation({ name: "it's", actual: "2.41" })] } });
  const control = await recorded(
    wellUntilCheckpoint(() => undefined),
    told,
  );
  await assert.rejects(control.switchover({ to: "b", dryRun: false, accept: undefined }, {}), (error) => {
    assert.ok(isLifeboatError(error, "failover.cost-not-accepted"));
    return error.remedy.includes(String.raw`--accept 'it'\''s'.`);
  });
});

test("a check says what a promotion would cost beside writes, and that nobody knows where nobody told", async () => {
  const lost = tellingOf({ a: { slots: [logicalSlot()] } });
  const { costs } = await (await recorded({}, lost)).check({});
  assert.deepEqual(
    costs.map(({ candidate, seenAgoMs, found }) => [
      candidate,
      seenAgoMs === null,
      found.map(({ code, of }) => [code, of]),
    ]),
    [["b", false, [["slot-missing", "cdc"]]]],
  );
  const silent = await (await recorded({}, [])).check({});
  assert.deepEqual(
    silent.costs.map(({ seenAgoMs, found }) => [seenAgoMs, found.map(({ code, of }) => [code, of])]),
    [
      [
        null,
        [
          ["not-known", "a"],
          ["not-known", "b"],
        ],
      ],
    ],
  );
});
