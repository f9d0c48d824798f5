/**
 * Finds where recovery will stop, by reading the WAL that is held, before anything is written.
 *
 * Nouns: a target is *too early* for a backup when recovery from it would stop before the backup is consistent, which
 * PostgreSQL refuses: then an older backup is tried.
 * Invariant: a plan that is returned has a stop that was seen in the WAL, or needs none; everything else is an error that
 * says what was searched and what can be reached.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, lsnAdd, lsnMax, lsnMin, parseLsn, segmentStart } from "../postgres/lsn.ts";
import { findEndOfWal, scanRecords, type WalEnd, type WalSource } from "../wal/records/reader.ts";
import { findEventStop } from "./find-event.ts";
import { findTimeStop } from "./find-time.ts";
import { describeGap, type RestorePlan, shortenPlan, stopPlan } from "./plan.ts";
import { recordsOf } from "./planned-wal.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { type PlannedStop, type StopRecord, stopAt } from "./target.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What looking into the WAL needs. */
export type SearchTools = {
  readonly wal: RestoreWal;
  /** Called for every segment that was read. */
  readonly onSegment: (segmentBytes: number) => void;
};

/** Plans of one target, the one to prefer first. */
export type Candidates = readonly [RestorePlan, ...RestorePlan[]];

/**
 * The first of the plans from which its target is reached, with its stop and no more WAL than it needs. Throws
 * `restore.point-out-of-reach`, `restore.wal-gap`, `restore.not-a-transaction`, and what reading WAL throws.
 */
export async function findStop(plans: Candidates, tools: SearchTools, options: CallOptions): Promise<RestorePlan> {
  const [plan] = plans;
  const { target } = plan;
  switch (target.kind) {
    case "latest":
      return plan;
    case "immediate":
      return stopPlan(plan, { kind: "consistent", reaches: parseLsn(plan.backup.endLsn) });
    case "lsn":
      return findLsnStop({ ...plan, target }, tools, options);
    case "time":
      return findTimeStop(plans, target, tools, options);
    case "xid":
    case "name":
      return findEventStop(plans, target, tools, options);
  }
}

/** Why valid WAL ends where nobody wrote further; all else is damage. */
const UNWRITTEN: ReadonlySet<WalEnd["reason"]> = new Set(["no-segment", "no-more-bytes", "empty", "limit"]);

/** Where valid WAL ends, in words, with the reason when it is damage. */
export function describeEnd(end: WalEnd): string {
  const at = formatLsn(end.last?.end ?? end.at);
  return UNWRITTEN.has(end.reason) ? at : `${at}, where it is damaged (${end.reason})`;
}

/** Whether recovery would stop before the backup of the plan is consistent. */
export function isTooEarly(plan: RestorePlan, stop: PlannedStop): boolean {
  return stop.kind !== "end-of-wal" && stop.reaches < parseLsn(plan.backup.endLsn);
}

/** The refusal of a target that lies before the backup is consistent. */
export function tooEarly(what: string, plan: RestorePlan): LifeboatError {
  return new LifeboatError("restore.point-out-of-reach", {
    message: `${what} lies before backup ${plan.backup.backupId} is consistent: it ended at ${plan.backup.endedAt}, ${plan.backup.endLsn}`,
    remedy: "Choose a later point, or an older backup with --backup; `lifeboat backups` lists them.",
  });
}

/** The refusal of a target that was not found; `searched` says where. */
export function notFound(what: string, searched: string, plan: RestorePlan): LifeboatError {
  if (plan.gapAfter !== undefined) {
    return new LifeboatError("restore.wal-gap", {
      message: `${what} lies not before a hole in the WAL: ${describeGap(plan.gapAfter)}; ${searched}`,
      remedy: "Choose a point before the hole, or one after a backup that was taken after it.",
    });
  }
  return new LifeboatError("restore.point-out-of-reach", {
    message: `${what} is not in the WAL that is held: ${searched}`,
    remedy: "Choose another point; `lifeboat points` shows what is held, --to latest restores to its end.",
  });
}

async function findLsnStop(
  plan: RestorePlan & { readonly target: { readonly kind: "lsn"; readonly lsn: Lsn; readonly inclusive: boolean } },
  tools: SearchTools,
  options: CallOptions,
): Promise<RestorePlan> {
  const { target, walSegmentBytes } = plan;
  const source = recordsOf(plan, tools.wal, () => tools.onSegment(walSegmentBytes));
  const start = parseLsn(plan.backup.startLsn);
  let record: StopRecord | undefined;
  const read = await scanRecords(
    source,
    { from: lsnMax(start, target.lsn) },
    (cursor) => {
      const lsn = BigInt(cursor.lsn) as Lsn;
      record = { lsn, end: BigInt(cursor.end) as Lsn, what: "other", xid: undefined, time: undefined };
      return "stop";
    },
    options,
  );
  if (record !== undefined) {
    const stop = stopAt(target, record, { walSegmentBytes, others: [] });
    if (isTooEarly(plan, stop)) throw tooEarly(formatLsn(target.lsn), plan);
    return stopPlan(plan, stop);
  }
  const end = read.last ?? (await lastRecord(source, { start, lsn: lsnMin(target.lsn, plan.endLsn) }, options)).last;
  if (end !== undefined && end.end >= target.lsn) {
    // No record begins there yet, so PostgreSQL would never meet its target; but all there is, is what was asked for.
    const needed = plan.segments.findLast((segment) => segment.start < end.end);
    return { ...shortenPlan(plan, needed?.name ?? ""), endLsn: end.end };
  }
  const from = formatLsn(start);
  throw notFound(formatLsn(target.lsn), `it reads from ${from} to ${formatLsn(end?.end ?? start)}`, plan);
}

/** The last valid record before a position, where the page of that position shows none. */
async function lastRecord(
  source: WalSource,
  at: { readonly start: Lsn; readonly lsn: Lsn },
  options: CallOptions,
): Promise<WalEnd> {
  const before = segmentStart(lsnAdd(at.lsn, -1), source.walSegmentBytes);
  return findEndOfWal(source, { from: lsnMax(at.start, lsnAdd(before, -source.walSegmentBytes)) }, options);
}
