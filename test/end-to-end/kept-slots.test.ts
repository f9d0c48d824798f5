/** Change data capture on a stack of a version that copies no slots: what a switchover forth and back leaves of them. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, test } from "node:test";
import { makeStackFolder, RealStack } from "../support/real-stack.ts";
import { WatchedStack } from "../support/watched-stack.ts";

let folder = "";
let one: RealStack;
let watched: WatchedStack;

before(async () => {
  folder = await makeStackFolder();
  one = new RealStack(folder, "kept", "on", { configured: "  postgresMajor: 16\n" });
  await one.up();
  watched = new WatchedStack(one, folder);
});

after(async () => {
  await one.end();
  await rm(folder, { recursive: true, force: true });
});

const MAKE = "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')";

test("the slot that the old primary kept of its own reign is in the way of a switchover back to it", async () => {
  for (const node of ["db", "db_replica"] as const) await one.ask(node, "ALTER SYSTEM SET wal_level = 'logical'");
  await one.cli.json("switchover --to db_replica");
  await watched.whole();
  await one.cli.json("switchover --to db");
  await watched.whole();
  await one.ask("db", MAKE);
  await one.cli.expect(3, "switchover --to db_replica");
  await one.cli.json("switchover --to db_replica --accept cdc");
  await watched.whole();
  await one.ask("db_replica", MAKE);
  const kept = await one.ask(
    "db",
    "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE slot_type = 'logical'",
  );
  assert.equal(kept, "cdc");
  const { err } = await one.cli.expect(3, "switchover --to db");
  assert.match(err, /one of its own on db, which[\s\S]*failover\.cost-not-accepted/);
});
