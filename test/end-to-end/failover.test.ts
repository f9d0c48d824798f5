/**
 * The primary of a whole stack of real programs is killed, frozen and handed over under a client's writes through the pooler, by
 * the daemon that `lifeboat up` started and by the real command line.
 */
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import type { CheckReport } from "../../src/daemon/check-report.ts";
import { HELD_NAMES } from "../../src/durability/names.ts";
import { readJournal } from "../../src/journal/read.ts";
import { makeWriteTable, WRITE_TABLE } from "../../src/probe/write-table.ts";
import { lifeboatConfigFile } from "../../src/stack/receiver-config.ts";
import { forAWhile, makeStackFolder, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { PORTS } from "../support/servers.ts";
import { WatchedStack } from "../support/watched-stack.ts";

let folder = "";
let one: RealStack;
let watched: WatchedStack;

before(async () => {
  folder = await makeStackFolder();
  one = new RealStack(folder, "one", "on");
  await one.up();
  watched = new WatchedStack(one, folder);
  await makeWriteTable(await one.application(), {});
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

test("a killed primary is replaced under writes without a lost one, and is a replica again afterwards", async () => {
  const { primary, epoch } = await watched.whole();
  assert.equal(primary, "db");
  // Whoever promotes it, it acknowledges nothing before it is told who confirms.
  assert.equal(await one.ask("db_replica", "SHOW synchronous_standby_names"), HELD_NAMES);
  const writes = await watched.underWrites("killed", async () => {
    // Halted for a moment, so that it is killed with statements in flight.
    for (const pid of await PORTS.processes.tree(await one.pidOf("db"))) PORTS.processes.signal(pid, "SIGSTOP");
    await forAWhile(200);
    await one.crash("db");
    await eventually(
      "the replica has taken over",
      async () => (await one.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false",
    );
  });
  const report = await watched.lastReport();
  assert.deepEqual([report.kind, report.from, report.to], ["failover", "db", "db_replica"]);
  // The client that writes is the pooler's only one.
  const told = report.clients?.errors.filter(({ outcome }) => outcome === "unknown") ?? [];
  const heard = Object.entries(writes.window.unknownReasons).filter(([reason]) => reason.startsWith("pgb-"));
  assert.ok(heard.length > 0, "clients lost their server");
  assert.deepEqual(Object.fromEntries(told.map(({ reason, count }) => [reason, count])), Object.fromEntries(heard));
  assert.ok((report.epoch ?? 0) > epoch && report.outageMs < 10_000, `an outage of ${report.outageMs} ms`);
  const after = await watched.whole();
  assert.deepEqual([after.primary, after.timeline], ["db_replica", 2]);
  // Real roles, a real write through the pooler, and the timeline that both are on.
  assert.equal(await one.ask("db", "SELECT pg_is_in_recovery()"), "true");
  assert.equal(await one.ask("db", "SELECT count(*) FROM pg_stat_wal_receiver WHERE received_tli = 2"), "1");
  // What it had before was kept until it streamed.
  const { place } = await one.stack();
  const kept = async (): Promise<readonly string[]> =>
    (await readdir(path.join(place.folder, "aside"))).filter((name) => name !== "db.lock");
  await eventually("its old data is let go", async () => (await kept()).length === 0);
  const logs = ["daemon", "daemon_2"].map((name) => path.join(place.supervisor, "logs", `${name}.log`));
  const said = (await Promise.all(logs.map((log) => readFile(log, "utf8")))).join("");
  assert.match(said, /its old data in \S+\/aside\/db-1, until it streams/);
  const { err } = await one.cli.expect(4, `rebuild db --old-data-into ${folder}/old`);
  assert.ok(err.includes("stack.no-old-data"), err);
});

test("after a failover a backup comes from the recorded primary, whatever is configured", async () => {
  const { primary } = await watched.whole();
  assert.equal(primary, "db_replica");
  const config = lifeboatConfigFile(await one.stack());
  // The configured address, which is a replica's now: nobody listens there for some seconds.
  await one.platform.stop("db", {});
  await one.cli.expect(0, `backup --config ${config}`);
});

test("while all is well nothing is promoted, and a stack that is up is left alone by up", async () => {
  await watched.whole();
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
  await watched.whole();
  const said = async (): Promise<readonly [string | null, string]> => {
    const { durability, primary } = await watched.check(0);
    const names = await one.ask(primary as "db", "SHOW synchronous_standby_names");
    return [durability, /^ANY \d/.exec(names)?.[0] ?? names];
  };
  await one.cli.json("durability strict");
  assert.deepEqual(await said(), ["strict", "ANY 2"]);
  await one.cli.json("durability async --yes");
  assert.deepEqual(await said(), ["async", ""]);
  // Nobody is left to take its place.
  for (const name of ["daemon_2", "daemon"]) await one.platform.stop(name, {});
  await one.cli.json("durability quorum");
  const unwatched = await watched.check(11);
  assert.deepEqual(
    unwatched.reasons.map(({ code }) => code),
    ["no-daemon"],
  );
  const following = one.cli.start("failover --check-only --follow");
  await following.printed(/nobody watches it/);
  await one.up();
  // Whoever looks keeps no daemon from its place, and is told what that one decides.
  await following.printed(/is the primary and healthy/);
  following.child.kill("SIGINT");
  assert.equal((await following.ended).status, 0);
  assert.deepEqual(await said(), ["quorum", "ANY 1"]);
});

test("a controller that is killed has its place taken by the one that stands by, which did nothing before", async () => {
  await watched.whole();
  type Seen = { readonly components: readonly { readonly name: string; readonly duty?: string | null }[] };
  const duties = async (): Promise<Readonly<Record<string, string | null | undefined>>> => {
    const { components } = JSON.parse((await one.cli.run("ps --json")).out) as Seen;
    return Object.fromEntries(
      components.filter(({ duty }) => duty !== undefined).map(({ name, duty }) => [name, duty]),
    );
  };
  const settled = async () => {
    const found = await duties();
    const [controls] = Object.keys(found).filter((name) => found[name] === "controls");
    const [waits] = Object.keys(found).filter((name) => found[name] === "stands by");
    return controls !== undefined && waits !== undefined && { controls, waits };
  };
  const { controls, waits } = await eventually("one controls the stack and one stands by", settled);
  await one.crash(controls);
  const after = await eventually("the place is taken, and somebody stands by again", settled);
  assert.deepEqual(after, { controls: waits, waits: controls });
  await watched.check(0);
});

test("a switchover under writes fails none, and the old primary follows by itself", async () => {
  await watched.whole();
  const { plan, blockedBy } = (await one.cli.json("switchover --to db --dry-run")) as {
    plan: unknown[];
    blockedBy: unknown[];
  };
  assert.deepEqual([plan.length > 10, blockedBy], [true, []]);
  const { window } = await watched.underWrites("switchover", async () => {
    await one.cli.json("switchover --to db");
  });
  assert.deepEqual([window.failedCount, window.unknownCount], [0, 0]);
  const { primary, timeline } = await watched.whole();
  assert.deepEqual([primary, timeline], ["db", 3]);
  assert.equal((await watched.lastReport()).kind, "switchover");
});

test("a halt of the primary shorter than the suspicion window is waited out, a longer one is not", async () => {
  const { epoch } = await watched.whole();
  const { window } = await watched.underWrites("short", async () => {
    await one.platform.freeze("db", {});
    await forAWhile(1_500);
    await one.platform.thaw("db", {});
  });
  assert.equal(window.failedCount, 0);
  const same = await watched.whole();
  assert.deepEqual([same.primary, same.epoch], ["db", epoch]);
  await watched.underWrites("long", async () => {
    await one.platform.freeze("db", {});
    await eventually(
      "the replica has taken over",
      async () => (await one.ask("db_replica", "SELECT pg_is_in_recovery()")) === "false",
    );
  });
  assert.equal((await watched.whole()).primary, "db_replica");
});

test("an old primary is rebuilt at once from a new one that has written no checkpoint yet, whose pg_control names the old timeline, and has its rows", async () => {
  const { primary, timeline } = await watched.whole();
  const [old, next] = primary === "db" ? (["db", "db_replica"] as const) : (["db_replica", "db"] as const);
  const { database } = await one.stack();
  const pid = Number(await one.ask(next, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"));
  await watched.underWrites("no-checkpoint", async () => {
    PORTS.processes.signal(pid, "SIGSTOP");
    try {
      await one.crash(old);
      const streams = `SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = ${timeline + 1}`;
      await eventually("the old primary streams from the new one", async () => {
        return (await one.ask(old, streams).catch(() => "0")) === "1";
      });
      const control = "SELECT timeline_id FROM pg_control_checkpoint()";
      assert.ok(Number(await one.ask(next, control)) <= timeline, "no checkpoint is written yet");
    } finally {
      PORTS.processes.signal(pid, "SIGCONT");
    }
  });
  assert.equal((await watched.whole()).primary, next);
  const rows = `SELECT count(*) || ' ' || md5(string_agg(w::text, ',' ORDER BY w::text)) FROM ${WRITE_TABLE} AS w`;
  const there = await one.ask(next, rows, database);
  await eventually("both have the same rows", async () => (await one.ask(old, rows, database)) === there);
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
  const before_ = await watched.whole();
  await one.cli.json("down");
  await one.up();
  const again = await watched.whole();
  assert.equal(again.primary, before_.primary);
  await watched.check(0);
});
