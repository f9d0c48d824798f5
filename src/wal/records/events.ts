/**
 * What the WAL says of transactions and of itself.
 *
 * Nouns: an *event* is a record that matters to recovery: a commit or abort, a checkpoint, a switch, a restore point, a
 * change of parameters, the end of a recovery. Times of events are the server's own, in microseconds.
 * Invariant: a record whose content does not have the form expected is no event; it is never an exception.
 * Source: PostgreSQL's src/include/access/xact.h, xlog_internal.h, xlogrecord.h and catalog/pg_control.h.
 */

import type { Instant } from "../../platform/clock.ts";
import type { WalLevel } from "../../postgres/control-file.ts";
import type { Lsn, Timeline } from "../../postgres/lsn.ts";
import { type RecordCursor, RMGR_XACT, RMGR_XLOG, XLOG_SWITCH } from "./cursor.ts";
import { mainDataOf } from "./main-data.ts";

/** A time of a server, microseconds since 1970-01-01 UTC: exact as a number until the year 2255. */
export type WalTime = number & { readonly brand: "WalTime" };

/** Where an event lies: its first byte, the first byte after it, and the timeline. */
type EventPlace = { readonly lsn: Lsn; readonly end: Lsn; readonly timeline: Timeline };

/** See the top of this file. */
export type WalEvent = EventPlace &
  (
    | {
        /** Two-phase ones too: `prepared` says that the transaction had been prepared. */
        readonly kind: "commit" | "abort";
        readonly xid: number;
        readonly subtransactions: readonly number[];
        readonly time: WalTime;
        readonly prepared: boolean;
      }
    | {
        readonly kind: "checkpoint";
        readonly shutdown: boolean;
        readonly redo: Lsn;
        readonly ownTimeline: Timeline;
        readonly previousTimeline: Timeline;
        /** The epoch in the upper 32 bits, as PostgreSQL counts. */
        readonly nextXid: bigint;
        /** Whole seconds. */
        readonly time: WalTime;
      }
    | { readonly kind: "switch" }
    | { readonly kind: "restore-point"; readonly name: string; readonly time: WalTime }
    | {
        readonly kind: "parameter-change";
        readonly walLevel: WalLevel | undefined;
        readonly walLogHints: boolean;
        readonly trackCommitTimestamp: boolean;
      }
    | {
        readonly kind: "end-of-recovery";
        readonly ownTimeline: Timeline;
        readonly previousTimeline: Timeline;
        readonly time: WalTime;
      }
    /** A record that a crash left incomplete was given up here. */
    | { readonly kind: "overwritten-record"; readonly overwritten: Lsn; readonly time: WalTime }
  );

/** The event of a cursor's current record; undefined when it is none. */
export function decodeEvent(cursor: RecordCursor): WalEvent | undefined {
  if (cursor.rmgr === RMGR_XACT) return decodeTransaction(cursor);
  if (cursor.rmgr === RMGR_XLOG) return decodeXlog(cursor);
  return undefined;
}

/** To milliseconds, rounded down. */
export function walTimeToInstant(time: WalTime): Instant {
  return Math.floor(time / 1000) as Instant;
}

/** ISO 8601 in UTC with microseconds, as a recovery target is given. */
export function formatWalTime(time: WalTime): string {
  const micros = ((time % 1000) + 1000) % 1000;
  return new Date(walTimeToInstant(time)).toISOString().replace("Z", `${String(micros).padStart(3, "0")}Z`);
}

const XACT_OPERATION_MASK = 0x70;
const XACT_HAS_INFO = 0x80;
const XACT_KINDS: ReadonlyMap<number, { readonly kind: "commit" | "abort"; readonly prepared: boolean }> = new Map([
  [0x00, { kind: "commit", prepared: false }],
  [0x20, { kind: "abort", prepared: false }],
  [0x30, { kind: "commit", prepared: true }],
  [0x40, { kind: "abort", prepared: true }],
]);

/** Whether the info of a transaction's record says that it commits one. */
export function isCommit(info: number): boolean {
  return XACT_KINDS.get(info & XACT_OPERATION_MASK)?.kind === "commit";
}

/** What a commit or abort carries behind its time, in this order. */
const XACT_INFO = {
  database: 1 << 0,
  subtransactions: 1 << 1,
  relations: 1 << 2,
  invalidations: 1 << 3,
  twoPhase: 1 << 4,
  droppedStatistics: 1 << 8,
} as const;

const RELATION_BYTES = 12;
const INVALIDATION_BYTES = 16;
/** An item of dropped statistics grew with the 64-bit object ids of PostgreSQL 18. */
const STATISTICS_BYTES = 12;
const STATISTICS_BYTES_18 = 16;

function decodeTransaction(cursor: RecordCursor): WalEvent | undefined {
  const operation = XACT_KINDS.get(cursor.info & XACT_OPERATION_MASK);
  const data = operation === undefined ? undefined : mainDataOf(cursor);
  if (operation === undefined || data === undefined || data.byteLength < 8) return undefined;
  const more = readTransactionInfo(data, cursor);
  return {
    ...placeOf(cursor),
    kind: operation.kind,
    prepared: operation.prepared,
    xid: more.twoPhaseXid ?? cursor.xid,
    subtransactions: more.subtransactions,
    time: readTime(data, 0),
  };
}

