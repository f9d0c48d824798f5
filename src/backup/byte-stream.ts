/**
 * Puts runs of bytes into chunks: small files and fingerprints share them.
 */
import { assert } from "../errors/error.ts";
import { CHUNK_BYTES } from "../vault/pack.ts";
import type { OpenChunk, PackWriter } from "../vault/pack-writer.ts";

/** One stream serves one backup. */
export class ByteStream {
  readonly #packs: PackWriter;
  #chunk: OpenChunk | undefined;
  #fill = 0;

  constructor(packs: PackWriter) {
    this.#packs = packs;
  }

  /** Stores `bytes`, copied; returns flat runs of three: chunk, byte in the chunk, bytes. */
  append(bytes: Buffer, pieces: number[] = []): number[] {
    for (let at = 0; at < bytes.byteLength; ) {
      this.#chunk ??= this.#packs.open();
      const length = Math.min(CHUNK_BYTES - this.#fill, bytes.byteLength - at);
      bytes.copy(this.#chunk.buffer, this.#fill, at, at + length);
      const last = pieces.length - 3;
      const follows =
        pieces[last] === this.#chunk.number && (pieces[last + 1] ?? 0) + (pieces[last + 2] ?? 0) === this.#fill;
      if (last >= 0 && follows) pieces[last + 2] = (pieces[last + 2] ?? 0) + length;
      else pieces.push(this.#chunk.number, this.#fill, length);
      this.#fill += length;
      at += length;
      if (this.#fill === CHUNK_BYTES) this.#submit();
    }
    return pieces;
  }

  /** Hands over what is left. */
  finish(): void {
    if (this.#fill > 0) this.#submit();
  }

  #submit(): void {
    assert(this.#chunk !== undefined, "there is a chunk to submit");
    this.#packs.submit(this.#chunk, this.#fill);
    this.#chunk = undefined;
    this.#fill = 0;
  }
}
