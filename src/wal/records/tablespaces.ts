/**
 * Finds where WAL creates tablespaces outside of the data directory.
 *
 * A server that replays such a record leads to the folder that the record names, whosever that is on this machine, and writes into
 * it from then on. So whoever has WAL replayed looks for them first.
 * Invariant: each record that PostgreSQL would replay is found. To look costs a few milliseconds a segment: records are followed by
 * their lengths alone, beginning anew on each page; one that is found is then read with its checksum.
 * Source: PostgreSQL's src/include/commands/tablespace.h and access/rmgrlist.h.
 */
import path from "node:path";
import type { Lsn } from "../../postgres/lsn.ts";
import { aligned, RECORD_HEADER_BYTES, type RecordCursor } from "./cursor.ts";
import { mainDataOf } from "./main-data.ts";
import { PAGE_FLAG, PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "./page.ts";
import { scanRecords, type WalReadOptions, type WalSource } from "./reader.ts";

/** A tablespace that a record creates. One made in place has no location, and lies in the data directory: it is none of these. */
export type CreatedTablespace = { readonly lsn: Lsn; readonly oid: number; readonly location: string };

/** The resource manager of tablespaces, and its record of a new one. */
const RMGR_TABLESPACE = 5;
const TABLESPACE_CREATE = 0x00;
const INFO_OF_MANAGER = 0xf0;
/** Of a record's header; both lie behind its length. */
const INFO_AT = 16;
const RMGR_AT = 17;

/** The tablespace that a cursor's current record creates outside of the data directory; undefined for any other record. */
export function decodeTablespace(cursor: RecordCursor): CreatedTablespace | undefined {
  if (!isCreation(cursor.rmgr, cursor.info)) return undefined;
  const data = mainDataOf(cursor);
  if (data === undefined || data.byteLength < 5) return undefined;
  const end = data.indexOf(0, 4);
  const location = data.subarray(4, end < 0 ? data.byteLength : end).toString("utf8");
  return path.isAbsolute(location)
    ? { lsn: BigInt(cursor.lsn) as Lsn, oid: data.readUInt32LE(0), location }
    : undefined;
}

/** The tablespaces that are created by records whose headers end in a segment; `source` has it, and the ones beside it. */
export async function tablespacesIn(
  source: WalSource,
  segment: { readonly start: Lsn; readonly bytes: Buffer },
  options: WalReadOptions,
): Promise<readonly CreatedTablespace[]> {
  const found: CreatedTablespace[] = [];
  for (const offset of creationsIn(segment.bytes)) {
    const from = (segment.start + BigInt(offset)) as Lsn;
    let created: CreatedTablespace | undefined;
    const visit = (cursor: RecordCursor): "stop" => {
      if (BigInt(cursor.lsn) === from) created = decodeTablespace(cursor);
      return "stop";
    };
    await scanRecords(source, { from }, visit, options);
    if (created !== undefined) found.push(created);
  }
  return found;
}

/**
 * Where records begin that say that they create a tablespace, counted from the beginning of a segment: below 0 where the record's
 * header began in the one before.
 */
export function creationsIn(bytes: Buffer): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [...begunBefore(view)];
  for (let page = 0; page + SEGMENT_HEADER_BYTES <= bytes.byteLength; page += WAL_PAGE_BYTES) {
    const end = Math.min(page + WAL_PAGE_BYTES, bytes.byteLength);
    for (let at = firstRecord(view, page); at + 4 <= end; ) {
      const length = view.getUint32(at, true);
      if (length < RECORD_HEADER_BYTES) break;
      if (isCreation(byteOf(view, at, RMGR_AT), byteOf(view, at, INFO_AT))) found.push(at);
      at += aligned(length);
    }
  }
  return found;
}

/** Records begin at multiples of 8 bytes, so that of a header which crosses into a segment the first 8 or 16 bytes lie before it. */
function begunBefore(view: DataView): readonly number[] {
  if (view.byteLength < SEGMENT_HEADER_BYTES + RMGR_AT || !continues(view, 0)) return [];
  return [-8, -16].filter((before) => {
    const at = SEGMENT_HEADER_BYTES + before;
    return isCreation(view.getUint8(at + RMGR_AT), view.getUint8(at + INFO_AT));
  });
}

function continues(view: DataView, page: number): boolean {
  return (view.getUint16(page + 2, true) & PAGE_FLAG.continues) !== 0;
}

/** Behind the header of a page and what is left there of a record that began before. */
function firstRecord(view: DataView, page: number): number {
  const at = page + (page === 0 ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES);
  return continues(view, page) ? at + aligned(view.getUint32(page + 16, true)) : at;
}

/** A byte of a record's header, which may go on behind the header of the next page; -1 behind the segment's end. */
function byteOf(view: DataView, record: number, offset: number): number {
  const page = record - (record % WAL_PAGE_BYTES) + WAL_PAGE_BYTES;
  const at = record + offset < page ? record + offset : record + offset + PAGE_HEADER_BYTES;
  return at < view.byteLength ? view.getUint8(at) : -1;
}

function isCreation(rmgr: number, info: number): boolean {
  return rmgr === RMGR_TABLESPACE && (info & INFO_OF_MANAGER) === TABLESPACE_CREATE;
}
