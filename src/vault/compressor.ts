/**
 * Compresses chunks on the thread pool, with contexts that are kept between chunks.
 *
 * Each *slot* is one zstd stream; a chunk is written to it and ended as a frame of its own, which any zstd reader opens.
 * Making a context for every chunk, as the one-shot functions do, costs a third more CPU time: its tables are allocated,
 * touched for the first time and freed again 8,000 times a gigabyte (docs/measurements.md, "Compression").
 * Invariant: at most `SLOTS` chunks are compressed at a time; the others wait in the order they came.
 */
import { constants, createZstdCompress, type ZstdCompress } from "node:zlib";
import { assert } from "../errors/error.ts";
import { CODEC, type CompressionChoice, type Packed } from "./codec.ts";

/** As many as the thread pool has threads. */
const SLOTS = 4;

/** Output of a slot is handed out as views of buffers of this size. */
const OUTPUT_BYTES = 256 * 1024;

/** No chunk reaches further back than its own 128 KiB, so that is all a context needs to remember. */
const WINDOW_LOG = 17;

/**
 * Level 2, the default, made for 128 KiB of pages: a table that stays in a core's own cache, and matches short enough for
 * the columns of a row. A fifth faster than level 1 with matches of 4, and 1 % smaller (docs/measurements.md, "Compression").
 */
const PAGE_LEVEL = 2;
const PAGE_HASH_LOG = 15;
const PAGE_MATCH_BYTES = 5;

type Job = {
  readonly plain: Uint8Array;
  readonly resolve: (packed: Packed) => void;
  readonly reject: (cause: unknown) => void;
};

type Slot = { readonly stream: ZstdCompress; parts: Buffer[]; job: Job | undefined };

/** One compressor serves one backup. Close it. */
export class Compressor {
  readonly #idle: Slot[] = [];
  readonly #slots: Slot[] = [];
  readonly #waiting: Job[] = [];
  readonly #choice: CompressionChoice;

  constructor(choice: CompressionChoice) {
    this.#choice = choice;
  }

  /** Compresses, or keeps the bytes when that saves nothing. `plain` must not change until the promise settles. */
  compress(plain: Uint8Array): Promise<Packed> {
    return new Promise((resolve, reject) => {
      const job = { plain, resolve, reject };
      const slot = this.#idle.pop() ?? this.#newSlot();
      if (slot === undefined) this.#waiting.push(job);
      else this.#begin(slot, job);
    });
  }

  /** Frees the contexts. Chunks under way are lost. */
  close(): void {
    for (const { stream } of this.#slots) stream.destroy();
  }

  #newSlot(): Slot | undefined {
    if (this.#slots.length >= SLOTS) return undefined;
    const { level } = this.#choice;
    const params: Record<number, number> = {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
    };
    if (level === PAGE_LEVEL) {
      params[constants.ZSTD_c_hashLog] = PAGE_HASH_LOG;
      params[constants.ZSTD_c_minMatch] = PAGE_MATCH_BYTES;
    }
    const slot: Slot = { stream: createZstdCompress({ params, chunkSize: OUTPUT_BYTES }), parts: [], job: undefined };
    slot.stream.on("data", (part: Buffer) => slot.parts.push(part));
    slot.stream.on("error", (cause) => slot.job?.reject(cause));
    this.#slots.push(slot);
    return slot;
  }

  #begin(slot: Slot, job: Job): void {
    assert(slot.job === undefined && slot.parts.length === 0, "a slot compresses one chunk at a time");
    slot.job = job;
    slot.stream.write(job.plain);
    slot.stream.flush(constants.ZSTD_e_end, () => this.#end(slot, job));
  }

  #end(slot: Slot, job: Job): void {
    const [only, ...more] = slot.parts;
    const bytes = only !== undefined && more.length === 0 ? only : Buffer.concat(slot.parts);
    slot.parts = [];
    slot.job = undefined;
    const saves = bytes.byteLength > 0 && bytes.byteLength < job.plain.byteLength;
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(slot);
    else this.#begin(slot, next);
    job.resolve(saves ? { codec: CODEC.zstd, bytes } : { codec: CODEC.raw, bytes: job.plain });
  }
}
