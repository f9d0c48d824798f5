import assert from "node:assert/strict";
import { test } from "node:test";
import { controlOf } from "../../test/support/controls.ts";
import { leaseThat, only, portsFor } from "../../test/support/failover-ports.ts";
import { primaryAnswer, RECORD, standbyAnswer, witnessAnswer } from "../../test/support/failover-views.ts";
import { inventory } from "../../test/support/inventories.ts";
import { LifeboatError } from "../errors/error.ts";
import type { ClusterRecord, NodePort, PoolerPort, PoolerView, WitnessPort } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import { recordPort } from "./authority.ts";
import type { CheckReport } from "./check-report.ts";

/** What is said of a stack that is well but for its pooler. */
async function checkWith(view: PoolerPort["view"], record: Partial<ClusterRecord> = {}): Promise<CheckReport> {
  const ports = portsFor({
    nodes: [
      only<NodePort>("a", { name: "a", probe: async () => primaryAnswer() }),
      only<NodePort>("b", { name: "b", probe: async () => standbyAnswer() }),
    ],
    witness: only<WitnessPort>("witness", { status: async () => witnessAnswer() }),
    poolers: [only<PoolerPort>("pooler", { name: "pooler", view })],
    lease: { durationMs: 1_000, claim: async () => ({ kind: "holder", lease: leaseThat(true) }) },
    record: recordPort(memoryRegister(), "the record"),
  });
  const stored = { ...RECORD, ...record };
  await ports.record.write({ epoch: stored.reign, over: 0, record: stored }, { timeoutMs: 1_000 });
  const report = await controlOf(
    ports,
    ["a", "b"].map((name) => ({ name, ask: async () => inventory({ isStandby: name === "b" }) })),
  ).check({});
  assert.equal(report.state, "healthy");
  return report;
}

const serving: PoolerView = { epoch: 7, mode: "serving", target: "a" };

function poolerReasons({ reasons }: CheckReport) {
  return reasons.filter(({ code }) => code.startsWith("pooler-")).map(({ code, facts }) => ({ code, ...facts }));
}

test("a pooler that cannot be driven is a concern of a primary that is well, with why", async () => {
  const report = await checkWith(async () => {
    throw new LifeboatError("pooler.file-damaged", { message: "databases.ini is not understood", remedy: "Look." });
  });
  const because = "databases.ini is not understood";
  assert.deepEqual(poolerReasons(report), [{ code: "pooler-undriven", pooler: "pooler", because }]);
  assert.equal(report.poolers[0]?.problem, because);
});

test("a pooler that leads to another node, or to none, is a concern; while a switch is under way it is on its way", async () => {
  for (const [target, leadsTo] of [
    ["b", "b"],
    [undefined, "none of the nodes"],
  ] as const) {
    const astray = async (): Promise<PoolerView> => ({ ...serving, target });
    const concern = { code: "pooler-astray", pooler: "pooler", leadsTo };
    assert.deepEqual(poolerReasons(await checkWith(astray)), [concern]);
    const action = {
      kind: "switchover",
      epoch: RECORD.reign,
      from: "a",
      to: "b",
      phase: "preparing",
      target: undefined,
    } as const;
    assert.deepEqual(poolerReasons(await checkWith(astray, { action })), []);
  }
  assert.deepEqual(poolerReasons(await checkWith(async () => serving)), []);
});

test("a pooler that was busy for a moment is asked again before it is told", async () => {
  let asked = 0;
  const report = await checkWith(async () => {
    asked += 1;
    if (asked < 3) throw new LifeboatError("pooler.unreachable", { message: "no answer", remedy: "Look." });
    return serving;
  });
  assert.deepEqual([poolerReasons(report), report.poolers[0]?.problem], [[], null]);
});
