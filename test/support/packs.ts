/**
 * Packs made of given chunks, and the table that a manifest would have of them.
 */
import { crc32 } from "node:zlib";
import { systemRandom } from "../../src/platform/random.ts";
import type { ChunkTable } from "../../src/vault/manifest.ts";
import { type PackId, packName } from "../../src/vault/names.ts";
import { type ChunkPlace, packHeader, packKey, sealChunk, sealIndex } from "../../src/vault/pack.ts";
import { PackWriter, type StoredPack } from "../../src/vault/pack-writer.ts";
import type { Vault } from "../../src/vault/vault.ts";

const compression = { level: 1 };

/** Stores chunks; their numbers are their places in `plains`. */
export async function writeChunks(
  vault: Vault,
  plains: readonly Buffer[],
  signal?: AbortSignal,
): Promise<readonly StoredPack[]> {
  const packs: StoredPack[] = [];
  const writer = new PackWriter(vault, { compression, onPack: (pack) => packs.push(pack), signal });
  try {
    for (const plain of plains) {
      const chunk = writer.open();
      plain.copy(chunk.buffer);
      writer.submit(chunk, plain.byteLength);
      await writer.room();
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
  return packs;
}

/** Stores chunks as large as they are given, as earlier versions did, in one pack, uncompressed. */
export async function writeLargeChunks(vault: Vault, plains: readonly Buffer[]): Promise<StoredPack> {
  const id = systemRandom(16).toString("hex") as PackId;
  const key = packKey(id, vault.dataKey);
  const parts = [packHeader(id, vault.dataKey.id)];
  const places: ChunkPlace[] = [];
  let offset = parts[0]?.byteLength ?? 0;
  for (const [ordinal, bytes] of plains.entries()) {
    const facts = { ordinal, plainBytes: bytes.byteLength, codec: 0 } as const;
    const sealed = Buffer.concat(sealChunk(key, { ...facts, bytes }));
    places.push({ ...facts, offset, storedBytes: sealed.byteLength });
    parts.push(sealed);
    offset += sealed.byteLength;
  }
  const object = Buffer.concat([...parts, ...sealIndex(key, places)]);
  await vault.store.put(packName(id), [object]);
  const facts = { id, keyId: vault.dataKey.id, sizeBytes: object.byteLength, crc32: crc32(object) };
  return { facts, numbers: [...plains.keys()], places };
}

/** The chunks of packs by number. */
export function tableOf(packs: readonly StoredPack[]): ChunkTable {
  const count = packs.reduce((sum, pack) => sum + pack.numbers.length, 0);
  const table = {
    packs: packs.map((pack) => pack.facts),
    packOf: new Uint32Array(count),
    ordinals: new Uint32Array(count),
    offsets: new Uint32Array(count),
    storedBytes: new Uint32Array(count),
    plainBytes: new Uint32Array(count),
    codecs: new Uint8Array(count),
  };
  for (const [index, pack] of packs.entries()) {
    for (const [at, place] of pack.places.entries()) {
      const number = pack.numbers[at] ?? 0;
      table.packOf[number] = index;
      table.ordinals[number] = place.ordinal;
      table.offsets[number] = place.offset;
      table.storedBytes[number] = place.storedBytes;
      table.plainBytes[number] = place.plainBytes;
      table.codecs[number] = place.codec;
    }
  }
  return table;
}
