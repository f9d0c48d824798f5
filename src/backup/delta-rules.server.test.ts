import assert from "node:assert/strict";
import path from "node:path";
import { describe, test } from "node:test";
import { contentOf, restoreLatest, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { giveTo, serverUser, startServer, type TestServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";

const KEEPS_WAL = { wal_keep_size: "4GB", max_wal_size: "4GB" };
const SMALL = { walSegmentBytes: 1_048_576, settings: KEEPS_WAL };

async function fill(server: TestServer): Promise<void> {
  await server.query("CREATE TABLE t (id int, body text)");
  await server.query("INSERT INTO t SELECT g, repeat(md5(g::text), 6) FROM generate_series(1, 5000) g");
  await server.query("CREATE INDEX t_id ON t (id)");
  await server.query("CHECKPOINT");
}

/** Restores the newest point of the vault into a server and hands it over. */
async function withRestored(
  of: { readonly server: TestServer; readonly vault: Vault; readonly backup: BackupRecord },
  body: (restored: TestServer) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const target = path.join(folder, "restored");
    await restoreLatest(of.vault, of.backup, { folder: target, tablespacesUnder: path.join(folder, "tablespaces") });
    await giveTo(await serverUser(), target);
    await using restored = await startServer({ major: of.server.major, dataFolder: target, until: "recovered" });
    await body(restored);
  });
}

/** Changes settings of the server's start. */
async function restartWith(server: TestServer, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await server.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await server.restart();
}

describe("a server without checksums and without wal_log_hints", () => {
  test("gets full backups that say why, because VACUUM changes pages without moving their LSN (rule A1)", async () => {
    await using server = await startServer({ major: 15, dataChecksums: false, ...SMALL });
    await fill(server);
    const vault = await createTestVault();
    const first = await takeTestBackup(server, vault);
    const flags = "SELECT count(*) FROM pg_visibility('t') WHERE all_visible AND NOT pd_all_visible";
    const before = await systemFiles.readFile(
      path.join(server.dataFolder, await server.value("SELECT pg_relation_filepath('t')")),
    );
    await server.query("CREATE EXTENSION pg_visibility");
    await server.query("VACUUM t");
    await server.query("CHECKPOINT");
    const after = await systemFiles.readFile(
      path.join(server.dataFolder, await server.value("SELECT pg_relation_filepath('t')")),
    );
    let silent = 0;
    for (let at = 0; at < before.byteLength; at += 8192) {
      const sameLsn = before.subarray(at, at + 8).equals(after.subarray(at, at + 8));
      if (sameLsn && !before.subarray(at, at + 8192).equals(after.subarray(at, at + 8192))) silent += 1;
    }
    assert.ok(silent > 0, "VACUUM changed pages whose LSN stayed: what the rule is there for");
    const second = await takeTestBackup(server, vault);
    assert.equal(first.whyFull, "no-parent");
    assert.equal(second.whyFull, "no-checksums-and-no-hints");
    // What a delta by LSN alone would restore: the old pages beside the new visibility map.
    assert.equal(await server.value(flags), "0");
    const heap = path.join(server.dataFolder, await server.value("SELECT pg_relation_filepath('t')"));
    await server.stop();
    const handle = await systemFiles.open(heap, "update");
    await handle.write(before, 0);
    await handle.close();
    await server.start();
    assert.notEqual(await server.value(flags), "0", "pg_visibility shows map bits whose page flag is not set");
  });

  test("with wal_log_hints gets deltas, and a full one after hints were off for a while", async () => {
    await using server = await startServer({
      major: 17,
      dataChecksums: false,
      walSegmentBytes: SMALL.walSegmentBytes,
      settings: { ...KEEPS_WAL, wal_log_hints: true },
    });
    await fill(server);
    const vault = await createTestVault();
    await takeTestBackup(server, vault);
    assert.equal((await takeTestBackup(server, vault)).whyFull, null);
    await restartWith(server, { wal_log_hints: "off" });
    await server.query("VACUUM t");
    await restartWith(server, { wal_log_hints: "on" });
    assert.equal((await takeTestBackup(server, vault)).whyFull, "settings-changed-between");
    assert.equal((await takeTestBackup(server, vault)).whyFull, null);
  });
});

describe("a delta", () => {
  test("keeps nothing of a table that was dropped and made again, truncated and grown, or moved", async () => {
    await withFolder(async (folder) => {
      const tablespace = path.join(folder, "elsewhere");
      await systemFiles.makeFolder(tablespace, 0o700);
      await giveTo(await serverUser(), tablespace);
      await using server = await startServer({ major: 16, ...SMALL });
      await fill(server);
      await server.query(`CREATE TABLESPACE elsewhere LOCATION '${tablespace}'`);
      await server.query("CREATE TABLE grown AS SELECT g AS id FROM generate_series(1, 20000) g");
      await server.query("CREATE UNLOGGED TABLE u (id int)");
      const vault = await createTestVault();
      await takeTestBackup(server, vault);
      await server.query("DROP TABLE t");
      await fill(server);
      await server.query("TRUNCATE grown");
      await server.query("INSERT INTO grown SELECT g + 7 FROM generate_series(1, 15000) g");
      await server.query("ALTER TABLE t SET TABLESPACE elsewhere");
      const backup = await takeTestBackup(server, vault);
      assert.equal(backup.whyFull, null);
      const wanted = await contentOf(server);
      await withRestored({ server, vault, backup }, async (restored) => {
        assert.deepEqual(await contentOf(restored), wanted);
      });
    });
  });

  test("is possible across a promotion that came after the parent", async () => {
    await withFolder(async (folder) => {
      await using primary = await startServer({ major: 18, ...SMALL });
      await fill(primary);
      const vault = await createTestVault();
      const first = await takeTestBackup(primary, vault);
      await storeServerWal(primary, vault);
      await primary.query("UPDATE t SET body = 'on the primary' WHERE id % 5 = 0");
      await primary.query("SELECT pg_switch_wal()");
      await storeServerWal(primary, vault);
      const target = path.join(folder, "promoted");
      await restoreLatest(vault, first, { folder: target });
      await giveTo(await serverUser(), target);
      await using promoted = await startServer({
        major: 18,
        dataFolder: target,
        until: "recovered",
        settings: KEEPS_WAL,
      });
      assert.equal(await promoted.value("SELECT timeline_id FROM pg_control_checkpoint()"), "2");
      await promoted.query("UPDATE t SET body = 'after the promotion' WHERE id % 7 = 0");
      const backup = await takeTestBackup(promoted, vault);
      assert.equal(backup.whyFull, null);
      assert.equal(backup.parent, first.backupId);
      const wanted = await contentOf(promoted);
      await withRestored({ server: promoted, vault, backup }, async (restored) => {
        assert.deepEqual(await contentOf(restored), wanted);
      });
    });
  });

  test("is refused when the WAL since the parent has a hole, and when a full one is asked for", async () => {
    await using server = await startServer({ major: 16, ...SMALL });
    await fill(server);
    const vault = await createTestVault();
    const first = await takeTestBackup(server, vault);
    await server.query("INSERT INTO t SELECT g FROM generate_series(1, 30000) g");
    const wal = { begin: async () => undefined, covered: () => storeServerWal(server, vault) };
    const between = { holds: async () => false, settings: async () => ({ kind: "missing" }) as const };
    const second = await takeTestBackup(server, vault, { tools: { wal: { ...wal, between } } });
    assert.deepEqual([first.whyFull, second.whyFull], ["no-parent", "wal-missing-between"]);
  });
});
