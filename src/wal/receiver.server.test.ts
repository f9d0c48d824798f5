import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import {
  caughtUp,
  eventually,
  openStation,
  RECEIVER_NAME,
  type Station,
  serverSegment,
  temporaryFolder,
} from "../../test/support/receivers.ts";
import { MAJORS, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemRandom } from "../platform/random.ts";
import { parseLsn } from "../postgres/lsn.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { readReceiverStatus } from "./report.ts";

const MIB = 1024 * 1024;

/** A table of some rows: about a KiB of WAL each. */
async function writeRows(server: TestServer, name: string, count: number): Promise<void> {
  await server.query(`CREATE TABLE ${name} AS SELECT i, repeat('x', 900) AS t FROM generate_series(1, ${count}) i`);
}

async function assertSameAsServer(server: TestServer, station: Station): Promise<void> {
  const held = await station.held();
  assert.ok(held.size > 1, "more than one segment is held");
  for (const [segment, bytes] of held) {
    const original = await serverSegment(server, segment);
    assert.ok(original?.subarray(0, bytes.byteLength).equals(bytes), `${segment} is what the server has`);
  }
}

for (const major of MAJORS) {
  test(`PostgreSQL ${major}: vault and spool hold byte for byte what the server wrote`, async () => {
    await using server = await startServer({ major, walSegmentBytes: MIB });
    await using station = await openStation();
    const receiver = await station.start(server);
    await writeRows(server, "one", 3000);
    await caughtUp(server);
    await eventually("the vault has all complete segments", async () => receiver.report().segmentsWaiting === 0);
    await assertSameAsServer(server, station);
    const report = receiver.report();
    assert.equal(report.mode, "streaming");
    assert.equal(report.lagBytes, 0);
    assert.deepEqual(report.alarms, []);
    const slot = await server.value("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = $1", [
      RECEIVER_NAME,
    ]);
    assert.equal(slot, report.flushedLsn);
    await receiver.stop();
    await receiver.ended;
  });
}

