import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { type Files, fileErrorOf } from "../platform/files.ts";
import { memoryFiles } from "../platform/memory-files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { crc32 } from "../vault/crc32.ts";
import type { ChunkTable, PagesFile } from "../vault/manifest.ts";
import type { BackupId } from "../vault/names.ts";
import { AsideWriter, readAside } from "./aside.ts";
import type { KeptFile } from "./compare-files.ts";
import { layoutOf } from "./layout.ts";

const PAGE_COUNT = 4;
const layout = layoutOf("/data", [], { byOid: new Map(), under: undefined });
const NO_CHUNKS = { packs: [] } as unknown as ChunkTable;

function pagesFile(name: string): PagesFile {
  const attributes = { path: name, mode: 0o600, modifiedS: 0, sizeBytes: PAGE_COUNT * BLOCK_BYTES };
  return { kind: "pages", ...attributes, extents: [0, PAGE_COUNT, 0, 0], fingerprints: [] };
}

/** As it is on this machine: `sizeBytes` long. */
function keptOf(sizeBytes: number, differing: readonly number[]): KeptFile {
  const facts = { kind: "file", sizeBytes, modifiedMs: 0, mode: 0o600, uid: 0, gid: 0, nameCount: 1 } as const;
  return { kind: "pages", facts, differing, keptPages: 1 };
}

const MIB = 1024 * 1024;
const page = (letter: string): Buffer => Buffer.alloc(BLOCK_BYTES, letter);

test("what the disk could not write while pages were taken ends the aside, whatever its sync says", async () => {
  const { files } = memoryFiles();
  await files.makeFolder("/aside");
  const refusing: Files = {
    ...files,
    open: async (file, mode, permissions) => {
      const handle = await files.open(file, mode, permissions);
      const writeBack = () => Promise.reject(fileErrorOf("write back", file, "EIO"));
      return Object.assign(Object.create(handle), { writeBack, sync: () => handle.sync() });
    },
  };
  const writer = await AsideWriter.begin(refusing, "/aside/1", { flushBytes: 2 * BLOCK_BYTES });
  await writer.take(page("a"));
  await writer.take(page("b"));
  const request = {
    systemId: "1" as SystemId,
    backupId: "b" as BackupId,
    image: { lines: [], chunks: NO_CHUNKS },
    layout,
  };
  const nothing = { survey: { kept: new Map(), removed: [] }, madeAt: "2026-01-01T00:00:00.000Z" };
  await assert.rejects(writer.finish({ ...request, ...nothing }, {}), { code: "platform.file-failed" });
  assert.equal(await readAside(files, "/aside/1"), undefined);
  await writer.close();
});

test("pages are taken as long as 256 MiB stay free for what else writes to the disk, and those that were taken can be let go", async () => {
  const { files } = memoryFiles();
  await files.makeFolder("/aside");
  let freeBytes = 300 * MIB;
  const small: Files = {
    ...files,
    space: () => Promise.resolve({ freeBytes, totalBytes: 1024 * MIB, device: 1 }),
    open: async (file, mode, permissions) => {
      const handle = await files.open(file, mode, permissions);
      const write = (data: Buffer): Promise<void> => {
        freeBytes -= data.byteLength;
        return Promise.resolve();
      };
      return Object.assign(Object.create(handle), { write, close: () => handle.close() });
    },
  };
  const writer = await AsideWriter.begin(small, "/aside/1");
  const pages = Buffer.alloc(8 * MIB);
  const taken = async (): Promise<void> => {
    for (let times = 0; times < 10; times += 1) await writer.take(pages);
  };
  const wanted = /^the file system of \/aside\/1 has 260 MiB free, at least 264 MiB are needed .* after 40.0 MiB /;
  await assert.rejects(taken(), { code: "restore.no-space", message: wanted });
  assert.equal(freeBytes, 260 * MIB);
  await writer.close();
  await writer.discard();
  assert.deepEqual(await files.list("/aside"), []);
});

test("an aside holds the pages it took, those of a file of which nothing stays excepted, and what lies behind a file's end", async () => {
  const { files } = memoryFiles();
  await files.makeFolder("/data/base");
  await files.makeFolder("/aside");
  const lines = ["base/1", "base/2", "base/3"].map(pagesFile);
  const [first, second, third] = lines.map((line) => ({ line, target: path.join("/data", line.path) }));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const tail = Buffer.alloc(100, "t");
  const handle = await files.open(third.target, "create");
  await handle.write(tail, PAGE_COUNT * BLOCK_BYTES);
  await handle.close();
  const kept = new Map([
    [first.target, keptOf(PAGE_COUNT * BLOCK_BYTES, [1, 1])],
    [third.target, keptOf(PAGE_COUNT * BLOCK_BYTES + tail.byteLength, [0, 1, 3, 1])],
  ]);
  const writer = await AsideWriter.begin(files, "/aside/1");
  await writer.take(page("a"));
  await writer.endFile(first, kept.get(first.target));
  await writer.take(Buffer.concat([page("x"), page("x")]));
  await writer.take(Buffer.concat([page("y"), page("y")]));
  await writer.endFile(second, undefined);
  await writer.take(page("b"));
  await writer.take(page("c"));
  await writer.endFile(third, kept.get(third.target));
  assert.equal(await readAside(files, "/aside/1"), undefined);
  const request = { systemId: "1" as SystemId, backupId: "b" as BackupId, image: { lines, chunks: NO_CHUNKS }, layout };
  const madeAt = "2026-01-01T00:00:00.000Z";
  await writer.finish({ ...request, survey: { kept, removed: [] }, madeAt }, {});
  await writer.close();

  const wanted = Buffer.concat([page("a"), page("b"), page("c"), tail]);
  const pages = await files.readFile("/aside/1/pages");
  assert.equal(pages.compare(wanted), 0, `${pages.byteLength} bytes`);
  const header = await readAside(files, "/aside/1");
  assert.deepEqual(header?.pages, { sizeBytes: wanted.byteLength, crc32: crc32(wanted) });
  const end = PAGE_COUNT * BLOCK_BYTES;
  assert.deepEqual(header?.files, [
    { path: "base/1", sizeBytes: end, ranges: [BLOCK_BYTES, BLOCK_BYTES] },
    { path: "base/3", sizeBytes: end + 100, ranges: [0, BLOCK_BYTES, 3 * BLOCK_BYTES, BLOCK_BYTES, end, 100] },
  ]);
  assert.deepEqual(header?.absent, ["base/2"]);
});
