/**
 * Finds where recovery stops for a transaction or a restore point, by reading the WAL that is held record by record.
 *
 * PostgreSQL stops at the first record that fits after the start of the backup. So each backup has its own stop, and the
 * newest backup is taken that is consistent by then; the WAL is read once, from the newest backup back to the oldest.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, LSN_NONE, type Lsn, parseLsn, type Timeline } from "../postgres/lsn.ts";
import type { WalEvent } from "../wal/records/events.ts";
import { readEvents, type WalEnd } from "../wal/records/reader.ts";
import { type RestorePlan, stopPlan } from "./plan.ts";
import { recordsOf } from "./planned-wal.ts";
import { type Candidates, describeEnd, isTooEarly, notFound, type SearchTools, tooEarly } from "./search.ts";
import {
  describeTarget,
  fullXid,
  meetsTarget,
  type RecoveryTarget,
  recordOf,
  type StopRecord,
  shortXid,
  stopAt,
  XID_EPOCH,
} from "./target.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };
type EventTarget = RecoveryTarget & { readonly kind: "xid" | "name" };

/** What was seen of a stretch of WAL. */
type Seen = {
  readonly from: Lsn;
  /** Records that fit, in order. */
  readonly hits: readonly StopRecord[];
  /** The transaction of which the one that is looked for is a part. */
  readonly parent: number | undefined;
  /** A 64-bit id from a checkpoint of the stretch. */
  readonly nextXid: bigint | undefined;
  readonly end: WalEnd;
};

/** As `findStop`, for a transaction or a name. Throws `restore.not-a-transaction` for a subtransaction. */
export async function findEventStop(
  plans: Candidates,
  target: EventTarget,
  tools: SearchTools,
  options: CallOptions,
): Promise<RestorePlan> {
  let seen: (Seen & { readonly timeline: Timeline; readonly to: Lsn }) | undefined;
  let early: RestorePlan | undefined;
  const searched: string[] = [];
  for (const plan of plans) {
    const { timeline, endLsn: to } = plan;
    const from = parseLsn(plan.backup.startLsn);
    const goesOn = seen?.timeline === timeline && seen.to === to && seen.from > from ? seen : undefined;
    const limit = goesOn?.from;
    const stretch = await search(plan, target, { tools, from, limit }, options);
    // Behind damage nothing is replayed.
    seen = {
      ...(goesOn !== undefined && stretch.end.reason === "limit" ? joined(stretch, goesOn) : stretch),
      timeline,
      to,
    };
    searched.push(`${formatLsn(from)} to ${describeEnd(stretch.end)} on timeline ${timeline}`);
    const [first, ...others] = seen.hits;
    if (first === undefined || !isOfEpoch(target, first, seen.nextXid)) continue;
    const stop = stopAt(target, first, { walSegmentBytes: plan.walSegmentBytes, others });
    if (!isTooEarly(plan, stop)) return stopPlan(plan, stop);
    early = plan;
  }
  if (early !== undefined) throw tooEarly(describeTarget(target), early);
  if (seen?.parent !== undefined && target.kind === "xid") throw subtransaction(target.xid, seen.parent);
  const gap = plans.find((plan) => plan.gapAfter !== undefined) ?? plans[0];
  throw notFound(describeTarget(target), `searched ${searched.toReversed().join(", ")}`, gap);
}

async function search(
  plan: RestorePlan,
  target: EventTarget,
  at: { readonly tools: SearchTools; readonly from: Lsn; readonly limit: Lsn | undefined },
  options: CallOptions,
): Promise<Seen> {
  const source = recordsOf(plan, at.tools.wal, () => at.tools.onSegment(plan.walSegmentBytes));
  const events = readEvents(source, { from: at.from, limit: at.limit }, options);
  const hits: StopRecord[] = [];
  let parent: number | undefined;
  let nextXid: bigint | undefined;
  for (;;) {
    const next = await events.next();
    if (next.done === true) return { from: at.from, hits, parent, nextXid, end: next.value };
    const event = next.value;
    if (event.kind === "checkpoint") nextXid ??= event.nextXid;
    parent ??= parentIn(target, event);
    if (!meetsTarget(target, event)) continue;
    hits.push(recordOf(event));
    // An id ends one transaction; of a name all are told, because a person may have meant another one.
    if (target.kind === "xid") return { from: at.from, hits, parent, nextXid, end: STOPPED };
  }
}

/** Nothing was read behind the record that was found. */
const STOPPED: WalEnd = { last: undefined, reason: "stopped", at: LSN_NONE, openRecord: undefined };

function joined(older: Seen, newer: Seen): Seen {
  return {
    from: older.from,
    hits: [...older.hits, ...newer.hits],
    parent: older.parent ?? newer.parent,
    nextXid: older.nextXid ?? newer.nextXid,
    end: newer.end,
  };
}

function parentIn(target: EventTarget, event: WalEvent): number | undefined {
  if (target.kind !== "xid" || (event.kind !== "commit" && event.kind !== "abort")) return undefined;
  return event.subtransactions.includes(shortXid(target.xid)) ? event.xid : undefined;
}

/** Whether a hit is the very transaction that was named, where its epoch was named too. */
function isOfEpoch(target: EventTarget, hit: StopRecord, nextXid: bigint | undefined): boolean {
  if (target.kind !== "xid" || target.xid < XID_EPOCH || hit.xid === undefined || nextXid === undefined) return true;
  return fullXid(hit.xid, nextXid) === target.xid;
}

function subtransaction(xid: bigint, parent: number): LifeboatError {
  return new LifeboatError("restore.not-a-transaction", {
    message: `${xid} is a subtransaction of transaction ${parent}: recovery stops only where a whole transaction ends`,
    remedy: `Restore to the whole of it with --to-xid ${parent}, or to before it with --exclusive as well.`,
  });
}
