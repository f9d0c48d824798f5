import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { startServer, type TestServer } from "../../test/support/servers.ts";
import { systemClock } from "../platform/clock.ts";
import { systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import { readLedger } from "./ledger.ts";
import type { ProbeReport } from "./measurements.ts";
import { ProbeProcess } from "./process.ts";
import { readBack } from "./read-back.ts";
import { rangesHold } from "./sequences.ts";
import { makeWriteTable, WRITE_TABLE } from "./write-table.ts";

const CLIENT_ID = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
const RATE_PER_SECOND = 100;

type Running = { readonly client: ProbeProcess; readonly ledgerFile: string };

/** A client that writes to the server, in its own process. */
async function startClient(
  t: TestContext,
  server: TestServer,
  deadlines: { readonly queueDeadlineMs?: number; readonly answerDeadlineMs?: number } = {},
): Promise<Running> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-client-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await makeWriteTable(server.server.address(), {});
  const ledgerFile = path.join(folder, "ledger");
  const client = await ProbeProcess.start(systemProcesses, {
    node: process.execPath,
    entry: path.join(import.meta.dirname, "main.ts"),
    ledgerFile,
    probe: {
      connect: { ...server.server.address(), connectTimeoutMs: 1_000 },
      clientId: CLIENT_ID,
      writesPerSecond: RATE_PER_SECOND,
      readsPerSecond: 0,
      laneCount: 8,
      queueDeadlineMs: deadlines.queueDeadlineMs ?? 500,
      answerDeadlineMs: deadlines.answerDeadlineMs ?? 5_000,
    },
  });
  t.after(() => client.kill());
  return { client, ledgerFile };
}

/** Far more than anything here takes on a busy machine. */
const PATIENCE_MS = 60_000;

/** Asks the client until what it has seen is enough; `meanwhile` is done between two looks. */
async function seen(
  client: ProbeProcess,
  enough: (report: ProbeReport) => boolean,
  meanwhile: () => Promise<unknown> = () => systemClock.sleep(5, {}),
): Promise<ProbeReport> {
  const begun = systemClock.monotonic();
  for (;;) {
    const report = await client.status({});
    if (enough(report)) return report;
    assert.ok(systemClock.monotonic() - begun < PATIENCE_MS, `not seen: ${enough}; but ${JSON.stringify(report)}`);
    await meanwhile();
  }
}

test("the server killed under load: each acknowledged write is in the ledger and there after the restart", async (t) => {
  await using server = await startServer({ major: 16, fsync: true });
  const { client, ledgerFile } = await startClient(t, server);
  await seen(client, (report) => report.writes.okCount >= 100);
  await client.mark({});
  const killedMs = Date.now();
  await server.server.kill();
  const out = await seen(client, (report) => report.writes.failedCount >= 20);
  await server.start();
  await seen(
    client,
    (report) => report.writes.window.healthySinceMs !== undefined && report.writes.okCount >= out.writes.okCount + 50,
  );
  const report = await client.stop({});

  const ledger = await readLedger(systemFiles, ledgerFile);
  assert.equal(ledger.records.length, report.writes.okCount);
  assert.equal(report.writes.outstandingCount, 0);
  const back = await readBack(systemFiles, { connect: server.server.address(), ledgerFile });
  assert.deepEqual([back.missing, back.damaged], [[], []]);
  assert.equal(back.acknowledged, report.writes.okCount);
  assert.equal(back.present, report.writes.okCount);
  for (const sequence of back.unexpected) assert.ok(rangesHold(report.unknownRanges, sequence), `write ${sequence}`);
  // Nothing that was on the wire can be called failed, unless the starting server said so.
  const allowed = ["deadline-in-pool-queue", "starting-up"];
  assert.ok(
    Object.keys(report.writes.failedReasons).every((reason) => allowed.includes(reason)),
    JSON.stringify(report),
  );
  const { firstFailedMs = 0, healthySinceMs = 0, longestGap } = report.writes.window;
  assert.ok(firstFailedMs >= killedMs - 200 && firstFailedMs <= killedMs + 1_000, `${firstFailedMs - killedMs} ms`);
  assert.ok(healthySinceMs > firstFailedMs);
  assert.ok(longestGap.durationMs >= 400, `${longestGap.durationMs} ms`);
  const rows = Number(await server.value(`SELECT count(*) FROM ${WRITE_TABLE}`));
  assert.equal(rows, back.present + back.unexpected.length);
});

test("a deleted row is reported missing, a changed one damaged, and a row nobody acknowledged unexpected", async (t) => {
  await using server = await startServer({ major: 16 });
  const { client, ledgerFile } = await startClient(t, server);
  await seen(client, (report) => report.writes.okCount >= 40);
  const { okCount } = (await client.stop({})).writes;
  await server.query(`DELETE FROM ${WRITE_TABLE} WHERE sequence = 7`);
  await server.query(`UPDATE ${WRITE_TABLE} SET payload = replace(payload, 'SO-', 'SX-') WHERE sequence = 9`);
  await server.query(`INSERT INTO ${WRITE_TABLE} VALUES ($1, 1000000, 'late', now())`, [CLIENT_ID]);
  await server.query(`INSERT INTO ${WRITE_TABLE} VALUES ('another client', 1000001, 'not ours', now())`);
  const request = { connect: server.server.address(), ledgerFile };
  assert.deepEqual(await readBack(systemFiles, request), {
    acknowledged: okCount,
    present: okCount - 2,
    missing: [7],
    damaged: [9],
    unexpected: [1_000_000],
  });
  await server.query(`DROP TABLE ${WRITE_TABLE}`);
  const gone = await readBack(systemFiles, request);
  assert.deepEqual([gone.present, gone.missing.length], [0, okCount]);
  await assert.rejects(readBack(systemFiles, { ...request, signal: AbortSignal.abort() }), {
    code: "platform.aborted",
  });
});

