/**
 * CRC-32 as zlib computes it, in less time. Where the engine has no vectors, and for what is short, zlib's is used.
 */
import { crc32 as crc32OfZlib } from "node:zlib";
import { FOLDED_BYTES_MIN, makeFold, WORD_BYTES } from "../platform/crc-fold.ts";

const fold = makeFold({ polynomial: 0xedb88320, exponents: [0, 3, 5, 7, 8, 13, 18, 21, 24, 26, 30, 42] });

/** The CRC-32 of bytes, 0 to 2^32 - 1; `before` is that of the bytes that come before them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const { byteLength } = bytes;
  if (fold === undefined || byteLength < FOLDED_BYTES_MIN) return crc32OfZlib(bytes, before);
  const wordsEnd = byteLength - (byteLength % WORD_BYTES);
  if (wordsEnd === byteLength) return ~fold(~before, bytes) >>> 0;
  return crc32OfZlib(bytes.subarray(wordsEnd), ~fold(~before, bytes.subarray(0, wordsEnd)) >>> 0);
}

/** True where vectors are used. */
export const isFolded: boolean = fold !== undefined;
