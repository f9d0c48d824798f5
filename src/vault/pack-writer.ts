/**
 * Turns a stream of chunks into stored packs: compress in threads, seal in order, put, read back.
 *
 * Nouns: a chunk has a *number*, given when it is opened and used by the manifest ever after; it is *in flight* from
 * `submit` until it is sealed, first gathered into a batch, then compressed with it; a pack is *closing* from its last chunk
 * until it was read back.
 * Invariants: memory is bounded (chunks in flight, packs closing); `finish` resolves only when every pack was stored and
 * its bytes were read back equal; after the first failure nothing more is stored and every later call rejects with it.
 */
import { assert } from "../errors/error.ts";
import { abortedError } from "../platform/clock.ts";
import type { CompressionChoice, Packed } from "./codec.ts";
import { crc32 } from "./crc32.ts";
import { objectDamaged } from "./header.ts";
import { type PackId, packName } from "./names.ts";
import {
  CHUNK_BYTES,
  type ChunkPlace,
  PACK_BYTES_TARGET,
  type PackFacts,
  packHeader,
  packKey,
  sealChunk,
  sealIndex,
} from "./pack.ts";
import type { ObjectKey } from "./sealing.ts";
import { SALT_BYTES } from "./sealing.ts";
import { Gathering, SlabPool } from "./slabs.ts";
import { BATCH_CHUNKS, type PackedBatch, PackerPool } from "./threads/packer-pool.ts";
import type { Vault } from "./vault.ts";

/** A chunk to be filled: write into `buffer`, then submit it. */
export type OpenChunk = { readonly number: number; readonly buffer: Buffer };

/** A stored pack with the chunks it holds; `numbers[i]` is the number of `places[i]`. */
export type StoredPack = {
  readonly facts: PackFacts;
  readonly numbers: readonly number[];
  readonly places: readonly ChunkPlace[];
};

export type PackWriterOptions = {
  readonly compression: CompressionChoice;
  /** Called for every pack once it is stored and read back, in no particular order. */
  readonly onPack: (pack: StoredPack) => void;
  readonly signal?: AbortSignal | undefined;
};

/** Chunks in flight: a batch under way and one that waits for each thread, and the one that is being gathered. */
const CHUNKS_IN_FLIGHT_MAX = 5 * BATCH_CHUNKS;
/** Packs being put or read back before more is taken: with the one that is gathered, 100 MiB. */
const PACKS_CLOSING_MAX = 2;
/** How much of a pack is read back at a time. */
const READ_BACK_BYTES = 1024 * 1024;

type Building = {
  readonly id: PackId;
  readonly key: ObjectKey;
  readonly bytes: Gathering;
  readonly numbers: number[];
  readonly places: ChunkPlace[];
  crc: number;
};

type Submitted = { readonly number: number; readonly buffer: Buffer; readonly plainBytes: number };
type InFlight = { readonly chunks: readonly Submitted[]; done: PackedBatch | undefined };

/** One writer serves one backup. Not for concurrent calls. */
export class PackWriter {
  readonly #vault: Vault;
  readonly #options: PackWriterOptions;
  readonly #pool: PackerPool;
  readonly #readBack: Buffer[] = [];
  readonly #slabs = new SlabPool();
  readonly #inFlight: InFlight[] = [];
  #gathered: Submitted[] = [];
  #chunksInFlight = 0;
  readonly #closing = new Set<Promise<void>>();
  #building: Building | undefined;
  #nextNumber = 0;
  #wake: (() => void) | undefined;
  #failure: { readonly cause: unknown } | undefined;
  #storedBytes = 0;

  constructor(vault: Vault, options: PackWriterOptions) {
    this.#vault = vault;
    this.#options = options;
    this.#pool = new PackerPool(options.compression);
  }

  /** Sealed bytes so far, in packs stored and to be stored. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** A number for a chunk that is stored already. */
  reserveNumber(): number {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    return number;
  }