test("the server frozen for two seconds: arrivals keep their rate, and latency counts from the scheduled arrival", async (t) => {
  await using server = await startServer({ major: 16 });
  const { client } = await startClient(t, server, { queueDeadlineMs: 5_000 });
  await seen(client, (report) => report.writes.okCount >= 50);
  await server.server.halt();
  const before = await client.mark({});
  await systemClock.sleep(2_000, {});
  const after = await client.status({});
  await server.server.resume();
  const report = await client.stop({});

  const frozenMs = after.atMs - before.atMs;
  const arrived = after.writes.arrivedCount - before.writes.arrivedCount;
  assert.ok(Math.abs(arrived - (frozenMs / 1_000) * RATE_PER_SECOND) <= 15, `${arrived} arrivals in ${frozenMs} ms`);
  assert.equal(report.writes.okCount, report.writes.arrivedCount);
  assert.ok(report.writes.latency.maxMs >= 1_900, `${report.writes.latency.maxMs} ms`);
  // A client that waits for answers would see eight slow writes; ours sees all that came in those two seconds.
  assert.ok(
    report.writes.latency.count * 0.1 < arrived && report.writes.latency.p90Ms > 100,
    JSON.stringify(report.writes.latency),
  );
  assert.ok(report.writes.window.longestGap.durationMs >= 1_900);
});

test("an answer that does not come in time leaves the write unknown, and a fresh connection takes its place", async (t) => {
  await using server = await startServer({ major: 16 });
  const { client, ledgerFile } = await startClient(t, server, { answerDeadlineMs: 300 });
  await seen(client, (report) => report.writes.okCount >= 20);
  await server.server.halt();
  await seen(client, (report) => report.writes.unknownCount >= 8 && report.writes.failedCount >= 10);
  await server.server.resume();
  const halted = await client.mark({});
  await seen(client, (report) => report.writes.okCount >= halted.writes.okCount + 50);
  const report = await client.stop({});
  assert.ok((report.writes.unknownReasons["deadline-after-send"] ?? 0) >= 8);
  const back = await readBack(systemFiles, { connect: server.server.address(), ledgerFile });
  assert.deepEqual([back.missing, back.damaged], [[], []]);
});

test("a cancelled wait for the synchronous standby is unknown, not acknowledged (rule B11)", async (t) => {
  await using server = await startServer({ major: 16 });
  const { client, ledgerFile } = await startClient(t, server);
  await seen(client, (report) => report.writes.okCount >= 20);
  await server.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (nobody)'");
  await server.query("SELECT pg_reload_conf()");
  const cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  // The wait was cancelled for a user: PostgreSQL gives this warning no SQLSTATE of its own.
  const cancelled = (report: ProbeReport) => (report.writes.unknownReasons["warning-01000"] ?? 0) >= 8;
  await seen(client, cancelled, () => server.query(cancel));
  await server.query("ALTER SYSTEM RESET synchronous_standby_names");
  await server.query("SELECT pg_reload_conf()");
  const released = await client.mark({});
  await seen(client, (report) => report.writes.okCount >= released.writes.okCount + 20);
  const report = await client.stop({});
  const back = await readBack(systemFiles, { connect: server.server.address(), ledgerFile });
  assert.equal(back.acknowledged, report.writes.okCount);
  assert.deepEqual(back.missing, []);
  // They are on the primary all the same, and nobody was told that they are safe.
  assert.ok(back.unexpected.length >= 8);
  for (const sequence of back.unexpected) assert.ok(rangesHold(report.unknownRanges, sequence));
});

test("a server that refuses writes fails them, and none of them is there afterwards", async (t) => {
  await using server = await startServer({ major: 16 });
  const { client, ledgerFile } = await startClient(t, server);
  await seen(client, (report) => report.writes.okCount >= 20);
  await server.query(`ALTER TABLE ${WRITE_TABLE} ADD CONSTRAINT refuse CHECK (sequence < 10) NOT VALID`);
  await seen(client, (report) => (report.writes.failedReasons["23514"] ?? 0) >= 20);
  const report = await client.stop({});
  assert.equal(report.writes.unknownCount, 0);
  const rows = await server.query(`SELECT sequence::int AS sequence FROM ${WRITE_TABLE}`);
  const present = new Set(rows.map((row) => row["sequence"]));
  for (const sequence of present) assert.ok(!rangesHold(report.refusedRanges, Number(sequence)), `write ${sequence}`);
  assert.deepEqual((await readBack(systemFiles, { connect: server.server.address(), ledgerFile })).unexpected, []);
});

test("told to go to another server, the client writes there and finishes what was under way", async (t) => {
  await using first = await startServer({ major: 16, name: "first" });
  await using second = await startServer({ major: 16, name: "second" });
  const { client } = await startClient(t, first);
  await makeWriteTable(second.server.address(), {});
  await seen(client, (report) => report.writes.okCount >= 30);
  const { host, port } = second.server.address();
  const moved = await client.reconnectTo({ host, port }, {});
  await seen(client, (report) => report.writes.okCount >= moved.writes.okCount + 50);
  const report = await client.stop({});
  assert.equal(report.writes.failedCount + report.writes.unknownCount, 0);
  const count = `SELECT count(*) FROM ${WRITE_TABLE}`;
  const [rowsFirst, rowsSecond] = [Number(await first.value(count)), Number(await second.value(count))];
  assert.equal(rowsFirst + rowsSecond, report.writes.okCount);
  assert.ok(rowsSecond >= 40, `${rowsSecond} rows on the second server`);
});
