import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createTestVault } from "../../test/support/vaults.ts";
import { isLifeboatError } from "../errors/error.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { listBackups } from "./backups.ts";
import {
  type ManifestEnd,
  type ManifestFile,
  type ManifestHeader,
  ManifestWriter,
  readManifest,
  ZERO_CHUNK,
} from "./manifest.ts";
import { type BackupId, backupName, type KeyId, type PackId } from "./names.ts";
import { putBlob, type Vault } from "./vault.ts";

const backup = { systemId: "7" as SystemId, backupId: "20261122t221530z-00000001" as BackupId };
const header: ManifestHeader = {
  kind: "manifest",
  format: "lifeboat-manifest",
  version: 1,
  ...backup,
  serverVersion: 160_000,
  timeline: 1 as Timeline,
  startLsn: "0/100028",
  startedAt: "2026-11-22T22:15:30.000Z",
  label: "",
  parent: null,
  whyFull: "no-parent",
  settings: {},
  history: null,
  tablespaces: [],
};
const end: ManifestEnd = {
  kind: "end",
  endLsn: "0/100100",
  endTimeline: 1 as Timeline,
  endedAt: "2026-11-22T22:15:31.000Z",
  fileCount: 1,
  dataBytes: 1,
  chunkCount: 3,
  catalogVersion: 202307071,
  blockBytes: 8192,
  relationSegmentBlocks: 131_072,
  walSegmentBytes: 1_048_576,
  dataChecksumVersion: 0,
};
const attributes = { path: "base/5/16384", mode: 0o600, modifiedS: 0 };
const pages = {
  kind: "pages",
  ...attributes,
  sizeBytes: 3 * 8192,
  extents: [0, 2, 0, 4, 2, 1, ZERO_CHUNK, 0],
  fingerprints: [2, 0, 36],
} satisfies ManifestFile;
const bytes = {
  kind: "bytes",
  ...attributes,
  sizeBytes: 30,
  pieces: [2, 36, 20, 0, 0, 10],
  contentName: "0".repeat(64),
} satisfies ManifestFile;

const facts = { id: "0".repeat(32) as PackId, keyId: "1".repeat(32) as KeyId, sizeBytes: 500, crc32: 1 };
const place = { ordinal: 0, offset: 48, storedBytes: 100, plainBytes: 81_920, codec: 1 } as const;

async function write(
  lines: { readonly files: readonly ManifestFile[]; readonly numbers?: readonly number[] },
  vault?: Vault,
): Promise<Vault> {
  const into = vault ?? (await createTestVault());
  const writer = new ManifestWriter(into, header);
  for (const file of lines.files) await writer.file(file);
  const numbers = lines.numbers ?? [0, 2];
  writer.pack({ facts, numbers, places: numbers.map((_, ordinal) => ({ ...place, ordinal })) });
  const object = await writer.end(end);
  await into.store.put(object.name, object.parts);
  return into;
}

const isDamage = (error: unknown): boolean => isLifeboatError(error, "vault.object-damaged");

describe("a manifest", () => {
  test("comes back line by line, with chunk numbers that are used and one that is not", async () => {
    const files: ManifestFile[] = [];
    const vault = await write({ files: [pages, bytes] });
    const read = await readManifest(vault, backup, { onFile: (file) => files.push(file) }, {});
    assert.deepEqual(files, [pages, bytes]);
    assert.deepEqual([...read.chunks.plainBytes], [81_920, 0, 81_920]);
    assert.deepEqual(read.header, header);
    assert.deepEqual(read.end, end);
  });

  test("that does not say where every byte of a file lies is refused", async () => {
    const wrong: readonly ManifestFile[] = [
      { ...pages, sizeBytes: 4 * 8192 },
      { ...pages, sizeBytes: 3 * 8192 - 1 },
      { ...pages, extents: [0, 2, 0, 4] },
      { ...pages, extents: [1, 3, 0, 4] },
      { ...pages, extents: [0, 2, 0, 4, 2, 1, -2, 0] },
      { ...pages, extents: [0, 2, 0, -1, 2, 1, 0, 9] },
      { ...pages, extents: [0, 0, 0, 0, 0, 3, 0, 4] },
      { ...pages, extents: [...pages.extents, 3] },
      { ...pages, fingerprints: [2, 0, 24] },
      { ...bytes, pieces: [2, 36, 20] },
      { ...bytes, pieces: [2, 36, 30, 0] },
    ];
    for (const file of wrong) {
      const vault = await write({ files: [file] });
      await assert.rejects(readManifest(vault, backup, {}, {}), isDamage, JSON.stringify(file));
    }
  });

  test("that names a chunk twice, or one past its count, is refused", async () => {
    for (const numbers of [
      [0, 0],
      [0, 3],
    ]) {
      await assert.rejects(readManifest(await write({ files: [pages], numbers }), backup, {}, {}), isDamage);
    }
  });

  test("asks for room between packs as between files, and then has all of them", async () => {
    const vault = await createTestVault();
    const writer = new ManifestWriter(vault, header);
    let [chunkCount, rooms] = [0, 0];
    for (let pack = 0; pack < 500; pack += 1) {
      const numbers = Array.from({ length: 400 }, (_, index) => chunkCount + index);
      chunkCount += numbers.length;
      writer.pack({ facts, numbers, places: numbers.map((_, ordinal) => ({ ...place, ordinal })) });
      const room = writer.room();
      rooms += room === undefined ? 0 : 1;
      await room;
    }
    assert.ok(rooms > 1, "what waits is kept short");
    assert.equal(writer.room(), undefined);
    const object = await writer.end({ ...end, chunkCount });
    await vault.store.put(object.name, object.parts);
    const { chunks } = await readManifest(vault, backup, {}, {});
    assert.ok(chunks.plainBytes.length === chunkCount && chunks.plainBytes.every((size) => size === 81_920));
  });

  test("of a later version is named as such, and so is an announcement", async () => {
    const vault = await createTestVault();
    const text = (format: string): Buffer => Buffer.from(`${JSON.stringify({ format, version: 2 })}\n`);
    await putBlob(vault, { name: backupName(backup, "manifest"), plain: text("lifeboat-manifest") }, {});
    await putBlob(vault, { name: backupName(backup, "announced"), plain: text("lifeboat-backup") }, {});
    await assert.rejects(readManifest(vault, backup, {}, {}), (error) =>
      isLifeboatError(error, "vault.format-unknown"),
    );
    const { damaged } = await listBackups(vault, {}, {});
    assert.deepEqual(
      damaged.map(({ reason }) => reason.code),
      ["vault.format-unknown"],
    );
  });
});
