/**
 * Packs made of given chunks, and the table that a manifest would have of them.
 */
import type { ChunkTable } from "../../src/vault/manifest.ts";
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
