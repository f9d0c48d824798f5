import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { writeDurable } from "./durable.ts";
import { type Files, systemFiles } from "./files.ts";
import { filesOfFolder, filesOwnedBy } from "./owned-files.ts";

test("files, folders and links that are made are given to the owner, before they have their name, and what was there is left", async () => {
  const folder = await mkdtemp("/tmp/lifeboat-owned-");
  const given: string[] = [];
  // Recorded, since only root may give files away.
  const recording: Files = {
    ...systemFiles,
    changeOwner: async (file, owner) => {
      assert.deepEqual(owner, { uid: 7, gid: 8 });
      given.push(path.relative(folder, file).replace(/\.[^./]+\.tmp$/, ".tmp"));
    },
  };
  const owned = filesOwnedBy(recording, { uid: 7, gid: 8 });
  try {
    await owned.makeFolder(path.join(folder, "a/b"));
    const file = path.join(folder, "a/b/file");
    await writeDurable(owned, { file, parts: [Buffer.from("x")], over: "new", unique: "test" });
    await owned.symlink("file", path.join(folder, "a/b/link"));
    assert.deepEqual(given, ["a", "a/b", "a/b/.file.tmp", "a/b/link"]);
    given.length = 0;
    await (await owned.open(file, "update")).close();
    await (await owned.open(file, "read")).close();
    await owned.makeFolder(path.join(folder, "a/b"));
    assert.deepEqual(given, []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("only root, and only in a folder of somebody else, gives away what it makes", async () => {
  const facts = { kind: "folder", sizeBytes: 0, modifiedMs: 0, mode: 0o700, gid: 8, nameCount: 2 } as const;
  const files: Files = {
    ...systemFiles,
    stat: async (file) =>
      file === "/theirs" ? { ...facts, uid: 7 } : file === "/ours" ? { ...facts, uid: 0 } : undefined,
  };
  assert.notEqual(await filesOfFolder(files, "/theirs", 0), files);
  assert.equal(await filesOfFolder(files, "/ours", 0), files);
  assert.equal(await filesOfFolder(files, "/not-there", 0), files);
  assert.equal(await filesOfFolder(files, "/theirs", 7), files);
});
