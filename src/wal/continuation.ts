/**
 * Does what a server sends go on from what is held? What is compared for that.
 *
 * Invariant (rule A5): a page proves nothing that every server of the timeline has. Behind a switch of segments pages are blank to
 * the segment's end, and the last page written may hold no more than a few bytes of a record. Where the server has nothing to compare,
 * its first record must be linked to the last one held.
 */
import { formatLsn, type Lsn, type Timeline } from "../postgres/lsn.ts";
import { foreignLineage } from "./identity.ts";
import { RecordCursor } from "./records/cursor.ts";
import { PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "./records/page.ts";

const BLANK = Buffer.alloc(WAL_PAGE_BYTES);

/**
 * From where to compare, of held bytes that begin with a page: from the page before the last one that says something. Undefined
 * where these bytes do not reach back so far.
 */
export function comparedOffset(held: Buffer): number | undefined {
  let page = Math.ceil(held.byteLength / WAL_PAGE_BYTES) - 1;
  while (page > 0 && isBlank(held.subarray(page * WAL_PAGE_BYTES, (page + 1) * WAL_PAGE_BYTES))) page -= 1;
  return page > 0 ? (page - 1) * WAL_PAGE_BYTES : undefined;
}

function isBlank(page: Buffer): boolean {
  const body = page.subarray(PAGE_HEADER_BYTES);
  return body.equals(BLANK.subarray(0, body.byteLength));
}

/** Records end so near before a segment's last written byte, but for long ones. */
const NEAR_BYTES = 256 * 1024;
/** Nearly every record is shorter; the rest of one that is longer is not waited for. */
const PENDING_BYTES_MAX = 1024 * 1024;

/** Where WAL goes on with a new segment: the first byte of that, and its timeline's id. */
export type LinkPlace = { readonly at: Lsn; readonly timeline: Timeline; readonly walSegmentBytes: number };

/**
 * Looks whether the first record behind what is held is linked to the last one held, or completes it. For a start at a segment's
 * first byte, where the server has no page any more that could be compared, or none on that timeline.
 */
export class Link {
  readonly #cursor: RecordCursor;
  readonly #timeline: Timeline;
  #pending: Buffer = Buffer.alloc(0);
  #settled = false;

  /** Where the first record must begin; undefined where the cursor has seen what comes before. */
  readonly #first: number | undefined;

  private constructor(cursor: RecordCursor, timeline: Timeline, first?: number) {
    this.#cursor = cursor;
    this.#timeline = timeline;
    this.#first = first;
  }

  /** Behind a held segment, all of it; undefined where no record of it can be read to its end. */
  static behind(segment: Buffer, { at, timeline, walSegmentBytes }: LinkPlace): Link | undefined {
    const start = Number(at) - walSegmentBytes;
    for (const offset of [Math.max(0, (comparedOffset(segment) ?? 0) - NEAR_BYTES), 0]) {
      const cursor = new RecordCursor({ from: start + offset, walSegmentBytes });
      cursor.feed(segment, timeline);
      let outcome = cursor.advance();
      while (outcome === "record") outcome = cursor.advance();
      if (outcome === "segment" && cursor.lsn > 0) return new Link(cursor, timeline);
    }
    return undefined;
  }

  /** Behind a record that ended where this begins, given its first byte. */
  static to(previous: Lsn, { at, timeline, walSegmentBytes }: LinkPlace): Link {
    const cursor = new RecordCursor({ from: Number(at), previous: Number(previous), walSegmentBytes });
    return new Link(cursor, timeline, Number(at) + SEGMENT_HEADER_BYTES);
  }

  /** Whether that is known: nothing may be confirmed before. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Takes what comes next; returns what may be written by now. Throws `wal.foreign-lineage`. */
  pass(data: Buffer): Buffer {
    if (this.#settled) return data;
    const cursor = this.#cursor;
    this.#pending = Buffer.concat([this.#pending, data]);
    cursor.feed(this.#pending, this.#timeline);
    const outcome = cursor.advance();
    const isOther = outcome === "record" && this.#first !== undefined && cursor.lsn !== this.#first;
    if (isOther || (outcome === "end" && cursor.endReason !== "no-more-bytes")) {
      const where = formatLsn(BigInt(isOther ? cursor.lsn : cursor.position) as Lsn);
      throw foreignLineage(
        `the server's WAL on timeline ${this.#timeline} does not go on from what was received before, at ${where}`,
      );
    }
    if (outcome === "end" && this.#pending.byteLength < PENDING_BYTES_MAX) return Buffer.alloc(0);
    this.#settled = true;
    return this.#pending;
  }
}
