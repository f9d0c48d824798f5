/** A replica of a whole stack of real programs is promoted by hand beside its daemon, and acknowledges writes. */
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { makeStackFolder, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { WatchedStack } from "../support/watched-stack.ts";

let folder = "";
let one: RealStack;
let watched: WatchedStack;

before(async () => {
  folder = await makeStackFolder();
  one = new RealStack(folder, "hand", "on");
  await one.up();
  watched = new WatchedStack(one, folder);
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

const MARK = "invoice-4711 paid by somebody";

function rows(): Promise<string> {
  return one.ask("db_replica", "SELECT count(*) FROM only_here", "catalog");
}

/** Either lets it acknowledge. */
type Letting = "RESET synchronous_standby_names" | "SET synchronous_commit = local";

async function promoteByHand(table: string, letting: Letting): Promise<void> {
  const node = "db_replica";
  await one.cli.json("failover pause --reason hand");
  for (const sql of ["SELECT pg_promote(true, 20)", `ALTER SYSTEM ${letting}`, "SELECT pg_reload_conf()"]) {
    await one.ask(node, sql);
  }
  await one.ask(node, `CREATE TABLE ${table} AS SELECT '${MARK}' AS t FROM generate_series(1, 1000)`, "catalog");
}

/** What is said of it, whatever else is said too. */
async function isHeld(): Promise<boolean> {
  const report = await watched.look();
  return report?.state === "hold" && report.reasons[0]?.code === "second-primary";
}

async function filesWith(mark: string, under: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(under, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await readFile(file)).includes(mark)) found.push(file);
  }
  return found;
}

test("a replica that is promoted by hand keeps what it acknowledged, in a pause and after it, until a person has it rebuilt, and then it is kept apart", async () => {
  await watched.whole();
  await promoteByHand("only_here", "SET synchronous_commit = local");
  await eventually("it is told", isHeld);
  await one.cli.json("failover resume");
  await eventually("it is told still", isHeld);
  assert.equal(await rows(), "1000");
  // Both come back from nothing: the one is only seen down.
  await one.cli.expect(0, "down");
  await one.cli.run("up");
  const { place } = await one.stack();
  const said = async (): Promise<string> => {
    const logs = ["daemon", "daemon_2"].map((name) => path.join(place.supervisor, "logs", `${name}.log`));
    return (await Promise.all(logs.map((log) => readFile(log, "utf8")))).join("");
  };
  await eventually("the daemon has come to see it", async () => /could not be made to follow/.test(await said()));
  const told = await eventually("a check says why", async () => {
    const report = await watched.look();
    return report?.reasons.find(({ code }) => code === "rejoin-refused");
  });
  assert.match(String(told.facts["why"]), /ran as a primary on timeline 2/);
  assert.ok((await filesWith(MARK, place.dataOf("db_replica"))).length > 0);
  await one.cli.expect(0, "rebuild db_replica");
  await watched.whole();
  assert.ok((await filesWith(MARK, path.join(place.folder, "evidence"))).length > 0);
  assert.match(await said(), /until somebody removes that/);
  await one.cli.expect(0, `rebuild db_replica --old-data-into ${folder}/old`);
  assert.ok((await filesWith(MARK, path.join(folder, "old/base"))).length > 0);
});

test("a replica that was promoted by hand and is adopted is the primary with all that it acknowledged, and the other one its replica", async () => {
  const { epoch } = await watched.whole();
  await promoteByHand("adopted", "RESET synchronous_standby_names");
  await eventually("it is told", isHeld);
  await one.cli.expect(0, "failover --adopt db_replica");
  await one.cli.json("failover resume");
  const after = await watched.whole();
  assert.equal(after.primary, "db_replica");
  assert.ok(after.epoch > epoch);
  for (const node of ["db_replica", "db"] as const) {
    assert.equal(await one.ask(node, "SELECT count(*) FROM adopted", "catalog"), "1000", node);
  }
  // A failover back has it too: the vault followed.
  await one.cli.json("switchover --to db");
  assert.equal((await watched.whole()).primary, "db");
  assert.equal(await one.ask("db", "SELECT count(*) FROM adopted", "catalog"), "1000");
});
