/** Change data capture on a stack of real programs: what is said of its slots before the role moves, and what becomes of them. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { NodeName } from "../../src/stack/node-settings.ts";
import { makeStackFolder, RealStack } from "../support/real-stack.ts";
import { eventually } from "../support/receivers.ts";
import { WatchedStack } from "../support/watched-stack.ts";

let folder = "";
let one: RealStack;
let watched: WatchedStack;

before(async () => {
  folder = await makeStackFolder();
  // The first that copies slots to a standby.
  one = new RealStack(folder, "slots", "on", { configured: "  postgresMajor: 17\n" });
  await one.up();
  watched = new WatchedStack(one, folder);
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

const WANTED = { wal_level: "logical", hot_standby_feedback: "on", sync_replication_slots: "on" };
const CHANGES =
  "SELECT count(*) FROM pg_logical_slot_get_binary_changes('kept', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')";

/** What a promotion of the other node would cost. */
async function costs(): Promise<readonly string[]> {
  const report = await watched.look();
  return report?.costs.flatMap(({ found }) => found.map(({ code, of }) => `${code} ${of}`)) ?? ["no answer"];
}

test("a slot that the replica lacks is in the way of a switchover and not of a failover, whose report names it; one that it copied is gone on from", async () => {
  for (const node of ["db", "db_replica"] satisfies NodeName[]) {
    for (const [name, value] of Object.entries(WANTED)) await one.ask(node, `ALTER SYSTEM SET ${name} = '${value}'`);
  }
  await one.cli.json("restart db_replica");
  await watched.whole();
  assert.deepEqual(await costs(), []);
  // The old primary starts anew in it: both have the settings then.
  await one.cli.json("switchover --to db_replica");
  await watched.whole();
  await one.ask("db_replica", "CREATE PUBLICATION p FOR ALL TABLES");
  await one.ask("db_replica", "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
  await one.ask("db_replica", "SELECT pg_create_logical_replication_slot('kept', 'pgoutput', false, false, true)");
  await eventually("the replica has copied the slot that is marked", async () => {
    await one.ask("db_replica", "SELECT pg_log_standby_snapshot()");
    await one.ask("db_replica", CHANGES);
    return (await costs()).join() === "slot-missing cdc";
  });
  const preview = (await one.cli.json("switchover --to db --dry-run", { status: 11 })) as { accept: string | null };
  assert.equal(preview.accept, "cdc");
  const { err } = await one.cli.expect(3, "switchover --to db");
  assert.match(err, /failover\.cost-not-accepted/);
  const { primary, epoch } = await watched.whole();
  assert.equal(primary, "db_replica");
  await one.crash("db_replica");
  await eventually("the other has taken over", async () => (await watched.look())?.primary === "db");
  await watched.whole();
  const report = await watched.lastReport();
  assert.deepEqual([report.kind, report.to, (report.epoch ?? 0) > epoch], ["failover", "db", true]);
  assert.deepEqual(
    report.costs?.found.map(({ code, of }) => [code, of]),
    [["slot-missing", "cdc"]],
  );
  assert.equal(
    await one.ask("db", "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE slot_type = 'logical'"),
    "kept",
  );
  await one.ask("db", "CREATE TABLE after_it (id int)");
  await one.ask("db", "INSERT INTO after_it VALUES (1)");
  assert.ok(Number(await one.ask("db", CHANGES)) > 0);
});
