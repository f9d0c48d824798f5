/**
 * The primary of a whole stack of real programs is killed, frozen and handed over under a client's writes through the pooler, by
 * the daemon that `lifeboat up` started and by the real command line.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { CheckReport } from "../../src/daemon/check-report.ts";
import type { EventReport } from "../../src/daemon/report.ts";
import { readJournal } from "../../src/journal/read.ts";
import { readBack } from "../../src/probe/read-back.ts";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import { lifeboatConfigFile } from "../../src/stack/receiver-config.ts";
import { forAWhile, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";

const WRITES_PER_SECOND = 100;
/** Some writes before and after what is done. */
const A_WHILE_MS = 1_500;

let folder = "";
let one: RealStack;

before(async () => {
  folder = await mkdtemp("/tmp/stack-");
  await chmod(folder, 0o755);
  one = new RealStack(folder, "one", "on");
  await one.up();
  await makeWriteTable(await one.application(), {});
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

async function check(status: number): Promise<CheckReport> {
  return (await one.cli.json("failover --check-only", { status })) as CheckReport;
}

/** Waits until the other node is a replica that may take over, and clients are served. */
async function whole(): Promise<CheckReport> {
  return await eventually("the stack is whole", async () => {
    const { out } = await one.cli.run("failover --check-only --json");
    const report = JSON.parse(out) as CheckReport;
    const candidates = report.nodes?.filter(({ candidate }) => candidate) ?? [];
    return report.state === "healthy" && candidates.length === 1 && report.reasons.length === 0 && report;
  });
}

/** Does something while a client writes through the pooler; every acknowledged write is then read back. */
async function underWrites(
  name: string,
  act: () => Promise<void>,
): Promise<{ readonly unknown: number; readonly failed: number }> {
  const ledger = path.join(folder, `${name}.ledger`);
  const { ports } = await one.stack();
  const probe = await one.probe(ledger, WRITES_PER_SECOND, ports.pgbouncer);
  await forAWhile(A_WHILE_MS);
  await act();
  await forAWhile(A_WHILE_MS);
  const { writes } = await probe.stop({});
  const connect = { ...(await one.application()), port: ports.pgbouncer, applicationName: "read_back" };
  const { acknowledged, missing, damaged } = await readBack(PORTS.files, { connect, ledgerFile: ledger });
  assert.deepEqual([missing, damaged], [[], []], `${name}: acknowledged writes are there`);
  assert.ok(acknowledged > WRITES_PER_SECOND, `${name}: ${acknowledged} writes were acknowledged`);
  return { unknown: writes.unknownCount, failed: writes.failedCount };
}

async function lastReport(): Promise<EventReport> {
  const { place } = await one.stack();
  const reports = path.join(place.controller, "reports");
  const names = (await readdir(reports)).filter((each) => each.endsWith(".json")).toSorted();
  return JSON.parse(await readFile(path.join(reports, names.at(-1) ?? ""), "utf8")) as EventReport;
}

test("a killed primary is replaced under writes without a lost one, and is a replica again afterwards", async () => {
  const { primary, epoch } = await whole();
  assert.equal(primary, "db");
  await underWrites("killed", async () => {
    await one.crash("db");
    await eventually(
      "the replica has taken over",
      async () => (await one.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false",
    );
  });
  const report = await lastReport();
  assert.deepEqual([report.kind, report.from, report.to], ["failover", "db", "db_replica"]);
  assert.ok((report.epoch ?? 0) > epoch && report.outageMs < 10_000, `an outage of ${report.outageMs} ms`);
  const after = await whole();
  assert.deepEqual([after.primary, after.timeline], ["db_replica", 2]);
  // Real roles, a real write through the pooler, and the timeline that both are on.
  assert.equal(await one.ask("db", "SELECT pg_is_in_recovery()"), "true");
  assert.equal(await one.ask("db", "SELECT count(*) FROM pg_stat_wal_receiver WHERE received_tli = 2"), "1");
  // What it had before was kept until it streamed.
  const { place } = await one.stack();
  await eventually(
    "its old data is let go",
    async () => (await readdir(path.join(place.folder, "aside"))).length === 0,
  );
  const said = await readFile(path.join(place.supervisor, "logs", "daemon.log"), "utf8");
  assert.match(said, /its old data in \S+\/aside\/db-1, until it streams/);
  const { err } = await one.cli.expect(4, `rebuild db --old-data-into ${folder}/old`);
  assert.ok(err.includes("stack.no-old-data"), err);
});

test("after a failover a backup comes from the recorded primary, whatever is configured", async () => {
  const { primary } = await whole();
  assert.equal(primary, "db_replica");
  const config = lifeboatConfigFile(await one.stack());
  // The configured address, which is a replica's now: nobody listens there for some seconds.
  await one.platform.stop("db", {});
  await one.cli.expect(0, `backup --config ${config}`);
});

test("while all is well nothing is promoted, and a stack that is up is left alone by up", async () => {
  await whole();
  const { err } = await one.cli.run("failover --promote");
  assert.match(err, /failover\.primary-lives/);
  assert.match(err, /lifeboat switchover/);
  assert.deepEqual((await one.up()).steps, []);
  const paused = (await one.cli.json("failover pause --reason test")) as CheckReport;
  assert.equal(paused.maintenance, true);
  const resumed = (await one.cli.json("failover resume")) as CheckReport;
  assert.equal(resumed.maintenance, false);
});

test("a change of durability is recorded for the next failover, by the daemon and without it", async () => {
  await whole();
  const said = async (): Promise<readonly [string | null, string]> => {
    const { durability, primary } = await check(0);
    const names = await one.ask(primary as "db", "SHOW synchronous_standby_names");
    return [durability, /^ANY \d/.exec(names)?.[0] ?? names];
  };
  await one.cli.json("durability strict");
  assert.deepEqual(await said(), ["strict", "ANY 2"]);
  await one.cli.json("durability async --yes");
  assert.deepEqual(await said(), ["async", ""]);
  await one.platform.stop("daemon", {});
  await one.cli.json("durability quorum");
  assert.deepEqual(await said(), ["quorum", "ANY 1"]);
  await one.up();
  assert.deepEqual(await said(), ["quorum", "ANY 1"]);
});

test("a switchover under writes fails none, and the old primary follows by itself", async () => {
  await whole();
  const { plan, blockedBy } = (await one.cli.json("switchover --to db --dry-run")) as {
    plan: unknown[];
    blockedBy: unknown[];
  };
  assert.deepEqual([plan.length > 10, blockedBy], [true, []]);
  const { failed, unknown } = await underWrites("switchover", async () => {
    await one.cli.json("switchover --to db");
  });
  assert.deepEqual([failed, unknown], [0, 0]);
  const { primary, timeline } = await whole();
  assert.deepEqual([primary, timeline], ["db", 3]);
  assert.equal((await lastReport()).kind, "switchover");
});

test("a halt of the primary shorter than the suspicion window is waited out, a longer one is not", async () => {
  const { epoch } = await whole();
  const { failed } = await underWrites("short", async () => {
    await one.platform.freeze("db", {});
    await forAWhile(1_500);
    await one.platform.thaw("db", {});
  });
  assert.equal(failed, 0);
  const same = await whole();
  assert.deepEqual([same.primary, same.epoch], ["db", epoch]);
  await underWrites("long", async () => {
    await one.platform.freeze("db", {});
    await eventually(
      "the replica has taken over",
      async () => (await one.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false",
    );
  });
  assert.equal((await whole()).primary, "db_replica");
});

test("what was decided and done stands in a journal whose chain holds", async () => {
  const { place } = await one.stack();
  const reading = await readJournal(PORTS.files, path.join(place.controller, "journal", "journal.log"));
  assert.ok(reading !== undefined && reading.tail.kind !== "changed");
  const names = new Set(reading.records.map(({ name }) => name));
  for (const name of ["failover", "switchover", "withdraw-witness", "promote", "failover-paused"])
    assert.ok(names.has(name), name);
});

test("taken down and brought up again the stack has its recorded primary", async () => {
  const before_ = await whole();
  await one.cli.json("down");
  await one.up();
  const again = await whole();
  assert.equal(again.primary, before_.primary);
  await check(0);
});
