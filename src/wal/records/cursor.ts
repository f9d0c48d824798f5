/**
 * Walks the records of WAL, segment by segment, without waiting for anything.
 *
 * Nouns: a *cursor* stands at a position and is fed segments; `advance` moves it over the next record and says "record",
 * or "segment" when it needs the next one, or "end" when nothing valid follows; a *piece* is the part of a record that
 * lies on one page.
 * Invariants: positions only grow, so every loop ends; a record is reported only when its checksum, its length, its
 * link to the record before and all its page headers are right; whatever the bytes are, there is no exception.
 * A cursor hands out itself as the current record: it is valid until the next `advance`.
 * Source: the reading rules of PostgreSQL's src/backend/access/transam/xlogreader.c.
 */
import { assert } from "../../errors/error.ts";
import { CRC32C_START, extendCrc32c, finishCrc32c } from "../../postgres/crc32c.ts";
import type { Lsn, SystemId, Timeline } from "../../postgres/lsn.ts";
import {
  checkSegmentHeader,
  PAGE_FLAG,
  type PageHeader,
  readPageHeader,
  readPosition,
  SEGMENT_HEADER_BYTES,
  WAL_MAGIC,
  WAL_PAGE_BYTES,
} from "./page.ts";

/** Bytes of a record's header. */
export const RECORD_HEADER_BYTES = 24;

/** The checksum lies in the last four bytes of the header and does not cover itself. */
const CHECKSUM_OFFSET = 20;

/** PostgreSQL allocates a record in one piece, and that stops at 1 GiB. */
export const RECORD_BYTES_MAX = 2 ** 30;

/** Resource managers: built-in ones up to 21 in PostgreSQL 15 to 18, extensions' own from 128. */
const RMGR_BUILTIN_MAX = 21;
const RMGR_CUSTOM_MIN = 128;

/** The resource manager of checkpoints, switches and the like. */
export const RMGR_XLOG = 0;
/** The resource manager of commits and aborts. */
export const RMGR_XACT = 1;
/** After this record the rest of the segment is unused. */
export const XLOG_SWITCH = 0x40;
/** Which half of a record's info is its resource manager's own. */
const INFO_OF_MANAGER = 0xf0;

/** Whether a record is the one that switches to the next segment. It is a header alone. */
export function isSwitch(rmgr: number, info: number): boolean {
  return rmgr === RMGR_XLOG && (info & INFO_OF_MANAGER) === XLOG_SWITCH;
}

/** Pages of a larger record are let go as they pass, unless it is about transactions or the WAL itself. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** Why nothing valid follows. */
export type WalEndReason =
  /** The segment is not there. */
  | "no-segment"
  /** The bytes end before the next record, or inside it. */
  | "no-more-bytes"
  /** The next record is said to be 0 bytes long: nothing was ever written there. */
  | "empty"
  | "bad-page"
  | "bad-length"
  | "bad-resource-manager"
  | "bad-link"
  | "bad-continuation"
  | "bad-checksum"
  /** The next record would end after the limit. */
  | "limit";

/** A part of a record on one page. */
type Piece = { readonly bytes: Buffer; readonly start: number; readonly end: number };

/** A record under way across pages. */
type OpenRecord = { readonly lsn: number; readonly length: number; done: number; crc: number };

/** What the caller knows of the WAL to walk. */
export type CursorOptions = {
  /** Where to begin: anywhere in the WAL. The first record reported begins here or later. */
  readonly from: number;
  /** The first byte of the record before `from`, where it is known: the first record reported must be linked to it. */
  readonly previous?: number | undefined;
  /** No record that ends after this position is reported, nor is anything beyond it asked for. */
  readonly limit?: number | undefined;
  readonly walSegmentBytes: number;
};

/** See the top of this file. All positions are bytes of WAL as numbers, see `readPosition`. */
export class RecordCursor {
  /** The current record: its first byte, the first byte after it (as PostgreSQL counts), its length without padding. */
  lsn = 0;
  end = 0;
  length = 0;
  xid = 0;
  rmgr = 0;
  info = 0;
  prev = 0;
  /** The timeline of the page on which the current record ends, and the major version. */
  timeline = 0;
  postgresMajor = 0;
  /** Why the last `advance` said "end". */
  endReason: WalEndReason = "no-more-bytes";
  /** The first byte of a record of which only a part was there, when reading ended. */
  openLsn: number | undefined;

