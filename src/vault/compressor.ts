/**
 * Compresses chunks with a context that is kept between them; each becomes a frame of its own, which any zstd reader opens.
 *
 * Making a context for every chunk costs a third more CPU time: its tables are allocated, touched for the first time and
 * freed again 8,000 times a gigabyte (docs/measurements.md, "Compression").
 */
import { constants, zstdCompressSync } from "node:zlib";
import { assert } from "../errors/error.ts";
import type { CompressionChoice } from "./codec.ts";
import { frameOverhead, ZstdContext } from "./zstd-context.ts";

/** No chunk reaches further back than its own 64 KiB, so that is all a context needs to remember. */
const WINDOW_LOG = 16;

/**
 * Level 2, the default, made for 64 KiB of pages: a table that stays in a core's own cache, and matches short enough for
 * the columns of a row. A fifth faster than level 1 with matches of 4, and 1 % smaller (docs/measurements.md, "Compression").
 */
const PAGE_LEVEL = 2;
const PAGE_HASH_LOG = 15;
const PAGE_MATCH_BYTES = 5;

/** Room that compressing `plainBytes` needs, whatever they are. */
export function compressedRoom(plainBytes: number): number {
  return plainBytes + frameOverhead(plainBytes);
}

/** One compressor serves one thread. Close it. */
export class Compressor {
  readonly #params: Readonly<Record<number, number>>;
  #context: ZstdContext | undefined;

  constructor({ level }: CompressionChoice) {
    const params: Record<number, number> = {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
    };
    if (level === PAGE_LEVEL) {
      params[constants.ZSTD_c_hashLog] = PAGE_HASH_LOG;
      params[constants.ZSTD_c_minMatch] = PAGE_MATCH_BYTES;
    }
    this.#params = params;
    this.#context = ZstdContext.compressor(params);
  }

  /** Compresses into `into`, which has the room: how many bytes it became, or 0 when that saves nothing. */
  compress(plain: Uint8Array, into: Uint8Array): number {
    assert(into.byteLength >= compressedRoom(plain.byteLength), "there is room for a frame that saves nothing");
    const bytes = this.#context?.run(plain, into) ?? this.#compressOnce(plain, into);
    return bytes < plain.byteLength ? bytes : 0;
  }

  /** Frees the context. */
  close(): void {
    this.#context?.close();
    this.#context = undefined;
  }

  /** By the documented way. */
  #compressOnce(plain: Uint8Array, into: Uint8Array): number {
    const frame = zstdCompressSync(plain, { params: this.#params, pledgedSrcSize: plain.byteLength });
    into.set(frame);
    return frame.byteLength;
  }
}
