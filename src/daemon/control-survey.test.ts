import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { recordedControlOf } from "../../test/support/controls.ts";
import { leapingClock, leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { inventory, logicalSlot } from "../../test/support/inventories.ts";
import type { FailoverPorts, MachinePort, NodePort, WitnessPort } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { recordPort } from "./authority.ts";
import type { Control } from "./control.ts";
import type { Surveyed } from "./survey.ts";

const done = async (): Promise<{ readonly kind: "done" }> => ({ kind: "done" });

/** A replica that does what it is told. */
function willing(): NodePort {
  let is: "receiving" | "still" | "promoted" = "receiving";
  const promoted = primaryAnswer(
    { timelineStart: 1_000n as Lsn, confirmers: [] },
    { timeline: (RECORD.timeline + 1) as Timeline },
  );
  return only<NodePort>("b", {
    name: "b",
    probe: async () => (is === "promoted" ? promoted : standbyAnswer({ upstream: is === "receiving" })),
    stopReceiving: async () => {
      is = "still";
      return { kind: "done" };
    },
    promote: async () => {
      is = "promoted";
      return { kind: "done" };
    },
    makeSlots: done,
    setSynchronousNames: done,
    commitsWait: async () => true,
  });
}

/** A stack whose primary is gone. */
async function bereft(surveyed: readonly Surveyed[]): Promise<{ control: Control; ports: FailoverPorts }> {
  const clock = leapingClock();
  const ports = portsFor({
    // A look lets others have their turn.
    clock: { ...clock, sleep: (durationMs, options) => turn().then(() => clock.sleep(durationMs, options)) },
    nodes: [only<NodePort>("a", { name: "a", probe: async () => ({ kind: "nobody-listens" }) }), willing()],
    witness: only<WitnessPort>("witness", {
      status: async () => witnessAnswer(),
      withdraw: async () => ({ kind: "withdrawn", held: witnessAnswer().held }),
      fillGap: async () => ({ kind: "nothing-to-add" }),
      follow: done,
      grant: done,
    }),
    machines: only<MachinePort>("machines", { fence: async () => ({ kind: "stopped", shutdownLsn: undefined }) }),
    lease: { durationMs: 1_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: recordPort(memoryRegister(), "the record"),
  });
  return { control: await recordedControlOf(ports, surveyed), ports };
}

const never = (): Promise<never> => new Promise(() => undefined);
const broken = async (): Promise<never> => {
  throw new TypeError("a strange row of a catalogue");
};

for (const [how, ask] of [
  ["never answers", never],
  ["throws what nobody expected", broken],
] as const) {
  test(`a survey that ${how}: the primary is replaced all the same, and a check answers`, {
    timeout: 10_000,
  }, async () => {
    const { control, ports } = await bereft(["a", "b"].map((name) => ({ name, ask })));
    const { state, costs } = await control.check({});
    assert.deepEqual([state, costs.map(({ seenAgoMs }) => seenAgoMs)], ["promotable", [null]]);
    const result = await control.promote({ acceptLoss: undefined }, {});
    assert.deepEqual([result.done, result.to, result.shortcomings.length], [true, "b", 2]);
    assert.equal((await ports.record.read({ timeoutMs: 1_000 }))?.record.primary, "b");
  });
}

test("whoever follows is told what the survey tells later, and no turn waits for it", { timeout: 10_000 }, async () => {
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const slow = (name: string): Surveyed => ({
    name,
    ask: async () => {
      asked += 1;
      await promise;
      return name === "a" ? inventory({ slots: [logicalSlot()] }) : inventory({ isStandby: true });
    },
  });
  const { control } = await bereft([slow("a"), slow("b")]);
  const told: string[] = [];
  const follow = ({ costs }: Awaited<ReturnType<Control["check"]>>): void => {
    told.push(costs.flatMap(({ found }) => found.map(({ code }) => code)).join());
    resolve();
    if (told.length === 2) stop.abort();
  };
  await control.check({ signal: stop.signal, follow });
  assert.deepEqual(told, ["not-known,not-known", "slot-missing"]);
  assert.equal(asked, 2);
});
