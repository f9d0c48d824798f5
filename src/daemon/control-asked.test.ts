/** Asked actions that take long: what goes on beside them, and whether they may still act at their end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { recordedControlOf } from "../../test/support/controls.ts";
import { leapingClock, leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type {
  Epoch,
  FailoverPorts,
  HeldLease,
  HeldWal,
  MachinePort,
  NodePort,
  PoolerPort,
  WitnessPort,
} from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { recordPort } from "./authority.ts";
import type { Control } from "./control.ts";

function stackPorts(given: Partial<FailoverPorts>): FailoverPorts {
  const away = async (): Promise<never> => {
    throw new Error("away");
  };
  return portsFor({
    poolers: [only<PoolerPort>("pooler", { name: "pooler", view: away })],
    lease: { durationMs: 1_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: recordPort(memoryRegister(), "the record"),
    ...given,
  });
}

/** More turns than a loop or an action needs for a few looks. */
async function untilOr(seen: () => boolean): Promise<boolean> {
  for (let turns = 0; turns < 20_000 && !seen(); turns += 1) await turn();
  return seen();
}

/** A replica of a stack that is well is being restored, until `restored`; `failure`: what came of that. */
async function rebuilding(failure?: Error): Promise<{
  readonly control: Control;
  readonly restored: PromiseWithResolvers<void>;
  readonly looks: () => number;
  stream(): void;
}> {
  const restored = Promise.withResolvers<void>();
  let looks = 0;
  let streams = false;
  const clock = leapingClock();
  const ports = stackPorts({
    clock: {
      ...clock,
      sleep: async (durationMs, options) => {
        await turn();
        await clock.sleep(durationMs, options);
      },
    },
    nodes: [
      only<NodePort>("a", {
        name: "a",
        probe: async () => {
          looks += 1;
          return primaryAnswer();
        },
        setSynchronousNames: async () => ({ kind: "done" }),
      }),
      only<NodePort>("b", {
        name: "b",
        probe: async () =>
          streams ? standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs: 1 } }) : { kind: "silent" },
      }),
    ],
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer(),
      grant: async () => ({ kind: "done" }),
    }),
    machines: only<MachinePort>("machines", { rejoin: async () => ({ kind: "done" }) }),
  });
  const control = await recordedControlOf(ports, [], {
    idle: () => restored.promise,
    failureOf: () => failure,
    lastRejoin: () => "restore",
    letGone: async () => undefined,
  });
  return {
    control,
    restored,
    looks: () => looks,
    stream: () => {
      streams = true;
    },
  };
}

test("while a replica is rebuilt the loop looks on, and the command that releases waiting writes is answered", async () => {
  const { control, restored, looks, stream } = await rebuilding();
  const stop = new AbortController();
  const running = control.run({ signal: stop.signal });
  assert.ok(await untilOr(() => looks() > 2));
  const rebuilt = control.rebuild({ node: "b" }, {});
  try {
    const before = looks();
    const released = { is: false };
    const asked = control.setDurability({ to: "async", force: false }, {}).then(() => {
      released.is = true;
    });
    assert.ok(await untilOr(() => released.is));
    assert.ok(await untilOr(() => looks() > before + 5));
    await asked;
  } finally {
    stream();
    restored.resolve();
    assert.deepEqual((await rebuilt).did, "restore");
    stop.abort();
    await running;
  }
});

test("a daemon that ends does not wait for a replica that it has rebuilt to stream", async () => {
  const { control, restored, looks } = await rebuilding();
  const stop = new AbortController();
  const running = control.run({ signal: stop.signal });
  assert.ok(await untilOr(() => looks() > 2));
  const rebuilt = control.rebuild({ node: "b" }, {});
  const ended = assert.rejects(rebuilt, (error) => isLifeboatError(error, "platform.aborted") || isAbort(error));
  restored.resolve();
  stop.abort();
  await running;
  await ended;
});

test("a rebuild that fails says why, and waits for nothing more", async () => {
  const full = new LifeboatError("restore.no-space", { message: "the disk has no room", remedy: "Make room." });
  const { control, restored, stream } = await rebuilding(full);
  // As it would after the node had come up by other means.
  stream();
  restored.resolve();
  await assert.rejects(control.rebuild({ node: "b" }, {}), full);
});

/** A replica that the record does not count is rebuilt, and streams, where no loop runs. Answers what the record counts then. */
async function joinedAfterRebuild(witness = witnessAnswer()): Promise<readonly string[] | undefined> {
  const record = recordPort(memoryRegister(), "the record");
  const ports = stackPorts({
    record,
    clock: leapingClock(),
    nodes: [
      only<NodePort>("a", { name: "a", probe: async () => primaryAnswer() }),
      only<NodePort>("b", {
        name: "b",
        probe: async () => standbyAnswer({ receiver: { kind: "streaming", receivedAgoMs: 1 } }),
      }),
    ],
    witness: only<WitnessPort>("witness", { status: async () => witness }),
    machines: only<MachinePort>("machines", { rejoin: async () => ({ kind: "done" }) }),
  });
  const machines = { idle: async () => undefined, lastRejoin: () => "follow", letGone: async () => undefined };
  const control = await recordedControlOf(ports, [], machines);
  const { reign: epoch } = RECORD;
  await record.write({ epoch, over: 1, record: { ...RECORD, joined: [] } }, { timeoutMs: 100 });
  assert.equal((await control.rebuild({ node: "b" }, {})).did, "follow");
  return (await record.read({ timeoutMs: 100 }))?.record.joined;
}

