/** A controller that is halted anywhere between being admitted and its order, before a real supervisor. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { primaryAnswer } from "../../test/support/failover-views.ts";
import { eventually } from "../../test/support/receivers.ts";
import { LifeboatError } from "../errors/error.ts";
import type { Epoch } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import { systemClock } from "../platform/clock.ts";
import { modeOf, scriptSpec } from "../platform/conformance/conformance.ts";
import { systemFiles } from "../platform/files.ts";
import { LocalPlatform } from "../platform/local/local-platform.ts";
import { systemProcesses } from "../platform/processes.ts";
import { EpochGuard } from "./epoch-guard.ts";
import { LocalMachines, type MachineTools } from "./machines.ts";

const CALL = { timeoutMs: 20_000 };
const TOOLS = { files: systemFiles, processes: systemProcesses, clock: systemClock };
const MAIN = path.join(import.meta.dirname, "../platform/local/main.ts");
const OLD = 5 as Epoch;
const NEW = 6 as Epoch;

/** Machines of a controller; what it asks of the supervisor first is kept from leaving until `goOn`. */
function controller(
  folder: string,
  guard: EpochGuard,
  halted: boolean,
  prepareReplica: MachineTools["prepareReplica"] = async () => "start",
) {
  const platform = new LocalPlatform(TOOLS, {
    folder: path.join(folder, "supervisor"),
    supervisor: { command: process.execPath, args: ["--disable-warning=ExperimentalWarning", MAIN] },
    environment: environmentOfTest(),
  });
  const gate = Promise.withResolvers<void>();
  let asks = 0;
  if (!halted) gate.resolve();
  const held = async (): Promise<void> => {
    asks += 1;
    await gate.promise;
  };
  const machines = new LocalMachines({
    platform: {
      fence: async (name, options) => await held().then(() => platform.fence(name, options)),
      unfence: async (name, options) => await held().then(() => platform.unfence(name, options)),
      stop: async (name, options) => await held().then(() => platform.stop(name, options)),
      start: async (spec, options) => await held().then(() => platform.start(spec, options)),
      state: async (options) => await held().then(() => platform.state(options)),
    },
    guard,
    specOf: async (node) => scriptSpec(folder, node, "exec sleep 1000"),
    shutdownLsnOf: async () => undefined,
    prepareReplica,
    leaveEpoch: async () => undefined,
    letGo: async () => undefined,
    isUnfinished: async (node) => node === "a",
    answers: async () => true,
    clock: systemClock,
    notice: () => undefined,
  } satisfies MachineTools);
  return { machines, platform, goOn: gate.resolve, hasAsked: () => asks > 0 };
}

function environmentOfTest(): Readonly<Record<string, string>> | undefined {
  const mark = process.env["LIFEBOAT_TEST_FILE"];
  return mark === undefined ? undefined : { LIFEBOAT_TEST_FILE: mark };
}

test("why a node is not made to follow is known until that is ordered again", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-machines-"));
  const why = new LifeboatError("stack.rejoin-refused", { message: "it ran as a primary", remedy: "Choose." });
  let refuses = true;
  const { machines, platform } = controller(folder, new EpochGuard(memoryRegister()), false, async () => {
    if (refuses) throw why;
    return "delta";
  });
  const order = () => machines.rejoin({ epoch: OLD, node: "a", upstream: "b" }, CALL);
  try {
    assert.equal(machines.refusalOf("a"), undefined);
    assert.equal((await order()).kind, "refused");
    assert.match(machines.refusalOf("a") ?? "", /it ran as a primary/);
    refuses = false;
    await order();
    await machines.idle();
    assert.deepEqual([machines.refusalOf("a"), machines.lastRejoin("a")], [undefined, "delta"]);
  } finally {
    await platform.end({});
    await rm(folder, { recursive: true });
  }
});

class CountingGuard extends EpochGuard {
  admitted = 0;

  override async admit(...[epoch, options]: Parameters<EpochGuard["admit"]>): ReturnType<EpochGuard["admit"]> {
    const stale = await super.admit(epoch, options);
    this.admitted += 1;
    return stale;
  }
}

