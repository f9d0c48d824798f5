/** Planted truths through a real PgBouncer: what the probe says is compared with what was done. */
import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { startPooler, type TestPooler } from "../../test/support/pgbouncer.ts";
import { eventually } from "../../test/support/receivers.ts";
import { PORTS, SUPERUSER, startServer } from "../../test/support/servers.ts";
import type { LifeboatError } from "../errors/error.ts";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { withSession } from "../postgres/session.ts";
import type { ProbeReport } from "./measurements.ts";
import { type ProbeControls, type ProbeResult, runProbe } from "./run.ts";
import { isSound } from "./sound.ts";
import { makeWriteTable, WRITE_TABLE } from "./write-table.ts";

const CLIENT_ID = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
const PER_SECOND = 100;
/** What a busy machine may add to a time between two operations. */
const SLACK_MS = 150;

/** A load that the test disturbs and ends. */
type Load = ProbeControls & {
  readonly latest: () => ProbeReport;
  readonly seen: (okCount: number) => Promise<unknown>;
};

async function probeThrough(
  t: TestContext,
  pooler: TestPooler,
  disturb: (load: Load) => Promise<void>,
  onLeft: (failure: LifeboatError) => void = assert.fail,
): Promise<ProbeResult> {
  const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-probe-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  let latest: ProbeReport | undefined;
  const seen = (okCount: number) =>
    eventually(`${okCount} acknowledged writes`, async () => (latest?.writes.okCount ?? 0) >= okCount);
  let disturbed: Promise<void> | undefined;
  const result = await runProbe(
    { ...PORTS, random: systemRandom, node: process.execPath, entry: path.join(import.meta.dirname, "main.ts") },
    {
      probe: {
        connect: { ...pooler.address("postgres"), applicationName: "lifeboat_probe" },
        clientId: CLIENT_ID,
        writesPerSecond: PER_SECOND,
        readsPerSecond: PER_SECOND,
        laneCount: 8,
        queueDeadlineMs: 2_000,
        answerDeadlineMs: 2_000,
      },
      ledgerFile: path.join(folder, "ledger"),
      seconds: undefined,
      keep: false,
      signal: t.signal,
      onRunning: (controls) => {
        disturbed = seen(PER_SECOND / 2)
          .then(() => disturb({ ...controls, seen, latest: () => latest ?? assert.fail("no report yet") }))
          .finally(controls.stop);
      },
      onReport: (report) => {
        latest = report;
      },
      onLeft,
    },
  );
  await disturbed;
  return result;
}

/** More than what was acknowledged so far, by a second of load. */
const later = (load: Load) => load.seen(load.latest().writes.okCount + PER_SECOND);

test("a pooler paused for a known time: the outage is that time, nothing fails, and nothing is left behind", async (t) => {
  await using server = await startServer({ major: 16 });
  await using pooler = await startPooler(server);
  let pausedMs = 0;
  const result = await probeThrough(t, pooler, async (load) => {
    const begun = systemClock.monotonic();
    await pooler.pause();
    load.mark("pause", Date.now());
    await systemClock.sleep(700, {});
    await pooler.console("RESUME");
    pausedMs = systemClock.monotonic() - begun;
    await later(load);
  });
  const { writes, reads, label, closed } = result.report;
  for (const { failedCount, unknownCount, window, okCount, arrivedCount } of [writes, reads]) {
    assert.deepEqual([failedCount, unknownCount, okCount], [0, 0, arrivedCount]);
    const { durationMs, toMs } = window.longestGap;
    assert.ok(durationMs >= 700 - SLACK_MS && durationMs <= pausedMs + SLACK_MS, `${durationMs} of ${pausedMs} ms`);
    assert.ok(Math.abs(toMs - window.beganMs - durationMs) <= SLACK_MS);
    // Who came first waited for the whole pause, and those behind it are not left out.
    assert.ok(window.latency.maxMs >= 700 - SLACK_MS && window.latency.p50Ms > 5, JSON.stringify(window.latency));
  }
  assert.deepEqual([label, closed.map((window) => window.label)], ["pause", ["start"]]);
  assert.equal(result.report.rowMissingCount, 0);
  assert.deepEqual([isSound(result), result.ledgerFile], [true, undefined]);
  assert.equal(await server.value(`SELECT count(*) FROM ${WRITE_TABLE}`), "0");
});

test("the server killed behind its pooler: failed ones were never there, unknown ones perhaps, acknowledged ones all", async (t) => {
  await using server = await startServer({ major: 16, fsync: true });
  await using pooler = await startPooler(server, ["server_login_retry = 0.5"]);
  let outMs = 0;
  const result = await probeThrough(t, pooler, async (load) => {
    const killed = systemClock.monotonic();
    await server.server.kill();
    load.mark("kill9");
    await eventually("failed writes", async () => load.latest().writes.failedCount >= 20);
    await server.start();
    outMs = systemClock.monotonic() - killed;
    await later(load);
  });
  const { writes, reads } = result.report;
  const { durationMs } = writes.window.longestGap;
  // The pooler's own wait between two logins comes on top.
  assert.ok(durationMs >= outMs - SLACK_MS && durationMs <= outMs + 1_500, `${durationMs} of ${outMs} ms`);
  const before = ["pgb-login-failing", "deadline-in-pool-queue", "pgb-query-wait-timeout"];
  const after = ["pgb-server-crashed", "deadline-after-send", "connection-lost"];
  const strange = (reasons: object, known: readonly string[]) => Object.keys(reasons).filter((r) => !known.includes(r));
  assert.deepEqual(strange(writes.failedReasons, before), []);
  assert.deepEqual(strange(writes.unknownReasons, after), []);
  assert.deepEqual([reads.unknownCount, strange(reads.failedReasons, [...before, ...after])], [0, []]);
  assert.ok(isSound(result), JSON.stringify([result.readBack, result.judgement]));
  assert.equal(result.judgement.unknownPresent + result.judgement.unknownAbsent, writes.unknownCount);
});

