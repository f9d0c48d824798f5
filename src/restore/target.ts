/**
 * Where recovery is asked to end, and where it therefore will. Pure.
 *
 * Nouns: a *target* is what a person asks for; a *stop* is the place in the WAL where recovery ends because of it; the
 * stop *reaches* a position, the end of the last record that is replayed.
 * Invariant: a stop that is found before anything is written is the one the server comes to. Which record stops recovery is decided as
 * PostgreSQL decides it, record by record from the start of the backup; but for a time the server is told the place that was found
 * and not the time: it stops at the first commit beyond that, and a clock that was ahead for a while wrote such commits long before.
 * Source: PostgreSQL manual, "Recovery Target"; src/backend/access/transam/xlogrecovery.c, recoveryStopsBefore and
 * recoveryStopsAfter.
 */
import { assert } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn, type Lsn, lsnAdd } from "../postgres/lsn.ts";
import { formatWalTime, type WalEvent, type WalTime } from "../wal/records/events.ts";
import { PAGE_HEADER_BYTES, SEGMENT_HEADER_BYTES, WAL_PAGE_BYTES } from "../wal/records/page.ts";

/** See the top of this file. Of the variants with `inclusive`, true replays the record at the target, false stops before it. */
export type RecoveryTarget =
  | { readonly kind: "latest" }
  /** As soon as the backup is consistent. */
  | { readonly kind: "immediate" }
  | { readonly kind: "time"; readonly time: Instant; readonly inclusive: boolean }
  | { readonly kind: "lsn"; readonly lsn: Lsn; readonly inclusive: boolean }
  /** Above 32 bits the upper ones are the epoch, as pg_current_xact_id() has it. */
  | { readonly kind: "xid"; readonly xid: bigint; readonly inclusive: boolean }
  /** A restore point. */
  | { readonly kind: "name"; readonly name: string };

/** What a server is told to stop at. */
export type ServerTarget = Exclude<RecoveryTarget, { readonly kind: "time" }>;

/** A record at which recovery stops. */
export type StopRecord = {
  readonly lsn: Lsn;
  readonly end: Lsn;
  readonly what: "commit" | "abort" | "restore-point" | "other";
  /** Of a commit or abort. */
  readonly xid: number | undefined;
  /** Of all but `other`; the server's clock. */
  readonly time: WalTime | undefined;
};

/** See the top of this file. */
export type PlannedStop =
  /** Everything that is laid is replayed. */
  | { readonly kind: "end-of-wal" }
  /** Where the backup is consistent. */
  | { readonly kind: "consistent"; readonly reaches: Lsn }
  | {
      readonly kind: "record";
      readonly side: "before" | "after";
      readonly record: StopRecord;
      readonly reaches: Lsn;
      /** Further records that fit as well, where any were seen; recovery stops at the first. */
      readonly others: readonly StopRecord[];
      /**
       * Of a time: a transaction behind the stop, in this segment, that the server's clock dated at or before that time. The clock was
       * set back in between. Undefined where none was seen; not all of the WAL behind a stop is looked at.
       */
      readonly leftOut?: { readonly time: WalTime; readonly segment: Lsn } | undefined;
    };

/** Ids count to here and begin again, with the next epoch. */
export const XID_EPOCH = 1n << 32n;

/** Longest name of a restore point in bytes; PostgreSQL refuses longer ones. */
export const RESTORE_POINT_BYTES_MAX = 63;

/** What PostgreSQL compares: an id without its epoch. */
export function shortXid(xid: bigint): number {
  return Number(xid % XID_EPOCH);
}

/** The 64-bit id of a 32-bit one, by an id that is less than 2^31 away. */
export function fullXid(xid: number, near: bigint): bigint {
  const distance = BigInt.asIntN(32, BigInt(xid) - near);
  return near + distance;
}

/** True when recovery with this target stops at this event; a target that events do not decide is never met. */
export function meetsTarget(target: RecoveryTarget, event: WalEvent): boolean {
  if (event.kind === "restore-point") return target.kind === "name" && event.name === target.name;
  if (event.kind !== "commit" && event.kind !== "abort") return false;
  if (target.kind === "xid") return event.xid === shortXid(target.xid);
  if (target.kind !== "time") return false;
  return isBeyond(event.time, target);
}

/** True when a transaction that ended then is not replayed: a target in milliseconds, a time in microseconds. */
export function isBeyond(time: WalTime, target: { readonly time: Instant; readonly inclusive: boolean }): boolean {
  return target.inclusive ? time > target.time * 1000 : time >= target.time * 1000;
}

/** The stop at a record; `others` are records that fit as well and lie behind it. */
export function stopAt(
  target: RecoveryTarget,
  record: StopRecord,
  context: { readonly walSegmentBytes: number; readonly others: readonly StopRecord[] },
): PlannedStop & { readonly kind: "record" } {
  const before = target.kind === "time" || ((target.kind === "xid" || target.kind === "lsn") && !target.inclusive);
  const { walSegmentBytes, others } = context;
  const reaches = before ? endBefore(record.lsn, walSegmentBytes) : record.end;
  return { kind: "record", side: before ? "before" : "after", record, reaches, others };
}

/** What makes a server stop there. */
export function serverTarget(target: RecoveryTarget, stop: PlannedStop): ServerTarget {
  if (stop.kind === "end-of-wal") return { kind: "latest" };
  if (target.kind !== "time") return target;
  assert(stop.kind === "record", "a time is a target when a transaction beyond it was found");
  return { kind: "lsn", lsn: stop.record.lsn, inclusive: false };
}

/** The record of an event. */
export function recordOf(event: WalEvent): StopRecord {
  const { lsn, end } = event;
  if (event.kind === "restore-point") return { lsn, end, what: "restore-point", xid: undefined, time: event.time };
  if (event.kind !== "commit" && event.kind !== "abort") {
    return { lsn, end, what: "other", xid: undefined, time: undefined };
  }
  return { lsn, end, what: event.kind, xid: event.xid, time: event.time };
}

/** The end of what comes before the record that begins at `lsn`: PostgreSQL counts no page header in front of a record. */
function endBefore(lsn: Lsn, walSegmentBytes: number): Lsn {
  const inPage = Number(lsn % BigInt(WAL_PAGE_BYTES));
  const first = lsn % BigInt(walSegmentBytes) < BigInt(WAL_PAGE_BYTES);
  return inPage === (first ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES) ? lsnAdd(lsn, -inPage) : lsn;
}

/** A target in words: "transaction 725", "0/3000060". */
export function describeTarget(target: RecoveryTarget): string {
  switch (target.kind) {
    case "latest":
      return "the newest point";
    case "immediate":
      return "the end of the backup";
    case "time":
      return formatInstant(target.time);
    case "lsn":
      return formatLsn(target.lsn);
    case "xid":
      return `transaction ${target.xid}`;
    case "name":
      return `restore point "${target.name}"`;
  }
}

/** A stop in words. */
export function describeStop(stop: PlannedStop): string {
  if (stop.kind === "end-of-wal") return "at the end of the WAL";
  if (stop.kind === "consistent") return "where the backup is consistent";
  const { record, side } = stop;
  const at = record.time === undefined ? "" : ` at ${formatWalTime(record.time)}`;
  switch (record.what) {
    case "commit":
      return `${side} the commit of transaction ${record.xid}${at}`;
    case "abort":
      return `${side} the rollback of transaction ${record.xid}${at}`;
    case "restore-point":
      return `at a restore point made${at}`;
    case "other":
      return `${side} the record at ${formatLsn(record.lsn)}`;
  }
}
