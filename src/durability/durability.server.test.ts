/** Durability on real servers: set, believed only when shown, and changed under the eyes of clients. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { type Pair, REPLICA_NAME, startPair } from "../../test/support/pairs.ts";
import { eventually, openStation, RECEIVER_NAME, temporaryFolder } from "../../test/support/receivers.ts";
import { MAJORS, PORTS, startServer, withServer } from "../../test/support/servers.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { ProbeProcess } from "../probe/process.ts";
import { readBack } from "../probe/read-back.ts";
import { makeWriteTable } from "../probe/write-table.ts";
import { setSyncNames, waitersReleased } from "./act.ts";
import { judgeDurability } from "./decide.ts";
import type { DurabilityFacts } from "./facts.ts";
import { type DurabilityMode, synchronousStandbyNames } from "./names.ts";
import { observeDurability } from "./observe.ts";

const CONFIRMERS = { nodes: [REPLICA_NAME], receiver: RECEIVER_NAME };
const TOOLS = { clock: systemClock };

async function setMode(pair: Pick<Pair, "primary">, mode: DurabilityMode) {
  const wanted = { names: synchronousStandbyNames(mode, CONFIRMERS), confirmers: CONFIRMERS };
  return await setSyncNames(TOOLS, { address: pair.primary.server.address(), wanted }, {});
}

async function look(pair: Pick<Pair, "primary">, described: DurabilityMode): Promise<DurabilityFacts> {
  const server = await observeDurability(pair.primary.server.address(), {});
  return { described: { mode: described, by: "configuration" }, expected: CONFIRMERS, withdrawnBy: undefined, server };
}

const codesOf = (facts: DurabilityFacts): readonly string[] => judgeDurability(facts).faults.map(({ code }) => code);

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: each mode is in force for sessions, files and WAL senders when setting it resolves`, async () => {
    await using pair = await startPair({ major });
    await using station = await openStation();
    await station.start(pair.primary);
    for (const mode of ["quorum", "strict", "async", "quorum"] as const) {
      await setMode(pair, mode);
      const view = judgeDurability(await look(pair, mode));
      assert.deepEqual([view.set, view.effective, view.faults], [mode, mode, []]);
      assert.deepEqual(view.confirming, mode === "async" ? [] : [REPLICA_NAME, RECEIVER_NAME]);
      await pair.primary.query(`CREATE TABLE IF NOT EXISTS of_${mode} ()`);
    }
    const { server } = await look(pair, "quorum");
    assert.deepEqual(
      server.confirmers.map(({ name, slot }) => [name, slot]),
      [
        [REPLICA_NAME, REPLICA_NAME],
        [RECEIVER_NAME, RECEIVER_NAME],
      ],
    );
  });
}

test("while the checkpointer has not read the names commits wait for nobody, and nobody is told that they do", async () => {
  await using pair = await startPair();
  const { primary } = pair;
  const [row] = await primary.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
  const checkpointer = Number(row?.["pid"]);
  await primary.query("CREATE TABLE written ()");
  PORTS.processes.signal(checkpointer, "SIGSTOP");
  let answered = false;
  const setting = setMode(pair, "strict").finally(() => {
    answered = true;
  });
  try {
    await eventually("the server says that it waits for two", async () => {
      const { server } = await look(pair, "strict");
      return server.effectiveNames === server.setNames && server.setNames !== "";
    });
    // Nobody confirms for the receiver, which is not there.
    for (const value of [1, 2, 3]) await primary.query(`COMMENT ON TABLE written IS '${value}'`);
    assert.equal(answered, false);
  } finally {
    PORTS.processes.signal(checkpointer, "SIGCONT");
  }
  await setting;
  const writing = primary.query("COMMENT ON TABLE written IS '4'");
  await eventually("a commit waits", async () => (await look(pair, "strict")).server.waiting.count === 1);
  await setMode(pair, "async");
  await writing;
});

test("a logical subscriber, which confirms nothing, keeps nobody from having commits wait", async () => {
  await using pair = await startPair({ settings: { wal_level: "logical" } });
  const { primary } = pair;
  await primary.query("CREATE TABLE published ()");
  await primary.query("CREATE PUBLICATION published FOR TABLE published");
  await primary.query("SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')");
  const { host, port, user, password } = primary.server.address();
  const subscriber = await PORTS.processes.start({
    command: "/usr/lib/postgresql/15/bin/pg_recvlogical",
    args: [
      ...["-d", `host=${host} port=${port} user=${user} password='${password}' dbname=postgres`],
      ...["--slot", "subscriber", "--start", "-o", "proto_version=1", "-o", "publication_names=published"],
      ...["-f", "/dev/null", "--no-loop"],
    ],
    output: { kind: "none" },
    input: "none",
    detached: false,
  });
  try {
    await eventually("it streams", async () => {
      const sql = "SELECT FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid";
      return (await primary.query(`${sql} WHERE s.slot_name = 'subscriber' AND r.state = 'streaming'`)).length === 1;
    });
    const { effectiveNames, setNames } = await setMode(pair, "quorum");
    assert.ok(setNames !== "" && effectiveNames === setNames);
  } finally {
    subscriber.kill("SIGTERM");
    await subscriber.exited;
  }
});

test("with replica and receiver gone no write is acknowledged, and async acknowledges those that wait", async () => {
  await using pair = await startPair();
  await using station = await openStation();
  const receiver = await station.start(pair.primary);
  await pair.primary.query("CREATE TABLE orders (id int)");
  await setMode(pair, "quorum");
  await receiver.stop();
  await pair.primary.query("INSERT INTO orders VALUES (1)");
  assert.deepEqual(codesOf(await look(pair, "quorum")), ["confirmer-missing"]);
  await pair.replica.stop();
  let acknowledged = 0;
  const writes = [2, 3, 4].map(async (id) => {
    await pair.primary.query("INSERT INTO orders VALUES ($1)", [id]);
    acknowledged += 1;
  });
  const stuck = await eventually("three commits wait", async () => {
    const facts = await look(pair, "quorum");
    return facts.server.waiting.count === 3 && facts;
  });
  assert.deepEqual(codesOf(stuck), ["nobody-confirms"]);
  assert.ok(stuck.server.waiting.longestMs > 0);
  assert.equal(acknowledged, 0);
  await setMode(pair, "async");
  const address = pair.primary.server.address();
  assert.equal(await waitersReleased(TOOLS, { address, timeoutMs: 5_000 }, {}), 0);
  await Promise.all(writes);
  assert.equal(await pair.primary.value("SELECT count(*) FROM orders"), "4");
});

test("waiting for the release of commits that nobody confirms ends in time, and says how many wait", async () => {
  await withServer({ major: 16 }, async (primary) => {
    await setMode({ primary }, "quorum");
    const write = primary.query("CREATE TABLE waits ()");
    await eventually("it waits", async () => (await look({ primary }, "quorum")).server.waiting.count === 1);
    const address = primary.server.address();
    assert.equal(await waitersReleased(TOOLS, { address, timeoutMs: 50 }, {}), 1);
    await setMode({ primary }, "async");
    await write;
  });
});

test("what is set by hand is seen: not loaded, for a role, by the server's default, under a second connection of a name", async () => {
  await using pair = await startPair();
  await using station = await openStation();
  await station.start(pair.primary);
  await setMode(pair, "quorum");
  await pair.primary.query("ALTER SYSTEM SET synchronous_standby_names = ''");
  assert.deepEqual(codesOf(await look(pair, "quorum")), ["not-loaded"]);
  await setMode(pair, "quorum");
  await pair.primary.query("CREATE ROLE importer LOGIN");
  await pair.primary.query("ALTER ROLE importer SET synchronous_commit = off");
  assert.deepEqual(codesOf(await look(pair, "quorum")), ["commits-do-not-wait"]);
  await pair.primary.query("ALTER ROLE importer RESET synchronous_commit");
  await pair.primary.query("ALTER SYSTEM SET synchronous_commit = local");
  await pair.primary.query("SELECT pg_reload_conf()");
  await eventually("the default is off", async () => {
    const facts = await look(pair, "quorum");
    return codesOf(facts).join() === "commits-do-not-wait" && judgeDurability(facts).effective === "async";
  });
  await pair.primary.query("ALTER SYSTEM RESET synchronous_commit");
  await pair.primary.query("SELECT pg_reload_conf()");
  await using copy = await openStation();
  await copy.receiver(pair.primary, { slot: "of_a_copy" }).start({});
  assert.deepEqual(codesOf(await look(pair, "quorum")), ["name-twice"]);
});

test("names that the server does not take are reported with what it does instead", async () => {
  await withServer({ major: 16 }, async (primary) => {
    // What stands on the command line wins over every file.
    await primary.stop();
    await using fixed = await startServer({
      major: 16,
      dataFolder: primary.dataFolder,
      settings: { synchronous_standby_names: "" },
    });
    const clock = { ...systemClock, monotonic: leaping() };
    const wanted = { names: synchronousStandbyNames("quorum", CONFIRMERS), confirmers: CONFIRMERS };
    await assert.rejects(setSyncNames({ clock }, { address: fixed.server.address(), wanted }, {}), (error) => {
      assert(isLifeboatError(error, "durability.not-taken"));
      assert.match(error.message, /was told "ANY 1 \(db_replica, lifeboat_vault\)" and does ""/);
      return true;
    });
  });
});

/** A clock that is an hour later at each look. */
function leaping(): typeof systemClock.monotonic {
  let hours = 0;
  return () => {
    hours += 1;
    return (hours * 3_600_000) as ReturnType<typeof systemClock.monotonic>;
  };
}

