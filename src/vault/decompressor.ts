/**
 * Decompresses chunks into memory that is there already.
 */
import { zstdDecompressSync } from "node:zlib";
import { CODEC, type Packed } from "./codec.ts";
import { ZstdContext } from "./zstd-context.ts";

/** One decompressor serves one thread. */
export class Decompressor {
  #context = ZstdContext.decompressor();

  /** Undoes `compress`. False when the bytes do not decompress to exactly what fills `into`. */
  decompress(packed: Packed, into: Uint8Array): boolean {
    if (packed.codec === CODEC.raw) {
      if (packed.bytes.byteLength !== into.byteLength) return false;
      into.set(packed.bytes);
      return true;
    }
    if (this.#context?.run(packed.bytes, into) === into.byteLength) return true;
    this.#context?.close();
    this.#context = ZstdContext.decompressor();
    return decompressOnce(packed.bytes, into);
  }

  /** Frees what it holds. */
  close(): void {
    this.#context?.close();
    this.#context = undefined;
  }
}

/** By the documented way: what it says counts. */
function decompressOnce(bytes: Uint8Array, into: Uint8Array): boolean {
  try {
    const plain = zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, into.byteLength) });
    if (plain.byteLength !== into.byteLength) return false;
    into.set(plain);
    return true;
  } catch {
    // The only thing it can fail at is the frame; the caller knows which chunk it was.
    return false;
  }
}
