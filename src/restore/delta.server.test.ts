import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import {
  contentOf,
  restoreLatest,
  restoreTools,
  storeServerWal,
  takeTestBackup,
  withFolder,
} from "../../test/support/backups.ts";
import { repetitions } from "../../test/support/effort.ts";
import { takeRecorded } from "../../test/support/recordings.ts";
import { assertRestored, couldStart, restoreRecorded, targetIn } from "../../test/support/restored-files.ts";
import { serverUser, startServer } from "../../test/support/servers.ts";
import { recordSmallCluster } from "../../test/support/small-cluster.ts";
import { unsyncedFiles } from "../../test/support/unsynced-files.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import { faultyFiles } from "../platform/faulty-files.ts";
import { type Files, systemFiles } from "../platform/files.ts";
import { systemProcesses } from "../platform/processes.ts";
import { BLOCK_BYTES, CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { readManifest } from "../vault/manifest.ts";
import type { Vault } from "../vault/vault.ts";
import { presentTablespaces } from "./delta-guard.ts";
import type { DeltaSurvey } from "./delta-survey.ts";
import { prepareDelta, prepareRestore, runRestore } from "./restore.ts";

const cluster = await recordSmallCluster();
const vault = await createTestVault();
const backup = await takeRecorded(cluster.first, vault);

/** Brings a folder to the state of a backup; undefined when it was empty. */
async function restoreDelta(
  from: { readonly vault: Vault; readonly backup: BackupRecord },
  folder: string,
  changes: { readonly files?: Files; readonly owner?: { readonly uid: number; readonly gid: number } | undefined } = {},
): Promise<DeltaSurvey | undefined> {
  const { files = unsyncedFiles, owner } = changes;
  const tools = { ...restoreTools(from.vault, from.backup), files, processes: systemProcesses, onCompared: () => {} };
  const { systemId, backupId } = from.backup;
  const plan = await prepareRestore(tools, { systemId, backupId, target: { kind: "latest" }, acceptGap: true }, {});
  const tablespaces = await presentTablespaces(files, folder, { byOid: new Map(), under: undefined });
  const place = { folder, tablespaces, owner };
  const delta = await prepareDelta(tools, plan, place, {});
  await runRestore(tools, plan, place, { delta });
  return delta?.survey;
}

/** Files of pages in the backup, the largest first. */
async function pageFiles(): Promise<readonly { readonly path: string; readonly sizeBytes: number }[]> {
  const found: { readonly path: string; readonly sizeBytes: number }[] = [];
  const onFile = (file: { readonly kind: string; readonly path: string; readonly sizeBytes?: number }): void => {
    if (file.kind === "pages") found.push({ path: file.path, sizeBytes: file.sizeBytes ?? 0 });
  };
  await readManifest(vault, backup, { onFile }, {});
  return found.toSorted((a, b) => b.sizeBytes - a.sizeBytes);
}

/** Changes a restored folder as a server could, and as a disk or a person could; returns what must be gone afterwards. */
async function goAstray(folder: string): Promise<readonly string[]> {
  const [flipped = "", grown = ""] = (await pageFiles()).map((file) => path.join(folder, file.path));
  const bytes = await readFile(flipped);
  bytes[BLOCK_BYTES + 4000] = (bytes[BLOCK_BYTES + 4000] ?? 0) ^ 1;
  // Its last page is gone, and another one is not what its LSN says.
  await writeFile(flipped, bytes.subarray(0, bytes.byteLength - BLOCK_BYTES));
  await appendFile(grown, Buffer.alloc(3 * BLOCK_BYTES, 7));
  await writeFile(path.join(folder, "PG_VERSION"), ASTRAY);
  await writeFile(path.join(folder, "postmaster.pid"), "999999999\n");
  const surplus = ["base/5/424242", "pg_wal/0000000700000000000000AA", "a folder/a file"].map((each) =>
    path.join(folder, each),
  );
  await mkdir(path.join(folder, "a folder"), { recursive: true });
  for (const each of surplus) await writeFile(each, "left over");
  const link = path.join(folder, "a link");
  await systemFiles.remove(link);
  await symlink("/nowhere", link);
  return [...surplus, link, path.join(folder, "postmaster.pid")];
}

const ASTRAY = "99\n";

const failsWith = (code: string) => (error: unknown) => {
  assert.ok(isLifeboatError(error), String(error));
  assert.equal(error.code, code);
  return true;
};

describe("a delta restore", () => {
  test("makes a data directory that went astray what a full restore makes, and writes little of it", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      const gone = await goAstray(target.folder);
      const [opened = ""] = (await pageFiles()).map((file) => path.join(target.folder, file.path));
      const { mode } = (await systemFiles.stat(opened)) ?? {};
      await systemFiles.changeMode(opened, 0o644);
      const survey = await restoreDelta({ vault, backup }, target.folder);
      assert.equal((await systemFiles.stat(opened))?.mode, mode);
      assert.ok(survey !== undefined && survey.keptBytes > survey.writeBytes, `${survey?.keptBytes} bytes kept`);
      await assertRestored(cluster.first, target);
      for (const each of gone) assert.equal(await systemFiles.stat(each), undefined, each);
      assert.ok(await couldStart(target));
      const again = await restoreDelta({ vault, backup }, target.folder);
      assert.ok((again?.writeBytes ?? Number.NaN) < 64 * 1024, `${again?.writeBytes} bytes written of an equal folder`);
    });
  });

  test("leaves alone what shares a tablespace's folder", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      const [root = ""] = await readTablespaces(target.tablespacesUnder);
      await mkdir(path.join(root, "PG_99_other"));
      const [own = ""] = (await systemFiles.list(root)).map(({ name }) => name).filter((name) => !name.includes("99"));
      await writeFile(path.join(root, own, "surplus"), "x");
      await restoreDelta({ vault, backup }, target.folder);
      await assertRestored(cluster.first, target);
      assert.ok((await systemFiles.stat(path.join(root, "PG_99_other"))) !== undefined);
      assert.equal(await systemFiles.stat(path.join(root, own, "surplus")), undefined);
    });
  });

  test("keeps a pg_wal that leads to another folder, and there whatever is no server's", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      const [wal, elsewhere] = [path.join(target.folder, "pg_wal"), path.join(folder, "disk for WAL")];
      await systemFiles.rename(wal, elsewhere);
      await symlink("../disk for WAL", wal);
      const gone = await goAstray(target.folder);
      await mkdir(path.join(elsewhere, "lost+found"));
      await restoreDelta({ vault, backup }, target.folder);
      assert.equal(await systemFiles.readLink(wal), "../disk for WAL");
      await assertRestored(cluster.first, target);
      for (const each of gone) assert.equal(await systemFiles.stat(each), undefined, each);
      const names = (await systemFiles.list(elsewhere)).map(({ name }) => name);
      assert.ok(names.includes("lost+found"));
      assert.deepEqual(
        names.filter((name) => name.startsWith("lifeboat")),
        [],
      );
    });
  });

  test("is refused, with nothing touched, where pg_wal leads to another server's WAL or to nothing", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      const [wal, elsewhere] = [path.join(target.folder, "pg_wal"), path.join(folder, "wal")];
      await systemFiles.rename(wal, elsewhere);
      await symlink(elsewhere, wal);
      await goAstray(target.folder);
      await systemFiles.remove(path.join(target.folder, "postmaster.pid"));
      const stale = path.join(elsewhere, "0000000700000000000000AA");
      const another = await systemFiles.open(stale, "read");
      await assert.rejects(restoreDelta({ vault, backup }, target.folder), failsWith("restore.target-in-use"));
      await another.close();
      await systemFiles.rename(elsewhere, `${elsewhere} away`);
      await assert.rejects(restoreDelta({ vault, backup }, target.folder), failsWith("restore.wal-link-broken"));
      assert.equal(await systemFiles.readLink(wal), elsewhere);
      await systemFiles.rename(`${elsewhere} away`, elsewhere);
      assert.ok((await systemFiles.stat(stale)) !== undefined);
      await restoreDelta({ vault, backup }, target.folder);
      await assertRestored(cluster.first, target);
    });
  });

  test("into a folder that is empty is a restore like any other", async () => {
    await withFolder(async (folder) => {
      const small = await createTestVault();
      await using server = await startServer();
      await server.query("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
      const taken = await takeTestBackup(server, small);
      assert.equal(await restoreDelta({ vault: small, backup: taken }, path.join(folder, "new")), undefined);
      assert.ok((await systemFiles.stat(path.join(folder, "new", CONTROL_FILE_PATH))) !== undefined);
    });
  });

  test("is refused, with nothing touched, where a process works, for another system, and for what is no data directory", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      const worker = spawn("sleep", ["1000"], { cwd: path.join(target.folder) });
      await once(worker, "spawn");
      try {
        await assert.rejects(restoreDelta({ vault, backup }, target.folder), failsWith("restore.target-in-use"));
      } finally {
        worker.kill("SIGKILL");
        await once(worker, "exit");
      }
      await writeFile(path.join(target.folder, "postmaster.pid"), `${process.pid}\n`);
      await assert.rejects(restoreDelta({ vault, backup }, target.folder), failsWith("restore.target-in-use"));
      await systemFiles.remove(path.join(target.folder, "postmaster.pid"));
      const stranger = { ...backup, systemId: "1" as BackupRecord["systemId"] };
      const tools = { ...restoreTools(vault, backup), processes: systemProcesses, onCompared: () => {} };
      const { systemId, backupId } = backup;
      const plan = await prepareRestore(tools, { systemId, backupId, target: { kind: "latest" }, acceptGap: true }, {});
      const tablespaces = await presentTablespaces(systemFiles, target.folder, { byOid: new Map(), under: undefined });
      const place = { folder: target.folder, tablespaces, owner: undefined };
      await assert.rejects(
        prepareDelta(tools, { ...plan, systemId: stranger.systemId }, place, {}),
        failsWith("restore.other-system"),
      );
      await assertRestored(cluster.first, target);
      const elsewhere = path.join(folder, "photos");
      await mkdir(elsewhere);
      await writeFile(path.join(elsewhere, "one.jpg"), "x");
      await assert.rejects(
        prepareDelta(tools, plan, { ...place, folder: elsewhere }, {}),
        failsWith("restore.target-not-empty"),
      );
      const [oid = 0] = plan.tablespaces.map((each) => each.oid);
      await assert.rejects(
        prepareDelta(
          tools,
          plan,
          { ...place, tablespaces: { byOid: new Map([[oid, elsewhere]]), under: undefined } },
          {},
        ),
        failsWith("restore.target-not-empty"),
      );
    });
  });

  test("is refused when a server was there after the folder was compared", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      const tools = { ...restoreTools(vault, backup), processes: systemProcesses, onCompared: () => {} };
      const { systemId, backupId } = backup;
      const plan = await prepareRestore(tools, { systemId, backupId, target: { kind: "latest" }, acceptGap: true }, {});
      const tablespaces = await presentTablespaces(systemFiles, target.folder, { byOid: new Map(), under: undefined });
      const place = { folder: target.folder, tablespaces, owner: undefined };
      const delta = await prepareDelta(tools, plan, place, {});
      const control = path.join(target.folder, CONTROL_FILE_PATH);
      const bytes = await readFile(control);
      await writeFile(control, Buffer.concat([bytes, Buffer.from("x")]));
      await assert.rejects(runRestore(tools, plan, place, { delta }), failsWith("restore.target-changed"));
      await writeFile(control, bytes);
      await assertRestored(cluster.first, target);
      await runRestore(tools, plan, place, { delta });
    });
  });

  test("cut at one effect after the other cannot start half done, and the same delta restore goes on", async () => {
    await withFolder(async (folder) => {
      const target = targetIn(folder);
      await restoreRecorded(vault, backup, target);
      let swept = 0;
      const stride = Math.ceil(7 / repetitions(1));
      for (let at = 1; ; at += stride) {
        await goAstray(target.folder);
        const faulty = faultyFiles(unsyncedFiles, { at, errno: "EIO", when: swept % 2 === 0 ? "before" : "after" });
        const failed = await restoreDelta({ vault, backup }, target.folder, { files: faulty.files }).then(
          () => false,
          () => true,
        );
        const effect = faulty.effects[at - 1];
        const where = `effect ${at}: ${effect?.operation} ${effect?.path}`;
        if (faulty.effects.length < at) break;
        assert.ok(failed, where);
        if (await couldStart(target)) {
          // Nothing was changed yet, or all was done.
          const untouched = (await systemFiles.readFile(path.join(target.folder, "PG_VERSION"))).toString() === ASTRAY;
          if (!untouched) await assertRestored(cluster.first, target);
        }
        await restoreDelta({ vault, backup }, target.folder);
        await assertRestored(cluster.first, target);
        swept += 1;
      }
      assert.ok(swept > 20, `only ${swept} effects were failed`);
    });
  });
});