const RATE_PER_SECOND = 200;

test("changed again and again under 200 writes a second, no write fails and none is lost", async (t) => {
  await using pair = await startPair();
  await using station = await openStation();
  await station.start(pair.primary);
  await using place = await temporaryFolder("ledger");
  const ledgerFile = path.join(place.folder, "ledger");
  const connect = { ...pair.primary.server.address(), connectTimeoutMs: 1_000 };
  await makeWriteTable(connect, {});
  const client = await ProbeProcess.start(PORTS.processes, {
    node: process.execPath,
    entry: path.resolve(import.meta.dirname, "../probe/main.ts"),
    ledgerFile,
    probe: {
      connect,
      clientId: "a1b2c3d4e5f60718293a4b5c6d7e8f90",
      writesPerSecond: RATE_PER_SECOND,
      readsPerSecond: 0,
      laneCount: 16,
      queueDeadlineMs: 5_000,
      answerDeadlineMs: 10_000,
    },
  });
  try {
    let changes = 0;
    for (const mode of ["quorum", "strict", "async", "strict", "quorum", "async", "quorum"] as const) {
      await setMode(pair, mode);
      changes += 1;
      const { okCount } = (await client.status({})).writes;
      await eventually(
        "writes go on",
        async () => (await client.status({})).writes.okCount > okCount + RATE_PER_SECOND / 4,
      );
    }
    const report = (await client.stop({})).writes;
    t.diagnostic(`${changes} changes: ${JSON.stringify(report)}`);
    assert.deepEqual([report.failedCount, report.unknownCount], [0, 0]);
    assert.ok(report.okCount > RATE_PER_SECOND, String(report.okCount));
  } finally {
    await client.kill();
  }
  const { missing, damaged } = await readBack(PORTS.files, { connect, ledgerFile });
  assert.deepEqual([missing, damaged], [[], []]);
});
