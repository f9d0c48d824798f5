/**
 * Fetches many chunks of many packs, opened beside the main thread.
 *
 * Nouns: a *batch* is what is fetched by one request and opened by one thread (threads/opener.ts); a *slot* is the memory
 * that a batch goes through, used again by a later one; *scattering* a batch is having its chunks written to where they go by
 * the thread that opened them.
 * Invariants: memory is bounded by the slots, whatever is fetched; a batch's bytes hold until the next one is asked for.
 */
import { assert, type LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { OpenObject } from "../store/store.ts";
import { objectDamaged } from "./header.ts";
import type { ChunkTable } from "./manifest.ts";
import { packName } from "./names.ts";
import { CHUNK_BYTES_MAX, type ChunkPlace, type PackFacts, packKey } from "./pack.ts";
import { openObject, placeOf } from "./pack-reader.ts";
import type { ObjectKey } from "./sealing.ts";
import { type Opened, type SealedChunk, WRITE_NUMBERS } from "./threads/opener.ts";
import { OpenerPool } from "./threads/opener-pool.ts";
import type { ChunkThreads } from "./threads/start.ts";
import { dataKeyOf, type Vault } from "./vault.ts";

/** Bytes fetched by one request: long enough for a disk or an object store. */
const INPUT_BYTES = 1024 * 1024;
/** Unwanted bytes that are cheaper to read than to skip. */
const GAP_BYTES_MAX = 256 * 1024;
/** Plain bytes of a batch. A MiB of sealed pages has about three. Behind them a slot has the place of what is only scattered. */
const OUTPUT_BYTES = 4 * 1024 * 1024;
/** Less than this is opened before a thread has started. */
const BESIDE_BYTES_MIN = 32 * 1024 * 1024;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * Chunks that were fetched: their plain bytes lie one behind the other, those of `numbers[i]` from `starts[i]` on, but for those
 * that were only scattered.
 */
export type FetchedBatch = {
  readonly numbers: readonly number[];
  readonly starts: readonly number[];
  readonly plain: Buffer;
};

/** What becomes of each chunk of a batch. */
export type ScatteredChunk = {
  /** Its writes: flat runs of WRITE_NUMBERS. */
  readonly writes: readonly number[];
  /** Whether its bytes are wanted too. */
  readonly wanted: boolean;
};

/** Says where chunks go. */
export type Scatter = {
  /**
   * Asked of each batch, in order, before it is fetched. The files of the writes stay open until the batch has been handed
   * out, or fetching has ended.
   */
  readonly plan: (numbers: readonly number[]) => Promise<readonly ScatteredChunk[]>;
  /** The error of a write that failed. */
  readonly unwritten: (descriptor: number, errno: string) => LifeboatError;
};

/** What is wanted, of one table. */
export type WantedChunks = {
  readonly table: ChunkTable;
  readonly numbers: readonly number[];
  readonly scatter?: Scatter | undefined;
};

/** Fetches chunks, once or again and again, by threads that are started when there is enough to do. Close it. */
export class BatchFetcher {
  readonly #vault: Vault;
  readonly #pool: OpenerPool;
  readonly #besideBytesMin: number;
  /** Of everything that was wanted so far. */
  #plainBytes = 0;

  /** `besideBytesMin`: so many plain bytes are worth a thread; `threads`: those to share. */
  constructor(vault: Vault, besideBytesMin: number = BESIDE_BYTES_MIN, threads?: ChunkThreads) {
    this.#vault = vault;
    this.#pool = new OpenerPool({ inputBytes: INPUT_BYTES, outputBytes: OUTPUT_BYTES + CHUNK_BYTES_MAX }, threads);
    this.#besideBytesMin = besideBytesMin;
  }

  /** Says that about so many plain bytes will be wanted: threads that are worth it start now. */
  expect(plainBytes: number): void {
    if (plainBytes >= this.#besideBytesMin) this.#pool.startThreads();
  }

  /**
   * Fetches chunks pack by pack, in the order they lie. One call at a time. Throws `vault.object-missing` or
   * `vault.object-damaged` naming the pack.
   */
  async *fetch({ table, numbers, scatter }: WantedChunks, options: CallOptions): AsyncGenerator<FetchedBatch> {
    const pool = this.#pool;
    const packs = new OpenPacks(this.#vault, options);
    const tools = { pool, packs, scatter };
    for (const number of numbers) this.#plainBytes += table.plainBytes[number] ?? 0;
    if (this.#plainBytes >= this.#besideBytesMin) pool.startThreads();
    const underWay: Promise<FetchedBatch>[] = [];
    // One slot is with whoever took the batch before.
    const underWayMax = pool.slots.length - 1;
    let count = 0;
    try {
      for (const batch of batchesOf(this.#vault, table, numbers)) {
        throwIfAborted(options.signal, "fetching chunks");
        const work = fetchBatch(tools, batch, count % pool.slots.length, options);
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
      await packs.close();
    }
  }

  /** Ends the threads and frees what they hold. */
  close(): Promise<void> {
    return this.#pool.close();
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

type Tools = {
  readonly pool: OpenerPool;
  readonly packs: OpenPacks;
  readonly scatter: Scatter | undefined;
};

async function fetchBatch(tools: Tools, batch: Batch, slot: number, options: CallOptions): Promise<FetchedBatch> {
  const { pool, packs, scatter } = tools;
  const { pack, key, offset, end, places, numbers, plainBytes } = batch;
  const name = packName(pack.id);
  const memory = pool.slots[slot];
  if (memory === undefined || end - offset > INPUT_BYTES || plainBytes > OUTPUT_BYTES) {
    throw objectDamaged(name, `chunk ${places[0]?.ordinal} at byte ${offset} is larger than a chunk may be`);
  }
  const object = packs.take(name);
  try {
    const scattered = await scatter?.plan(numbers);
    const bytes = await (await object).getRange({ offset, length: end - offset, into: memory.input }, options);
    // A store may answer with memory of its own.
    if (bytes.buffer !== memory.input.buffer) memory.input.set(bytes);
    const { chunks, starts, filled } = sealedChunks(places, { inputOffset: offset, scattered });
    const writes = scattered === undefined ? undefined : Float64Array.from(scattered.flatMap((each) => each.writes));
    const failed = await pool.open({ slot, key, chunks, writes });
    if (failed !== undefined) throw openingFailed(failed, { name, place: places[failed.index], scatter });
    return { numbers, starts, plain: memory.output.subarray(0, filled) };
  } finally {
    await packs.giveBack(name);
  }
}

/** Where each chunk of a batch lies, and where its bytes go. */
function sealedChunks(
  places: readonly ChunkPlace[],
  of: { readonly inputOffset: number; readonly scattered: readonly ScatteredChunk[] | undefined },
): { readonly chunks: readonly SealedChunk[]; readonly starts: readonly number[]; readonly filled: number } {
  const starts: number[] = [];
  let filled = 0;
  const chunks = places.map(({ offset, ...place }, index) => {
    const scattered = of.scattered?.[index];
    const wanted = scattered?.wanted ?? true;
    starts.push(filled);
    const into = wanted ? filled : OUTPUT_BYTES;
    if (wanted) filled += place.plainBytes;
    return { ...place, at: offset - of.inputOffset, into, writes: (scattered?.writes.length ?? 0) / WRITE_NUMBERS };
  });
  return { chunks, starts, filled };
}

function openingFailed(
  failed: NonNullable<Opened>,
  of: { readonly name: string; readonly place: ChunkPlace | undefined; readonly scatter: Scatter | undefined },
): LifeboatError {
  const { name, place, scatter } = of;
  switch (failed.why) {
    case "sealed":
      return objectDamaged(name, `chunk ${place?.ordinal} at byte ${place?.offset} does not open`);
    case "compressed":
      return objectDamaged(name, `chunk ${place?.ordinal} does not decompress`);
    case "unwritten":
      assert(scatter !== undefined, "a batch is written where that was asked for");
      return scatter.unwritten(failed.descriptor, failed.errno);
  }
}

/** The packs that batches are read from: of those that none needs any more, the latest stays open for the next. */
class OpenPacks {
  readonly #vault: Vault;
  readonly #options: CallOptions;
  readonly #open = new Map<string, { readonly object: Promise<OpenObject>; users: number }>();
  #latest = "";

  constructor(vault: Vault, options: CallOptions) {
    this.#vault = vault;
    this.#options = options;
  }

  /** Opens a pack for a batch. Rejects with `vault.object-missing`, or what opening it throws. */
  take(name: string): Promise<OpenObject> {
    this.#latest = name;
    let pack = this.#open.get(name);
    if (pack === undefined) {
      pack = { object: openObject(this.#vault, name, this.#options), users: 0 };
      // A batch may fail for another reason before it waits for this.
      pack.object.catch(() => undefined);
      this.#open.set(name, pack);
    }
    pack.users += 1;
    return pack.object;
  }

  /** A batch is done with a pack. */
  async giveBack(name: string): Promise<void> {
    const pack = this.#open.get(name);
    if (pack !== undefined) pack.users -= 1;
    for (const [each, { users }] of this.#open) if (users === 0 && each !== this.#latest) await this.#close(each);
  }

  /** Closes all. No batch may be under way. */
  async close(): Promise<void> {
    for (const name of [...this.#open.keys()]) await this.#close(name);
  }

  async #close(name: string): Promise<void> {
    const pack = this.#open.get(name);
    this.#open.delete(name);
    const object = await pack?.object.catch(() => undefined);
    await object?.close();
  }
}
