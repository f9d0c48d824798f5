/**
 * Reads WAL as records: where it ends, and what it says of transactions, checkpoints and restore points.
 *
 * Nouns: a *source* hands out segments by name; a *record* is one change, from its first byte (`lsn`) to the first byte
 * after it (`end`); the *end of valid WAL* is the end of the last record that is whole and whose checksum is right.
 * Invariants: only records that PostgreSQL itself would replay are reported (checksum, length, link to the record
 * before, page headers, continuation); any bytes are answered with an end and its reason, never with an exception or an
 * endless loop; what a source raises passes through; segments handed out must not change.
 * Safety rule B8 rests on this: a flush position can lie inside a record, so the target of a failover is the end of the
 * last record with a valid checksum at or before that position, see `findEndOfWal`.
 * Source: PostgreSQL manual, "WAL Internals"; src/backend/access/transam/xlogreader.c.
 */
import { throwIfAborted } from "../../platform/clock.ts";
import { type Lsn, type SystemId, segmentName, type Timeline } from "../../postgres/lsn.ts";
import { RecordCursor, type WalEndReason } from "./cursor.ts";
import { decodeEvent, type WalEvent, type WalTime } from "./events.ts";
import { mainDataOf } from "./main-data.ts";
import { checkSegmentHeader, type SegmentHeaderFault } from "./page.ts";

/** Where segments come from. */
export type WalSource = {
  readonly walSegmentBytes: number;
  /** The timeline whose segment holds the byte at `segmentStart`: one number, or by the history of a recovery. */
  readonly timelineAt: (segmentStart: Lsn) => Timeline;
  /** The bytes of a segment, fewer when no more are known; undefined when there is no such segment. */
  readSegment(name: string, options: WalReadOptions): Promise<Buffer | undefined>;
};

/** Cancels what can wait. `pause` is awaited every 32 KiB or so, for a program that must stay responsive. */
export type WalReadOptions = { readonly signal?: AbortSignal | undefined; readonly pause?: () => Promise<void> };

/** One record. Buffers are views of the segments where the record lies on one page. */
export type WalRecord = {
  readonly lsn: Lsn;
  readonly end: Lsn;
  readonly timeline: Timeline;
  readonly xid: number;
  /** The resource manager's number: 0 WAL itself, 1 transactions, 10 heap, ... */
  readonly rmgr: number;
  readonly info: number;
  /** The record before. */
  readonly prev: Lsn;
  /** Without padding. */
  readonly sizeBytes: number;
  /** Undefined for a record of more than 16 MiB that is not about transactions or the WAL itself. */
  readonly mainData: Buffer | undefined;
};

/** Where valid WAL ends. */
export type WalEnd = {
  /** The last valid record, also one before the position that was asked for; undefined when none was seen. */
  readonly last: { readonly lsn: Lsn; readonly end: Lsn; readonly timeline: Timeline } | undefined;
  /** Why nothing follows; `stopped` when the visitor asked for it. */
  readonly reason: WalEndReason | "stopped";
  /** The first byte that is not part of a valid record. */
  readonly at: Lsn;
  /** The first byte of a record of which a part was there and more may yet come. */
  readonly openRecord: Lsn | undefined;
};

/** What to read: records that begin at `from` or later and end at `limit` or before. */
export type WalRange = { readonly from: Lsn; readonly limit?: Lsn | undefined };

/** Bytes walked between two pauses: a quarter of a millisecond of work where records are small. */
const PAUSE_BYTES = 32 * 1024;

/**
 * Calls `visit` with a cursor at every record of a range, in order, until valid WAL ends or `visit` returns "stop". The
 * cursor is valid during the call only. The fastest way; the others rest on it or do the same. Where `visit` looks into
 * records shorter than a segment only, the source may use a segment's memory again for the one after the next.
 */
export async function scanRecords(
  source: WalSource,
  range: WalRange,
  visit: (cursor: RecordCursor) => "stop" | undefined,
  options: WalReadOptions = {},
): Promise<WalEnd> {
  const cursor = cursorOver(source, range);
  for (;;) {
    const outcome = await walkSegment(cursor, visit, options);
    if (outcome !== "segment") return endOf(cursor, outcome === "end" ? cursor.endReason : "stopped");
    await feedNext(cursor, source, options);
  }
}

/** Calls `visit` at every record that the cursor can reach with what it was fed: until it needs a segment, or has come to an end. */
export async function walkSegment(
  cursor: RecordCursor,
  visit: (cursor: RecordCursor) => "stop" | undefined,
  options: WalReadOptions = {},
): Promise<"segment" | "end" | "stopped"> {
  // Multiples, so that a walk of small segments pauses too.
  let pauseAt = nextPause(cursor.position);
  for (;;) {
    const outcome = cursor.advance();
    if (outcome !== "record") return outcome;
    if (visit(cursor) === "stop") return "stopped";
    if (cursor.end >= pauseAt) {
      pauseAt = nextPause(cursor.end);
      throwIfAborted(options.signal, "reading WAL records");
      await options.pause?.();
    }
  }
}

function nextPause(position: number): number {
  return position - (position % PAUSE_BYTES) + PAUSE_BYTES;
}

/** The records of a range, in order, until valid WAL ends; returns where and why. */
export async function* readRecords(
  source: WalSource,
  range: WalRange,
  options: WalReadOptions = {},
): AsyncGenerator<WalRecord, WalEnd> {
  const cursor = cursorOver(source, range);
  for (;;) {
    const outcome = cursor.advance();
    if (outcome === "end") return endOf(cursor, cursor.endReason);
    if (outcome === "segment") await feedNext(cursor, source, options);
    else yield recordOf(cursor);
  }
}

