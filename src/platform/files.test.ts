import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { isLifeboatError } from "../errors/error.ts";
import { listFolder, systemFiles } from "./files.ts";

/** The user id of nobody, who may do nothing that others may not. */
const NOBODY = 65_534;

describe("files of this machine", () => {
  test("what is missing, taken, and forbidden each has a code of its own", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    const file = path.join(folder, "file");
    try {
      await assert.rejects(systemFiles.readFile(file), (error) => isLifeboatError(error, "platform.file-missing"));
      await writeFile(file, "content");
      await assert.rejects(systemFiles.open(file, "create"), (error) => isLifeboatError(error, "platform.file-exists"));
      await chmod(folder, 0o000);
      // Root may read anything; for a moment this process is nobody.
      const isRoot = process.geteuid?.() === 0;
      if (isRoot) process.seteuid?.(NOBODY);
      try {
        await assert.rejects(systemFiles.readFile(file), (error) => isLifeboatError(error, "platform.file-denied"));
      } finally {
        if (isRoot) process.seteuid?.(0);
      }
    } finally {
      await chmod(folder, 0o700);
      await rm(folder, { recursive: true });
    }
  });

  test("a folder is listed though an entry goes while it is read, and a folder that is not there is named", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    try {
      await writeFile(path.join(folder, "stays"), "");
      // As Node answers where the file system does not tell an entry's kind, and the entry is gone when it is asked for.
      const gone = Object.assign(new Error("ENOENT"), { code: "ENOENT", path: path.join(folder, "gone") });
      const listed = await listFolder(folder, () => Promise.reject(gone));
      assert.deepEqual(listed, [{ name: "stays", kind: "file" }]);
      const missing = systemFiles.list(path.join(folder, "absent"));
      await assert.rejects(missing, (error) => isLifeboatError(error, "platform.file-missing"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("parts of a file are written each at its own place, and a file that cannot be written is named", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    const file = path.join(folder, "file");
    try {
      const handle = await systemFiles.open(file, "create");
      const parts = [
        { data: Buffer.from("three"), position: 8 },
        { data: Buffer.from("one "), position: 0 },
        { data: Buffer.alloc(0), position: 100 },
        { data: Buffer.from("two "), position: 4 },
      ];
      await handle.writeParts(parts);
      await handle.close();
      assert.equal((await systemFiles.readFile(file)).toString(), "one two three");
      const reader = await systemFiles.open(file, "read");
      await assert.rejects(reader.writeParts(parts), (error) => isLifeboatError(error, "platform.file-failed"));
      await reader.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("a file is made with its length, its permissions and its owner, and its parts are written where they belong", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    try {
      const file = path.join(folder, "file");
      const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      await systemFiles.makeFile(file, { sizeBytes: 10, permissions: 0o640, owner });
      const facts = await systemFiles.stat(file);
      assert.deepEqual(
        { ...facts, modifiedMs: 0 },
        { kind: "file", sizeBytes: 10, modifiedMs: 0, mode: 0o640, ...owner, nameCount: 1 },
      );
      const again = systemFiles.makeFile(file, { sizeBytes: 5, permissions: 0o640 });
      await assert.rejects(again, (error) => isLifeboatError(error, "platform.file-exists"));
      await systemFiles.writeParts(file, [
        { data: Buffer.from("b"), position: 5 },
        { data: Buffer.from("a"), position: 1 },
      ]);
      assert.equal((await systemFiles.readFile(file)).toString(), "\0a\0\0\0b\0\0\0\0");
      const missing = systemFiles.writeParts(path.join(folder, "missing"), []);
      await assert.rejects(missing, (error) => isLifeboatError(error, "platform.file-missing"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("a file that is read while the thread waits says what it is, and nothing else is opened so", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    try {
      const file = path.join(folder, "file");
      await systemFiles.makeFile(file, { sizeBytes: 3, permissions: 0o600 });
      await systemFiles.symlink(file, path.join(folder, "link"));
      for (const each of ["link", "missing", "."]) {
        assert.equal(systemFiles.openBlocking(path.join(folder, each)), undefined, each);
      }
      const opened = systemFiles.openBlocking(file);
      assert.ok(opened !== undefined);
      assert.deepEqual(opened.facts, await systemFiles.stat(file));
      assert.deepEqual([opened.read(1, Buffer.alloc(10)), opened.read(9, Buffer.alloc(10))], [2, 0]);
      opened.close();
      const tooLong = path.join(folder, "n".repeat(300));
      assert.throws(
        () => systemFiles.openBlocking(tooLong),
        (error) => isLifeboatError(error, "platform.file-failed"),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("one sync covers all of a file system, and a folder that is not there is named", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    try {
      await systemFiles.syncFileSystem(folder);
      await assert.rejects(systemFiles.syncFileSystem(path.join(folder, "missing")), (error) =>
        isLifeboatError(error, "platform.file-failed"),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("a write that blocks leaves the same bytes as one through the pool, and a full disk has its code in both", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "files-"));
    try {
      const handle = await systemFiles.open(path.join(folder, "file"), "create");
      await handle.write(Buffer.from("one, "), 0);
      handle.writeNow(Buffer.from("two"), 5);
      handle.syncNow();
      const into = Buffer.alloc(10, "x");
      assert.equal((await handle.read({ position: 0, length: 10, into })).toString(), "one, two");
      assert.equal(into.toString(), "one, twoxx");
      await handle.close();
      const full = await systemFiles.open("/dev/full", "update");
      const isFull = (error: unknown) => isLifeboatError(error, "platform.disk-full");
      await assert.rejects(full.write(Buffer.from("x"), 0), isFull);
      assert.throws(() => full.writeNow(Buffer.from("x"), 0), isFull);
      await full.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
