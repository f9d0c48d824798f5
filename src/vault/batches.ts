/**
 * Fetches many chunks of many packs, opened beside the main thread.
 *
 * Nouns: a *batch* is what is fetched by one request and opened by one thread (threads/opener.ts); a *slot* is the memory
 * that a batch goes through, used again by a later one.
 * Invariants: memory is bounded by the slots, whatever is fetched; a batch's bytes hold until the next one is asked for.
 */
import { throwIfAborted } from "../platform/clock.ts";
import { objectDamaged } from "./header.ts";
import type { ChunkTable } from "./manifest.ts";
import { packName } from "./names.ts";
import { type ChunkPlace, type PackFacts, packKey } from "./pack.ts";
import { fetchRange, placeOf } from "./pack-reader.ts";
import type { ObjectKey } from "./sealing.ts";
import { OpenerPool } from "./threads/opener-pool.ts";
import { dataKeyOf, type Vault } from "./vault.ts";

/** Bytes fetched by one request: long enough for a disk or an object store. */
const INPUT_BYTES = 1024 * 1024;
/** Unwanted bytes that are cheaper to read than to skip. */
const GAP_BYTES_MAX = 256 * 1024;
/** Plain bytes of a batch. A MiB of sealed pages has about three. */
const OUTPUT_BYTES = 4 * 1024 * 1024;
/** Less than this is opened before a thread has started. */
const BESIDE_BYTES_MIN = 32 * 1024 * 1024;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Chunks that were fetched: their plain bytes lie one behind the other, those of `numbers[i]` from `starts[i]` on. */
export type FetchedBatch = {
  readonly numbers: readonly number[];
  readonly starts: readonly number[];
  readonly plain: Buffer;
};

/** What is wanted, of one table. */
export type WantedChunks = { readonly table: ChunkTable; readonly numbers: readonly number[] };

/** Fetches chunks, once or again and again, by threads that are started when there is enough to do. Close it. */
export class BatchFetcher {
  readonly #vault: Vault;
  readonly #pool: OpenerPool;
  readonly #besideBytesMin: number;
  /** Of everything that was wanted so far. */
  #plainBytes = 0;

  /** `besideBytesMin`: so many plain bytes are worth a thread. */
  constructor(vault: Vault, besideBytesMin: number = BESIDE_BYTES_MIN) {
    this.#vault = vault;
    this.#pool = new OpenerPool({ inputBytes: INPUT_BYTES, outputBytes: OUTPUT_BYTES });
    this.#besideBytesMin = besideBytesMin;
  }

