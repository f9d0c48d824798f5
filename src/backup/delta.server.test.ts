import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { contentOf, restoreLatest, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { giveTo, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";

/** In place of the slot of a receiver: WAL since the last backup stays on the server. */
const SMALL_SEGMENTS = { walSegmentBytes: 1_048_576, settings: { wal_keep_size: "4GB", max_wal_size: "4GB" } };

async function prepare(server: TestServer): Promise<void> {
  for (const extension of ["amcheck", "pg_visibility"]) await server.query(`CREATE EXTENSION ${extension}`);
  await server.query("CREATE TABLE a (id int, body text)");
  await server.query("INSERT INTO a SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 20000) g");
  await server.query("CREATE INDEX a_id ON a (id)");
  await server.query("CREATE TABLE b (id int PRIMARY KEY, n int)");
  await server.query("INSERT INTO b SELECT g, g FROM generate_series(1, 10000) g");
}

/** Restores the newest point and compares; everything that PostgreSQL can check of itself must be in order. */
async function restoresTo(server: TestServer, vault: Vault, backup: BackupRecord): Promise<void> {
  await server.query("SELECT pg_switch_wal()");
  await storeServerWal(server, vault);
  const wanted = await contentOf(server);
  await withFolder(async (folder) => {
    const target = path.join(folder, "restored");
    const plan = await restoreLatest(vault, backup, { folder: target });
    assert.equal(plan.backup.backupId, backup.backupId);
    await giveTo(await serverUser(), target);
    await using restored = await startServer({ major: server.major, dataFolder: target, until: "recovered" });
    assert.deepEqual(await contentOf(restored), wanted);
    assert.equal(
      await restored.value("SELECT count(*) FROM pg_class c, verify_heapam(c.oid) WHERE c.relkind = 'r'"),
      "0",
    );
    await restored.query(
      "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am m ON m.oid = c.relam WHERE c.relkind = 'i' AND m.amname = 'btree'",
    );
    assert.equal(
      await restored.value("SELECT count(*) FROM pg_class c, pg_check_visible(c.oid) WHERE c.relkind = 'r'"),
      "0",
    );
  });
}

describe("a delta", () => {
  test("of a server on which nothing happened stores next to nothing and restores without its parent", async () => {
    await using server = await startServer({ major: 18, ...SMALL_SEGMENTS });
    await prepare(server);
    const vault = await createTestVault();
    const full = await takeTestBackup(server, vault);
    const delta = await takeTestBackup(server, vault);
    assert.equal(delta.parent, full.backupId);
    assert.ok(delta.storedBytes < full.storedBytes / 10, `${delta.storedBytes} of ${full.storedBytes} bytes`);
    for (const part of ["announced", "manifest", "started"]) {
      await vault.store.delete(`backups/${full.systemId}/${full.backupId}/${part}`);
    }
    await restoresTo(server, vault, delta);
  });
});