  readonly #from: number;
  /** `previous` of the options, until the first record is reported. */
  #before: number | undefined;
  readonly #limit: number;
  readonly #walSegmentBytes: number;
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #segmentStart = -1;
  /** Where the first of the bytes lies. */
  #bytesStart = -1;
  /** Where the next byte to be looked at lies. */
  #at: number;
  /** The record before, to which the next one must be linked; undefined until one was seen. */
  #previous: number | undefined;
  #magic = 0;
  #systemId: SystemId | undefined;
  #pageTimeline = 0;
  #timelineMax = 0;
  #ended = false;
  #open: OpenRecord | undefined;
  /** The header of a record that lies on several pages, put together. */
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES);
  readonly #headerView = viewOf(this.#header);
  /** The pieces of the current record; undefined when it lies on one page of the segment fed last. */
  #pieces: Piece[] | undefined;
  /** Looking for the first record: tails of records that began earlier are passed over. */
  #seeking = true;

  constructor(options: CursorOptions) {
    assert(Number.isSafeInteger(options.from) && options.from >= 0, "WAL is read from a position below 2^53");
    this.#from = options.from;
    this.#before = options.previous;
    this.#limit = options.limit ?? Number.POSITIVE_INFINITY;
    this.#walSegmentBytes = options.walSegmentBytes;
    this.#at = options.from - (options.from % WAL_PAGE_BYTES);
  }

  /** The first byte of the segment to feed when `advance` says "segment". */
  get neededSegment(): number {
    return this.#at - (this.#at % this.#walSegmentBytes);
  }

  /** Where reading stands: on "end", the first byte that is not part of a valid record or page header. */
  get position(): number {
    return this.#open?.lsn ?? this.#at;
  }

  /**
   * Gives the cursor the segment it needs; fewer bytes than a segment when no more are known. They must not change.
   * After an end for want of bytes the same segment may be fed again, with more of them; or without the pages that were walked
   * over, of which `leftOutBytes` tells. `timelineMax` is the timeline of the segment's name: its pages lie on that or an earlier one.
   */
  feed(bytes: Buffer, timelineMax: number, leftOutBytes = 0): void {
    this.#segmentStart = this.neededSegment;
    this.#bytesStart = this.#segmentStart + leftOutBytes;
    assert(leftOutBytes % WAL_PAGE_BYTES === 0, "only whole pages are left out");
    assert(this.#bytesStart <= this.#at, "what is left out was walked over");
    this.#timelineMax = timelineMax;
    if (this.endReason === "no-more-bytes" || this.endReason === "no-segment") this.#ended = false;
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    if (leftOutBytes > 0 || bytes.byteLength < SEGMENT_HEADER_BYTES) return;
    // The first page is looked at also when reading starts behind it: it alone names the cluster.
    const check = checkSegmentHeader(bytes, {
      start: BigInt(this.#segmentStart) as Lsn,
      systemId: this.#systemId,
      timeline: timelineMax as Timeline,
      walSegmentBytes: this.#walSegmentBytes,
    });
    if (check.kind === "bad") this.#end("bad-page");
    else this.#systemId = check.header.systemId;
  }

  /** Says that the segment it needs does not exist: this is the end. */
  feedNothing(): void {
    if (!this.#ended) this.#end("no-segment");
  }

  /** Moves over the next record. After "end" every call says "end". */
  advance(): "record" | "segment" | "end" {
    while (!this.#ended) {
      if (this.#at >= this.#limit) return this.#end("limit");
      if (this.#segmentStart < 0 || this.#at - this.#segmentStart >= this.#walSegmentBytes) return "segment";
      const offset = this.#at - this.#bytesStart;
      if (offset % WAL_PAGE_BYTES === 0) {
        if (!this.#enterPage(offset)) return "end";
        continue;
      }
      const outcome = this.#open === undefined ? this.#beginRecord(offset) : this.#continueRecord(this.#open, offset);
      if (outcome === "end") return "end";
      if (outcome === "record" && this.lsn >= this.#from) return "record";
    }
    return "end";
  }

  /** The bytes of the current record from `start` to `end`; undefined when they were let go, see KEPT_BYTES_MAX. */
  slice(start: number, end: number): Buffer | undefined {
    const pieces = this.#pieces;
    if (pieces === undefined) {
      const offset = this.lsn - this.#bytesStart;
      return this.#bytes.subarray(offset + start, offset + end);
    }
    const found: Buffer[] = [];
    let at = 0;
    for (const piece of pieces) {
      const pieceEnd = at + piece.end - piece.start;
      const [from, to] = [Math.max(start, at), Math.min(end, pieceEnd)];
      if (from < to) found.push(piece.bytes.subarray(piece.start + from - at, piece.start + to - at));
      at = pieceEnd;
    }
    if (at < this.length) return undefined;
    return found.length === 1 ? found[0] : Buffer.concat(found);
  }

  /** Reads the page header at `offset` and moves behind it. Returns false at the end. */
  #enterPage(offset: number): boolean {
    const page = readPageHeader(this.#view, offset);
    if (page === undefined) return this.#end("no-more-bytes") !== "end";
    if (!this.#fits(page)) return this.#end("bad-page") !== "end";
    const continues = (page.flags & PAGE_FLAG.continues) !== 0;
    if (this.#open !== undefined && (page.flags & PAGE_FLAG.overwrites) !== 0) {
      // A server died inside this record and the next one began again here, with a record of its own.
      this.#open = undefined;
      this.openLsn = undefined;
    }
    if (this.#open !== undefined) {
      const rest = this.#open.length - this.#open.done;
      if (!continues || page.restBytes !== rest) return this.#end("bad-continuation") !== "end";
    } else if (continues && !this.#seeking) {
      return this.#end("bad-continuation") !== "end";
    }
    this.#magic = page.magic;
    this.#pageTimeline = page.timeline;
    this.#at += page.headerBytes;
    if (this.#open === undefined && continues) this.#skipTail(page);
    return true;
  }

  #fits(page: PageHeader): boolean {
    const long = (page.flags & PAGE_FLAG.long) !== 0;
    if (page.address !== this.#at || long !== (this.#at === this.#segmentStart) || (page.flags & ~PAGE_FLAG.all) !== 0)
      return false;
    if (page.magic !== this.#magic) {
      const major = WAL_MAGIC.get(page.magic);
      if (major === undefined || this.#magic !== 0) return false;
      this.postgresMajor = major;
    }
    return page.timeline > 0 && page.timeline >= this.#pageTimeline && page.timeline <= this.#timelineMax;
  }

  /** Passes over the end of a record that began before the first page read; it may fill this page and more. */
  #skipTail(page: PageHeader): void {
    const pageLeft = WAL_PAGE_BYTES - page.headerBytes;
    const tail = aligned(page.restBytes);
    if (tail >= pageLeft) {
      this.#at += pageLeft;
      if (tail === pageLeft) this.#seeking = false;
    } else {
      this.#at += tail;
      this.#seeking = false;
    }
  }

  /** Reads the record that begins at `offset`, or its first piece. */
  #beginRecord(offset: number): "record" | "more" | "end" {
    this.#seeking = false;
    const view = this.#view;
    if (offset + 4 > view.byteLength) return this.#end("no-more-bytes");
    const length = view.getUint32(offset, true);
    if (length < RECORD_HEADER_BYTES || length > RECORD_BYTES_MAX) {
      return this.#end(length === 0 ? "empty" : "bad-length");
    }
    const pageLeft = WAL_PAGE_BYTES - (offset % WAL_PAGE_BYTES);
    if (pageLeft >= RECORD_HEADER_BYTES && offset + RECORD_HEADER_BYTES <= view.byteLength) {
      const reason = this.#headerFault(view, offset, this.#at);
      if (reason !== undefined) return this.#end(reason);
    }
    if (length > pageLeft) {
      this.openLsn = this.#at;
      this.#open = { lsn: this.#at, length, done: 0, crc: CRC32C_START };
      this.#pieces = [];
      return this.#continueRecord(this.#open, offset);
    }
    if (offset + length > view.byteLength) {
      this.openLsn = this.#at;
      return this.#end("no-more-bytes");
    }
    const body = extendCrc32c(CRC32C_START, view, offset + RECORD_HEADER_BYTES, offset + length);
    const crc = finishCrc32c(extendCrc32c(body, view, offset, offset + CHECKSUM_OFFSET));
    if (crc !== view.getUint32(offset + CHECKSUM_OFFSET, true)) return this.#end("bad-checksum");
    this.#pieces = undefined;
    return this.#report(view, offset, { lsn: this.#at, length, next: this.#at + aligned(length) });
  }

  /** Takes in what this page holds of a record that does not fit on one. */
  #continueRecord(open: OpenRecord, offset: number): "record" | "more" | "end" {
    const pageLeft = WAL_PAGE_BYTES - (offset % WAL_PAGE_BYTES);
    const piece = Math.min(open.length - open.done, pageLeft);
    if (offset + piece > this.#view.byteLength) return this.#end("no-more-bytes");
    let bodyStart = offset;
    if (open.done < RECORD_HEADER_BYTES) {
      const headerPiece = Math.min(RECORD_HEADER_BYTES - open.done, piece);
      this.#bytes.copy(this.#header, open.done, offset, offset + headerPiece);
      bodyStart = offset + headerPiece;
      if (open.done + headerPiece === RECORD_HEADER_BYTES) {
        const reason = this.#headerFault(this.#headerView, 0, open.lsn);
        if (reason !== undefined) return this.#end(reason);
      }
    }
    open.crc = extendCrc32c(open.crc, this.#view, bodyStart, offset + piece);
    open.done += piece;
    this.#keepPiece(open, { bytes: this.#bytes, start: offset, end: offset + piece });
    if (open.done < open.length) {
      this.#at += piece;
      return "more";
    }
    const crc = finishCrc32c(extendCrc32c(open.crc, this.#headerView, 0, CHECKSUM_OFFSET));
    if (crc !== this.#headerView.getUint32(CHECKSUM_OFFSET, true)) return this.#end("bad-checksum");
    this.#open = undefined;
    this.openLsn = undefined;
    return this.#report(this.#headerView, 0, { ...open, next: this.#at + aligned(piece) });
  }

  #keepPiece(open: OpenRecord, piece: Piece): void {
    const rmgr = open.done < RECORD_HEADER_BYTES ? RMGR_XLOG : this.#header.readUInt8(17);
    if (open.length > KEPT_BYTES_MAX && rmgr !== RMGR_XLOG && rmgr !== RMGR_XACT) this.#pieces = [];
    else this.#pieces?.push(piece);
  }

  /** Says what is wrong with the header of the record at `lsn`, before its checksum is known. */
  #headerFault(view: DataView, offset: number, lsn: number): WalEndReason | undefined {
    const rmgr = view.getUint8(offset + 17);
    if (rmgr > RMGR_BUILTIN_MAX && rmgr < RMGR_CUSTOM_MIN) return "bad-resource-manager";
    const prev = readPosition(view, offset + 8);
    if (this.#before !== undefined && lsn >= this.#from && prev !== this.#before) return "bad-link";
    const linked = this.#previous === undefined ? prev < lsn : prev === this.#previous;
    return linked ? undefined : "bad-link";
  }

  #report(
    view: DataView,
    offset: number,
    at: { readonly lsn: number; readonly length: number; readonly next: number },
  ): "record" | "end" {
    const info = view.getUint8(offset + 16);
    const rmgr = view.getUint8(offset + 17);
    const end = isSwitch(rmgr, info) ? Math.ceil(at.next / this.#walSegmentBytes) * this.#walSegmentBytes : at.next;
    if (end > this.#limit) {
      this.#at = at.lsn;
      return this.#end("limit");
    }
    if (at.lsn >= this.#from) this.#before = undefined;
    this.lsn = at.lsn;
    this.length = at.length;
    this.xid = view.getUint32(offset + 4, true);
    this.prev = readPosition(view, offset + 8);
    this.info = info;
    this.rmgr = rmgr;
    this.end = end;
    this.timeline = this.#pageTimeline;
    this.#previous = at.lsn;
    this.#at = end;
    return "record";
  }

  #end(reason: WalEndReason): "end" {
    this.#ended = true;
    this.endReason = reason;
    // Only a record that may yet be completed counts as open.
    if (reason !== "no-more-bytes" && reason !== "no-segment") this.openLsn = undefined;
    return "end";
  }
}

/** With the padding behind it: a record begins at a multiple of 8. */
export function aligned(bytes: number): number {
  return bytes + (-bytes & 7);
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
