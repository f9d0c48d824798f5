import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene } from "../../test/support/quorum-scene.ts";
import { eventually } from "../../test/support/receivers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Epoch, WitnessPort } from "../failover/ports.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import { type Lsn, parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { witnessPort } from "./witness-port.ts";

const CALL = { timeoutMs: 10_000 };
const ONE = 1 as Timeline;
const epoch = (number: number): Epoch => number as Epoch;

/** The scene's witness behind the port of failover, which calls the nodes db and db_replica. */
function portOf(scene: Scene, clock: Clock = systemClock): WitnessPort {
  const nodes = new Map(
    [["db", scene.primary] as const, ["db_replica", scene.replica] as const].map(([name, { server }]) => {
      const { host, port } = server.address();
      return [name, { host, port }] as const;
    }),
  );
  const openNode = () => scene.replica.server.connect({}, {});
  return witnessPort({ client: scene.witness, clock, nodes, openNode });
}

test("a failover through the port: what it sees, what it orders, what comes too late", async () => {
  await using scene = await Scene.open(18);
  const port = portOf(scene);
  await scene.write(20);
  const before = await port.status(CALL);
  assert.deepEqual(before.mode, { kind: "following", upstream: "db", reign: 1, streaming: true });
  assert.equal(before.epoch, 1);
  assert.equal(before.mayConfirm, true);
  assert.ok(before.receivedAgoMs !== undefined && before.receivedAgoMs < 5_000);
  assert.ok(before.held.from < before.held.flushed);
  const { systemId } = before;

  const candidate = { candidate: "db_replica", timeline: ONE, flushed: 0n as Lsn };
  assert.deepEqual(await port.fillGap({ epoch: epoch(2), ...candidate }, CALL), { kind: "not-withdrawn" });
  const late = { kind: "stale-epoch", seen: 1 };
  assert.deepEqual(await port.withdraw({ epoch: epoch(1) }, CALL), late, "in the epoch of its reign");

  await scene.stopReceiving();
  await scene.write(40);
  await scene.primary.server.kill();
  const withdrawn = await port.withdraw({ epoch: epoch(2) }, CALL);
  assert.ok(withdrawn.kind === "withdrawn");
  assert.deepEqual(await port.withdraw({ epoch: epoch(2) }, CALL), withdrawn);
  const { mode, held, mayConfirm } = await port.status(CALL);
  assert.deepEqual(mode, { kind: "withdrawn", by: 2 });
  assert.equal(held.flushed, withdrawn.held.flushed);
  assert.equal(mayConfirm, false);
  const lifetime = "lasting" as const;
  const grant = { epoch: epoch(2), reign: epoch(1), lifetime, contiguousWith: undefined };
  assert.deepEqual(await port.grant(grant, CALL), { kind: "not-following" });

  const { recordEnd } = withdrawn.held;
  assert.deepEqual(await port.fillGap({ epoch: epoch(2), ...candidate }, CALL), { kind: "serving", recordEnd });
  await eventually("all of it is replayed", async () => {
    return parseLsn(await scene.replica.value("SELECT pg_last_wal_replay_lsn()")) >= recordEnd;
  });
  const end = parseLsn(await scene.replica.value("SELECT pg_last_wal_replay_lsn()"));
  await scene.replica.query("SELECT pg_promote()");
  const timelineStart = await scene.timelineStart();
  assert.ok(timelineStart >= end);
  const follow = { upstream: "db_replica", systemId, timeline: 2 as Timeline, timelineStart };
  assert.deepEqual(await port.follow({ epoch: epoch(2), ...follow }, CALL), { kind: "done" });
  assert.deepEqual(await port.follow({ epoch: epoch(2), ...follow }, CALL), { kind: "done" });
  await eventually("it streams", async () => {
    const view = await port.status(CALL);
    return view.mode.kind === "following" && view.mode.streaming && view.mode.upstream === "db_replica";
  });
  assert.equal((await port.status(CALL)).mayConfirm, false, "nothing was granted in this reign");
  assert.deepEqual(await port.grant({ ...grant, reign: epoch(2), contiguousWith: end }, CALL), { kind: "done" });
  assert.equal((await port.status(CALL)).mayConfirm, true);

  const seen = { kind: "stale-epoch", seen: 2 };
  assert.deepEqual(await port.follow({ epoch: epoch(1), ...follow }, CALL), seen);
  assert.deepEqual(await port.fillGap({ epoch: epoch(1), ...candidate }, CALL), seen);
  assert.deepEqual(await port.grant({ ...grant, epoch: epoch(1), reign: epoch(2) }, CALL), seen);
  await assert.rejects(port.follow({ epoch: epoch(3), ...follow, upstream: "db_other" }, CALL), (error) =>
    isLifeboatError(error, "witness.node-unknown"),
  );
  await scene.assertNothingLost();
});

test("a grant for a while through the port lasts from its ticket on; a new timeline must begin where it was said to", async () => {
  await using scene = await Scene.open(18);
  const port = portOf(scene);
  await port.withdraw({ epoch: epoch(2) }, CALL);
  const { systemId, held } = await port.status(CALL);
  const follow = { upstream: "db", systemId, timeline: ONE, timelineStart: undefined };
  await port.follow({ epoch: epoch(2), ...follow }, CALL);
  const { ticket } = await port.status(CALL);
  const contiguousWith = held.flushed;
  const grant = { epoch: epoch(2), reign: epoch(2), contiguousWith };
  await port.grant({ ...grant, lifetime: { ticket, durationMs: 60_000 } }, CALL);
  await eventually("it may confirm", async () => (await port.status(CALL)).mayConfirm);
  await port.follow({ epoch: epoch(3), ...follow, timelineStart: held.flushed }, CALL);
  await eventually("it says why not", async () => {
    const { receiver } = await scene.witness.status(CALL);
    return receiver.lastError?.code === "wal.timeline-unexpected";
  });
  await port.follow({ epoch: epoch(4), ...follow, systemId: "1" as SystemId }, CALL);
  await eventually("it gives up", async () => (await scene.witness.status(CALL)).receiver.mode === "failed");
  await port.follow({ epoch: epoch(5), ...follow }, CALL);
  await scene.streams(scene.primary, "lifeboat_vault_e5");
});

test("a gap that cannot be filled in the time allowed is left unfinished, and said to be", async () => {
  await using scene = await Scene.open(18);
  await scene.write(5);
  await scene.stopReceiving();
  await scene.write(5);
  await portOf(scene).withdraw({ epoch: epoch(2) }, CALL);
  const order = { epoch: epoch(2), candidate: "db_replica", timeline: ONE, flushed: 0n as Lsn };
  let now = 0;
  const monotonic = (): Monotonic => {
    now += 1_000;
    return now as Monotonic;
  };
  const hasty = portOf(scene, { ...systemClock, monotonic });
  await assert.rejects(hasty.fillGap(order, { timeoutMs: 5_500 }), (error) =>
    isLifeboatError(error, "witness.gap-unfinished"),
  );
  assert.equal((await portOf(scene).fillGap(order, CALL)).kind, "serving");
});
