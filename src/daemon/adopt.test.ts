import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseThat, only } from "../../test/support/failover-ports.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Epoch, FailoverPorts, NodePort, NodeProbe, NodeView } from "../failover/ports.ts";
import { memoryRegister } from "../lease/memory/memory-register.ts";
import { LSN_NONE, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { adoptStack } from "./adopt.ts";
import { recordPort } from "./authority.ts";

const common = {
  systemId: "1" as SystemId,
  timeline: 4 as Timeline,
  synchronousNames: "ANY 1 (db, lifeboat_vault)",
  cloning: false,
  freeBytes: 0,
  hindrances: [],
};
const receiver = { kind: "none" } as const;
const PRIMARY: NodeView = {
  ...common,
  role: {
    kind: "primary",
    flushed: LSN_NONE,
    timelineStart: undefined,
    write: { kind: "written" },
    confirmers: [],
    synchronousCommit: "on",
  },
};
const STANDBY: NodeView = {
  ...common,
  role: { kind: "standby", flushed: LSN_NONE, replayed: LSN_NONE, replayIdle: true, receiver, upstream: true },
};
const SILENT: NodeProbe = { kind: "silent" };

function ports(
  probes: Readonly<Record<string, NodeProbe>>,
  held = false,
): Pick<FailoverPorts, "nodes" | "lease" | "record"> {
  return {
    nodes: Object.entries(probes).map(([name, probe]) => only<NodePort>(name, { name, probe: async () => probe })),
    lease: {
      durationMs: 1_000,
      claim: async () => (held ? { kind: "held", by: "another" } : { kind: "holder", lease: leaseThat(true) }),
    },
    record: recordPort(memoryRegister(), "the record"),
  };
}

const answered = (view: NodeView): NodeProbe => ({ kind: "answered", view });

test("the one node that takes writes becomes the recorded primary, once", async () => {
  const ours = ports({ db: answered(STANDBY), db_replica: answered(PRIMARY) });
  assert.equal(await adoptStack(ours, "quorum", {}), true);
  const stored = await ours.record.read({ timeoutMs: 1_000 });
  assert.deepEqual(stored, {
    version: 1,
    epoch: 8,
    record: {
      durability: "quorum",
      reign: 8 as Epoch,
      systemId: "1",
      timeline: 4,
      primary: "db_replica",
      joined: [],
      action: undefined,
      maintenance: false,
    },
  });
  assert.equal(await adoptStack(ours, "async", {}), true);
  assert.equal((await ours.record.read({ timeoutMs: 1_000 }))?.version, 1);
});

test("nothing is recorded while nobody takes writes, or while somebody else has the lease", async () => {
  for (const ours of [
    ports({ db: answered(STANDBY), db_replica: SILENT }),
    ports({ db: SILENT, db_replica: SILENT }),
    ports({ db: answered(PRIMARY), db_replica: answered(STANDBY) }, true),
  ]) {
    assert.equal(await adoptStack(ours, "quorum", {}), false);
    assert.equal(await ours.record.read({ timeoutMs: 1_000 }), undefined);
  }
});

test("two nodes that take writes are for a person", async () => {
  const ours = ports({ db: answered(PRIMARY), db_replica: answered(PRIMARY) });
  await assert.rejects(adoptStack(ours, "quorum", {}), (error) => isLifeboatError(error, "failover.two-primaries"));
});

test("the record says the weaker of what is configured and what the primary does", async () => {
  const cases = [
    ["strict", "ANY 1 (db, lifeboat_vault)", "quorum"],
    ["strict", "", "async"],
    ["quorum", "ANY 2 (db, lifeboat_vault)", "quorum"],
    // Nothing that Lifeboat sets: the first reign does.
    ["quorum", "FIRST 1 (db)", "quorum"],
  ] as const;
  for (const [configured, synchronousNames, recorded] of cases) {
    const ours = ports({ db_replica: answered({ ...PRIMARY, synchronousNames }) });
    assert.equal(await adoptStack(ours, configured, {}), true);
    assert.equal((await ours.record.read({ timeoutMs: 1_000 }))?.record.durability, recorded, synchronousNames);
  }
});
