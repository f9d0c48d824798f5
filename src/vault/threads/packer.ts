/**
 * Compresses batches of chunks, here or in a thread.
 *
 * Nouns: the *plain* memory holds chunks at places that their batch names; an *output* takes a batch's frames, one for each
 * chunk, OUTPUT_STRIDE bytes apart.
 */
import type { CompressionChoice } from "../codec.ts";
import { Compressor, compressedRoom } from "../compressor.ts";
import { CHUNK_BYTES } from "../pack.ts";

/** From one frame of an output to the next. */
export const OUTPUT_STRIDE: number = compressedRoom(CHUNK_BYTES);

/** Where chunks lie in the plain memory, and which output takes their frames. */
export type PlainBatch = {
  readonly output: number;
  readonly chunks: readonly { readonly at: number; readonly plainBytes: number }[];
};

/** How long each chunk's frame is; 0 for a chunk that is better kept as it is. */
export type FrameLengths = readonly number[];

/** Compresses batches one after another. Close it. */
export class Packer {
  readonly #compressor: Compressor;
  readonly #plain: Buffer;
  readonly #outputs: readonly Buffer[];

  constructor(choice: CompressionChoice, memory: { readonly plain: Buffer; readonly outputs: readonly Buffer[] }) {
    this.#compressor = new Compressor(choice);
    this.#plain = memory.plain;
    this.#outputs = memory.outputs;
  }

  /** Compresses every chunk of a batch. */
  pack({ output, chunks }: PlainBatch): FrameLengths {
    const into = this.#outputs[output] ?? Buffer.alloc(0);
    return chunks.map(({ at, plainBytes }, index) => {
      const frame = into.subarray(index * OUTPUT_STRIDE, (index + 1) * OUTPUT_STRIDE);
      return this.#compressor.compress(this.#plain.subarray(at, at + plainBytes), frame);
    });
  }

  /** Frees what it holds. */
  close(): void {
    this.#compressor.close();
  }
}
