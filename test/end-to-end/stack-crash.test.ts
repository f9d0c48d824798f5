/**
 * A whole stack of real programs while its parts are killed under writes, left without its supervisor, and killed as a whole.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { filesOwnedBy } from "../../src/platform/owned-files.ts";
import { openPooler } from "../../src/pooler/open-pooler.ts";
import { readBack } from "../../src/probe/read-back.ts";
import { makeWriteTable } from "../../src/probe/write-table.ts";
import type { ComponentName } from "../../src/stack/component-names.ts";
import { databasesFileOf } from "../../src/stack/pooler-config.ts";
import { lifeboatConfigFile } from "../../src/stack/receiver-config.ts";
import { runStep } from "../../src/stack/run-step.ts";
import { readSecrets } from "../../src/stack/secrets.ts";
import { componentSpec } from "../../src/stack/specs.ts";
import { processesOf } from "../support/processes-of.ts";
import { forAWhile, makeStackFolder, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";

const RATE_PER_SECOND = 200;

/** How long the probe writes before a kill and behind it. */
const WHILE_MS = 1_000;

let folder = "";
let one: RealStack;

before(async () => {
  folder = await makeStackFolder();
  one = new RealStack(folder, "one");
  await one.up();
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

async function works(name: ComponentName): Promise<void> {
  await eventually(`${name} works`, async () => (await one.look(name)).works);
}

test("under 200 writes a second, the deaths of the replica, the receiver and redis, one after another, fail no write", async (t) => {
  await makeWriteTable(await one.application(), {});
  const ledgerFile = path.join(folder, "ledger-1");
  const probe = await one.probe(ledgerFile, RATE_PER_SECOND);
  try {
    await forAWhile(WHILE_MS);
    await one.crash("db_replica");
    await forAWhile(WHILE_MS);
    const replica = await one.look("db_replica");
    assert.deepEqual([replica.mode, replica.lastEnd], ["ended", "it was ended by SIGKILL"], "a node is left");
    const { steps } = await one.up();
    assert.deepEqual(
      steps.map(({ step }) => step),
      ["replica-start"],
    );
    for (const name of ["receiver", "redis"] as const) {
      await forAWhile(WHILE_MS);
      await one.crash(name);
      await works(name);
      assert.equal((await one.look(name)).restarts, 1, "a program is started again by itself");
    }
    await forAWhile(WHILE_MS);
    const report = await probe.stop({});
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual([report.writes.failedCount, report.writes.unknownCount], [0, 0]);
    assert.ok(report.writes.okCount > 1_000, `${report.writes.okCount}`);
  } finally {
    await probe.kill();
  }
  const { present, missing, damaged } = await readBack(PORTS.files, { connect: await one.application(), ledgerFile });
  assert.ok(present > 1_000);
  assert.deepEqual([missing, damaged], [[], []]);
  assert.equal((await one.ps()).up, true);
});

test("without replica and receiver no write is acknowledged; none fails, and all are as soon as one of them is back", async (t) => {
  const probe = await one.probe(path.join(folder, "ledger-2"), RATE_PER_SECOND);
  try {
    await forAWhile(WHILE_MS);
    await one.platform.kill("db_replica", {});
    await one.platform.kill("receiver", {});
    const waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    await eventually("commits wait", async () => Number(await one.ask("db", waiting)) > 0);
    const before = await probe.status({});
    await forAWhile(WHILE_MS);
    const meanwhile = await probe.status({});
    assert.equal(meanwhile.writes.okCount, before.writes.okCount, "acknowledged without a confirmer");
    assert.ok(meanwhile.writes.arrivedCount > before.writes.arrivedCount);
    const { steps } = await one.up();
    assert.deepEqual(
      steps.map(({ step }) => step),
      ["receiver", "replica-start"],
    );
    await eventually(
      "writes are acknowledged",
      async () => (await probe.status({})).writes.okCount > before.writes.okCount,
    );
    const report = await probe.stop({});
    t.diagnostic(JSON.stringify(report));
    assert.deepEqual([report.writes.failedCount, report.writes.unknownCount], [0, 0]);
  } finally {
    await probe.kill();
  }
});

test("a replica whose data is lost while the receiver is silent is made anew with all that the old one had confirmed", async () => {
  const { stack, tools } = await one.tools();
  await one.platform.freeze("receiver", {});
  // Of this only the replica says that it has it.
  await one.ask("db", "CREATE TABLE told AS SELECT 1 AS value");
  await one.platform.kill("db_replica", {});
  await rm(stack.place.dataOf("db_replica"), { recursive: true });
  const onRecoveryKey = (): void => assert.fail("the vault is there");
  const made = runStep({ ...tools, stack, onRecoveryKey }, "replica-data", {});
  await forAWhile(WHILE_MS);
  await one.platform.thaw("receiver", {});
  await made;
  // The primary is gone before it could send anything.
  await one.platform.kill("db", {});
  await one.platform.start(componentSpec(stack, "db_replica", tools), {});
  const asked = "SELECT to_regclass('told') IS NOT NULL";
  // It answers before it has replayed all that it has.
  await eventually("it has what was told", async () => (await one.ask("db_replica", asked).catch(() => "")) === "true");
  await one.up();
});

test("clients that a dead controller left waiting go on: the stack's own watchdog resumes its pooler", async () => {
  const { stack, tools } = await one.tools();
  const { "pooler-admin": password } = await readSecrets(PORTS.files, stack.place);
  const files = tools.user === undefined ? PORTS.files : filesOwnedBy(PORTS.files, tools.user);
  const pooler = openPooler(
    { ...tools, files },
    {
      console: { host: "127.0.0.1", port: stack.ports.pgbouncer },
      password,
      databasesFile: databasesFileOf(stack),
      owner: tools.user,
    },
  );
  try {
    const paused = await pooler.pause({ epoch: 1, drain: true, drainMs: 5_000, holdMsMax: 6_000 }, {});
    assert.equal(paused.kind, "done");
    const status = await one.cli.run(`--config ${lifeboatConfigFile(stack)} pooler status`);
    assert.equal(status.status, 6, `${status.out}${status.err}`);
    assert.match(status.out, /paused since .* by epoch 1/);
    // It is never heard of again.
    await eventually("clients go on", async () => (await pooler.state({})).mode === "serving");
    // Where a controller has acted the pooler's place is not described any more.
    assert.deepEqual((await one.up()).steps, []);
    assert.equal((await pooler.state({})).epoch, 1);
  } finally {
    await pooler.close();
  }
});

test("without its supervisor a stack works on; the next command takes it over, and down leaves nothing of it", async () => {
  const pids = [await one.pidOf("db"), await one.pidOf("haproxy")];
  process.kill(await one.supervisorPid(), "SIGKILL");
  const seen = await one.ps();
  assert.deepEqual([seen.up, seen.components.every(({ adopted }) => adopted)], [true, true]);
  assert.deepEqual((await one.up()).steps, []);
  assert.deepEqual([await one.pidOf("db"), await one.pidOf("haproxy")], pids);
  process.kill(await one.supervisorPid(), "SIGKILL");
  await one.cli.expect(0, "down");
  assert.deepEqual(await processesOf((await one.stack()).place.folder), []);
  await one.up();
});

test("after a kill of everything the next up goes on with everything that was acknowledged, on the same ports", async (t) => {
  const ledgerFile = path.join(folder, "ledger-3");
  const probe = await one.probe(ledgerFile, RATE_PER_SECOND);
  await forAWhile(WHILE_MS);
  const { ports } = await one.stack();
  await one.crashAll();
  await probe.kill();
  assert.equal((await one.ps()).up, false);
  const { durationMs } = await one.up();
  t.diagnostic(`up after a kill of everything: ${durationMs} ms`);
  assert.deepEqual((await one.stack()).ports, ports);
  const { acknowledged, missing, damaged } = await readBack(PORTS.files, {
    connect: await one.application(),
    ledgerFile,
  });
  assert.ok(acknowledged > 50, `${acknowledged}`);
  assert.deepEqual([missing, damaged], [[], []]);
  assert.deepEqual((await one.up()).steps, []);
  await one.cli.expect(0, "down");
});
