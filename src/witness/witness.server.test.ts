import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { defaultMajor } from "../../test/support/majors.ts";
import { eventually, openStation, type Station } from "../../test/support/receivers.ts";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, lsnAdd, parseLsn, type Timeline } from "../postgres/lsn.ts";
import type { MandateTerms } from "../wal/mandate.ts";
import { WitnessClient } from "./client.ts";
import { controlSocket } from "./control.ts";
import type { WitnessStatus } from "./witness.ts";

const MIB = 1024 * 1024;
const LSN_MAX = 0xffffffffffffffffn as Lsn;
const CALL = { timeoutMs: 10_000 };

function witnessOf(station: Station): WitnessClient {
  return new WitnessClient(controlSocket(station.spoolFolder));
}

function terms(server: TestServer, reign: number, more: Partial<MandateTerms> = {}): MandateTerms {
  const { host, port } = server.server.address();
  return { reign, upstream: { host, port }, systemId: undefined, timeline: undefined, switchLsn: undefined, ...more };
}

/** Follows, and is permitted to confirm until further notice, whatever it holds. */
async function followed(witness: WitnessClient, of: MandateTerms): Promise<WitnessStatus> {
  const { reign } = of;
  await witness.follow(of, CALL);
  return await witness.grant({ epoch: reign, reign, duration: undefined, contiguousWith: LSN_MAX }, CALL);
}

/** Lets commits wait for the receiver under this name. */
async function waitFor(server: TestServer, name: string): Promise<void> {
  await server.query(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (${name})'`);
  await server.query("SELECT pg_reload_conf()");
  await eventually("the server has read it", async () => {
    return (await server.value("SHOW synchronous_standby_names")).includes(`(${name})`);
  });
}

async function commitsWaiting(server: TestServer): Promise<string> {
  return await server.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
}

async function walsenders(server: TestServer): Promise<string> {
  return await server.value(
    "SELECT coalesce(string_agg(application_name, ',' ORDER BY pid), '') FROM pg_stat_replication",
  );
}

test("a withdrawn receiver confirms nothing, also after a restart, until it follows under another name", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const receiver = await station.start(server);
  const witness = witnessOf(station);
  await server.query("CREATE TABLE t (i int)");
  await waitFor(server, "lifeboat_vault");
  await server.query("INSERT INTO t VALUES (1)");
  const acknowledged = parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));

  const first = await witness.withdraw(1, CALL);
  assert.ok(first.held !== undefined && first.held.flushedLsn >= acknowledged);
  assert.equal(receiver.report().mode, "withdrawn");
  await eventually("its connection is closed", async () => (await walsenders(server)) === "");
  const commit = server.query("INSERT INTO t VALUES (2)");
  await eventually("the commit waits", async () => (await commitsWaiting(server)) === "1");

  await receiver.stop();
  const restarted = station.receiver(server);
  const starting = restarted.start({});
  await eventually("it waits for a mandate", async () => restarted.report().mode === "withdrawn");
  assert.deepEqual((await witness.withdraw(1, CALL)).held, first.held, "a restarted receiver says the same");
  assert.equal((await witness.withdraw(2, CALL)).held?.flushedLsn, first.held.flushedLsn);
  await assert.rejects(witness.follow(terms(server, 1), CALL), (error) => isLifeboatError(error, "wal.epoch-stale"));
  assert.equal(await commitsWaiting(server), "1");

  const { receiver: report } = await followed(witness, terms(server, 2));
  assert.equal(report.applicationName, "lifeboat_vault_e2");
  await starting;
  await eventually("it streams again", async () => (await walsenders(server)) === "lifeboat_vault_e2");
  assert.equal(await commitsWaiting(server), "1", "under its new name it does not count here");
  await waitFor(server, "lifeboat_vault_e2");
  await commit;
});

test("a withdrawal tells where the last whole record ends", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  await station.start(server);
  await server.query("CREATE TABLE t AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, 3000) i");
  const end = await server.value("SELECT pg_current_wal_insert_lsn()");
  const witness = witnessOf(station);
  await eventually("all of it is held", async () => {
    const { receiver } = await witness.status(CALL);
    return parseLsn(receiver.flushedLsn) >= parseLsn(end);
  });
  const { held } = await witness.withdraw(1, CALL);
  assert.ok(held?.recordEndLsn !== undefined);
  assert.equal(formatLsn(held.recordEndLsn), await server.value("SELECT pg_current_wal_insert_lsn()"));
  assert.ok(held.recordEndLsn <= held.flushedLsn);
});

test("a withdrawal hangs on no server: not on one that is frozen", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  await station.start(server);
  await server.query("CREATE TABLE t AS SELECT generate_series(1, 1000) i");
  await server.server.halt();
  const begun = performance.now();
  await witnessOf(station).withdraw(1, CALL);
  const tookMs = performance.now() - begun;
  await server.server.resume();
  assert.ok(tookMs < 1_500, `it took ${tookMs} ms`);
});

