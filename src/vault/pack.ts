/**
 * Packs: objects of about 32 MiB that hold many chunks.
 *
 * Layout: header (its salt is the pack's own name), the sealed chunks one after another, a sealed index of them, and a
 * footer of 16 bytes. A manifest says where a chunk lies, so restoring needs no index; the index lets the contents be
 * listed from the packs alone.
 */
import { type Codec, codecOf, decompress } from "./codec.ts";
import { encodeHeader, HEADER_BYTES, objectDamaged } from "./header.ts";
import { type KeyId, type PackId, packName } from "./names.ts";
import { type DataKey, deriveObjectKey, type ObjectKey, openFrame, sealFrame, TAG_BYTES } from "./sealing.ts";

/** Plain bytes of a chunk at the most. Vaults have such since before chunks were made smaller. */
export const CHUNK_BYTES_MAX = 128 * 1024;

/**
 * Plain bytes of a chunk that is made, at the most: 8 pages. A restore decompresses a chunk whole for any page of it, so
 * smaller ones are quicker where pages are scattered; larger ones compress better (docs/decisions/0051-chunks-of-64-kib.md).
 */
export const CHUNK_BYTES = 64 * 1024;

/** A pack is closed once it holds this much. Large enough for object stores, small enough to hold two in memory. */
export const PACK_BYTES_TARGET = 32 * 1024 * 1024;

const FOOTER_BYTES = 16;
const FOOTER_MAGIC = Buffer.from("LBPACKv1");
const INDEX_ENTRY_BYTES = 16;
/** A pack of empty chunks would still hold fewer than this many. */
const INDEX_BYTES_MAX = 16 * 1024 * 1024;

/** Where a chunk lies in its pack and what it becomes. */
export type ChunkPlace = {
  readonly ordinal: number;
  readonly offset: number;
  /** Sealed bytes in the pack. */
  readonly storedBytes: number;
  /** Bytes once opened and decompressed. */
  readonly plainBytes: number;
  readonly codec: Codec;
};

/** A pack that was stored. */
export type PackFacts = {
  readonly id: PackId;
  readonly keyId: KeyId;
  readonly sizeBytes: number;
  /** CRC-32 of the object's bytes, to read it back without opening it. */
  readonly crc32: number;
};

/** The key of a pack's frames. */
export function packKey(pack: PackId, dataKey: DataKey): ObjectKey {
  return deriveObjectKey(dataKey, Buffer.from(pack, "hex"));
}

/** The first bytes of a pack. */
export function packHeader(pack: PackId, keyId: KeyId): Buffer {
  return encodeHeader({ kind: "pack", keyId, salt: Buffer.from(pack, "hex") });
}

/** Seals one chunk. */
export function sealChunk(
  key: ObjectKey,
  chunk: { readonly ordinal: number; readonly plainBytes: number; readonly codec: Codec; readonly bytes: Uint8Array },
): readonly [Buffer, Buffer] {
  const number = { space: "data", ordinal: chunk.ordinal } as const;
  return sealFrame(key, { number, meaning: chunkMeaning(chunk), plain: chunk.bytes });
}

/** Opens and decompresses one chunk. Throws `vault.object-damaged` naming the pack. */
export async function openChunk(
  pack: { readonly id: PackId; readonly key: ObjectKey },
  place: ChunkPlace,
  sealed: Buffer,
): Promise<Buffer> {
  const number = { space: "data", ordinal: place.ordinal } as const;
  const bytes = openFrame(pack.key, { number, meaning: chunkMeaning(place), sealed });
  if (bytes === undefined)
    throw objectDamaged(packName(pack.id), `chunk ${place.ordinal} at byte ${place.offset} does not open`);
  const plain = await decompress({ codec: place.codec, bytes }, place.plainBytes);
  if (plain === undefined) throw objectDamaged(packName(pack.id), `chunk ${place.ordinal} does not decompress`);
  return plain;
}