for (const major of [15, 18] as const) {
  test(`PostgreSQL ${major}: a server that went its own way for a while is brought back and holds the same rows`, async () => {
    await using server = await startServer({ major });
    await server.query("CREATE TABLE kept AS SELECT i, md5(i::text) AS word FROM generate_series(1, 60000) i");
    await server.query("CREATE INDEX ON kept (word)");
    await server.query("CREATE TABLE dropped AS SELECT i FROM generate_series(1, 5000) i");
    const own = await createTestVault();
    const taken = await takeTestBackup(server, own);
    await server.query("UPDATE kept SET word = 'later' WHERE i % 100 = 0");
    await server.query("SELECT pg_switch_wal()");
    await storeServerWal(server, own);
    const expected = await contentOf(server);
    await withFolder(async (folder) => {
      const dataFolder = path.join(folder, "data");
      await restoreLatest(own, taken, { folder: dataFolder });
      {
        await using astray = await startServer({ major, name: "astray", dataFolder, until: "recovered" });
        await astray.query("UPDATE kept SET word = 'astray' WHERE i % 50 = 0");
        await astray.query("DROP TABLE dropped");
        await astray.query("CREATE TABLE made AS SELECT i FROM generate_series(1, 5000) i");
        await astray.query("VACUUM FULL kept");
        await astray.query("CREATE DATABASE another");
        await astray.server.kill();
      }
      const survey = await restoreDelta({ vault: own, backup: taken }, dataFolder, { owner: await serverUser() });
      assert.ok((survey?.keptBytes ?? 0) > (survey?.writeBytes ?? 0), "most of it is kept");
      await using back = await startServer({ major, name: "back", dataFolder, until: "recovered" });
      assert.deepEqual(await contentOf(back), expected);
    });
  });
}

async function readTablespaces(under: string): Promise<readonly string[]> {
  return (await systemFiles.list(under)).map(({ name }) => path.join(under, name));
}