test("no loop runs: a replica that was rebuilt and streams is counted as a candidate", async () => {
  assert.deepEqual(await joinedAfterRebuild(), ["b"]);
});

test("no loop runs, the vault's receiver follows under another reign: the replica is not counted, as by the loop", async () => {
  const mode = { kind: "following", upstream: "a", reign: 6 as Epoch, streaming: false } as const;
  assert.deepEqual(await joinedAfterRebuild(witnessAnswer({ mode })), []);
});

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

test("a promotion that a person asks for keeps its lease while it waits for replay, for longer than the lease lasts", async () => {
  const ttlMs = 10_000;
  const clock = new ManualClock();
  let deadline = 0;
  const lease: HeldLease = {
    ...leaseThat(true),
    holds: (actMs) => clock.monotonic() + actMs < deadline,
    renew: async () => {
      if (clock.monotonic() < deadline) deadline = clock.monotonic() + ttlMs;
    },
  };
  const held: HeldWal = { ...witnessAnswer().held, flushed: 7_000n as Lsn, recordEnd: 7_000n as Lsn };
  let replayed = 900;
  let isHurried = false;
  const done = async () => ({ kind: "done" }) as const;
  const control = await recordedControlOf(
    stackPorts({
      clock,
      lease: {
        durationMs: ttlMs,
        claim: async () => {
          deadline = clock.monotonic() + ttlMs;
          return { kind: "holder", lease };
        },
      },
      nodes: [
        only<NodePort>("a", { name: "a", probe: async () => ({ kind: "nobody-listens" }) }),
        only<NodePort>("b", {
          name: "b",
          // It replays what it has for half a minute and more.
          probe: async () => {
            if (isHurried && replayed < 7_000) replayed += 1;
            const role = { flushed: 7_000n as Lsn, replayed: BigInt(replayed) as Lsn, replayIdle: replayed >= 7_000 };
            return standbyAnswer({ ...role, upstream: false });
          },
          stopReceiving: done,
          makeSlots: done,
          setSynchronousNames: done,
          hurryReplay: async () => {
            isHurried = true;
            return { kind: "done" };
          },
          promote: async () => {
            throw new Error("it is to be promoted");
          },
        }),
      ],
      machines: only<MachinePort>("machines", { fence: async () => ({ kind: "stopped", shutdownLsn: undefined }) }),
      witness: only<WitnessPort>("witness", {
        status: async () => witnessAnswer({ held }),
        withdraw: async () => ({ kind: "withdrawn", held }),
        fillGap: async () => ({ kind: "nothing-to-add" }),
      }),
    }),
    [],
  );
  const promoted = control.promote({ acceptLoss: undefined }, {});
  const over = promoted.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([over, clock.advance(50)]))) assert.ok(clock.monotonic() < 60_000);
  await assert.rejects(promoted, /it is to be promoted/);
  assert.ok(clock.monotonic() > 2 * ttlMs);
});

test("a vault that answers and cannot be withdrawn fails a promotion with what a person can do, and one that is halted then does not", async () => {
  let isHalted = false;
  const done = async () => ({ kind: "done" }) as const;
  const clock = leapingClock();
  const control = await recordedControlOf(
    stackPorts({
      clock: {
        ...clock,
        sleep: async (durationMs, options) => {
          await turn();
          await clock.sleep(durationMs, options);
        },
      },
      lease: { durationMs: 1, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
      nodes: [
        only<NodePort>("a", { name: "a", probe: async () => ({ kind: "nobody-listens" }) }),
        only<NodePort>("b", {
          name: "b",
          probe: async () => standbyAnswer({ upstream: false }),
          stopReceiving: done,
          makeSlots: done,
          setSynchronousNames: done,
          promote: async () => {
            throw new Error("it is to be promoted");
          },
        }),
      ],
      machines: only<MachinePort>("machines", { fence: async () => ({ kind: "stopped", shutdownLsn: undefined }) }),
      witness: only<WitnessPort>("witness", {
        status: async () => {
          if (isHalted) throw new Error("no answer in 2000 ms");
          return witnessAnswer();
        },
        withdraw: async () => {
          throw new Error("no answer in 2000 ms");
        },
      }),
    }),
    [],
  );
  await assert.rejects(control.promote({ acceptLoss: undefined }, {}), (error) => {
    assert.ok(isLifeboatError(error, "failover.step-failed"));
    return error.remedy.includes("kill -STOP");
  });
  isHalted = true;
  await assert.rejects(control.promote({ acceptLoss: "0 bytes" }, {}), /it is to be promoted/);
});
