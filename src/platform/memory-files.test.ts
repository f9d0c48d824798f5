import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { repetitions, testSeed } from "../../test/support/effort.ts";
import { isLifeboatError } from "../errors/error.ts";
import { type Files, systemFiles, writeShared } from "./files.ts";
import { memoryFiles } from "./memory-files.ts";
import { Prng } from "./prng.ts";

const FOLDERS = ["a", "b"];
/** The last two by way of a link. */
const FILES = ["a/c", "a/d", "b/c", "l/c", "l/e"];
const CALLS = 300;

/** One call drawn from the seed; what it answers, or the code of its failure. */
async function call(files: Files, root: string, random: Prng): Promise<unknown> {
  const folder = path.join(root, random.pick(FOLDERS));
  const at = path.join(root, random.pick(FILES));
  const to = path.join(root, random.pick(FILES));
  const link = path.join(root, "l");
  const data = Buffer.alloc(random.below(50), random.below(256));
  const position = random.below(40);
  const work: readonly (() => Promise<unknown>)[] = [
    () => files.makeFolder(folder),
    () => files.stat(at).then((facts) => facts && [facts.kind, facts.kind === "file" ? facts.nameCount : 0]),
    () => files.list(folder),
    () => files.readFile(at).then((bytes) => bytes.toString("hex")),
    () => files.rename(at, to),
    () => files.link(at, to),
    () => files.symlink("a", link),
    () => files.readLink(link),
    () => files.remove(at),
    () => files.removeTree(folder),
    () => files.syncFolder(folder),
    () => write(files, at, "create", { data, position }),
    () => write(files, at, "update", { data, position }),
  ];
  try {
    return (await random.pick(work)()) ?? "done";
  } catch (error) {
    assert.ok(isLifeboatError(error), String(error));
    return error.code;
  }
}

async function write(
  files: Files,
  at: string,
  mode: "create" | "update",
  what: { readonly data: Buffer; readonly position: number },
): Promise<unknown> {
  const handle = await files.open(at, mode);
  try {
    await handle.write(what.data, what.position);
    await handle.truncate(what.position + 10);
    await handle.sync();
    const bytes = await handle.read({ position: 5, length: 20 });
    return [bytes.toString("hex"), (await handle.stat()).sizeBytes];
  } finally {
    await handle.close();
  }
}

describe("files in memory", () => {
  test("answer as the machine's files do", async () => {
    for (let stream = 0; stream < repetitions(3); stream += 1) {
      const folder = await mkdtemp(path.join(tmpdir(), "lifeboat-memory-files-"));
      try {
        const memory = memoryFiles();
        await memory.files.makeFolder("/root");
        const [one, other] = [new Prng(testSeed(), stream), new Prng(testSeed(), stream)];
        for (let at = 0; at < CALLS; at += 1) {
          const found = await call(memory.files, "/root", one);
          const expected = await call(systemFiles, folder, other);
          assert.deepEqual(found, expected, `call ${at} of stream ${stream}`);
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    }
  });

  test("after a power cut hold what was synced: the bytes of a file, and the names of a folder", async () => {
    const { files, cutPower } = memoryFiles();
    await files.makeFolder("/a");
    const put = async (file: string, syncs: boolean): Promise<void> => {
      const handle = await files.open(file, "create");
      await handle.write(Buffer.from("content"), 0);
      if (syncs) await handle.sync();
      await handle.close();
    };
    await put("/a/unsynced", false);
    await put("/a/synced", true);
    await files.syncFolder("/");
    await files.syncFolder("/a");
    await put("/a/unnamed", true);
    await files.rename("/a/synced", "/a/renamed");
    const late = await files.open("/a/unsynced", "update");
    cutPower();
    await assert.rejects(late.write(Buffer.from("x"), 0), (error) => isLifeboatError(error, "platform.file-failed"));
    assert.deepEqual(
      (await files.list("/a")).map(({ name }) => name),
      ["synced", "unsynced"],
    );
    assert.deepEqual(
      [`${await files.readFile("/a/synced")}`, `${await files.readFile("/a/unsynced")}`],
      ["content", ""],
    );
  });

  test("after a power cut hold what was written by descriptor and synced, and a descriptor is nobody's once its handle is closed", async () => {
    const { files, cutPower } = memoryFiles();
    await files.makeFile("/f", { sizeBytes: 4, permissions: 0o600 });
    await files.syncFileSystem("/");
    const handle = await files.open("/f", "update");
    const { descriptor = 0 } = handle;
    assert.equal(writeShared(descriptor, Buffer.from("ab"), 0), undefined);
    await handle.sync();
    assert.equal(writeShared(descriptor, Buffer.from("cd"), 2), undefined);
    assert.equal(String(await files.readFile("/f")), "abcd");
    cutPower();
    assert.equal(String(await files.readFile("/f")), "ab\0\0");
    assert.equal(writeShared(descriptor, Buffer.from("ef"), 2), "EBADF");
    const closed = await files.open("/f", "update");
    const { descriptor: gone = 0 } = closed;
    await closed.close();
    assert.equal(writeShared(gone, Buffer.from("x"), 0), "EBADF");
  });

  test("lose a folder with all in it when its own name was not synced, and a rename on both sides or on none", async () => {
    const { files, cutPower } = memoryFiles();
    for (const folder of ["/a", "/b", "/c"]) await files.makeFolder(folder);
    await (await files.open("/a/file", "create")).close();
    await files.syncFileSystem("/");
    await files.makeFolder("/new");
    await (await files.open("/new/file", "create")).close();
    await files.syncFolder("/new");
    await files.rename("/a/file", "/b/file");
    cutPower();
    assert.equal(await files.stat("/new"), undefined);
    assert.equal((await files.stat("/a/file"))?.kind, "file");
    await files.rename("/a/file", "/b/file");
    await files.syncFolder("/b");
    cutPower();
    assert.deepEqual([await files.list("/a"), (await files.list("/b")).length], [[], 1]);
  });

  test("know after a power cut how many names of a file are left", async () => {
    const { files, cutPower } = memoryFiles();
    await (await files.open("/one", "create")).close();
    await files.link("/one", "/two");
    await files.syncFolder("/");
    await files.link("/one", "/three");
    await files.remove("/two");
    await files.link("/one", "/four");
    assert.equal((await files.stat("/one"))?.nameCount, 3);
    cutPower();
    assert.deepEqual([(await files.stat("/two"))?.nameCount, await files.stat("/three")], [2, undefined]);
    await files.remove("/one");
    assert.equal((await files.stat("/two"))?.nameCount, 1);
  });

  test("have a hole where bytes were lost and later ones kept", async () => {
    const { files, cutPower } = memoryFiles();
    const handle = await files.open("/log", "create");
    await files.syncFolder("/");
    for (const [index, text] of ["one ", "two ", "three"].entries()) await handle.write(Buffer.from(text), index * 4);
    const kept = [true, false, true];
    cutPower(() => kept.shift() ?? false);
    assert.equal(`${await files.readFile("/log")}`, "one \0\0\0\0three");
  });
});