/** The events of a range, in order, until valid WAL ends; returns where and why. Commits and aborts carry their times. */
export async function* readEvents(
  source: WalSource,
  range: WalRange,
  options: WalReadOptions = {},
): AsyncGenerator<WalEvent, WalEnd> {
  const cursor = cursorOver(source, range);
  let pauseAt = cursor.position + PAUSE_BYTES;
  for (;;) {
    const outcome = cursor.advance();
    if (outcome === "end") return endOf(cursor, cursor.endReason);
    const event = outcome === "segment" ? await feedNext(cursor, source, options) : decodeEvent(cursor);
    if (event !== undefined) yield event;
    if (cursor.end >= pauseAt) {
      pauseAt = cursor.end + PAUSE_BYTES;
      throwIfAborted(options.signal, "reading WAL records");
      await options.pause?.();
    }
  }
}

/**
 * The end of valid WAL from a position on: of the last record that is whole, right, and ends at `limit` or before (rule
 * B8). `from` is best a place known to be good, such as the start of a segment or a checkpoint.
 */
export function findEndOfWal(source: WalSource, range: WalRange, options: WalReadOptions = {}): Promise<WalEnd> {
  return scanRecords(source, range, () => undefined, options);
}

/** What one segment holds by itself. */
export type SegmentSummary =
  | { readonly kind: "bad"; readonly reason: SegmentHeaderFault; readonly found: string; readonly expected: string }
  | {
      readonly kind: "good";
      /** Of the first page, and of the last valid record. They differ where a timeline begins inside the segment. */
      readonly timeline: Timeline;
      readonly lastTimeline: Timeline;
      readonly systemId: SystemId;
      readonly postgresMajor: number;
      readonly start: Lsn;
      readonly walSegmentBytes: number;
      readonly recordCount: number;
      readonly commitCount: number;
      /** Earliest and latest time of the commits; those of a record that crosses into the next segment are not among them. */
      readonly firstCommitTime: WalTime | undefined;
      readonly lastCommitTime: WalTime | undefined;
      readonly end: WalEnd;
    };

/**
 * Summarizes a segment, whole or the beginning of one. A record that began in the segment before is passed over without
 * a check, one that continues in the next is `end.openRecord`, with reason `no-segment`: both need `scanRecords`.
 */
export function segmentSummary(bytes: Buffer): SegmentSummary {
  const check = checkSegmentHeader(bytes, {});
  if (check.kind === "bad") return check;
  const { header } = check;
  const start = BigInt(header.address) as Lsn;
  const cursor = new RecordCursor({ from: header.address, walSegmentBytes: header.walSegmentBytes });
  cursor.feed(bytes.subarray(0, header.walSegmentBytes), Number.POSITIVE_INFINITY);
  const times: WalTime[] = [];
  let recordCount = 0;
  for (let outcome = cursor.advance(); outcome === "record"; outcome = cursor.advance()) {
    recordCount += 1;
    const event = decodeEvent(cursor);
    if (event?.kind === "commit") times.push(event.time);
  }
  // Whatever the next segment holds, this one is walked to its end.
  cursor.feedNothing();
  return {
    kind: "good",
    timeline: header.timeline,
    lastTimeline: recordCount === 0 ? header.timeline : (cursor.timeline as Timeline),
    systemId: header.systemId,
    postgresMajor: header.postgresMajor,
    start,
    walSegmentBytes: header.walSegmentBytes,
    recordCount,
    commitCount: times.length,
    firstCommitTime: times.reduce<WalTime | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined),
    lastCommitTime: times.reduce<WalTime | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined),
    end: endOf(cursor, cursor.endReason),
  };
}

function cursorOver(source: WalSource, range: WalRange): RecordCursor {
  return new RecordCursor({
    from: Number(range.from),
    limit: range.limit === undefined ? undefined : Number(range.limit),
    walSegmentBytes: source.walSegmentBytes,
  });
}

async function feedNext(cursor: RecordCursor, source: WalSource, options: WalReadOptions): Promise<undefined> {
  const lsn = BigInt(cursor.neededSegment) as Lsn;
  const { walSegmentBytes } = source;
  const timeline = source.timelineAt(lsn);
  throwIfAborted(options.signal, "reading WAL records");
  const bytes = await source.readSegment(segmentName({ timeline, lsn, walSegmentBytes }), options);
  if (bytes === undefined) cursor.feedNothing();
  else cursor.feed(bytes, timeline);
}

function recordOf(cursor: RecordCursor): WalRecord {
  return {
    lsn: BigInt(cursor.lsn) as Lsn,
    end: BigInt(cursor.end) as Lsn,
    timeline: cursor.timeline as Timeline,
    xid: cursor.xid,
    rmgr: cursor.rmgr,
    info: cursor.info,
    prev: BigInt(cursor.prev) as Lsn,
    sizeBytes: cursor.length,
    mainData: mainDataOf(cursor),
  };
}

function endOf(cursor: RecordCursor, reason: WalEnd["reason"]): WalEnd {
  const { lsn, end, timeline, openLsn } = cursor;
  return {
    last: end === 0 ? undefined : { lsn: BigInt(lsn) as Lsn, end: BigInt(end) as Lsn, timeline: timeline as Timeline },
    reason,
    at: BigInt(cursor.position) as Lsn,
    openRecord: openLsn === undefined ? undefined : (BigInt(openLsn) as Lsn),
  };
}
