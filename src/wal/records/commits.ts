/**
 * Reads the commits of a segment and their times, by the lengths of records alone: a few milliseconds a segment.
 *
 * Nothing is checked, for who wants to know looks at WAL that was, or will be: an answer says something, but decides nothing. One
 * whose beginning crosses into the next segment is left out.
 * Source: PostgreSQL's src/include/access/xact.h and xlogrecord.h.
 */
import { aligned, RECORD_HEADER_BYTES, RMGR_XACT } from "./cursor.ts";
import { isCommit, POSTGRES_EPOCH_MICROSECONDS, type WalTime } from "./events.ts";
import { PAGE_FLAG, PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "./page.ts";

/** A commit, by where its record begins in the segment. */
export type PassingCommit = { readonly offset: number; readonly time: WalTime };

/** Of a record's header; both lie behind its length. */
const INFO_AT = 16;
const RMGR_AT = 17;

/** What may stand between the header of a commit and its data, with how much: an origin and the id of the transaction above. */
const HEADER_BYTES: ReadonlyMap<number, number> = new Map([
  [252, 5],
  [253, 3],
]);
/** The headers of the data itself: with a length of one byte, and of four. */
const DATA_HEADER_BYTES: ReadonlyMap<number, number> = new Map([
  [255, 2],
  [254, 5],
]);
const TIME_BYTES = 8;
/** All that may stand there, once. */
const READ_BYTES = RECORD_HEADER_BYTES + 5 + 3 + 5 + TIME_BYTES;

/** The commits whose records begin in a segment, in order. */
export function* commitsIn(bytes: Buffer): Generator<PassingCommit> {
  for (let page = 0; page + SEGMENT_HEADER_BYTES <= bytes.byteLength; page += WAL_PAGE_BYTES) {
    const end = Math.min(page + WAL_PAGE_BYTES, bytes.byteLength);
    for (let at = firstRecord(bytes, page); at + 4 <= end; ) {
      const length = bytes.readUInt32LE(at);
      if (length < RECORD_HEADER_BYTES) break;
      const time = timeOf(bytes, at);
      if (time !== undefined) yield { offset: at, time };
      at += aligned(length);
    }
  }
}

/** Behind the header of a page and what is left there of a record that began before. */
function firstRecord(bytes: Buffer, page: number): number {
  const at = page + (page === 0 ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES);
  const continues = (bytes.readUInt16LE(page + 2) & PAGE_FLAG.continues) !== 0;
  return continues ? at + aligned(bytes.readUInt32LE(page + 16)) : at;
}

/** Undefined for every record but a commit. */
function timeOf(bytes: Buffer, at: number): WalTime | undefined {
  const pageLeft = WAL_PAGE_BYTES - (at % WAL_PAGE_BYTES);
  const isHere = pageLeft > RMGR_AT;
  if (isHere && !isCommitRecord(bytes, at)) return undefined;
  const record = pageLeft >= READ_BYTES ? bytes.subarray(at, at + READ_BYTES) : acrossPages(bytes, at, pageLeft);
  if (!isCommitRecord(record, 0)) return undefined;
  let dataAt = RECORD_HEADER_BYTES;
  for (let seen = 0; seen < HEADER_BYTES.size; seen += 1) dataAt += HEADER_BYTES.get(record[dataAt] ?? 0) ?? 0;
  const timeAt = dataAt + (DATA_HEADER_BYTES.get(record[dataAt] ?? 0) ?? READ_BYTES);
  if (timeAt + TIME_BYTES > record.byteLength) return undefined;
  return (Number(record.readBigInt64LE(timeAt)) + POSTGRES_EPOCH_MICROSECONDS) as WalTime;
}

function isCommitRecord(record: Buffer, at: number): boolean {
  return record[at + RMGR_AT] === RMGR_XACT && isCommit(record[at + INFO_AT] ?? 0);
}

function acrossPages(bytes: Buffer, at: number, pageLeft: number): Buffer {
  const next = at + pageLeft + PAGE_HEADER_BYTES;
  return Buffer.concat([bytes.subarray(at, at + pageLeft), bytes.subarray(next, next + READ_BYTES - pageLeft)]);
}
