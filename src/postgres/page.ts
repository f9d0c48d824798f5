/**
 * Looks into pages without copying them.
 *
 * Nouns: a *page* is 8 KiB of a relation's file, here a buffer and the offset at which it begins; its *LSN* is the end of
 * the last WAL record that changed it; an *empty* page was allocated and never used (`pd_upper` 0).
 * Invariants: no function changes the buffer or allocates, but for the bigint of `pageLsn`; callers
 * have checked that 8192 bytes lie at the offset.
 * Source: PostgreSQL manual, "Database Page Layout"; src/include/storage/bufpage.h and checksum_impl.h.
 */
import { BLOCK_BYTES } from "./control-file.ts";
import type { Lsn } from "./lsn.ts";

/** `pd_flags`: all tuples of the page are visible to everybody. */
export const PD_ALL_VISIBLE = 0x0004;

// has-free-line-pointers, full, all-visible.
const PD_FLAGS_KNOWN = 0x0007;
// The size of the page and version 4 of its layout, in one number.
const PAGE_SIZE_VERSION = BLOCK_BYTES | 4;
const HEADER_BYTES = 24;
/** A line pointer, whose two bits `lp_flags` say what it is. */
const ITEM_BYTES = 4;
const ITEM_UNUSED = 0;

/** The LSN of a page. */
export function pageLsn(buffer: Buffer, offset: number): Lsn {
  return ((BigInt(buffer.readUInt32LE(offset)) << 32n) | BigInt(buffer.readUInt32LE(offset + 4))) as Lsn;
}

/** An LSN in two halves, for comparing pages with it a million times. */
export type LsnBound = { readonly high: number; readonly low: number };

/** Splits an LSN. */
export function lsnBound(lsn: Lsn): LsnBound {
  return { high: Number(lsn >> 32n), low: Number(lsn & 0xffffffffn) };
}

/** True when the page's LSN lies before the bound. */
export function isPageBefore(buffer: Buffer, offset: number, bound: LsnBound): boolean {
  const high = buffer.readUInt32LE(offset);
  return high < bound.high || (high === bound.high && buffer.readUInt32LE(offset + 4) < bound.low);
}

/**
 * True when the LSN is a position of the WAL. The first segment is never written: below its end lie only 0, the marks of
 * index builds, and the counters that stand in for an LSN in unlogged and temporary relations (safety rule A7).
 */
export function isNormalLsn(buffer: Buffer, offset: number, walSegmentBytes: number): boolean {
  return buffer.readUInt32LE(offset) > 0 || buffer.readUInt32LE(offset + 4) >= walSegmentBytes;
}

/** True for a page that was never used. All of it should be zero; see `judgePage`. */
export function isEmptyPage(buffer: Buffer, offset: number): boolean {
  return pageUpper(buffer, offset) === 0;
}

/** `pd_checksum`: 0 where checksums are off. */
export function pageChecksum(buffer: Buffer, offset: number): number {
  return buffer.readUInt16LE(offset + 8);
}

/** `pd_flags`. */
export function pageFlags(buffer: Buffer, offset: number): number {
  return buffer.readUInt16LE(offset + 10);
}

/** True when the page says that all its tuples are visible to everybody. */
export function isAllVisible(buffer: Buffer, offset: number): boolean {
  return (pageFlags(buffer, offset) & PD_ALL_VISIBLE) !== 0;
}

/** `pd_lower`: where the free space begins. */
export function pageLower(buffer: Buffer, offset: number): number {
  return buffer.readUInt16LE(offset + 12);
}

/** `pd_upper`: where the free space ends. */
export function pageUpper(buffer: Buffer, offset: number): number {
  return buffer.readUInt16LE(offset + 14);
}

/** Whether any line pointer of a table's page is in use: VACUUM may cut off what has none. */
export function hasItems(buffer: Buffer, offset: number): boolean {
  const end = Math.min(pageLower(buffer, offset), BLOCK_BYTES);
  for (let at = HEADER_BYTES; at + ITEM_BYTES <= end; at += ITEM_BYTES) {
    if (((buffer.readUInt32LE(offset + at) >>> 15) & 3) !== ITEM_UNUSED) return true;
  }
  return false;
}