test("rows that cannot be removed stay with their ledger, and what was measured is told all the same", async (t) => {
  await using server = await startServer({ major: 16 });
  await using pooler = await startPooler(server);
  await server.query(
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'none may go'; END$$",
  );
  const left: LifeboatError[] = [];
  const disturb = async (load: Load) => {
    await server.query(
      `CREATE TRIGGER keep BEFORE DELETE ON ${WRITE_TABLE} FOR EACH STATEMENT EXECUTE FUNCTION keep()`,
    );
    await later(load);
  };
  const result = await probeThrough(t, pooler, disturb, (failure) => left.push(failure));
  assert.match(left.map(({ message }) => message).join(), /none may go/);
  assert.ok(isSound(result) && result.readBack.present > 0);
  assert.ok((await stat(result.ledgerFile ?? "")).size > 0);
});

test("an acknowledged row that is gone is missing, one that had failed and is there is odd, and the evidence stays", async (t) => {
  await using server = await startServer({ major: 16 });
  await using pooler = await startPooler(server);
  const result = await probeThrough(t, pooler, async (load) => {
    // Refused from here on, and each of them by its number.
    await server.query(
      `ALTER TABLE ${WRITE_TABLE} ADD CONSTRAINT refuse CHECK (sequence < 50 OR payload = '') NOT VALID`,
    );
    await eventually("refused writes", async () => (load.latest().writes.failedReasons["23514"] ?? 0) >= 20);
    const [refused] = load.latest().refusedRanges[0] ?? [];
    await server.query(`INSERT INTO ${WRITE_TABLE} VALUES ($1, $2, '', now())`, [CLIENT_ID, refused]);
    await server.query(`INSERT INTO ${WRITE_TABLE} VALUES ($1, 99999999, '', now())`, [CLIENT_ID]);
    await server.query(`DELETE FROM ${WRITE_TABLE} WHERE sequence = 7`);
    await server.query(`ALTER TABLE ${WRITE_TABLE} DROP CONSTRAINT refuse`);
  });
  const { readBack, judgement, report, ledgerFile } = result;
  assert.deepEqual([readBack.missing, readBack.damaged], [[7], []]);
  assert.equal(readBack.present, readBack.acknowledged - 1);
  assert.deepEqual(judgement.failedPresent, [report.refusedRanges[0]?.[0]]);
  assert.deepEqual(judgement.strangers, [99_999_999]);
  assert.equal(isSound(result), false);
  assert.ok((await stat(ledgerFile ?? "")).size > 0);
  assert.equal(Number(await server.value(`SELECT count(*) FROM ${WRITE_TABLE}`)), readBack.present + 2);
});

test("reads that do not see an acknowledged row are counted", async (t) => {
  await using server = await startServer({ major: 16 });
  await using pooler = await startPooler(server);
  const result = await probeThrough(t, pooler, async (load) => {
    await server.query(`DELETE FROM ${WRITE_TABLE}`);
    await eventually("reads without their row", async () => load.latest().rowMissingCount >= 20);
  });
  assert.equal(result.report.reads.failedCount, 0);
  assert.ok(result.readBack.missing.length >= 20);
});

test("statements ended by the pooler's KILL are unknown, and never failed, though some of them have committed", async (t) => {
  await using server = await startServer({ major: 16 });
  await using pooler = await startPooler(server);
  const result = await probeThrough(t, pooler, async (load) => {
    // A lock holds the statements up, so that the KILL hits some of them; some commit when it goes.
    await server.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END$$`);
    await server.query(`CREATE TRIGGER wait BEFORE INSERT ON ${WRITE_TABLE} FOR EACH ROW EXECUTE FUNCTION wait()`);
    const held = await server.server.connect({}, {});
    await held.query("SELECT pg_advisory_lock(1)", [], { timeoutMs: 30_000 });
    const waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'";
    await eventually("statements wait", async () => Number(await server.value(waiting)) >= 4);
    await pooler.console("KILL postgres");
    await held.close();
    await pooler.console("RESUME postgres");
    await later(load);
  });
  const { writes } = result.report;
  assert.ok((writes.unknownReasons["pgb-killed"] ?? 0) >= 4, JSON.stringify(writes));
  assert.equal(writes.failedReasons["pgb-killed"], undefined);
  assert.ok(isSound(result), JSON.stringify(result.judgement));
});

test("a role whose sessions hide warnings is refused: a commit on the primary alone would count as acknowledged", async () => {
  await using server = await startServer({ major: 16 });
  await server.query(`ALTER ROLE ${SUPERUSER.name} SET client_min_messages = error`);
  await assert.rejects(makeWriteTable(server.server.address(), {}), { code: "probe.warnings-hidden" });
  await server.query(`ALTER ROLE ${SUPERUSER.name} RESET client_min_messages`);
  await server.query(`ALTER ROLE ${SUPERUSER.name} SET synchronous_commit = local`);
  assert.deepEqual(await makeWriteTable(server.server.address(), {}), { synchronousCommit: "local" });
  const connect = server.server.address();
  await withSession({ connect, step: "dropping", work: (session) => session.query(`DROP TABLE ${WRITE_TABLE}`) });
});
