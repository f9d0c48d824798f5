import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { isLifeboatError } from "../../errors/error.ts";
import type { ErrorCode } from "../../errors/registry.ts";
import { systemClock } from "../../platform/clock.ts";
import { type FileFault, faultyFiles } from "../../platform/faulty-files.ts";
import { type Files, systemFiles } from "../../platform/files.ts";
import { systemRandom } from "../../platform/random.ts";
import { testStoreConformance } from "../conformance/conformance.ts";
import type { Store } from "../store.ts";
import { openDiskStore } from "./disk-store.ts";

testStoreConformance("disk store", async () => {
  const folder = newFolder();
  const store = await openOver(folder, systemFiles);
  return { store, close: async () => fs.rmSync(folder, { recursive: true }) };
});

const CONTENT = Buffer.alloc(200_000, "x");

for (const fault of [
  { errno: "ENOSPC", when: "before" },
  { errno: "EIO", when: "after" },
  { errno: "ENOSPC", when: "short" },
  { errno: "EIO", when: "before", forever: true },
  { errno: "EIO", when: "after", forever: true },
] as const) {
  const manner = `${fault.errno} ${fault.when}${"forever" in fault ? " and dead from then on" : ""}`;
  test(`a put that fails at any effect (${manner}) leaves nothing or the whole object, and can be tried again`, async (t) => {
    const folder = testFolder(t);
    let stored = 0;
    for (let at = 1; ; at += 1) {
      const root = path.join(folder, `${at}`);
      if ((await putWithFault(root, { at, ...fault })) === "stored") break;
      stored += await checkAfterFault(root);
      assert.ok(at < 40, "the sweep ends");
    }
    // Link and sync of the folder come after the bytes: some faults must have struck a named object, most an unnamed one.
    assert.ok(fault.when === "short" || stored > 0, "no fault struck after the object had its name");
  });
}

async function putWithFault(root: string, fault: FileFault): Promise<"stored" | "failed"> {
  await openOver(root, systemFiles);
  const counting = faultyFiles(systemFiles);
  await openOver(root, counting.files);
  const faulty = faultyFiles(systemFiles, { ...fault, at: fault.at + counting.effects.length });
  const store = await openOver(root, faulty.files);
  try {
    await store.put("packs/ab/cd.pack", [CONTENT, Buffer.from("end")]);
  } catch (error) {
    faulty.assertFired();
    const expected: ErrorCode = fault.errno === "ENOSPC" ? "platform.disk-full" : "store.failed";
    assert.equal(isLifeboatError(error) ? error.code : error, expected);
    return "failed";
  }
  assert.throws(() => faulty.assertFired(), "a fault must make the put fail");
  return "stored";
}

/** Returns how many objects there are after the fault: 0 or 1. */
async function checkAfterFault(root: string): Promise<number> {
  const store = await openOver(root, systemFiles);
  const keys = await keysOf(store);
  for (const key of keys) assert.equal((await store.get(key)).byteLength, CONTENT.byteLength + 3);
  const again = store.put("packs/ab/cd.pack", [CONTENT, Buffer.from("end")]);
  if (keys.length === 0) await again;
  else await rejectsWith("store.object-exists", again);
  assert.deepEqual(await keysOf(store), ["packs/ab/cd.pack"]);
  return keys.length;
}

test("a put syncs the bytes before the name, and the folder after it", async (t) => {
  const { files, effects } = faultyFiles(systemFiles);
  const root = path.join(testFolder(t), "store");
  const store = await openOver(root, files);
  const before = effects.length;
  await store.put("a/b", [Buffer.from("1")]);
  const put = effects.slice(before).map(({ operation, path: at }) => `${operation} ${named(root, at)}`);
  assert.deepEqual(put, [
    "make folder a",
    "sync .",
    "open tmp/*",
    "write tmp/*",
    "sync tmp/*",
    "link a/b",
    "remove tmp/*",
    "sync a",
  ]);
  const second = effects.length;
  await store.put("a/c", [Buffer.from("1")]);
  assert.equal(effects.slice(second).filter(({ operation }) => operation === "make folder").length, 0);
});