  /**
   * Fetches chunks pack by pack, in the order they lie. One call at a time. Throws `vault.object-missing` or
   * `vault.object-damaged` naming the pack.
   */
  async *fetch({ table, numbers }: WantedChunks, options: CallOptions): AsyncGenerator<FetchedBatch> {
    const pool = this.#pool;
    for (const number of numbers) this.#plainBytes += table.plainBytes[number] ?? 0;
    if (this.#plainBytes >= this.#besideBytesMin) pool.startThreads();
    const underWay: Promise<FetchedBatch>[] = [];
    // One slot is with whoever took the batch before.
    const underWayMax = pool.slots.length - 1;
    let count = 0;
    try {
      for (const batch of batchesOf(this.#vault, table, numbers)) {
        throwIfAborted(options.signal, "fetching chunks");
        const work = fetchBatch({ vault: this.#vault, pool }, batch, count % pool.slots.length, options);
        count += 1;
        // Nobody may be left to take a rejection when another one comes first, or the consumer stops.
        work.catch(() => undefined);
        underWay.push(work);
        const oldest = underWay.length === underWayMax ? underWay.shift() : undefined;
        if (oldest !== undefined) yield await oldest;
      }
      for (let oldest = underWay.shift(); oldest !== undefined; oldest = underWay.shift()) {
        throwIfAborted(options.signal, "fetching chunks");
        yield await oldest;
      }
    } finally {
      // Threads and reads write into the slots until they are done.
      await Promise.allSettled(underWay);
    }
  }

  /** Ends the threads and frees what they hold. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Fetches chunks once, as `BatchFetcher` does. */
export async function* fetchBatches(
  vault: Vault,
  wanted: WantedChunks,
  options: CallOptions,
): AsyncGenerator<FetchedBatch> {
  const fetcher = new BatchFetcher(vault);
  try {
    yield* fetcher.fetch(wanted, options);
  } finally {
    await fetcher.close();
  }
}

type Batch = {
  readonly pack: PackFacts;
  readonly key: ObjectKey;
  readonly offset: number;
  readonly end: number;
  readonly plainBytes: number;
  readonly numbers: readonly number[];
  readonly places: readonly ChunkPlace[];
};

function* batchesOf(vault: Vault, table: ChunkTable, numbers: readonly number[]): Generator<Batch> {
  for (const [index, mine] of byPack(table, numbers)) {
    const pack = table.packs[index];
    if (pack === undefined) continue;
    const key = packKey(pack.id, dataKeyOf(vault, { name: packName(pack.id), keyId: pack.keyId }));
    mine.sort((a, b) => (table.offsets[a] ?? 0) - (table.offsets[b] ?? 0));
    let current:
      | { end: number; plainBytes: number; offset: number; numbers: number[]; places: ChunkPlace[] }
      | undefined;
    for (const number of mine) {
      const place = placeOf(table, number);
      const end = place.offset + place.storedBytes;
      const joins =
        current !== undefined &&
        place.offset - current.end <= GAP_BYTES_MAX &&
        end - current.offset <= INPUT_BYTES &&
        current.plainBytes + place.plainBytes <= OUTPUT_BYTES;
      if (current === undefined || !joins) {
        if (current !== undefined) yield { pack, key, ...current };
        current = { offset: place.offset, end, plainBytes: 0, numbers: [], places: [] };
      }
      current.end = end;
      current.plainBytes += place.plainBytes;
      current.numbers.push(number);
      current.places.push(place);
    }
    if (current !== undefined) yield { pack, key, ...current };
  }
}

/** In the order of the packs in the table. Numbers that were never used are in none. */
function byPack(table: ChunkTable, numbers: readonly number[]): readonly (readonly [number, number[]])[] {
  const packs = new Map<number, number[]>();
  for (const number of numbers) {
    if ((table.plainBytes[number] ?? 0) === 0) continue;
    const pack = table.packOf[number] ?? 0;
    const known = packs.get(pack);
    if (known === undefined) packs.set(pack, [number]);
    else known.push(number);
  }
  return [...packs].sort(([a], [b]) => a - b);
}

async function fetchBatch(
  { vault, pool }: { readonly vault: Vault; readonly pool: OpenerPool },
  batch: Batch,
  slot: number,
  options: CallOptions,
): Promise<FetchedBatch> {
  const { pack, key, offset, end, places, numbers } = batch;
  const name = packName(pack.id);
  const memory = pool.slots[slot];
  if (memory === undefined || end - offset > INPUT_BYTES || batch.plainBytes > OUTPUT_BYTES) {
    throw objectDamaged(name, `chunk ${places[0]?.ordinal} at byte ${offset} is larger than a chunk may be`);
  }
  const range = { offset, length: end - offset, into: memory.input };
  const bytes = await fetchRange(vault, name, range, options);
  // A store may answer with memory of its own.
  if (bytes.buffer !== memory.input.buffer) memory.input.set(bytes);
  const chunks = places.map(({ offset: at, ordinal, storedBytes, plainBytes, codec }) => {
    return { at: at - offset, ordinal, storedBytes, plainBytes, codec };
  });
  const failed = await pool.open({ slot, key, chunks });
  const bad = failed === undefined ? undefined : places[failed.index];
  if (failed?.why === "sealed") {
    throw objectDamaged(name, `chunk ${bad?.ordinal} at byte ${bad?.offset} does not open`);
  }
  if (failed !== undefined) throw objectDamaged(name, `chunk ${bad?.ordinal} does not decompress`);
  const starts: number[] = [];
  let filled = 0;
  for (const { plainBytes } of places) {
    starts.push(filled);
    filled += plainBytes;
  }
  return { numbers, starts, plain: memory.output.subarray(0, filled) };
}
