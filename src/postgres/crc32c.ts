/**
 * CRC-32C, the checksum of WAL records, of pg_control and of backup manifests.
 *
 * Nouns: a *state* is a checksum under way; it begins as `CRC32C_START` and is finished by `finishCrc32c`.
 * The Castagnoli polynomial, bits reflected (0x82F63B78); by vectors where there are many bytes (platform/crc-fold.ts), else
 * eight bytes a step with eight tables ("slicing by 8").
 * Source: RFC 3720, appendix B.4; PostgreSQL's src/include/port/pg_crc32c.h.
 */

import { crcTables, foldWhenUsed, WORD_BYTES } from "../platform/crc-fold.ts";

/** The state before the first byte. */
export const CRC32C_START = -1;

const POLYNOMIAL = 0x82f63b78;
const TABLES = crcTables(POLYNOMIAL);
const folding = foldWhenUsed({ polynomial: POLYNOMIAL, folds: [[0, 1, 7, 13, 20, 27, 30, 33, 35, 36, 38, 40]] });

/** The checksum of some bytes, 0 to 2^32 - 1. */
export function crc32c(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return finishCrc32c(extendCrc32c(CRC32C_START, view, 0, data.byteLength));
}

/** The checksum of a state, 0 to 2^32 - 1. */
export function finishCrc32c(state: number): number {
  return ~state >>> 0;
}

/** Takes the bytes of `view` from `start` up to `end` into a state. Positional, since it runs once for every WAL record. */
export function extendCrc32c(state: number, view: DataView, start: number, end: number): number {
  const wordsEnd = end - ((end - start) % WORD_BYTES);
  const fold = wordsEnd - start < folding.bytesMin ? undefined : folding.fold();
  if (fold === undefined) return extendByTables(state, view, start, end);
  const folded = fold.take(state, new Uint8Array(view.buffer, view.byteOffset + start, wordsEnd - start));
  return extendByTables(folded, view, wordsEnd, end);
}

function extendByTables(state: number, view: DataView, start: number, end: number): number {
  // Every index below lies in its table, since it is masked to a byte.
  const t = TABLES;
  let crc = state;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const low = view.getInt32(at, true) ^ crc;
    const high = view.getInt32(at + 4, true);
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (high & 0xff)] as number) ^
      (t[512 + ((high >>> 8) & 0xff)] as number) ^
      (t[256 + ((high >>> 16) & 0xff)] as number) ^
      (t[high >>> 24] as number);
  }
  // Records are short: what is left over matters as much as the rest.
  if (at + 4 <= end) {
    const word = view.getInt32(at, true) ^ crc;
    crc =
      (t[768 + (word & 0xff)] as number) ^
      (t[512 + ((word >>> 8) & 0xff)] as number) ^
      (t[256 + ((word >>> 16) & 0xff)] as number) ^
      (t[word >>> 24] as number);
    at += 4;
  }
  for (; at < end; at += 1) crc = (t[(crc ^ view.getUint8(at)) & 0xff] as number) ^ (crc >>> 8);
  return crc;
}