test("a key that is taken is answered only after its name was made durable", async (t) => {
  const { files, effects } = faultyFiles(systemFiles);
  const root = path.join(testFolder(t), "store");
  const store = await openOver(root, files);
  await store.put("a/b", [Buffer.from("1")]);
  await rejectsWith("store.object-exists", store.put("a/b", [Buffer.from("1")]));
  assert.equal(lastSync(), "a");
  await store.put("c/d", [Buffer.from("1")]);
  await store.head("a/b");
  assert.equal(lastSync(), "a");

  function lastSync(): string {
    return named(root, effects.findLast(({ operation }) => operation === "sync")?.path ?? "");
  }
});

/** Files that tell what is written, and when it is written back. */
function watchedFiles(written: (data: Uint8Array) => void, back: () => void = () => undefined): Files {
  return {
    ...systemFiles,
    open: async (...open) => {
      const handle = await systemFiles.open(...open);
      return {
        read: (at) => handle.read(at),
        write: (data, position) => {
          written(data);
          return handle.write(data, position);
        },
        writeNow: (data, position) => handle.writeNow(data, position),
        writeParts: (parts) => handle.writeParts(parts),
        truncate: (length) => handle.truncate(length),
        sync: () => handle.sync(),
        writeBack: () => {
          back();
          return handle.writeBack();
        },
        syncNow: () => handle.syncNow(),
        stat: () => handle.stat(),
        close: () => handle.close(),
      };
    },
  };
}

test("many small parts are written in few writes, and large ones are not copied", async (t) => {
  const written: Uint8Array[] = [];
  const files = watchedFiles((data) => written.push(data));
  const store = await openOver(path.join(testFolder(t), "store"), files);
  const large = Buffer.alloc(1_000_000, 1);
  const small = Array.from({ length: 2000 }, (_, index) => Buffer.alloc(1000, index));
  await store.put("a", [...small, large, ...small]);
  assert.ok(written.length <= 5, `${written.length} writes`);
  assert.ok(written.some(({ buffer, byteOffset }) => buffer === large.buffer && byteOffset === large.byteOffset));
  assert.ok((await store.get("a")).equals(Buffer.concat([...small, large, ...small])));
});

test("where others wait for the disk an object is written back in quarters of a MiB, with a rest between", async (t) => {
  const told: string[] = [];
  const files = watchedFiles(
    ({ byteLength }) => told.push(`${byteLength / 1024} KiB`),
    () => told.push("back"),
  );
  const store = await openOver(path.join(testFolder(t), "store"), files);
  const object = Buffer.alloc(600 * 1024, 7);
  await store.put("a", [object], { between: async () => void told.push("rest") });
  const piece = ["256 KiB", "back", "rest"];
  assert.deepEqual(told, [...piece, ...piece, "88 KiB"]);
  assert.ok((await store.get("a")).equals(object));
  told.length = 0;
  await store.put("b", [object]);
  assert.deepEqual(told, ["600 KiB"]);
});

test("a stop on request between two parts leaves nothing behind", async (t) => {
  const root = path.join(testFolder(t), "store");
  const stop = new AbortController();
  const files: Files = {
    ...systemFiles,
    open: async (...open) => {
      stop.abort();
      return systemFiles.open(...open);
    },
  };
  const store = await openOver(root, files);
  await rejectsWith("platform.aborted", store.put("a", [CONTENT, CONTENT], { signal: stop.signal }));
  assert.deepEqual(await keysOf(store), []);
  assert.deepEqual(fs.readdirSync(path.join(root, "tmp")), []);
});

