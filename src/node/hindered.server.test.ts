/** Settings and pauses that look well until a failover: seen before, and either overcome by an order or refused by it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { conninfoOf, type Pair, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { MAJORS, SUPERUSER, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { Epoch, NodeView } from "../failover/ports.ts";
import { systemClock } from "../platform/clock.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { SqlNode } from "./node.ts";

const CALL = { timeoutMs: 5_000 };
const ONE = 1 as Epoch;

function nodeOf(server: TestServer, upstream?: TestServer): SqlNode {
  const { socketFolder: host, port } = server.server.setup;
  const { name: user, password } = SUPERUSER;
  const address = { host, port, user, password, tls: { mode: "disable" }, applicationName: "lifeboat_node" } as const;
  const conninfo = upstream === undefined ? "" : conninfoOf(upstream, REPLICA_NAME);
  return new SqlNode(systemClock, {
    name: "node",
    address: { ...address, connectTimeoutMs: 5_000 },
    connectionTo: () => ({ conninfo, slot: REPLICA_NAME }),
    freeBytes: async () => 7,
    cloning: () => false,
  });
}

async function view(node: SqlNode): Promise<NodeView> {
  const probe = await node.probe(CALL);
  assert.equal(probe.kind, "answered");
  return probe.kind === "answered" ? probe.view : assert.fail();
}

async function kinds(node: SqlNode): Promise<readonly string[]> {
  return (await view(node)).hindrances.map(({ kind }) => kind);
}

async function receiverEnds(node: SqlNode): Promise<void> {
  await eventually("it receives no more", async () => {
    const { role } = await view(node);
    return role.kind === "standby" && role.receiver.kind === "none" && !role.upstream;
  });
}

async function pausedFor({ primary, replica }: Pair, setting: string, value: string): Promise<void> {
  await primary.query(`ALTER SYSTEM SET ${setting} = ${value}`);
  await primary.restart();
  await eventually(`it has paused for ${setting}`, async () => {
    const sql = "SELECT pg_get_wal_replay_pause_state()";
    return (await replica.value(sql)) === "paused";
  });
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: a replica with less than its primary has is seen, and not killed by an order to hurry`, async () => {
    await using pair = await startPair({ major });
    const node = nodeOf(pair.replica, pair.primary);
    assert.deepEqual([await kinds(node), await kinds(nodeOf(pair.primary))], [[], []]);
    await pausedFor(pair, "max_connections", "300");
    assert.deepEqual((await view(node)).hindrances, [
      { kind: "parameters-too-small", lacks: "max_connections 100 of 300" },
    ]);
    const isTooSmall = (error: unknown): boolean => isLifeboatError(error, "failover.parameters-too-small");
    await assert.rejects(node.stopReceiving({ epoch: ONE }, CALL), isTooSmall);
    await assert.rejects(node.hurryReplay({ epoch: ONE }, CALL), isTooSmall);
    assert.equal(await pair.replica.value("SELECT pg_get_wal_replay_pause_state()"), "paused");
  });
}

test("each setting that a standby must have as much of is compared", async () => {
  await using pair = await startPair();
  const node = nodeOf(pair.replica, pair.primary);
  for (const [setting, value] of [
    ["max_worker_processes", "20"],
    ["max_wal_senders", "30"],
    ["max_prepared_transactions", "40"],
    ["max_locks_per_transaction", "80"],
  ] as const) {
    await pausedFor(pair, setting, value);
    const [found] = (await view(node)).hindrances;
    assert.ok(found?.kind === "parameters-too-small");
    assert.match(found.lacks, new RegExp(`${setting} \\d+ of ${value}$`));
    await pair.replica.query(`ALTER SYSTEM SET ${setting} = ${value}`);
    await pair.replica.restart();
    await pair.streams();
    await eventually("nothing is lacking", async () => (await kinds(node)).length === 0);
  }
});

test("a replica whose replay somebody has paused is seen, and stops confirming to a primary that lives when it is told to", async () => {
  await using pair = await startPair();
  const node = nodeOf(pair.replica, pair.primary);
  await pair.replica.query("SELECT pg_wal_replay_pause()");
  await pair.primary.query("CREATE TABLE t (a int)");
  await eventually("it has paused", async () => (await kinds(node)).includes("replay-paused"));
  await node.stopReceiving({ epoch: ONE }, CALL);
  await receiverEnds(node);
  assert.equal(await pair.primary.value("SELECT count(*)::text FROM pg_stat_replication"), "0");
});

test("a replica that replays late is seen, and made to hurry by the order to stop receiving; as it was set when it is told whom to follow", async () => {
  await using pair = await startPair();
  const node = nodeOf(pair.replica, pair.primary);
  await pair.replica.query("ALTER SYSTEM SET recovery_min_apply_delay = '1h'");
  await pair.replica.query("SELECT pg_reload_conf()");
  await eventually("its delay is seen", async () => (await kinds(node)).includes("replay-delayed"));
  await pair.primary.query("CREATE TABLE t (a int)");
  const end = await pair.primary.value("SELECT pg_current_wal_flush_lsn()::text");
  await eventually("it waits with WAL to replay", async () => {
    const waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'RecoveryApplyDelay'";
    return (await pair.replica.value(waits)) === "1";
  });
  await node.stopReceiving({ epoch: ONE }, CALL);
  await receiverEnds(node);
  await eventually("all is replayed", async () => {
    const { role } = await view(node);
    const isThere = await pair.replica.value("SELECT (pg_last_wal_replay_lsn() >= $1::pg_lsn)::text", [end]);
    return role.kind === "standby" && role.replayIdle && isThere === "true";
  });
  await node.receiveFrom({ epoch: ONE, upstream: "primary" }, CALL);
  await pair.streams();
  assert.equal(await pair.replica.value("SHOW recovery_min_apply_delay"), "0");
});

for (const major of MAJORS.filter((each) => each >= 17)) {
  test(`PostgreSQL ${major}: a server that allows no ALTER SYSTEM is seen before it is to be ordered`, async () => {
    await using pair = await startPair({ major, settings: { allow_alter_system: false } });
    assert.deepEqual(await kinds(nodeOf(pair.primary)), ["no-alter-system"]);
    assert.deepEqual(await kinds(nodeOf(pair.replica)), ["no-alter-system"]);
  });
}

test("a stack whose clients are SERIALIZABLE and read only by default can be looked at, and its primary writes", async () => {
  await using pair = await startPair();
  for (const set of ["default_transaction_isolation = 'serializable'", "default_transaction_read_only = on"]) {
    await pair.primary.query(`ALTER ROLE ALL SET ${set}`);
  }
  const end = parseLsn(await pair.primary.value("SELECT pg_current_wal_flush_lsn()::text"));
  const replica = nodeOf(pair.replica, pair.primary);
  await eventually("the replica has them too, and answers", async () => {
    const { role } = await view(replica);
    return role.kind === "standby" && role.replayed >= end;
  });
  const { role } = await view(nodeOf(pair.primary));
  assert.ok(role.kind === "primary" && role.write.kind === "written");
});
