import assert from "node:assert/strict";
import { test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { type FileHandle, type Files, fileError } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { FileSet } from "./file-set.ts";

const MIB = 1024 * 1024;
/** What the disk is given early at a time, and the size from which a file is (see there). */
const FLUSH_BYTES = 64 * MIB;
const EARLY_BYTES = 16 * MIB;

/** A disk that keeps nothing, but account of what it was told. */
function accountingFiles(fails: (count: number) => boolean = () => false) {
  const told: string[] = [];
  const none = async (): Promise<void> => undefined;
  const open = (file: string): Partial<FileHandle> => ({
    writeParts: async () => void told.push(`write ${file}`),
    sync: async () => {
      told.push(`sync ${file}`);
      const count = told.filter((each) => each.startsWith("sync /")).length;
      if (fails(count)) throw fileError("sync", file, Object.assign(new Error("planned"), { code: "EIO" }));
    },
    close: none,
  });
  const files: Files = {
    ...memoryFiles().files,
    open: async (file) => open(file) as FileHandle,
    makeFile: none,
    writeParts: async (file) => void told.push(`write ${file}`),
    syncFileSystem: async (folder) => void told.push(`sync all of ${folder}`),
  };
  return { files, told };
}

const part = (sizeBytes: number) => [{ data: Buffer.alloc(sizeBytes), position: 0 }];

async function restoreTwo(files: Files): Promise<void> {
  const set = new FileSet(files, undefined);
  try {
    const large = set.add({ path: "/large", mode: 0o600, sizeBytes: 2 * FLUSH_BYTES });
    const small = set.add({ path: "/small", mode: 0o600, sizeBytes: 10 });
    set.expect(large, 2);
    set.expect(small, 1);
    await set.prepare({});
    await set.write(large, part(FLUSH_BYTES), 1);
    await set.write(small, part(10), 1);
    await set.write(large, part(10), 1);
    await set.finish(["/"]);
  } finally {
    await set.close();
  }
}

test("a large file is synced while it is written and when it is complete, small ones all at once at the end", async () => {
  const { files, told } = accountingFiles();
  await restoreTwo(files);
  // src/restore/file-set.ts flush: sync, and then src/restore/file-set.ts syncAndRelease: sync
  assert.deepEqual(told, [
    "write /large",
    "sync /large",
    "write /small",
    "write /large",
    "sync /large",
    "sync all of /",
  ]);
});

test("a file below the size is left to the sync of all", async () => {
  const { files, told } = accountingFiles();
  const set = new FileSet(files, undefined);
  const file = set.add({ path: "/file", mode: 0o600, sizeBytes: EARLY_BYTES - 1 });
  set.expect(file, 1);
  await set.prepare({});
  await set.write(file, part(10), 1);
  await set.finish(["/"]);
  await set.close();
  assert.deepEqual(told, ["write /file", "sync all of /"]);
});

test("a file that is written before it was made is made first, once; large ones are made before small ones", async () => {
  const { files, told } = accountingFiles();
  const set = new FileSet({ ...files, makeFile: async (file) => void told.push(`make ${file}`) }, undefined);
  const [small, empty, large] = [10, 0, EARLY_BYTES].map((sizeBytes) =>
    set.add({ path: `/${sizeBytes}`, mode: 0o600, sizeBytes }),
  );
  for (const file of [small, large]) set.expect(file ?? 0, 1);
  await set.write(small ?? 0, part(10), 1);
  assert.deepEqual(told, ["make /10", "write /10"]);
  const preparing = set.prepare({});
  await set.write(large ?? 0, part(10), 1);
  await preparing;
  await set.finish(["/"]);
  await set.close();
  assert.deepEqual(told.slice(2, -2), [`make /${EARLY_BYTES}`, "make /0", `write /${EARLY_BYTES}`]);
  assert.equal(set.pathOf(empty ?? 0), "/0");
});

test("a file that nobody made is no restored file, though nothing is to be written into it", async () => {
  const set = new FileSet(accountingFiles().files, undefined);
  set.add({ path: "/empty", mode: 0o600, sizeBytes: 0 });
  await assert.rejects(set.finish(["/"]), (error) => isLifeboatError(error, "platform.assertion-failed"));
});

test("an early sync that fails fails the restore: a later one would succeed without having written", async () => {
  for (const which of [1, 2]) {
    const { files } = accountingFiles((count) => count === which);
    await assert.rejects(restoreTwo(files), (error) => isLifeboatError(error, "platform.file-failed"));
  }
});