test("unfinished objects older than a day are removed when opened for writing, younger ones and others' files stay", async (t) => {
  const root = path.join(testFolder(t), "store");
  await openOver(root, systemFiles);
  const dayAgo = (Date.now() - 25 * 3600 * 1000) / 1000;
  for (const name of [".old.0011.tmp", "old-but-ours-not"]) {
    fs.writeFileSync(path.join(root, "tmp", name), "x");
    fs.utimesSync(path.join(root, "tmp", name), dayAgo, dayAgo);
  }
  fs.writeFileSync(path.join(root, "tmp", ".young.0011.tmp"), "x");
  await openDiskStore({ folder: root, files: systemFiles, random: systemRandom, access: "read", clock: systemClock });
  assert.equal(fs.readdirSync(path.join(root, "tmp")).length, 3);
  await openDiskStore({ folder: root, files: systemFiles, random: systemRandom, clock: systemClock });
  assert.deepEqual(fs.readdirSync(path.join(root, "tmp")).sort(), [".young.0011.tmp", "old-but-ours-not"]);
});

test("a folder without the mark of a store proves nothing absent", async (t) => {
  const root = path.join(testFolder(t), "store");
  const reader = { folder: root, files: systemFiles, random: systemRandom, access: "read" } as const;
  await rejectsWith("store.not-a-store", openDiskStore(reader));
  assert.equal(fs.existsSync(root), false);
  const store = await openOver(root, systemFiles);
  await store.put("a/b", [Buffer.from("1")]);
  fs.renameSync(root, `${root}-unmounted`);
  fs.mkdirSync(root);
  await rejectsWith("store.not-a-store", store.get("a/b"));
  await rejectsWith("store.not-a-store", store.head("a/b"));
  await rejectsWith("store.not-a-store", keysOf(store));
  await rejectsWith("store.failed", store.put("a/c", [Buffer.from("1")]));
});

test("a store open for reading changes nothing", async (t) => {
  const root = path.join(testFolder(t), "store");
  const writer = await openOver(root, systemFiles);
  await writer.put("a", [Buffer.from("1")]);
  const counting = faultyFiles(systemFiles);
  const reader = await openDiskStore({ folder: root, files: counting.files, random: systemRandom, access: "read" });
  await rejectsWith("store.read-only", reader.put("b", []));
  await rejectsWith("store.read-only", reader.delete("a"));
  assert.deepEqual(await keysOf(reader), ["a"]);
  assert.equal((await reader.head("a"))?.sizeBytes, 1);
  assert.equal((await reader.get("a")).toString(), "1");
  const operations = new Set(counting.effects.map(({ operation }) => operation));
  assert.deepEqual([...operations].sort(), ["list", "look at", "read"]);
});

test("a listing rejects when a folder cannot be read, and when something is not a plain file", async (t) => {
  const root = path.join(testFolder(t), "store");
  const store = await openOver(root, systemFiles);
  await store.put("a/1", [Buffer.from("1")]);
  await store.put("b/1", [Buffer.from("1")]);
  for (let at = 1; ; at += 1) {
    const faulty = faultyFiles(systemFiles, { at, errno: "EIO", when: "before" });
    const opened = openDiskStore({ folder: root, files: faulty.files, random: systemRandom, access: "read" });
    const listed = await opened.then(keysOf).catch((error: unknown) => error);
    if (Array.isArray(listed)) {
      assert.deepEqual(listed, ["a/1", "b/1"]);
      assert.ok(at > 5);
      break;
    }
    assert.equal(isLifeboatError(listed, "store.failed"), true);
  }
  fs.writeFileSync(path.join(root, "a", ".nfs0001"), "no object's name");
  assert.deepEqual(await keysOf(store), ["a/1", "b/1"]);
  fs.symlinkSync("/etc/hostname", path.join(root, "c"));
  await rejectsWith("store.failed", keysOf(store));
});

function newFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), "lifeboat-disk-store-"));
}

function testFolder(t: TestContext): string {
  const folder = newFolder();
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

function openOver(folder: string, files: Files): Promise<Store> {
  return openDiskStore({ folder, files, random: systemRandom });
}

function named(root: string, at: string): string {
  return (path.relative(root, at) || ".").replace(/^tmp\/.*/, "tmp/*");
}

async function keysOf(store: Store): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("")) keys.push(key);
  return keys;
}

async function rejectsWith(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.equal(isLifeboatError(error) ? error.code : error, code);
    return true;
  });
}
