/** Orders that must hold whatever was left behind by somebody who was cut short, and probes that must end whatever hangs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { conninfoOf, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { eventually } from "../../test/support/receivers.ts";
import { SUPERUSER, startServer, type TestServer } from "../../test/support/servers.ts";
import type { Epoch } from "../failover/ports.ts";
import { systemClock } from "../platform/clock.ts";
import { type NodePlace, SqlNode } from "./node.ts";

const CALL = { timeoutMs: 5_000 };
const ONE = 1 as Epoch;

function nodeOf(server: TestServer, different: Partial<NodePlace> & { readonly password?: string } = {}): SqlNode {
  const { port, socketFolder } = server.server.setup;
  const { password, ...place } = different;
  return new SqlNode(systemClock, {
    name: "node",
    address: {
      host: password === undefined ? socketFolder : "127.0.0.1",
      port,
      user: SUPERUSER.name,
      password: password ?? SUPERUSER.password,
      tls: { mode: "disable" },
      applicationName: "lifeboat_node",
      connectTimeoutMs: 5_000,
    },
    connectionTo: () => ({ conninfo: "", slot: REPLICA_NAME }),
    freeBytes: async () => 7,
    cloning: () => false,
    ...place,
  });
}

test("a replica that was told to stop receiving goes on so when somebody's half-done change is loaded later, and after a restart", async () => {
  await using pair = await startPair();
  const node = nodeOf(pair.replica);
  await node.stopReceiving({ epoch: ONE }, CALL);
  // Another controller was cut between writing and loading.
  await pair.replica.query(`ALTER SYSTEM SET primary_conninfo = '${conninfoOf(pair.primary, REPLICA_NAME)}'`);
  await node.stopReceiving({ epoch: ONE }, CALL);
  await pair.replica.query("SELECT pg_reload_conf()");
  await node.setSynchronousNames({ epoch: ONE, names: "ANY 1 (x)" }, CALL);
  assert.equal(await pair.replica.value("SHOW primary_conninfo"), "");
  await pair.replica.query("SELECT pg_wal_replay_pause()");
  await node.hurryReplay({ epoch: ONE }, CALL);
  assert.equal(await pair.replica.value("SELECT pg_is_wal_replay_paused()"), "false");
  await pair.replica.restart();
  assert.equal(await pair.replica.value("SHOW primary_conninfo"), "");
  assert.equal(await pair.replica.value("SHOW max_standby_streaming_delay"), "0");
  assert.equal(await pair.replica.value("SHOW synchronous_standby_names"), "ANY 1 (x)");
});

test("a checkpoint that was asked for is done when the call ends, and does not outlast its time", async () => {
  await using server = await startServer({ major: 16 });
  const node = nodeOf(server);
  await server.query("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
  const written = await server.value("SELECT pg_current_wal_lsn()");
  await node.checkpoint(CALL);
  assert.equal(await server.value(`SELECT redo_lsn >= '${written}' FROM pg_control_checkpoint()`), "true");
  await assert.rejects(node.checkpoint({ timeoutMs: 0 }));
});

test("what is open is told without the values in it, oldest first, and nothing of whoever asks", async () => {
  await using server = await startServer({ major: 16 });
  const node = nodeOf(server);
  assert.deepEqual(await node.openTransactions(CALL), []);
  const client = await server.server.connect({ namesOf: "database" }, {});
  await client.query("BEGIN", [], CALL);
  await client.query("SELECT  length('secret')", [], CALL);
  const [line = "", ...others] = await node.openTransactions(CALL);
  assert.deepEqual(others, []);
  assert.match(
    line,
    /^process \d+ of \S+, begun \d+\.\d s before, idle in transaction, waits for Client ClientRead: SELECT length\($/,
  );
  await client.close();
});

test("names that are in force and not in the files any more are written again", async () => {
  await using server = await startServer({ major: 16 });
  const node = nodeOf(server);
  await node.setSynchronousNames({ epoch: ONE, names: "ANY 1 (x)" }, CALL);
  await server.query("ALTER SYSTEM SET synchronous_standby_names = ''");
  await node.setSynchronousNames({ epoch: ONE, names: "ANY 1 (x)" }, CALL);
  await server.restart();
  assert.equal(await server.value("SHOW synchronous_standby_names"), "ANY 1 (x)");
});

test("a replica that was told whom to follow follows after a restart too", async () => {
  await using pair = await startPair();
  const node = nodeOf(pair.replica, {
    connectionTo: () => ({ conninfo: conninfoOf(pair.primary, REPLICA_NAME), slot: REPLICA_NAME }),
  });
  await node.stopReceiving({ epoch: ONE }, CALL);
  await node.hurryReplay({ epoch: ONE }, CALL);
  await node.receiveFrom({ epoch: ONE, upstream: "primary" }, CALL);
  await pair.replica.restart();
  await pair.streams();
  assert.equal(await pair.replica.value("SHOW max_standby_streaming_delay"), "30s");
});

test("a slot that has lost its WAL is made anew, since nobody could follow from it; one that is in use is left", async () => {
  await using server = await startServer({
    major: 16,
    settings: { max_slot_wal_keep_size: "16MB", min_wal_size: "32MB", max_wal_size: "32MB" },
  });
  const node = nodeOf(server);
  await node.makeSlots({ epoch: ONE, slots: ["one"] }, CALL);
  const before = await server.value("SELECT restart_lsn::text FROM pg_replication_slots");
  await node.makeSlots({ epoch: ONE, slots: ["one"] }, CALL);
  assert.equal(await server.value("SELECT restart_lsn::text FROM pg_replication_slots"), before);
  await eventually("its WAL is lost", async () => {
    await server.query("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))");
    await server.query("SELECT pg_switch_wal()");
    await server.query("CHECKPOINT");
    return (await server.value("SELECT wal_status FROM pg_replication_slots")) === "lost";
  });
  await node.makeSlots({ epoch: ONE, slots: ["one"] }, CALL);
  assert.equal(await server.value("SELECT wal_status FROM pg_replication_slots"), "reserved");
});

test("a probe ends in its time though the disk does not say how much is free", async () => {
  await using server = await startServer({ major: 16 });
  const node = nodeOf(server, { freeBytes: () => new Promise<number>(() => undefined) });
  const begun = systemClock.monotonic();
  assert.deepEqual(await node.probe({ timeoutMs: 300 }), { kind: "silent" });
  assert.ok(systemClock.monotonic() - begun < 2_000);
});

test("a disk that hangs is asked once, however often the node is looked at; one that answers is asked each time", async () => {
  await using server = await startServer({ major: 16 });
  const asked: ((bytes: number) => void)[] = [];
  const node = nodeOf(server, { freeBytes: () => new Promise<number>((resolve) => asked.push(resolve)) });
  for (let look = 0; look < 3; look += 1) await node.probe({ timeoutMs: 200 });
  assert.equal(asked.length, 1);
  asked[0]?.(7);
  const pending = node.probe(CALL);
  await eventually("the disk is asked anew", async () => asked.length === 2);
  asked[1]?.(8);
  const probe = await pending;
  assert.ok(probe.kind === "answered" && probe.view.freeBytes === 8);
});

test("a server that lets nobody in yet, and one that refuses our password, are alive", async () => {
  await using pair = await startPair();
  await pair.replica.query("ALTER SYSTEM SET hot_standby = off");
  await pair.replica.stop();
  await pair.replica.server.start({ until: "accepting", timeoutMs: 300 }).catch(() => undefined);
  const node = nodeOf(pair.replica);
  await eventually("it says that it is starting", async () => {
    const probe = await node.probe(CALL);
    return probe.kind === "error" && probe.sqlstate === "57P03";
  });
  assert.deepEqual(await nodeOf(pair.primary, { password: "wrong" }).probe(CALL), { kind: "error", sqlstate: "28P01" });
});

test("a primary whose confirmers are all gone writes, since its own write waits for nobody", async () => {
  await using server = await startServer({ major: 16 });
  const node = nodeOf(server);
  await node.setSynchronousNames({ epoch: ONE, names: "ANY 1 (nobody)" }, CALL);
  const probe = await node.probe({ timeoutMs: 1_000 });
  assert.ok(probe.kind === "answered" && probe.view.role.kind === "primary");
  assert.deepEqual(probe.view.role.write, { kind: "written" });
});