  /** Opens a chunk of CHUNK_BYTES bytes to write into. */
  open(): OpenChunk {
    return { number: this.reserveNumber(), buffer: this.#pool.take() };
  }

  /** Hands a chunk over; its buffer belongs to the writer from now on. `plainBytes` of it are meant. */
  submit(chunk: OpenChunk, plainBytes: number): void {
    assert(plainBytes > 0 && plainBytes <= CHUNK_BYTES, "a chunk is neither empty nor too large");
    this.#gathered.push({ ...chunk, plainBytes });
    this.#chunksInFlight += 1;
    if (this.#gathered.length === BATCH_CHUNKS) this.#packGathered();
  }

  /** A promise to wait for before the next chunk is submitted; undefined when there is room. Throws the first failure. */
  room(): Promise<void> | undefined {
    this.#throwFailure();
    if (this.#hasRoom()) return undefined;
    return this.#waitForRoom();
  }

  /** Stores what is left and waits until every pack was read back. */
  async finish(): Promise<void> {
    if (this.#gathered.length > 0) this.#packGathered();
    while (this.#inFlight.length > 0) {
      this.#throwFailure();
      await this.#nextChange();
    }
    this.#throwFailure();
    if (this.#building !== undefined) this.#close(this.#building);
    while (this.#closing.size > 0) {
      this.#throwFailure();
      await this.#nextChange();
    }
    this.#throwFailure();
  }

  /** Waits until nothing is under way any more, whatever became of it. For cleaning up after a failure. */
  async settle(): Promise<void> {
    this.#failure ??= { cause: abortedError("writing packs", this.#options.signal?.reason) };
    await Promise.allSettled(this.#closing);
    await this.#pool.close();
  }

  async #waitForRoom(): Promise<void> {
    while (!this.#hasRoom()) {
      await this.#nextChange();
      this.#throwFailure();
    }
  }

  #hasRoom(): boolean {
    return this.#chunksInFlight < CHUNKS_IN_FLIGHT_MAX && this.#closing.size < PACKS_CLOSING_MAX;
  }

  #packGathered(): void {
    const entry: InFlight = { chunks: this.#gathered, done: undefined };
    this.#gathered = [];
    this.#inFlight.push(entry);
    this.#pool.pack(entry.chunks).then(
      (done) => {
        entry.done = done;
        this.#guard(() => this.#drain());
      },
      (cause: unknown) => this.#fail(cause),
    );
  }

  #drain(): void {
    // Sealing follows the order of submission, so equal input gives equal packs whatever the threads do.
    while (this.#failure === undefined) {
      const head = this.#inFlight[0];
      if (head?.done === undefined) break;
      this.#inFlight.shift();
      for (const [index, chunk] of head.chunks.entries()) {
        const packed = head.done.packed[index];
        assert(packed !== undefined, "every chunk of a batch was compressed");
        this.#append(chunk, packed);
        this.#pool.giveBack(chunk.buffer);
      }
      head.done.release();
      this.#chunksInFlight -= head.chunks.length;
    }
    this.#notify();
  }

  #append(chunk: Submitted, packed: Packed): void {
    const building = this.#building ?? this.#begin();
    const ordinal = building.places.length;
    const facts = { ordinal, plainBytes: chunk.plainBytes, codec: packed.codec };
    const sealed = sealChunk(building.key, { ...facts, bytes: packed.bytes });
    const offset = building.bytes.sizeBytes;
    const storedBytes = this.#addParts(building, sealed);
    building.places.push({ ...facts, offset, storedBytes });
    building.numbers.push(chunk.number);
    if (building.bytes.sizeBytes >= PACK_BYTES_TARGET) this.#close(building);
  }

  #begin(): Building {
    const id = this.#vault.random(SALT_BYTES).toString("hex") as PackId;
    const key = packKey(id, this.#vault.dataKey);
    const building: Building = { id, key, bytes: new Gathering(this.#slabs), numbers: [], places: [], crc: 0 };
    this.#addParts(building, [packHeader(id, this.#vault.dataKey.id)]);
    this.#building = building;
    return building;
  }

  #addParts(building: Building, parts: readonly Buffer[]): number {
    const before = building.bytes.sizeBytes;
    for (const part of parts) {
      building.bytes.append(part);
      building.crc = crc32(part, building.crc);
    }
    const added = building.bytes.sizeBytes - before;
    this.#storedBytes += added;
    return added;
  }

  #close(building: Building): void {
    this.#building = undefined;
    this.#addParts(building, sealIndex(building.key, building.places));
    const work = this.#storeAndReadBack(building).then(
      () => undefined,
      (cause: unknown) => this.#fail(cause),
    );
    this.#closing.add(work);
    void work.then(() => {
      this.#closing.delete(work);
      this.#notify();
    });
  }

  async #storeAndReadBack(building: Building): Promise<void> {
    const { signal } = this.#options;
    const name = packName(building.id);
    const { sizeBytes } = building.bytes;
    await this.#vault.store.put(name, building.bytes.parts(), { signal });
    building.bytes.release();
    let crc = 0;
    const into = this.#readBack.pop() ?? Buffer.allocUnsafeSlow(READ_BACK_BYTES);
    for (let offset = 0; offset < sizeBytes; offset += READ_BACK_BYTES) {
      const length = Math.min(READ_BACK_BYTES, sizeBytes - offset);
      crc = crc32(await this.#vault.store.getRange(name, { offset, length, into }, { signal }), crc);
    }
    this.#readBack.push(into);
    const facts = await this.#vault.store.head(name, { signal });
    if (crc !== building.crc || facts?.sizeBytes !== sizeBytes) {
      throw objectDamaged(
        name,
        `read back right after it was stored it has other bytes: CRC ${crc}, stored ${building.crc}`,
      );
    }
    const { id, numbers, places } = building;
    const keyId = this.#vault.dataKey.id;
    this.#options.onPack({ facts: { id, keyId, sizeBytes, crc32: crc }, numbers, places });
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #fail(cause: unknown): void {
    this.#failure ??= { cause };
    this.#notify();
  }

  #throwFailure(): void {
    if (this.#options.signal?.aborted === true) throw abortedError("writing packs", this.#options.signal.reason);
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
