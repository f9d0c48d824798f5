/** A link in place of a folder of the data directory is no way to what lies behind it. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { contentOf, goAstray, putBackSmall, rebuildSmall, smallAsides } from "../../test/support/small-nodes.ts";
import {
  differencesFrom,
  LARGE_FILE,
  RESTORED_FOLDER,
  restoreSmall,
  SMALL_SERVER,
  serverWithLargeFile,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { Files } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";

const vault = await createTestVault();
const from = { vault, backup: await takeSmallBackup(vault) };

/** A data directory of which a folder was moved to another disk, with a link left in its place. */
async function linked(name: string): Promise<Files> {
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  await files.makeFolder("/disk");
  await restoreSmall(from, files, "whole");
  await goAstray(files, "astray", 3);
  const folder = path.join(RESTORED_FOLDER, name);
  await files.rename(folder, "/disk/moved");
  await files.symlink("/disk/moved", folder);
  return files;
}

for (const name of ["base", "base/5"]) {
  test(`a delta restore makes all of ${name} anew where that is a link, and touches nothing behind it`, async () => {
    const files = await linked(name);
    const before = await contentOf(files, "/disk");
    await restoreSmall(from, files, "delta");
    assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
    assert.equal((await files.stat(path.join(RESTORED_FOLDER, name)))?.kind, "folder");
    assert.deepEqual(await contentOf(files, "/disk"), before);
  });
}

test("a delta restore goes on in the folder of WAL that pg_wal leads to by way of two links", async () => {
  const files = await linked("pg_wal");
  await files.rename("/disk/moved", "/disk/wal");
  await files.symlink("/disk/wal", "/disk/moved");
  await restoreSmall(from, files, "delta");
  assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
  assert.equal(await files.readLink(path.join(RESTORED_FOLDER, "pg_wal")), "/disk/wal");
  assert.equal((await files.stat("/disk/wal"))?.kind, "folder");
});

test("a page of zeros in the backup is one where a full disk left a piece of a page behind the last whole one", async () => {
  const server = serverWithLargeFile(8, (page) => page < 5);
  const large = { vault: await createTestVault() };
  const backup = await takeSmallBackup(large.vault, server);
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  await restoreSmall({ ...large, backup }, files, "whole");
  const handle = await files.open(path.join(RESTORED_FOLDER, LARGE_FILE), "update");
  await handle.truncate(5 * BLOCK_BYTES);
  await handle.write(Buffer.alloc(1000, 0xab), 5 * BLOCK_BYTES);
  await handle.close();
  await restoreSmall({ ...large, backup }, files, "delta");
  assert.deepEqual(await differencesFrom(server, files), []);
});

test("a delta restore is refused, with nothing touched, where the folder of the control file is a link", async () => {
  const files = await linked("global");
  const before = [await contentOf(files, "/disk"), await contentOf(files, RESTORED_FOLDER)];
  await assert.rejects(restoreSmall(from, files, "delta"), {
    code: "restore.target-not-empty",
    message: /disk\/moved/,
  });
  assert.deepEqual([await contentOf(files, "/disk"), await contentOf(files, RESTORED_FOLDER)], before);
});

test("what a rebuild keeps of a folder that is a link is the link", async () => {
  const files = await linked("base/5");
  const old = await contentOf(files, RESTORED_FOLDER);
  await rebuildSmall(from, files, "primary");
  assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
  const [aside = ""] = await smallAsides(files);
  assert.equal((await files.stat(path.join(aside, "pages")))?.sizeBytes, 0);
  assert.deepEqual(await putBackSmall(from, files, aside), old);
});