function readTransactionInfo(
  data: Buffer,
  cursor: RecordCursor,
): { readonly subtransactions: readonly number[]; readonly twoPhaseXid?: number } {
  if ((cursor.info & XACT_HAS_INFO) === 0 || data.byteLength < 12) return { subtransactions: [] };
  const info = data.readUInt32LE(8);
  let at = 12;
  const has = (flag: number): boolean => (info & flag) !== 0;
  const take = (): number => {
    const value = at + 4 <= data.byteLength ? data.readUInt32LE(at) : 0;
    at += 4;
    return value;
  };
  const skipItems = (itemBytes: number): void => {
    const count = take();
    at += count * itemBytes;
  };
  if (has(XACT_INFO.database)) at += 8;
  const subtransactions: number[] = [];
  if (has(XACT_INFO.subtransactions)) {
    const count = Math.min(take(), (data.byteLength - at) / 4);
    for (let index = 0; index < count; index += 1) subtransactions.push(take());
  }
  if (has(XACT_INFO.relations)) skipItems(RELATION_BYTES);
  if (has(XACT_INFO.droppedStatistics)) skipItems(cursor.postgresMajor >= 18 ? STATISTICS_BYTES_18 : STATISTICS_BYTES);
  if (has(XACT_INFO.invalidations)) skipItems(INVALIDATION_BYTES);
  return has(XACT_INFO.twoPhase) ? { subtransactions, twoPhaseXid: take() } : { subtransactions };
}

const XLOG_KIND_MASK = 0xf0;
const XLOG_CHECKPOINT_SHUTDOWN = 0x00;
const XLOG_CHECKPOINT_ONLINE = 0x10;
const XLOG_PARAMETER_CHANGE = 0x60;
const XLOG_RESTORE_POINT = 0x70;
const XLOG_END_OF_RECOVERY = 0x90;
const XLOG_OVERWRITE_CONTRECORD = 0xd0;

/** Bytes needed of each kind of record; PostgreSQL 17 and 18 added to some at their end. */
const XLOG_BYTES: ReadonlyMap<number, number> = new Map([
  [XLOG_CHECKPOINT_SHUTDOWN, 72],
  [XLOG_CHECKPOINT_ONLINE, 72],
  [XLOG_SWITCH, 0],
  [XLOG_PARAMETER_CHANGE, 26],
  [XLOG_RESTORE_POINT, 72],
  [XLOG_END_OF_RECOVERY, 16],
  [XLOG_OVERWRITE_CONTRECORD, 16],
]);

function decodeXlog(cursor: RecordCursor): WalEvent | undefined {
  const operation = cursor.info & XLOG_KIND_MASK;
  const needed = XLOG_BYTES.get(operation);
  const data = needed === undefined ? undefined : mainDataOf(cursor);
  if (needed === undefined || data === undefined || data.byteLength < needed) return undefined;
  const place = placeOf(cursor);
  switch (operation) {
    case XLOG_CHECKPOINT_SHUTDOWN:
    case XLOG_CHECKPOINT_ONLINE:
      return {
        ...place,
        kind: "checkpoint",
        shutdown: operation === XLOG_CHECKPOINT_SHUTDOWN,
        redo: data.readBigUInt64LE(0) as Lsn,
        ownTimeline: data.readUInt32LE(8) as Timeline,
        previousTimeline: data.readUInt32LE(12) as Timeline,
        nextXid: data.readBigUInt64LE(24),
        time: (Number(data.readBigInt64LE(64)) * 1_000_000) as WalTime,
      };
    case XLOG_SWITCH:
      return { ...place, kind: "switch" };
    case XLOG_RESTORE_POINT:
      return { ...place, kind: "restore-point", time: readTime(data, 0), name: readName(data.subarray(8, 72)) };
    case XLOG_PARAMETER_CHANGE:
      return {
        ...place,
        kind: "parameter-change",
        walLevel: WAL_LEVELS[data.readInt32LE(20)],
        walLogHints: data.readUInt8(24) !== 0,
        trackCommitTimestamp: data.readUInt8(25) !== 0,
      };
    case XLOG_END_OF_RECOVERY:
      return {
        ...place,
        kind: "end-of-recovery",
        time: readTime(data, 0),
        ownTimeline: data.readUInt32LE(8) as Timeline,
        previousTimeline: data.readUInt32LE(12) as Timeline,
      };
    default:
      return {
        ...place,
        kind: "overwritten-record",
        overwritten: data.readBigUInt64LE(0) as Lsn,
        time: readTime(data, 8),
      };
  }
}

const WAL_LEVELS: readonly WalLevel[] = ["minimal", "replica", "logical"];

/** PostgreSQL counts microseconds from 2000-01-01 UTC. */
export const POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000;

function readTime(data: Buffer, offset: number): WalTime {
  return (Number(data.readBigInt64LE(offset)) + POSTGRES_EPOCH_MICROSECONDS) as WalTime;
}

function readName(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.byteLength : end).toString("utf8");
}

function placeOf(cursor: RecordCursor): EventPlace {
  return { lsn: BigInt(cursor.lsn) as Lsn, end: BigInt(cursor.end) as Lsn, timeline: cursor.timeline as Timeline };
}
