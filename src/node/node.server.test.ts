import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { conninfoOf, type Pair, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { MAJORS, SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Epoch, NodeView } from "../failover/ports.ts";
import { type Clock, type Monotonic, systemClock } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { SqlNode } from "./node.ts";
import { viewSql } from "./view.ts";

const CALL = { timeoutMs: 5_000 };
const ONE = 1 as Epoch;

function nodeOf(server: TestServer, upstream?: TestServer, clock: Clock = systemClock): SqlNode {
  const { socketFolder, port } = server.server.setup;
  return new SqlNode(clock, {
    name: "node",
    address: {
      host: socketFolder,
      port,
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      tls: { mode: "disable" },
      applicationName: "lifeboat_node",
      connectTimeoutMs: 5_000,
    },
    connectionTo: () => ({
      conninfo: upstream === undefined ? "" : conninfoOf(upstream, REPLICA_NAME),
      slot: REPLICA_NAME,
    }),
    freeBytes: async () => 7,
    cloning: () => false,
  });
}

async function viewOf(node: SqlNode): Promise<NodeView> {
  const probe = await node.probe(CALL);
  assert.ok(probe.kind === "answered", inspect(probe));
  return probe.view;
}

for (const major of MAJORS) {
  test(`on PostgreSQL ${major} a primary and its replica say what they are, before and after a promotion`, async () => {
    await using pair = await startPair({ major });
    const primary = nodeOf(pair.primary);
    const replica = nodeOf(pair.replica, pair.primary);
    // So that it has more than one segment.
    await pair.primary.query("SELECT pg_switch_wal()");
    const before = await viewOf(primary);
    assert.ok(before.role.kind === "primary");
    assert.deepEqual(before.role.write, { kind: "written" });
    assert.equal(before.role.timelineStart, undefined);
    const confirmer = before.role.confirmers.find(({ applicationName }) => applicationName === REPLICA_NAME);
    assert.ok(confirmer?.streaming === true);
    assert.equal(before.freeBytes, 7);
    const standby = await eventually("the replica has replayed all", async () => {
      const view = await viewOf(replica);
      const { role } = view;
      return role.kind === "standby" && role.replayIdle && role.receiver.kind === "streaming" && { view, role };
    });
    assert.deepEqual([standby.view.timeline, standby.view.systemId], [1, before.systemId]);
    assert.ok(standby.role.upstream && standby.role.flushed >= standby.role.replayed);
    await namesOneSegment(pair);
    await promoteByOrders(pair, replica);
  });
}

/** However many it keeps: of all, the name of the one that holds the last byte that was replayed. */
async function namesOneSegment({ primary, replica }: Pair): Promise<void> {
  // It has replayed all of the first before anything of the next one has arrived.
  await eventually("it has more than one", async () => {
    return Number(await replica.value("SELECT count(*) FROM pg_ls_waldir()")) > 1;
  });
  const { segments, replayed } = JSON.parse(String((await replica.query(viewSql()))[0]?.["standby_"]));
  // Of the byte before: where one segment ends, the name of the next one is told since version 17.
  assert.deepEqual(segments, [await primary.value("SELECT pg_walfile_name($1::pg_lsn - 1)", [replayed])]);
}

async function promoteByOrders(pair: Pair, replica: SqlNode): Promise<void> {
  assert.deepEqual(await replica.stopReceiving({ epoch: ONE }, CALL), { kind: "done" });
  await eventually("its receiver is gone", async () => {
    const { role } = await viewOf(replica);
    return role.kind === "standby" && role.receiver.kind === "none" && !role.upstream && role.replayIdle;
  });
  await replica.makeSlots({ epoch: ONE, slots: ["lifeboat_vault", REPLICA_NAME] }, CALL);
  await replica.makeSlots({ epoch: ONE, slots: ["lifeboat_vault", REPLICA_NAME] }, CALL);
  await replica.setSynchronousNames({ epoch: ONE, names: "ANY 1 (somebody)" }, CALL);
  await replica.promote({ epoch: ONE }, CALL);
  const after = await eventually("it is a primary", async () => {
    const view = await viewOf(replica);
    return view.role.kind === "primary" && { view, role: view.role };
  });
  assert.deepEqual([after.view.timeline, after.view.synchronousNames], [2, "ANY 1 (somebody)"]);
  assert.ok(after.role.timelineStart !== undefined && after.role.timelineStart <= after.role.flushed);
  assert.equal(await replica.hasWalSince(after.role.timelineStart, CALL), true);
  // As if it had been recycled since.
  assert.equal(await replica.hasWalSince(0n as Lsn, CALL), false);
  // Nobody confirms, and it writes all the same.
  assert.deepEqual(after.role.write, { kind: "written" });
  await replica.promote({ epoch: ONE }, CALL);
  assert.equal(
    await pair.replica.value("SELECT count(*) FROM pg_replication_slots WHERE restart_lsn IS NOT NULL"),
    "2",
  );
}

test("a replica that was told to stop receives again from whom it is told", async () => {
  await using pair = await startPair();
  const replica = nodeOf(pair.replica, pair.primary);
  await replica.stopReceiving({ epoch: ONE }, CALL);
  await eventually("its receiver is gone", async () => {
    const { role } = await viewOf(replica);
    return role.kind === "standby" && role.receiver.kind === "none";
  });
  await replica.receiveFrom({ epoch: ONE, upstream: "primary" }, CALL);
  await pair.streams();
  assert.equal(await pair.replica.value("SHOW max_standby_streaming_delay"), "30s");
});

test("a killed, a frozen, a full and a missing server are told apart, and so is a write that does not end", async () => {
  await using server = await startServer({
    major: 16,
    settings: { max_connections: 10, superuser_reserved_connections: 1 },
  });
  const node = nodeOf(server);
  const sessions = [];
  for (;;) {
    const session = await server.server.connect({}, {}).catch(() => undefined);
    if (session === undefined) break;
    sessions.push(session);
  }
  assert.deepEqual(await node.probe(CALL), { kind: "error", sqlstate: "53300" });
  await Promise.all(sessions.map((session) => session.close()));
  await eventually("there is room", async () => (await node.probe(CALL)).kind === "answered");
  await server.server.halt();
  const begun = systemClock.monotonic();
  assert.deepEqual(await node.probe({ timeoutMs: 200 }), { kind: "silent" });
  assert.ok(systemClock.monotonic() - begun < 1_000);
  await server.server.resume();
  await eventually("it answers again", async () => (await node.probe(CALL)).kind === "answered");
  await server.server.kill();
  assert.deepEqual(await node.probe(CALL), { kind: "nobody-listens" });
  await assert.rejects(node.promote({ epoch: ONE }, CALL), (error) => isLifeboatError(error, "postgres.unreachable"));
});

test("a probe stops on request", async () => {
  await using server = await startServer({ major: 16 });
  const signal = AbortSignal.abort();
  await assert.rejects(nodeOf(server).probe({ timeoutMs: 5_000, signal }), (error) =>
    isLifeboatError(error, "platform.aborted"),
  );
});

test("an open session's word is taken for some seconds after an order, and not longer however often it is asked (I10)", async () => {
  await using server = await startServer({ major: 16 });
  const begun = systemClock.monotonic();
  let shiftMs = 0;
  // However long the machine takes.
  const clock: Clock = { ...systemClock, monotonic: () => (begun + shiftMs) as Monotonic };
  const node = nodeOf(server, undefined, clock);
  await node.setSynchronousNames({ epoch: ONE, names: "" }, CALL);
  const postmaster = Number(await server.value("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)"));
  // Sessions that are there live on.
  process.kill(postmaster, "SIGSTOP");
  try {
    for (const passedMs of [1_000, 2_000, 2_900]) {
      shiftMs = passedMs;
      assert.equal((await node.probe(CALL)).kind, "answered");
    }
    shiftMs = 3_100;
    assert.deepEqual(await node.probe({ timeoutMs: 200 }), { kind: "silent" });
  } finally {
    process.kill(postmaster, "SIGCONT");
  }
});