for (const major of [15, 18] as const) {
  test(`PostgreSQL ${major}: with the receiver as the only synchronous standby, commits return while it runs, wait while it does not`, async () => {
    await using server = await startServer({ major });
    await using station = await openStation();
    const first = await station.start(server);
    await server.query(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (${RECEIVER_NAME})'`);
    await server.query("SELECT pg_reload_conf()");
    await eventually("the receiver is synchronous", async () => {
      const state = await server.query("SELECT sync_state FROM pg_stat_replication");
      return state[0]?.["sync_state"] === "quorum";
    });
    await writeRows(server, "one", 10);
    await first.stop();

    let returned = false;
    const waiting = writeRows(server, "two", 10).then(() => {
      returned = true;
    });
    await eventually("the commit waits", async () => {
      const sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
      return (await server.value(sql)) === "1";
    });
    assert.equal(returned, false);
    await station.start(server);
    await waiting;
  });
}

test("a receiver that was killed goes on where it was, and all it had confirmed is there", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using folder = await temporaryFolder("store");
  const storeFolder = path.join(folder.folder, "vault");
  const store = await openDiskStore({ folder: storeFolder, files: systemFiles, random: systemRandom });
  await using station = await openStation(await createTestVault(store));
  for (let round = 1; round <= 3; round += 1) {
    const options = {
      address: station.address(server),
      storeFolder,
      spoolFolder: station.spoolFolder,
      slot: RECEIVER_NAME,
    };
    const main = new URL("../../test/support/receiver-process.ts", import.meta.url);
    const child = spawn(process.execPath, [main.pathname, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const before = parseLsn(await server.value("SELECT pg_current_wal_lsn()"));
    const writing = writeRows(server, `round${round}`, 4000);
    const confirmed = await eventually("something is confirmed while rows are written", async () => {
      const rows = await server.query("SELECT flush_lsn::text AS lsn FROM pg_stat_replication");
      const lsn = rows[0]?.["lsn"];
      return typeof lsn === "string" && parseLsn(lsn) > before ? parseLsn(lsn) : undefined;
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    await writing;
    const held = await station.held();
    const [last, bytes] = [...held].at(-1) ?? ["", Buffer.alloc(0)];
    assert.ok(segmentEnd(last, bytes.byteLength) >= confirmed, `${last} with ${bytes.byteLength} bytes, ${confirmed}`);
  }
  await station.start(server);
  await caughtUp(server);
  await assertSameAsServer(server, station);
  const names = [...(await station.held()).keys()];
  const numbers = names.map(
    (name) => Number.parseInt(name.slice(8, 16), 16) * 4096 + Number.parseInt(name.slice(16), 16),
  );
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => (numbers[0] ?? 0) + index),
    "no segment is missing",
  );
});

function segmentEnd(name: string, bytes: number): bigint {
  const number = BigInt(`0x${name.slice(8, 16)}`) * 4096n + BigInt(`0x${name.slice(16)}`);
  return number * BigInt(MIB) + BigInt(bytes);
}

test("a receiver takes WAL written while it was away, and the slot kept it", async () => {
  await using server = await startServer({ walSegmentBytes: MIB });
  await using station = await openStation();
  const first = await station.start(server);
  await caughtUp(server);
  await first.stop();
  await writeRows(server, "away", 3000);
  await server.query("CHECKPOINT");
  const second = await station.start(server);
  await caughtUp(server);
  assert.deepEqual(second.report().gaps, []);
  await assertSameAsServer(server, station);
});

test("the status tells a running receiver from one that is gone", async () => {
  await using server = await startServer();
  await using station = await openStation();
  const tools = { files: systemFiles, locks: systemLocks };
  assert.deepEqual(await readReceiverStatus(tools, station.spoolFolder), { kind: "never-ran" });
  const receiver = await station.start(server);
  await eventually("the report says that it streams", async () => {
    const status = await readReceiverStatus(tools, station.spoolFolder);
    return status.kind === "running" && status.report.mode === "streaming";
  });
  await receiver.stop();
  const status = await readReceiverStatus(tools, station.spoolFolder);
  assert.ok(status.kind === "not-running");
  assert.equal(status.report.mode, "stopped");
});

test("two receivers do not share a spool", async () => {
  await using server = await startServer();
  await using station = await openStation();
  const first = await station.start(server);
  const second = station.receiver(server);
  await assert.rejects(second.start({}), (error) => isLifeboatError(error, "wal.spool-busy"));
  await assert.rejects(second.ended, (error) => isLifeboatError(error, "wal.spool-busy"));
  await first.stop();
});

test("a receiver waits for a server that is not there, and can be told to stop waiting", async () => {
  await using server = await startServer({ started: false });
  await using station = await openStation();
  const stop = new AbortController();
  const receiver = station.receiver(server);
  const starting = receiver.start({ signal: stop.signal });
  await eventually("it backs off", async () => receiver.report().mode === "backing-off");
  assert.equal(receiver.report().lastError?.code.startsWith("postgres."), true);
  stop.abort();
  await assert.rejects(starting, (error) => isLifeboatError(error, "platform.aborted"));
  assert.equal(receiver.report().mode, "stopped");

  const other = station.receiver(server);
  const started = other.start({});
  await server.start();
  await started;
  assert.equal(other.report().mode, "streaming");
});

test("a receiver that was stopped before it was started never starts", async () => {
  await using server = await startServer({ started: false });
  await using station = await openStation();
  const receiver = station.receiver(server);
  await receiver.stop();
  await receiver.stop();
  await receiver.ended;
  await assert.rejects(receiver.start({}), (error) => isLifeboatError(error, "platform.aborted"));
  assert.equal(await systemFiles.stat(station.spoolFolder), undefined);
});

test("a login that the server refuses ends the start", async () => {
  await using server = await startServer();
  await using station = await openStation();
  const address = { ...server.server.address({ user: "nobody_here" }), database: undefined };
  const receiver = station.receiver(server, { address });
  await assert.rejects(receiver.start({}), (error) => isLifeboatError(error, "postgres.login-refused"));
  assert.equal(receiver.report().mode, "failed");
});

test("a server that restarts is met again", async () => {
  await using server = await startServer();
  await using station = await openStation();
  const modes: string[] = [];
  await station.start(server, { onMode: (mode) => modes.push(mode) });
  await server.restart();
  await writeRows(server, "after", 10);
  await caughtUp(server);
  assert.deepEqual(modes.filter((mode) => mode === "streaming").length, 2);
});

test("a server that hangs is given up and met again", async () => {
  await using server = await startServer();
  await using station = await openStation();
  const errors = new Set<string | undefined>();
  const receiver = await station.start(server, { serverTimeoutMs: 400 });
  await server.server.halt();
  await eventually("the silence is noticed", async () => {
    errors.add(receiver.report().lastError?.code);
    return errors.has("wal.server-silent");
  });
  await server.server.resume();
  await eventually("it streams again", async () => receiver.report().mode === "streaming");
  await writeRows(server, "after", 10);
  await caughtUp(server);
});

test("a delayed receiver has less than the server, and drops what waits when it is stopped", async () => {
  await using server = await startServer();
  await using station = await openStation();
  const receiver = await station.start(server, { delayMs: 60_000 });
  await writeRows(server, "late", 100);
  await eventually("it knows how far the server is", async () => receiver.report().serverEndLsn !== "0/0");
  await receiver.stop();
  assert.equal((await station.held()).size, 0);
});
