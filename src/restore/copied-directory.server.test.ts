/** The links of a data directory that was copied lead to what another server uses. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { restoreTools, storeServerWal, takeTestBackup, withFolder } from "../../test/support/backups.ts";
import { takeRecorded } from "../../test/support/recordings.ts";
import { assertRestored, restoreRecorded, targetIn } from "../../test/support/restored-files.ts";
import { giveTo, serverUser, startServer } from "../../test/support/servers.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { unsyncedFiles as files } from "../../test/support/unsynced-files.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { systemProcesses } from "../platform/processes.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { Vault } from "../vault/vault.ts";
import { presentTablespaces } from "./delta-guard.ts";
import { prepareDelta, prepareRestore, runRestore } from "./restore.ts";

type From = { readonly vault: Vault; readonly backup: BackupRecord };

/** Restores in place, tablespaces where the links lead unless they are given another folder. */
async function restoreDelta({ vault, backup }: From, folder: string, under?: string): Promise<void> {
  const tools = { ...restoreTools(vault, backup), files, processes: systemProcesses, onCompared: () => {} };
  const { systemId, backupId } = backup;
  const plan = await prepareRestore(tools, { systemId, backupId, target: { kind: "latest" }, acceptGap: true }, {});
  const chosen = { byOid: new Map<number, string>(), under };
  const tablespaces = under === undefined ? await presentTablespaces(files, folder, chosen) : chosen;
  const place = { folder, tablespaces, owner: await serverUser() };
  const delta = await prepareDelta(tools, plan, place, {});
  await runRestore(tools, plan, place, { delta });
}

const cluster = await recordSmallCluster();
const vault = await createTestVault();
const recorded = { vault, backup: await takeRecorded(cluster.first, vault) };

const refused = { code: "restore.target-in-use" } as const;

test("a copy of a running server's directory is not restored over while its links lead to that server's tablespace", async () => {
  await withFolder(async (folder) => {
    await using server = await startServer({ walSegmentBytes: 1024 * 1024 });
    const space = path.join(folder, "space");
    await files.makeFolder(space, 0o700);
    await giveTo(await serverUser(), space);
    await server.query(`CREATE TABLESPACE space LOCATION '${space}'`);
    await server.query("CREATE TABLE orders (i int) TABLESPACE space");
    await server.query("INSERT INTO orders SELECT generate_series(1, 2000)");
    const own = await createTestVault();
    const from = { vault: own, backup: await takeTestBackup(server, own) };
    await storeServerWal(server, own);
    await server.query("UPDATE orders SET i = -i WHERE i <= 100");
    await server.query("CHECKPOINT");
    const copy = path.join(folder, "copy");
    execFileSync("cp", ["-a", server.dataFolder, copy]);
    await rm(path.join(copy, "postmaster.pid"));
    await assert.rejects(restoreDelta(from, copy), refused);
    await server.stop("immediate");
    await server.start();
    assert.equal(await server.value("SELECT count(*) FROM orders WHERE i < 0"), "100");
    // With a folder of its own it disturbs nobody.
    await restoreDelta(from, copy, path.join(folder, "spaces"));
    assert.equal(await server.value("SELECT count(*) FROM orders WHERE i < 0"), "100");
  });
});

test("who works in another directory that leads to the same folders need have nothing open to be heeded, and who has need not", async () => {
  await withFolder(async (folder) => {
    const target = targetIn(folder);
    await restoreRecorded(vault, recorded.backup, target);
    const [space = ""] = (await files.list(target.tablespacesUnder)).map(({ name }) =>
      path.join(target.tablespacesUnder, name),
    );
    const wal = path.join(folder, "wal");
    await files.rename(path.join(target.folder, "pg_wal"), wal);
    await symlink(wal, path.join(target.folder, "pg_wal"));
    const version = (await files.list(space)).find(({ name }) => name.startsWith("PG_"))?.name ?? assert.fail();
    await writeFile(path.join(space, version, "424242"), "left over");

    const other = path.join(folder, "other");
    await mkdir(path.join(other, "pg_tblspc"), { recursive: true });
    const server = spawn("sleep", ["1000"], { cwd: other });
    await once(server, "spawn");
    try {
      for (const [at, leads] of [
        ["pg_tblspc/1", space],
        ["pg_wal", wal],
      ] as const) {
        await symlink(leads, path.join(other, at));
        await assert.rejects(restoreDelta(recorded, target.folder), { ...refused, details: { pid: server.pid } });
        await files.remove(path.join(other, at));
      }
    } finally {
      server.kill("SIGKILL");
      await once(server, "exit");
    }
    const opened = await open(path.join(space, version, "424242"));
    await assert.rejects(restoreDelta(recorded, target.folder), { ...refused, details: { pid: process.pid } });
    await opened.close();
    assert.ok((await files.stat(path.join(space, version, "424242"))) !== undefined, "nothing was touched");
    await restoreDelta(recorded, target.folder);
    await assertRestored(cluster.first, target);
  });
});
