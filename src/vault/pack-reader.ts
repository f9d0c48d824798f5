/**
 * Fetches chunks from packs: neighbours in one request, opened and decompressed on the way.
 */
import { isLifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { ObjectRange, OpenObject } from "../store/store.ts";
import type { Codec } from "./codec.ts";
import { crc32 } from "./crc32.ts";
import { objectDamaged, objectMissing } from "./header.ts";
import type { ChunkTable } from "./manifest.ts";
import { type PackId, packName } from "./names.ts";
import {
  type ChunkPlace,
  decodeFooter,
  openChunk,
  openIndex,
  PACK_FOOTER_BYTES,
  type PackFacts,
  packKey,
} from "./pack.ts";
import { dataKeyOf, type Vault } from "./vault.ts";

/** Bytes fetched at a time: long enough for a disk or an object store, short enough to overlap with opening. */
const RANGE_BYTES_MAX = 1024 * 1024;
/** Unwanted bytes that are cheaper to read than to skip. */
const GAP_BYTES_MAX = 256 * 1024;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A chunk that was fetched, with its number in the manifest. */
export type FetchedChunk = { readonly number: number; readonly plain: Promise<Buffer> };

/** Where a chunk lies, from a manifest's table. */
export function placeOf(table: ChunkTable, number: number): ChunkPlace {
  return {
    ordinal: table.ordinals[number] ?? 0,
    offset: table.offsets[number] ?? 0,
    storedBytes: table.storedBytes[number] ?? 0,
    plainBytes: table.plainBytes[number] ?? 0,
    codec: (table.codecs[number] ?? 0) as Codec,
  };
}

/** The chunk numbers of each pack, in the order of `table.packs`. Numbers that were never used are in none. */
export function chunksByPack(table: ChunkTable): readonly (readonly number[])[] {
  const byPack: number[][] = table.packs.map(() => []);
  for (const [number, pack] of table.packOf.entries()) {
    if (table.plainBytes[number] !== 0) byPack[pack]?.push(number);
  }
  return byPack;
}

/**
 * Fetches chunks of one pack in the order they lie. `plain` is being decompressed when it is yielded: await it, or keep a
 * bounded number. Throws `vault.object-missing` or `vault.object-damaged` naming the pack.
 */
export async function* fetchChunks(
  vault: Vault,
  wanted: { readonly table: ChunkTable; readonly pack: PackFacts; readonly numbers: readonly number[] },
  options: CallOptions,
): AsyncGenerator<FetchedChunk> {
  const { pack, table } = wanted;
  const name = packName(pack.id);
  const key = packKey(pack.id, dataKeyOf(vault, { name, keyId: pack.keyId }));
  const numbers = [...wanted.numbers].sort((a, b) => (table.offsets[a] ?? 0) - (table.offsets[b] ?? 0));
  const ranges = [...rangesOf(table, numbers)];
  // Two buffers in turns: a chunk is opened, which copies it, before the range after the next is asked for.
  const lengthMax = Math.max(0, ...ranges.map((range) => range.length));
  const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(lengthMax));
  const fetch = (index: number): Promise<Buffer> | undefined => {
    const range = ranges[index];
    return range && fetchRange(vault, name, { ...range, into: buffers[index % 2] }, options);
  };
  let next = fetch(0);
  // A stop on request may come before anybody waits for it.
  next?.catch(() => undefined);
  for (const [index, range] of ranges.entries()) {
    throwIfAborted(options.signal, "fetching chunks");
    const bytes = await next;
    next = fetch(index + 1);
    // Nobody may be left to take a rejection when the consumer stops early.
    next?.catch(() => undefined);
    if (bytes === undefined) throw objectDamaged(name, "a range was not fetched");
    for (const number of range.numbers) {
      const place = placeOf(table, number);
      const from = place.offset - range.offset;
      const plain = openChunk({ id: pack.id, key }, place, bytes.subarray(from, from + place.storedBytes));
      plain.catch(() => undefined);
      yield { number, plain };
    }
  }
}

/** Reads a pack whole and compares it with what was noted when it was stored. Throws like `fetchChunks`. */
export async function checkPackBytes(vault: Vault, pack: PackFacts, options: CallOptions): Promise<void> {
  const name = packName(pack.id);
  let crc = 0;
  const into = Buffer.allocUnsafeSlow(RANGE_BYTES_MAX);
  for (let offset = 0; offset < pack.sizeBytes; offset += RANGE_BYTES_MAX) {
    const length = Math.min(RANGE_BYTES_MAX, pack.sizeBytes - offset);
    crc = crc32(await fetchRange(vault, name, { offset, length, into }, options), crc);
  }
  if (crc !== pack.crc32) throw objectDamaged(name, `its CRC is ${crc}, ${pack.crc32} was stored`);
}

/** The chunks of a pack by its own index. */
export async function readPackIndex(
  vault: Vault,
  pack: { readonly id: PackId; readonly keyId: PackFacts["keyId"]; readonly sizeBytes: number },
  options: CallOptions,
): Promise<readonly ChunkPlace[]> {
  const name = packName(pack.id);
  const at = pack.sizeBytes - PACK_FOOTER_BYTES;
  if (at < 0) throw objectDamaged(name, `it has ${pack.sizeBytes} bytes`);
  const footer = await fetchRange(vault, name, { offset: at, length: PACK_FOOTER_BYTES }, options);
  const index = decodeFooter(pack.id, footer, pack.sizeBytes);
  const key = packKey(pack.id, dataKeyOf(vault, { name, keyId: pack.keyId }));
  return openIndex({ id: pack.id, key }, await fetchRange(vault, name, index, options));
}

type Range = { readonly offset: number; readonly length: number; readonly numbers: readonly number[] };

function* rangesOf(table: ChunkTable, numbers: readonly number[]): Generator<Range> {
  let current: { offset: number; end: number; numbers: number[] } | undefined;
  for (const number of numbers) {
    const offset = table.offsets[number] ?? 0;
    const end = offset + (table.storedBytes[number] ?? 0);
    const joins =
      current !== undefined && offset - current.end <= GAP_BYTES_MAX && end - current.offset <= RANGE_BYTES_MAX;
    if (current !== undefined && joins) {
      current.end = end;
      current.numbers.push(number);
    } else {
      if (current !== undefined)
        yield { offset: current.offset, length: current.end - current.offset, numbers: current.numbers };
      current = { offset, end, numbers: [number] };
    }
  }
  if (current !== undefined)
    yield { offset: current.offset, length: current.end - current.offset, numbers: current.numbers };
}

/** Opens an object of which many parts are wanted. Throws `vault.object-missing`; reading it throws as `fetchRange` does. */
export async function openObject(vault: Vault, name: string, options: CallOptions): Promise<OpenObject> {
  const { store } = vault;
  if (store.openObject === undefined) {
    return { getRange: (range, of = {}) => fetchRange(vault, name, range, of), close: async () => undefined };
  }
  const opening = store.openObject(name, options);
  const object = await named(name, () => opening);
  return { getRange: (range, of) => named(name, () => object.getRange(range, of)), close: () => object.close() };
}

/** Part of an object. Throws `vault.object-missing`, or `vault.object-damaged` when the object is shorter. */
export function fetchRange(vault: Vault, name: string, range: ObjectRange, options: CallOptions): Promise<Buffer> {
  return named(name, () => vault.store.getRange(name, range, options));
}

async function named<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isLifeboatError(error, "store.object-truncated")) throw objectDamaged(name, "it is shorter than it was", error);
    if (isLifeboatError(error, "store.object-missing")) throw objectMissing(name, error);
    throw error;
  }
}
