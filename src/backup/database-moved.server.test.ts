import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { prove } from "../../test/support/proofs.ts";
import { dropTemplates, giveTo, serverUser, startServer } from "../../test/support/servers.ts";
import { assertRestores } from "../../test/support/soundness.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";
import type { BackupTools } from "./backup.ts";

const SMALL = { walSegmentBytes: 1_048_576, settings: { wal_keep_size: "4GB", max_wal_size: "4GB" } };

test("databases that are moved, copied and dropped while a backup runs are restored; an image under which replay cannot repeat that is taken once more, and passed over where it was announced", async () => {
  await using server = await startServer({ ...SMALL });
  const elsewhere = path.join(server.folder, "elsewhere");
  await systemFiles.makeFolder(elsewhere, 0o700);
  await giveTo(await serverUser(), elsewhere);
  // The server sends this tablespace before it comes to the databases. It lets go of a database's files between two files that it sends.
  await server.query(`CREATE TABLESPACE elsewhere LOCATION '${elsewhere}'`);
  await server.query(`DO $$ BEGIN FOR i IN 1..80 LOOP EXECUTE format(
    'CREATE TABLE filler_%s TABLESPACE elsewhere AS SELECT repeat(md5(g::text), 20) AS body FROM generate_series(1, 80) g', i
  ); END LOOP; END $$`);
  for (const database of ["shop", "gone", "kept"]) {
    await server.query(`CREATE DATABASE ${database}`);
    await server.query("CREATE TABLE item AS SELECT g AS id FROM generate_series(1, 2000) g", [], { database });
  }
  await dropTemplates(server);
  const vault = await createTestVault();
  /** Takes a backup during which this is done, before the stream comes to the databases; what it was told of. */
  const takeDuring = async (statements: readonly string[], changes: Partial<BackupTools> = {}) => {
    const told: unknown[] = [];
    const meanwhile = async (): Promise<void> => {
      for (const sql of statements) await server.query(sql);
    };
    const backup = await takeTestBackup(server, vault, {
      hold: { atBytes: 0, meanwhile, paced: true },
      tools: { onMoved: ({ details }) => told.push(details?.["why"]), ...changes },
    });
    return { backup, told };
  };
  const harmless = await takeDuring([
    "CREATE DATABASE logged TEMPLATE gone STRATEGY wal_log",
    "DROP DATABASE gone",
    "CREATE DATABASE twin TEMPLATE kept STRATEGY file_copy",
    "CREATE DATABASE brief TEMPLATE kept STRATEGY file_copy",
    "DROP DATABASE brief",
  ]);
  assert.deepEqual(harmless.told, []);
  // As earlier versions did, which did not ask the WAL.
  const covered = async (): Promise<void> => {
    await server.query("SELECT pg_switch_wal()");
    await storeServerWal(server, vault);
  };
  const blind = await takeDuring(["ALTER DATABASE shop SET TABLESPACE elsewhere"], {
    wal: { begin: async () => undefined, covered },
  });
  await assertRestores({ server, vault, backup: harmless.backup });
  await withFolder(async (folder) => {
    const { failedAt, findings } = await prove({ vault, backup: blind.backup, server, folder }, "intact");
    assert.deepEqual([failedAt, findings.map(({ code }) => code)], ["intact", ["backup.database-moved"]]);
  });
  const moved = await takeDuring([
    "ALTER DATABASE logged SET TABLESPACE elsewhere",
    "CREATE DATABASE copied TEMPLATE kept STRATEGY file_copy",
    "DROP DATABASE kept",
  ]);
  assert.deepEqual(moved.told, ["moved"]);
  await assertRestores({ server, vault, backup: moved.backup });
});