test("without a grant positions stay as they were and the connection stays, and a grant sets them free", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const receiver = await station.start(server);
  const witness = witnessOf(station);
  await server.query("CREATE TABLE t (i int)");
  await witness.follow(terms(server, 1), CALL);
  await eventually("it streams", async () => (await walsenders(server)) === "lifeboat_vault_e1");
  await waitFor(server, "lifeboat_vault_e1");
  const pid = await server.value("SELECT pid FROM pg_stat_replication");
  for (const row of [1, 2]) {
    await eventually("nothing is granted", async () => !(await witness.status(CALL)).mayConfirm);
    const commit = server.query("INSERT INTO t VALUES ($1)", [row]);
    await eventually("the commit waits", async () => (await commitsWaiting(server)) === "1");
    await eventually("the receiver has it, and says nothing", async () => {
      const flushed = parseLsn(receiver.report().flushedLsn);
      return flushed >= parseLsn(await server.value("SELECT pg_current_wal_flush_lsn()"));
    });
    assert.equal(await commitsWaiting(server), "1");
    const { ticket } = await witness.status(CALL);
    const grant = { epoch: 1, reign: 1, duration: { ms: 400, ticket }, contiguousWith: LSN_MAX };
    await witness.grant(grant, CALL);
    await commit;
  }
  assert.equal(await server.value("SELECT pid FROM pg_stat_replication"), pid);
});

test("a new vault confirms nothing until the replica has all that lies before what is held", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  await station.start(server);
  const witness = witnessOf(station);
  await server.query("CREATE TABLE t (i int)");
  const { ticket } = await witness.follow(terms(server, 1), CALL);
  await eventually("it streams", async () => (await walsenders(server)) === "lifeboat_vault_e1");
  const { rangeFrom } = await witness.status(CALL);
  assert.ok(rangeFrom !== undefined);
  const grant = { epoch: 1, reign: 1, duration: { ms: 60_000, ticket } };
  await witness.grant({ ...grant, contiguousWith: lsnAdd(rangeFrom, -1) }, CALL);
  await server.query("INSERT INTO t VALUES (1)");
  const lsn = await server.value("SELECT pg_current_wal_flush_lsn()");
  await eventually(
    "it is held",
    async () => parseLsn((await witness.status(CALL)).receiver.flushedLsn) >= parseLsn(lsn),
  );
  assert.equal(await server.value("SELECT coalesce(max(flush_lsn), '0/0') FROM pg_stat_replication"), "0/0");
  await witness.grant({ ...grant, contiguousWith: rangeFrom }, CALL);
  await eventually("it confirms", async () => {
    return (await server.value("SELECT max(flush_lsn) FROM pg_stat_replication")) === lsn;
  });
});

test("whoever hangs on the socket, or dies there, keeps no commit waiting", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  await station.start(server);
  const witness = witnessOf(station);
  await server.query("CREATE TABLE t (i int)");
  await followed(witness, terms(server, 1));
  await waitFor(server, "lifeboat_vault_e1");
  const socket = controlSocket(station.spoolFolder);
  const hanging = Array.from({ length: 80 }, (_, index) => {
    const connection = net.connect(
      socket,
      () => void connection.write(index % 2 === 0 ? "" : '{"call":"withdraw","ep'),
    );
    connection.on("error", () => undefined);
    return connection;
  });
  for (let row = 0; row < 20; row += 1) await server.query("INSERT INTO t VALUES ($1)", [row]);
  for (const connection of hanging) connection.destroy();
  for (let row = 0; row < 20; row += 1) await server.query("INSERT INTO t VALUES ($1)", [row]);
  assert.equal((await witness.status(CALL)).mayConfirm, true);
});

test("a mandate for a timeline confirms nothing to a server that is not on it", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const receiver = await station.start(server);
  const witness = witnessOf(station);
  await followed(witness, terms(server, 1, { timeline: 2 as Timeline }));
  await eventually("it says why", async () => receiver.report().lastError?.code === "wal.timeline-unexpected");
  assert.equal(await server.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"), "0");
  await followed(witness, terms(server, 2, { timeline: 1 as Timeline }));
  await eventually("it streams", async () => (await walsenders(server)) === "lifeboat_vault_e2");
});

test("a governed receiver that meets another system waits for its next mandate", async () => {
  await using server = await startServer({ walSegmentBytes: MIB, name: "right" });
  // Servers of one major are copies of one, and the same system.
  const another = defaultMajor() === 17 ? 16 : 17;
  await using other = await startServer({ walSegmentBytes: MIB, major: another, name: "wrong" });
  await using station = await openStation();
  const receiver = await station.start(server);
  const witness = witnessOf(station);
  await followed(witness, terms(other, 1));
  await eventually("it gives up", async () => receiver.report().mode === "failed");
  assert.equal(receiver.report().lastError?.code, "wal.foreign-system");
  await followed(witness, terms(server, 2));
  await eventually("it streams", async () => receiver.report().mode === "streaming");
});

test("a receiver for one backup does not wait for a mandate that was withdrawn", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const receiver = await station.start(server);
  await witnessOf(station).withdraw(1, CALL);
  await receiver.stop();
  const own = station.receiver(server, { slotLifetime: "session" });
  await assert.rejects(own.start({}), (error) => isLifeboatError(error, "wal.withdrawn"));
});