/** `pd_special`: where the index's own part begins. */
export function pageSpecial(buffer: Buffer, offset: number): number {
  return buffer.readUInt16LE(offset + 16);
}

/** What was found of a page. `half-empty`: `pd_upper` is 0 and other bytes are not. */
export type PageVerdict = "good" | "empty" | "half-empty" | "bad-header" | "bad-checksum";

/**
 * Judges a page as the server does when it reads one. `blockNumber` counts from the start of the relation's fork:
 * block in the file + segment × blocks per segment. `checksums` is false where the cluster has none.
 */
export function judgePage(
  buffer: Buffer,
  offset: number,
  expected: { readonly blockNumber: number; readonly checksums: boolean },
): PageVerdict {
  if (isEmptyPage(buffer, offset)) return isZero(buffer, offset) ? "empty" : "half-empty";
  // The checksum first: a damaged header shows there too, and says less.
  if (expected.checksums && pageChecksum(buffer, offset) !== computeChecksum(buffer, offset, expected.blockNumber)) {
    return "bad-checksum";
  }
  return hasSoundHeader(buffer, offset) ? "good" : "bad-header";
}

/** True when the header's fields can belong together. */
export function hasSoundHeader(buffer: Buffer, offset: number): boolean {
  const lower = pageLower(buffer, offset);
  const upper = pageUpper(buffer, offset);
  const special = pageSpecial(buffer, offset);
  return (
    (pageFlags(buffer, offset) & ~PD_FLAGS_KNOWN) === 0 &&
    lower >= HEADER_BYTES &&
    lower <= upper &&
    upper <= special &&
    special <= BLOCK_BYTES &&
    special % 8 === 0 &&
    buffer.readUInt16LE(offset + 18) === PAGE_SIZE_VERSION
  );
}

// 32 sums run beside each other, each over every 32nd word; the start values are PostgreSQL's own random numbers.
const SUM_COUNT = 32;
const ROUNDS = BLOCK_BYTES / (4 * SUM_COUNT);
const PRIME = 16777619;
const START = Int32Array.of(
  ...[0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c],
  ...[0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb],
  ...[0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4],
  ...[0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756],
);

// A copy that is aligned for reading whole words and whose checksum can be blanked; the code below never waits.
const scratch = Buffer.alloc(BLOCK_BYTES);
const words = new Int32Array(scratch.buffer, scratch.byteOffset, BLOCK_BYTES / 4);

/** The checksum that the page should carry at `blockNumber`, 1 to 65535. */
export function computeChecksum(buffer: Buffer, offset: number, blockNumber: number): number {
  buffer.copy(scratch, 0, offset, offset + BLOCK_BYTES);
  scratch.writeUInt16LE(0, 8);
  let sum = 0;
  for (let column = 0; column < SUM_COUNT; column += 4) sum ^= sumOfFour(column);
  return (((sum ^ blockNumber) >>> 0) % 65535) + 1;
}

/** Four of the 32 sums at once: they do not depend on each other, so the processor works on them side by side. */
function sumOfFour(column: number): number {
  let a = START[column] as number;
  let b = START[column + 1] as number;
  let c = START[column + 2] as number;
  let d = START[column + 3] as number;
  for (let round = 0, at = column; round < ROUNDS; round += 1, at += SUM_COUNT) {
    a ^= words[at] as number;
    b ^= words[at + 1] as number;
    c ^= words[at + 2] as number;
    d ^= words[at + 3] as number;
    a = Math.imul(a, PRIME) ^ (a >>> 17);
    b = Math.imul(b, PRIME) ^ (b >>> 17);
    c = Math.imul(c, PRIME) ^ (c >>> 17);
    d = Math.imul(d, PRIME) ^ (d >>> 17);
  }
  return mixed(mixed(a)) ^ mixed(mixed(b)) ^ mixed(mixed(c)) ^ mixed(mixed(d));
}

/** One more round, over a word of zeros. */
function mixed(sum: number): number {
  return Math.imul(sum, PRIME) ^ (sum >>> 17);
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

function isZero(buffer: Buffer, offset: number): boolean {
  return buffer.compare(ZEROS, 0, BLOCK_BYTES, offset, offset + BLOCK_BYTES) === 0;
}
