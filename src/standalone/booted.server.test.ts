import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { contentOf, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { giveTo, serverUser, startServer } from "../../test/support/servers.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemFiles } from "../platform/files.ts";
import { systemRandom } from "../platform/random.ts";
import { openDiskStore } from "../store/disk/disk-store.ts";
import { keepRestoreProgram, RESTORE_PROGRAMS } from "../vault/restore-program.ts";

const PROGRAM_NAME = [...RESTORE_PROGRAMS.keys()].at(-1) ?? "";

test("a server starts on what the restore program of a vault made, with all that was there", async () => {
  await withFolder(async (folder) => {
    const vaultFolder = path.join(folder, "vault");
    const store = await openDiskStore({ folder: vaultFolder, files: systemFiles, random: systemRandom });
    const vault = await createTestVault(store);
    await keepRestoreProgram({ store, files: systemFiles }, {});
    await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
    const space = path.join(server.folder, "space");
    await systemFiles.makeFolder(space);
    await giveTo(await serverUser(), space);
    await server.query("CREATE TABLE plain AS SELECT i, md5(i::text) AS text FROM generate_series(1, 5000) i");
    await server.query(`CREATE TABLESPACE space LOCATION '${space}'`);
    await server.query("CREATE TABLE moved TABLESPACE space AS SELECT i FROM generate_series(1, 500) i");
    await takeTestBackup(server, vault);
    await server.query("UPDATE plain SET text = 'later' WHERE i % 7 = 0");
    await server.query("DELETE FROM moved WHERE i > 100");
    const before = await contentOf(server);
    await server.query("SELECT pg_switch_wal()");
    await storeServerWal(server, vault);
    const target = path.join(folder, "restored");
    const program = path.join(vaultFolder, PROGRAM_NAME);
    const { status, stderr } = spawnSync(process.execPath, [program, "--target", target], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    await giveTo(await serverUser(), `${target}-tablespaces`);
    await using restored = await startServer({ dataFolder: target, until: "recovered" });
    assert.deepEqual(await contentOf(restored), before);
  });
});
