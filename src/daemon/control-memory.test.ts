/** What was seen of a primary while it lived is known to whoever asks when it is gone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { controlOf, recordedControlOf } from "../../test/support/controls.ts";
import { leapingClock, leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { inventory } from "../../test/support/inventories.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { HeldWal, NodePort, PoolerPort, WitnessPort } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { recordPort } from "./authority.ts";
import type { Control } from "./control.ts";

const HELD: HeldWal = { timeline: RECORD.timeline, from: 0n as Lsn, flushed: 900n as Lsn, recordEnd: 900n as Lsn };
const LOSS = "4100 bytes";

/** A stack whose primary acknowledges by itself up to 5000, where replica and vault have 900; it is gone once this is told. */
async function handTurnedOff(goneAt: string): Promise<{
  readonly control: Control;
  /** The same for another daemon, which has seen nothing. */
  readonly anew: () => Control;
  readonly blocked: Promise<void>;
}> {
  let gone = false;
  const blocked = Promise.withResolvers<void>();
  const clock = leapingClock();
  const away = async (): Promise<never> => {
    throw new Error("away");
  };
  const ports = portsFor({
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
        probe: async () =>
          gone ? { kind: "nobody-listens" } : primaryAnswer({ flushed: 5_000n as Lsn }, { synchronousNames: "" }),
      }),
      only<NodePort>("b", {
        name: "b",
        probe: async () =>
          standbyAnswer({
            flushed: 900n as Lsn,
            replayed: 900n as Lsn,
            receiver: { kind: "streaming", receivedAgoMs: 60_000 },
          }),
      }),
    ],
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer({ held: HELD }),
      grant: async () => ({ kind: "done" }),
    }),
    poolers: [only<PoolerPort>("pooler", { name: "pooler", view: away })],
    lease: { durationMs: 1_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: recordPort(memoryRegister(), "the record"),
    hooks: {
      tell: ({ kind }) => {
        if (kind === goneAt) gone = true;
        if (kind === "decision-blocked") blocked.resolve();
      },
    },
  });
  const surveyed = [
    { name: "a", ask: async () => inventory({}) },
    { name: "b", ask: async () => inventory({ isStandby: true }) },
  ];
  const control = await recordedControlOf(ports, surveyed);
  return { control, anew: () => controlOf(ports, surveyed), blocked: blocked.promise };
}

/** The loss that is stated. */
async function rejectsBlocked(control: Control): Promise<unknown> {
  const error: unknown = await control.promote({ acceptLoss: undefined }, {}).catch((reason: unknown) => reason);
  assert.ok(isLifeboatError(error, "failover.blocked"));
  return error.details["loss"];
}

test("waiting was turned off by hand, and the primary is gone: whoever asks is told the loss that the loop knows of, and accepts that or nothing", async () => {
  const { control, blocked } = await handTurnedOff("decision-healthy");
  const stop = new AbortController();
  const running = control.run({ signal: stop.signal });
  try {
    await blocked;
    // An asked action ends the loop, and another one begins after it.
    for (const time of ["beside the loop", "beside the next one"]) {
      const report = await control.check({});
      assert.deepEqual([report.state, report.automatic], ["blocked", false], time);
      assert.equal(report.offers[0]?.loss?.bytesMax, 4_100, time);
      assert.equal(await rejectsBlocked(control), LOSS, time);
    }
  } finally {
    stop.abort();
    await running;
  }
});

test("waiting was turned off by hand, the primary is gone, and so is the daemon that saw it: another one promises nothing either", async () => {
  const { control, anew, blocked } = await handTurnedOff("durability-unkept");
  const stop = new AbortController();
  const running = control.run({ signal: stop.signal });
  await blocked;
  stop.abort();
  await running;
  const another = anew();
  const report = await another.check({});
  assert.deepEqual([report.state, report.durability], ["blocked", "quorum"]);
  assert.ok(report.reasons.some(({ code }) => code === "waited-for-fewer"));
  await rejectsBlocked(another);
});
