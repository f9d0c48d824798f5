/** What has a second name somewhere else is not changed by way of the name that is restored over. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { contentOf, goAstray } from "../../test/support/small-nodes.ts";
import {
  differencesFrom,
  NO_PROCESSES,
  planSmall,
  RESTORED_FOLDER,
  restoreSmall,
  SMALL_SERVER,
  takeSmallBackup,
} from "../../test/support/small-restores.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import type { Files } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { FileSet } from "./file-set.ts";
import { prepareDelta, runRestore } from "./restore.ts";

const vault = await createTestVault();
const from = { vault, backup: await takeSmallBackup(vault) };

/** Gives all in a folder a name in another one, as `cp -al`. */
async function copyByNames(files: Files, folder: string, into: string): Promise<void> {
  await files.makeFolder(into);
  for (const { name, kind } of await files.list(folder)) {
    const [at, to] = [path.join(folder, name), path.join(into, name)];
    if (kind === "folder") await copyByNames(files, at, to);
    else if (kind === "file") await files.link(at, to);
    else await files.symlink(await files.readLink(at), to);
  }
}

async function restored(): Promise<Files> {
  const { files } = memoryFiles();
  await files.makeFolder("/srv");
  await restoreSmall(from, files, "whole");
  return files;
}

for (const turn of [0, 1, 2, 3]) {
  test(`a copy by second names of a data directory that went astray is as it was after a delta restore, turn ${turn}`, async () => {
    const files = await restored();
    await goAstray(files, "astray", turn);
    await copyByNames(files, RESTORED_FOLDER, "/srv/copy");
    const before = await contentOf(files, "/srv/copy");
    await restoreSmall(from, files, "delta");
    assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
    assert.deepEqual(await contentOf(files, "/srv/copy"), before);
    // A server that is started there writes into every file: none is the copy's.
    for (const { path: name, kind } of SMALL_SERVER.files) {
      if (kind === "file") assert.equal((await files.stat(path.join(RESTORED_FOLDER, name)))?.nameCount, 1, name);
    }
  });
}

test("a file that got a second name after it was compared is not written into, and the next restore goes on", async () => {
  const files = await restored();
  await goAstray(files, "astray", 3);
  const { tools, plan, place } = await planSmall(from, files, "delta");
  const delta = await prepareDelta({ ...tools, processes: NO_PROCESSES, onCompared: () => undefined }, plan, place, {});
  await copyByNames(files, RESTORED_FOLDER, "/srv/copy");
  const before = await contentOf(files, "/srv/copy");
  await assert.rejects(runRestore(tools, plan, place, { delta }), { code: "restore.target-changed" });
  await restoreSmall(from, files, "delta");
  assert.deepEqual(await differencesFrom(SMALL_SERVER, files), []);
  assert.deepEqual(await contentOf(files, "/srv/copy"), before);
});

test("a file is not cut by way of one of its names", async () => {
  const { files } = memoryFiles();
  await files.makeFile("/one", { sizeBytes: 10, permissions: 0o600 });
  const existing = await files.stat("/one");
  await files.link("/one", "/two");
  const set = new FileSet(files, undefined);
  set.add({ path: "/one", mode: 0o600, sizeBytes: 5, existing });
  await assert.rejects(set.prepare({}), { code: "restore.target-changed" });
  await set.close();
  assert.equal((await files.stat("/two"))?.sizeBytes, 10);
});
