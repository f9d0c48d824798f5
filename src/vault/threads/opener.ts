/**
 * Opens batches of chunks, here or in a thread.
 *
 * Nouns: a *batch* is some chunks of one pack that lie near each other; its *input* holds their sealed bytes, its *output*
 * their plain ones; a *write* puts a piece of a chunk into a file that somebody else opened, and closes when the batch is done.
 * A chunk is opened and written before the next one is touched: until then it lies in the core's own cache.
 */
import { assert } from "../../errors/error.ts";
import { writeShared } from "../../platform/files.ts";
import type { Codec } from "../codec.ts";
import { Decompressor } from "../decompressor.ts";
import { chunkMeaning } from "../pack.ts";
import { discardOpened, type ObjectKey, openFrame } from "../sealing.ts";

/** A chunk of a batch. */
export type SealedChunk = {
  readonly ordinal: number;
  /** Where it begins in the input. */
  readonly at: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
  readonly codec: Codec;
  /** Where in the output its plain bytes go. Another chunk may have the same place, if all of this one is to be written. */
  readonly into: number;
  /** How many of the batch's writes are of this chunk; those of the chunks before come before. */
  readonly writes: number;
};

/** What is to be opened with one pack's key. `slot` says which input and output. */
export type SealedBatch = {
  readonly slot: number;
  readonly key: ObjectKey;
  readonly chunks: readonly SealedChunk[];
  /** Flat runs of WRITE_NUMBERS, chunk by chunk. */
  readonly writes: Float64Array | undefined;
};

/** Numbers of a write: descriptor of a file, first byte in the chunk, bytes, first byte in the file. */
export const WRITE_NUMBERS = 4;

/** Undefined: all of it lies in the output, or was written. Else the first chunk that failed, and at what. */
export type Opened =
  | { readonly index: number; readonly why: "sealed" | "compressed" }
  | { readonly index: number; readonly why: "unwritten"; readonly descriptor: number; readonly errno: string }
  | undefined;

/** The two halves of a slot. */
export type Slot = { readonly input: Buffer; readonly output: Buffer };

/** Opens batches one after another. */
export class Opener {
  readonly #slots: readonly Slot[];
  readonly #decompressor = new Decompressor();

  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  /** Opens and decompresses every chunk of a batch into its slot's output, and writes what is to be written of it. */
  open(batch: SealedBatch): Opened {
    const slot = this.#slots[batch.slot];
    if (slot === undefined) return { index: 0, why: "sealed" };
    let write = 0;
    for (const [index, chunk] of batch.chunks.entries()) {
      const failed = this.#openChunk(slot, batch, index) ?? writeChunk(slot.output, batch, { index, first: write });
      if (failed !== undefined) return failed;
      write += chunk.writes;
    }
    return undefined;
  }

  /** Frees what it holds. */
  close(): void {
    this.#decompressor.close();
  }

  #openChunk(slot: Slot, { key, chunks }: SealedBatch, index: number): Opened {
    const chunk = chunks[index];
    if (chunk === undefined) return { index, why: "sealed" };
    const { at, storedBytes, plainBytes, codec, into, ordinal } = chunk;
    const sealed = slot.input.subarray(at, at + storedBytes);
    const number = { space: "data", ordinal } as const;
    const bytes = openFrame(key, { number, meaning: chunkMeaning(chunk), sealed });
    if (bytes === undefined) return { index, why: "sealed" };
    const plain = slot.output.subarray(into, into + plainBytes);
    const fits = this.#decompressor.decompress({ codec, bytes }, plain);
    discardOpened(bytes);
    return fits && plain.byteLength === plainBytes ? undefined : { index, why: "compressed" };
  }
}

function writeChunk(
  output: Buffer,
  { chunks, writes }: SealedBatch,
  { index, first }: { readonly index: number; readonly first: number },
): Opened {
  const chunk = chunks[index];
  if (chunk === undefined || writes === undefined) return undefined;
  const end = (first + chunk.writes) * WRITE_NUMBERS;
  for (let at = first * WRITE_NUMBERS; at < end; at += WRITE_NUMBERS) {
    const descriptor = writes[at] ?? -1;
    const from = writes[at + 1] ?? 0;
    const length = writes[at + 2] ?? 0;
    assert(from + length <= chunk.plainBytes, "what is written lies inside its chunk");
    const data = output.subarray(chunk.into + from, chunk.into + from + length);
    const errno = writeShared(descriptor, data, writes[at + 3] ?? 0);
    if (errno !== undefined) return { index, why: "unwritten", descriptor, errno };
  }
  return undefined;
}
