/**
 * CRC-32 as zlib computes it, in less time. Where the engine has no vectors, and for what is short, zlib's is used.
 */
import { crc32 as crc32OfZlib } from "node:zlib";
import { foldWhenUsed, WORD_BYTES } from "../platform/crc-fold.ts";

const folding = foldWhenUsed({
  polynomial: 0xedb88320,
  folds: [
    [0, 45, 53, 74, 80, 120, 123],
    [0, 3, 5, 7, 8, 13, 18, 21, 24, 26, 30, 42],
  ],
});

/** The CRC-32 of bytes, 0 to 2^32 - 1; `before` is that of the bytes that come before them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const wordsEnd = bytes.byteLength - (bytes.byteLength % WORD_BYTES);
  const fold = wordsEnd < folding.bytesMin ? undefined : folding.fold();
  if (fold === undefined) return crc32OfZlib(bytes, before);
  if (wordsEnd === bytes.byteLength) return ~fold.take(~before, bytes) >>> 0;
  return crc32OfZlib(bytes.subarray(wordsEnd), ~fold.take(~before, bytes.subarray(0, wordsEnd)) >>> 0);
}

/** True where vectors are used. */
export function isFolded(): boolean {
  return folding.fold() !== undefined;
}
