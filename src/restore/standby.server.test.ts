import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { restoreTools, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { eventually } from "../../test/support/receivers.ts";
import { giveTo, SUPERUSER, serverUser, startServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { prepareRestore, runRestore } from "./restore.ts";

test("a backup restored to follow its server lays only what makes it consistent, streams the rest, and stays a standby", async () => {
  await withFolder(async (folder) => {
    await using primary = await startServer({ name: "followed" });
    await primary.query("CREATE TABLE ledger (id int PRIMARY KEY)");
    await primary.query("INSERT INTO ledger SELECT generate_series(1, 1000)");
    await primary.query("ALTER SYSTEM SET synchronous_standby_names = ''");
    // From here on the slot keeps what follows the backup.
    await primary.query("SELECT pg_create_physical_replication_slot('db_replica', true)");
    const vault = await createTestVault();
    const backup = await takeTestBackup(primary, vault);
    await primary.query("INSERT INTO ledger SELECT generate_series(1001, 1100)");
    await primary.query("SELECT pg_switch_wal()");
    await primary.query("INSERT INTO ledger SELECT generate_series(1101, 1200)");
    await storeServerWal(primary, vault);
    const tools = restoreTools(vault, backup);
    const { systemId } = backup;
    const plan = await prepareRestore(tools, { systemId, target: { kind: "immediate" }, acceptGap: false }, {});
    const target = path.join(folder, "it's followed");
    const { socketFolder, port } = primary.server.setup;
    const conninfo = `host=${socketFolder} port=${port} user=${SUPERUSER.name} password='correct horse' application_name=db_replica`;
    const place = { folder: target, tablespaces: { byOid: new Map(), under: undefined }, owner: undefined };
    await runRestore(tools, plan, { ...place, follow: { conninfo, slot: "db_replica" } }, {});
    await giveTo(await serverUser(), target);
    await using replica = await startServer({ dataFolder: target, name: "following" });
    await eventually("the replica has what was written after the backup", async () => {
      return (await replica.value("SELECT count(*) FROM ledger")) === "1200";
    });
    assert.equal(await replica.value("SELECT pg_is_in_recovery()::text"), "true");
    assert.equal(await replica.value("SELECT current_setting('synchronous_standby_names')"), "");
    assert.equal(await primary.value("SELECT slot_name FROM pg_replication_slots WHERE active"), "db_replica");
    // It follows by itself after a restart too: nothing of the restore is needed any more.
    await replica.restart();
    await primary.query("INSERT INTO ledger VALUES (1201)");
    await eventually("the replica goes on", async () => {
      return (await replica.value("SELECT max(id)::text FROM ledger")) === "1201";
    });
  });
});
