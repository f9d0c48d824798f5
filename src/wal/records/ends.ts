/**
 * Follows where records end in WAL that passes, by their lengths alone.
 *
 * Nothing is checked: whoever relies on an end later reads the records up to it (cursor.ts). An answer that is wrong by `false`
 * costs a little; one that is wrong by `true` needs WAL that no server writes.
 * Source: PostgreSQL's src/include/access/xlog_internal.h and xlogrecord.h.
 */
import { aligned, isSwitch, RECORD_BYTES_MAX, RECORD_HEADER_BYTES } from "./cursor.ts";
import { PAGE_FLAG, PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "./page.ts";

/** Of a record's header: its length first, and where these two lie. */
const INFO_AT = 16;
const RMGR_AT = 17;

/** One follows one segment. Where it begins in the middle, it knows nothing before the next page. */
export class RecordEnds {
  /** Bytes of the record under way that are still to come, padding included; undefined where records are not known to lie. */
  #left: number | undefined;
  /** Whether the record under way is one that the next one follows directly. */
  #followed = false;
  #atEnd = false;

  /** Whether what has passed ends with the last byte of a record; false when that is not known. */
  get atEnd(): boolean {
    return this.#atEnd;
  }

  /** Takes the bytes that lie at `offset` of the segment: the ones behind those taken before. */
  pass(bytes: Buffer, offset: number): void {
    for (let at = 0; at < bytes.byteLength; ) {
      this.#atEnd = false;
      const inPage = (offset + at) % WAL_PAGE_BYTES;
      if (inPage === 0) at += this.#enterPage(bytes, at, offset + at);
      else if (this.#left === undefined) at += WAL_PAGE_BYTES - inPage;
      else if (this.#left === 0) this.#left = this.#beginRecord(bytes, at, WAL_PAGE_BYTES - inPage);
      else {
        const taken = Math.min(this.#left, WAL_PAGE_BYTES - inPage, bytes.byteLength - at);
        this.#left -= taken;
        at += taken;
        this.#atEnd = this.#left === 0 && this.#followed;
      }
    }
  }

  /** Passes over a page's header; over all of a piece that has not the whole header. */
  #enterPage(bytes: Buffer, at: number, offset: number): number {
    const headerBytes = offset === 0 ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES;
    if (at + headerBytes > bytes.byteLength) {
      this.#left = undefined;
      return bytes.byteLength - at;
    }
    if (this.#left === undefined) this.#followed = false;
    const continues = (bytes.readUInt16LE(at + 2) & PAGE_FLAG.continues) !== 0;
    this.#left = continues ? aligned(bytes.readUInt32LE(at + 16)) : 0;
    return headerBytes;
  }

  /** The length of the record that begins here; undefined where none does, or what follows it is not a record. */
  #beginRecord(bytes: Buffer, at: number, pageLeft: number): number | undefined {
    const there = Math.min(pageLeft, bytes.byteLength - at);
    if (there < 4) return undefined;
    const length = bytes.readUInt32LE(at);
    if (length < RECORD_HEADER_BYTES || length > RECORD_BYTES_MAX) return undefined;
    const known = there > RMGR_AT;
    const switches = known && isSwitch(bytes[at + RMGR_AT] ?? 0, bytes[at + INFO_AT] ?? 0);
    // One that switches is a header alone.
    this.#followed = known || length > RECORD_HEADER_BYTES;
    return switches ? undefined : aligned(length);
  }
}
