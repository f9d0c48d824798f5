/**
 * Finds where recovery will stop, by reading the WAL that is held, before anything is written.
 *
 * Nouns: a target is *too early* for a backup when recovery from it would stop before the backup is consistent, which
 * PostgreSQL refuses: then an older backup is tried.
 * Invariant: a plan that is returned has a stop that was seen in the WAL, or needs none; everything else is an error that
 * says what was searched and what can be reached.
 */
import { formatLsn, type Lsn, lsnAdd, lsnMax, lsnMin, parseLsn, segmentStart } from "../postgres/lsn.ts";
import { findEndOfWal, scanRecords, type WalEnd, type WalSource } from "../wal/records/reader.ts";
import { findEventStop } from "./find-event.ts";
import { findTimeStop } from "./find-time.ts";
import { type RestorePlan, shortenPlan, stopPlan } from "./plan.ts";
import { recordsOf } from "./planned-wal.ts";
import { type Candidates, isTooEarly, notFound, type SearchTools, tooEarly } from "./search.ts";
import { type StopRecord, stopAt } from "./target.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

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
