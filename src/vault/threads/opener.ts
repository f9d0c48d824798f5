/**
 * Opens batches of chunks, here or in a thread.
 *
 * Nouns: a *batch* is some chunks of one pack that lie near each other; its *input* holds their sealed bytes, its *output*
 * their plain ones, one chunk behind the other in the batch's order.
 */
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
};

/** What is to be opened with one pack's key. `slot` says which input and output. */
export type SealedBatch = { readonly slot: number; readonly key: ObjectKey; readonly chunks: readonly SealedChunk[] };

/** Undefined: all of it lies in the output. Else the first chunk that does not open. */
export type Opened = { readonly index: number; readonly why: "sealed" | "compressed" } | undefined;

/** The two halves of a slot. */
export type Slot = { readonly input: Buffer; readonly output: Buffer };

/** Opens batches one after another. */
export class Opener {
  readonly #slots: readonly Slot[];
  readonly #decompressor = new Decompressor();

  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  /** Opens and decompresses every chunk of a batch into its slot's output. */
  open(batch: SealedBatch): Opened {
    const slot = this.#slots[batch.slot];
    if (slot === undefined) return { index: 0, why: "sealed" };
    let filled = 0;
    for (const [index, chunk] of batch.chunks.entries()) {
      const number = { space: "data", ordinal: chunk.ordinal } as const;
      const sealed = slot.input.subarray(chunk.at, chunk.at + chunk.storedBytes);
      const bytes = openFrame(batch.key, { number, meaning: chunkMeaning(chunk), sealed });
      if (bytes === undefined) return { index, why: "sealed" };
      const into = slot.output.subarray(filled, filled + chunk.plainBytes);
      const fits = this.#decompressor.decompress({ codec: chunk.codec, bytes }, into);
      discardOpened(bytes);
      if (!fits || into.byteLength !== chunk.plainBytes) return { index, why: "compressed" };
      filled += chunk.plainBytes;
    }
    return undefined;
  }

  /** Frees what it holds. */
  close(): void {
    this.#decompressor.close();
  }
}
