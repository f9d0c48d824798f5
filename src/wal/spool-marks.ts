/**
 * How far a partial is filled.
 *
 * Its length cannot say it: after a power cut a file may be as long as it was last made and have holes of zeros where bytes were
 * on their way. And a file that grows makes every sync write its length as well, after its bytes: one more turn of the disk, and
 * commits wait for it. So a partial has its length from the first, and its blocks too where there was time to lay it out, with
 * room for two *marks* behind the segment; the mark written last says how many bytes count.
 * Where a sync ends with a record and the mark before it did too, it writes none: each record has a checksum of its own, and a block
 * less for the disk is a fifth of what a commit waits for (docs/decisions/0049-records-for-marks.md). Of what was synced behind the
 * mark, the records say how far it reaches.
 * Invariants: bytes are written before the mark that counts them, and both are covered by one sync; a mark goes where it
 * replaces none that is relied on, so that a power cut in mid-write leaves the one before; a mark counts only when the bytes
 * that came with it are there, by their CRC-32, since the disk may have taken the mark and not them; bytes behind a mark count up
 * to the end of the last record in an unbroken row of whole ones that begins at the mark.
 * The format is specified in docs/formats/spool.md.
 */
import { crc32 } from "node:zlib";
import { assert } from "../errors/error.ts";
import type { FileHandle } from "../platform/files.ts";
import type { Lsn, Timeline } from "../postgres/lsn.ts";
import { isSwitch, RecordCursor } from "./records/cursor.ts";
import { PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "./records/page.ts";

/** Where a mark lies: it and the next one alternate. */
export type Slot = 0 | 1;

/** How far a file is filled. */
export type Mark = {
  /** The segment's first byte: what an earlier use of the disk's blocks left is no mark. */
  readonly start: Lsn;
  /** Bytes that were on stable storage before. */
  readonly syncedBytes: number;
  /** Bytes that count, if those since `syncedBytes` are the ones meant. */
  readonly filledBytes: number;
  /** CRC-32 of the bytes between. */
  readonly crc: number;
};

/** So many bytes behind a mark may have none: what has to be read of a spool whose receiver was killed. */
export const UNMARKED_BYTES_MAX = 128 * 1024;

/** A mark that counts. */
export type StandingMark = Mark & { readonly slot: Slot };

const SLOTS = [0, 1] as const;
/** Each mark has a block of its own, so that a write of one cannot harm the other. */
const BLOCK_BYTES = 4096;
const MAGIC = Buffer.from("lb-mark1", "latin1");
/** The size of a mark. */
export const MARK_BYTES = 32;
/** Where the mark's own CRC-32 lies, of all before it. */
const OWN_CRC_AT = MARK_BYTES - 4;

/** The size of a partial. */
export function laidOutBytes(walSegmentBytes: number): number {
  return walSegmentBytes + SLOTS.length * BLOCK_BYTES;
}

/** Where a slot lies in its file. */
export function markPosition(walSegmentBytes: number, slot: Slot): number {
  return walSegmentBytes + slot * BLOCK_BYTES;
}

/** The slot for the mark that comes after the one in `slot`. */
export function nextSlot(slot: Slot): Slot {
  return slot === 0 ? 1 : 0;
}

/** A mark's bytes, before its numbers: see `encodeMark`. */
export function blankMark(start: Lsn): Buffer {
  const bytes = Buffer.alloc(MARK_BYTES);
  MAGIC.copy(bytes);
  bytes.writeBigUInt64BE(start, 8);
  return bytes;
}

/** Writes a mark's bytes, into a blank of this segment where there is one. */
export function encodeMark(mark: Mark, bytes = blankMark(mark.start)): Buffer {
  assert(mark.syncedBytes <= mark.filledBytes, "a mark counts forward");
  bytes.writeUInt32BE(mark.syncedBytes, 16);
  bytes.writeUInt32BE(mark.filledBytes, 20);
  bytes.writeUInt32BE(mark.crc, 24);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, OWN_CRC_AT)), OWN_CRC_AT);
  return bytes;
}

/**
 * Reads the marks that count, the farthest first; none when the file is damaged. Undefined when the file has no room for
 * marks any more: it is complete, and about to get its name.
 */
