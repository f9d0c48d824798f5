import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { storeSyntheticBackup } from "../../test/support/synthetic-backups.ts";
import { createTestVault } from "../../test/support/vaults.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { ManifestWriter, readManifest } from "../vault/manifest.ts";
import { backupName, type PackId } from "../vault/names.ts";
import { ParentImage } from "./parent-image.ts";

const CHUNK_PAGES = 16;
const CHUNK_STORED_BYTES = 100;
const FINGERPRINT_BYTES = 12;

/** A pack as a manifest names it: of its `size`, the chunks that are in use, each with so many of its 16 pages. */
type Pack = { readonly id: string; readonly chunksInAll: number; readonly livePages: readonly number[] };

/** For each chunk of each pack whether its pages may be kept. */
async function worthOf(packs: readonly Pack[]): Promise<readonly (readonly boolean[])[]> {
  const { parent, numbers } = await parentOf(packs);
  return numbers.map((own) => own.map((number) => parent.isWorthKeeping(number)));
}

/** A parent with these packs, and the numbers of their chunks. */
async function parentOf(
  packs: readonly Pack[],
): Promise<{ readonly parent: ParentImage; readonly numbers: readonly (readonly number[])[] }> {
  const vault = await createTestVault();
  const { record } = await storeSyntheticBackup(vault, { systemId: "7" as SystemId, segment: 3 });
  const { header, end } = await readManifest(vault, record, {}, {});
  const writer = new ManifestWriter(vault, header);
  const numbers: number[][] = [];
  const extents: number[] = [];
  let [chunkCount, page] = [0, 0];
  for (const pack of packs) {
    const own = pack.livePages.map((_, index) => chunkCount + index);
    for (const [index, pages] of pack.livePages.entries()) {
      extents.push(page, pages, chunkCount + index, 0);
      page += pages;
    }
    chunkCount += own.length;
    numbers.push(own);
    const facts = {
      id: pack.id.padEnd(32, "0") as PackId,
      keyId: vault.dataKey.id,
      sizeBytes: pack.chunksInAll * CHUNK_STORED_BYTES,
      crc32: 0,
    };
    const places = own.map((_, index) => ({
      ordinal: index,
      offset: index * CHUNK_STORED_BYTES,
      storedBytes: CHUNK_STORED_BYTES,
      plainBytes: CHUNK_PAGES * BLOCK_BYTES,
      codec: 0 as const,
    }));
    writer.pack({ facts, numbers: own, places });
  }
  const attributes = {
    path: "base/5/16384",
    mode: 0o600,
    modifiedS: 0,
    fingerprints: [0, 0, page * FINGERPRINT_BYTES],
  };
  await writer.file({ kind: "pages", ...attributes, sizeBytes: page * BLOCK_BYTES, extents });
  const object = await writer.end({ ...end, chunkCount });
  await vault.store.delete(backupName(record, "manifest"));
  await vault.store.put(object.name, object.parts);
  return { parent: await ParentImage.open(vault, record, {}), numbers };
}

const full = (count: number): readonly number[] => Array.from({ length: count }, () => CHUNK_PAGES);

describe("what of a parent is stored again although it did not change", () => {
  test("chunks of which less than three eighths is in use", async () => {
    const livePages = [...full(17), 6, 5, 1];
    const [worth] = await worthOf([{ id: "80", chunksInAll: 20, livePages }]);
    assert.deepEqual(
      worth,
      livePages.map((pages) => pages >= 6),
    );
  });

  test("packs of which less than 15 to 35 % is in use, by their name", async () => {
    const pack = (id: string, live: number): Pack => ({ id, chunksInAll: 100, livePages: full(live) });
    const cases = [
      [pack("00", 16), true],
      [pack("00", 14), false],
      [pack("80", 26), true],
      [pack("80", 24), false],
      [pack("ff", 36), true],
      [pack("ff", 34), false],
    ] as const;
    const worth = await worthOf(cases.map(([each]) => each));
    for (const [index, [{ id, livePages }, kept]] of cases.entries()) {
      assert.deepEqual(new Set(worth[index]), new Set([kept]), `${livePages.length} % of pack ${id}`);
    }
  });
});

test("what is kept of a parent is named pack by pack, each chunk once, by its number in the new manifest", async () => {
  const { parent, numbers } = await parentOf([
    { id: "aa", chunksInAll: 3, livePages: full(3) },
    { id: "bb", chunksInAll: 2, livePages: full(2) },
    { id: "cc", chunksInAll: 2, livePages: full(2) },
  ]);
  const [first = [], , last = []] = numbers;
  let reserved = 100;
  const packs = { reserveNumber: () => reserved++ };
  const asked = [last[1], first[2], first[0], last[1], first[2]].map((chunk) => parent.numberOf(chunk ?? -1, packs));
  assert.deepEqual(asked, [100, 101, 102, 100, 101]);
  const kept = parent.keptChunks();
  const ids = ["aa", "cc"].map((id) => id.padEnd(32, "0"));
  assert.deepEqual(
    kept.packs.map(({ id }) => id),
    ids,
  );
  const stored = [...kept.stored()].map((pack) => ({
    id: pack.facts.id,
    numbers: pack.numbers,
    ordinals: pack.places.map(({ ordinal }) => ordinal),
  }));
  assert.deepEqual(stored, [
    { id: ids[0], numbers: [102, 101], ordinals: [0, 2] },
    { id: ids[1], numbers: [100], ordinals: [1] },
  ]);
});