test("what a person asks for is done though one that nobody asked for was under way, and refused", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-machines-"));
  const looking = Promise.withResolvers<void>();
  const begun: boolean[] = [];
  const guard = new CountingGuard(memoryRegister());
  const { machines, platform } = controller(folder, guard, false, async ({ asked }) => {
    begun.push(asked);
    await looking.promise;
    if (asked) return "delta";
    throw new LifeboatError("stack.rejoin-refused", { message: "it ran as a primary", remedy: "Choose." });
  });
  const order = (asked: boolean) => machines.rejoin({ epoch: OLD, node: "a", upstream: "b", asked }, CALL);
  try {
    const unasked = order(false);
    await eventually("it is looked at", async () => begun.length === 1);
    const rebuilt = [order(true), order(true)];
    await eventually("both are admitted", async () => guard.admitted === 3);
    looking.resolve();
    assert.equal((await unasked).kind, "refused");
    assert.deepEqual(await Promise.all(rebuilt), [{ kind: "done" }, { kind: "done" }]);
    await machines.idle();
    assert.deepEqual([begun, machines.failureOf("a"), machines.lastRejoin("a")], [[false, true], undefined, "delta"]);
  } finally {
    await platform.end({});
    await rm(folder, { recursive: true });
  }
});

test("a node that is down while it is made a replica is seen on its way, and whether a person has asked for that; what that failed with is known afterwards, and what an earlier controller left unfinished", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-machines-"));
  const restoring = Promise.withResolvers<void>();
  const full = new LifeboatError("restore.no-space", { message: "the disk has no room", remedy: "Make room." });
  const begun: string[] = [];
  const { machines, platform } = controller(folder, new EpochGuard(memoryRegister()), false, async ({ node }) => {
    begun.push(node);
    await restoring.promise;
    throw full;
  });
  const down = { kind: "nobody-listens" } as const;
  const shut = { kind: "error", sqlstate: "28P01" } as const;
  const order = async (node: string, asked: boolean): Promise<void> => {
    await machines.rejoin({ epoch: OLD, node, upstream: "c", asked }, { timeoutMs: 10 });
    await eventually("it is being restored", async () => begun.includes(node));
  };
  const seen = () => ["a", "b", "c"].map((node) => machines.onItsWay(node, down));
  try {
    await Promise.all(["a", "b", "c"].map((node) => machines.recallUnfinished(node)));
    assert.deepEqual(seen(), [{ ...down, unfinished: true }, down, down]);
    await order("a", true);
    await order("b", false);
    const onItsWay = { kind: "error", sqlstate: "57P03" } as const;
    assert.deepEqual(seen(), [{ ...onItsWay, rebuilding: true }, { ...onItsWay, rebuilding: false }, down]);
    assert.equal(machines.onItsWay("a", shut), shut);
    assert.equal(machines.failureOf("a"), undefined);
    restoring.resolve();
    await machines.idle();
    assert.deepEqual(seen(), [{ ...down, unfinished: true }, down, down], "it was not finished");
    machines.onItsWay("a", primaryAnswer());
    assert.deepEqual(seen(), [down, down, down]);
    assert.deepEqual([machines.failureOf("a"), machines.refusalOf("a")], [full, undefined]);
  } finally {
    await platform.end({});
    await rm(folder, { recursive: true });
  }
});

test("a controller that is halted between being admitted and asking the supervisor starts, stops and fences nothing when it wakes", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-machines-"));
  const guard = new EpochGuard(memoryRegister());
  const next = controller(folder, guard, false);
  try {
    const orders: readonly (readonly [string, (machines: LocalMachines) => Promise<{ readonly kind: string }>])[] = [
      ["stop", (machines) => machines.stop({ epoch: OLD, node: "a" }, CALL)],
      ["fence", (machines) => machines.fence({ epoch: OLD, node: "a" }, CALL)],
      ["start", (machines) => machines.start({ epoch: OLD, node: "b" }, CALL)],
      ["rejoin", (machines) => machines.rejoin({ epoch: OLD, node: "a", upstream: "b" }, CALL)],
    ];
    const asleep = orders.map(([name, order]) => {
      const old = controller(folder, guard, true);
      return { name, old, answer: order(old.machines) };
    });
    await eventually("all of them are admitted", async () => asleep.every(({ old }) => old.hasAsked()));
    assert.equal((await next.machines.start({ epoch: NEW, node: "a" }, CALL)).kind, "done");
    assert.equal((await next.machines.fence({ epoch: NEW, node: "b" }, CALL)).kind, "stopped");
    for (const { name, old, answer } of asleep) {
      old.goOn();
      assert.deepEqual(await answer, { kind: "stale-epoch", seen: NEW }, name);
      assert.deepEqual(
        [await modeOf(next.platform, "a"), await modeOf(next.platform, "b")],
        ["running", "fenced"],
        name,
      );
    }
  } finally {
    await next.platform.end({});
    await rm(folder, { recursive: true });
  }
});