/** The sealed index and the footer that end a pack. */
export function sealIndex(key: ObjectKey, places: readonly ChunkPlace[]): readonly Buffer[] {
  const plain = Buffer.alloc(places.length * INDEX_ENTRY_BYTES);
  for (const [place, entry] of places.entries()) {
    plain.writeUInt32LE(entry.offset, place * INDEX_ENTRY_BYTES);
    plain.writeUInt32LE(entry.storedBytes, place * INDEX_ENTRY_BYTES + 4);
    plain.writeUInt32LE(entry.plainBytes, place * INDEX_ENTRY_BYTES + 8);
    plain.writeUInt32LE(entry.codec, place * INDEX_ENTRY_BYTES + 12);
  }
  const footer = encodeFooter(places.length);
  const [sealed, tag] = sealFrame(key, { number: INDEX_NUMBER, meaning: footer, plain });
  return [sealed, tag, footer];
}

/** Where the index of a pack lies, from its last 16 bytes. Throws `vault.object-damaged` for a pack that was cut. */
export function decodeFooter(
  pack: PackId,
  footer: Buffer,
  packBytes: number,
): { readonly offset: number; readonly length: number } {
  const name = packName(pack);
  if (footer.byteLength !== FOOTER_BYTES || !footer.subarray(8).equals(FOOTER_MAGIC)) {
    throw objectDamaged(name, `it does not end as a pack ends: ${packBytes} bytes were found`);
  }
  const length = footer.readUInt32LE(0);
  const offset = packBytes - FOOTER_BYTES - length;
  const fits = length === footer.readUInt32LE(4) * INDEX_ENTRY_BYTES + TAG_BYTES;
  if (!fits || length > INDEX_BYTES_MAX || offset < HEADER_BYTES) {
    throw objectDamaged(name, "its footer points outside of it");
  }
  return { offset, length };
}

export { FOOTER_BYTES as PACK_FOOTER_BYTES };

/** Opens a pack's index. Throws `vault.object-damaged`. */
export function openIndex(
  pack: { readonly id: PackId; readonly key: ObjectKey },
  sealed: Buffer,
): readonly ChunkPlace[] {
  const name = packName(pack.id);
  // The footer is authenticated with the index; it follows from the index's length.
  const meaning = encodeFooter((sealed.byteLength - TAG_BYTES) / INDEX_ENTRY_BYTES);
  const plain = openFrame(pack.key, { number: INDEX_NUMBER, meaning, sealed });
  if (plain === undefined) throw objectDamaged(name, "its index does not open");
  const places: ChunkPlace[] = [];
  for (let at = 0; at + INDEX_ENTRY_BYTES <= plain.byteLength; at += INDEX_ENTRY_BYTES) {
    const codec = codecOf(plain.readUInt32LE(at + 12));
    if (codec === undefined) throw objectDamaged(name, `chunk ${places.length} has a codec this version does not know`);
    places.push({
      ordinal: places.length,
      offset: plain.readUInt32LE(at),
      storedBytes: plain.readUInt32LE(at + 4),
      plainBytes: plain.readUInt32LE(at + 8),
      codec,
    });
  }
  return places;
}

function encodeFooter(chunkCount: number): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.writeUInt32LE(chunkCount * INDEX_ENTRY_BYTES + TAG_BYTES, 0);
  footer.writeUInt32LE(chunkCount, 4);
  FOOTER_MAGIC.copy(footer, 8);
  return footer;
}

const INDEX_NUMBER = { space: "index", ordinal: 0 } as const;

/** What is authenticated with a chunk's bytes. */
export function chunkMeaning(chunk: { readonly plainBytes: number; readonly codec: Codec }): Buffer {
  const meaning = Buffer.alloc(8);
  meaning.writeUInt32LE(chunk.plainBytes, 0);
  meaning.writeUInt32LE(chunk.codec, 4);
  return meaning;
}