export async function readMarks(
  handle: FileHandle,
  of: { readonly start: Lsn; readonly walSegmentBytes: number },
): Promise<readonly StandingMark[] | undefined> {
  const standing: StandingMark[] = [];
  for (const slot of SLOTS) {
    const bytes = await handle.read({ position: markPosition(of.walSegmentBytes, slot), length: MARK_BYTES });
    if (bytes.byteLength < MARK_BYTES) return undefined;
    const mark = decodeMark(bytes);
    if (mark === undefined || mark.start !== of.start || mark.filledBytes > of.walSegmentBytes) continue;
    if (await hasItsBytes(handle, mark)) standing.push({ ...mark, slot });
  }
  return standing.sort((a, b) => b.filledBytes - a.filledBytes);
}

/** A record begins with its length. */
const LENGTH_BYTES = 4;

/** Which file it is whose records are read. */
export type PartialPlace = { readonly start: Lsn; readonly timeline: Timeline; readonly walSegmentBytes: number };

/**
 * How far a file is filled whose newest mark says `filledBytes`: to there, or to the end of the last of the whole records that follow
 * it without a gap.
 */
export async function filledBehind(
  handle: Pick<FileHandle, "read">,
  { start, timeline, walSegmentBytes }: PartialPlace,
  filledBytes: number,
): Promise<number> {
  const from = filledBytes - (filledBytes % WAL_PAGE_BYTES);
  const length = Math.min(filledBytes + UNMARKED_BYTES_MAX, walSegmentBytes) - from;
  // As after each orderly stop: zeros, which are the length of no record.
  const next = await handle.read({ position: recordBegin(filledBytes), length: LENGTH_BYTES });
  if (next.every((byte) => byte === 0)) return filledBytes;
  // Memory that nobody touches costs nothing, and between the first page and these there may be most of a segment.
  const bytes = Buffer.alloc(from + length);
  for (const part of [
    { position: 0, length: SEGMENT_HEADER_BYTES },
    { position: from, length },
  ]) {
    (await handle.read(part)).copy(bytes, part.position);
  }
  const cursor = new RecordCursor({ from: Number(start) + filledBytes, walSegmentBytes });
  cursor.feed(bytes, timeline);
  let end = filledBytes;
  while (cursor.advance() === "record") {
    const begin = cursor.lsn - Number(start);
    if (end === filledBytes && begin !== recordBegin(end)) break;
    // What follows one that switches is the rest of its segment, which may not have come.
    if (isSwitch(cursor.rmgr, cursor.info)) break;
    end = cursor.end - Number(start);
  }
  return end;
}

/** The mark to rely on in a file of which `offset` bytes are to count: none where they are not all there. */
export async function markToRelyOn(
  handle: FileHandle,
  place: PartialPlace,
  offset: number,
): Promise<{ readonly slot: Slot | undefined; readonly filledBytes: number; readonly says: string }> {
  const marks = (await readMarks(handle, place)) ?? [];
  const [newest] = marks;
  const filledBytes = newest === undefined ? 0 : await filledBehind(handle, place, newest.filledBytes);
  const relied = filledBytes < offset ? undefined : marks.find((mark) => mark.filledBytes <= offset);
  const said = marks.map((mark) => mark.filledBytes).join(" and ") || "nothing";
  return { slot: relied?.slot, filledBytes, says: `its marks say ${said}, its records ${filledBytes}` };
}

/** Where the record begins that follows one which ends here. */
function recordBegin(end: number): number {
  if (end % WAL_PAGE_BYTES !== 0) return end;
  return end + (end === 0 ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES);
}

function decodeMark(bytes: Buffer): Mark | undefined {
  if (!bytes.subarray(0, MAGIC.byteLength).equals(MAGIC)) return undefined;
  if (crc32(bytes.subarray(0, OWN_CRC_AT)) !== bytes.readUInt32BE(OWN_CRC_AT)) return undefined;
  return {
    start: bytes.readBigUInt64BE(8) as Lsn,
    syncedBytes: bytes.readUInt32BE(16),
    filledBytes: bytes.readUInt32BE(20),
    crc: bytes.readUInt32BE(24),
  };
}

async function hasItsBytes(handle: FileHandle, { syncedBytes, filledBytes, crc }: Mark): Promise<boolean> {
  const length = filledBytes - syncedBytes;
  if (length < 0) return false;
  return crc32(await handle.read({ position: syncedBytes, length })) === crc;
}
