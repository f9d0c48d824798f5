/**
 * Finds where recovery stops for a moment: at the first transaction that ended after it.
 *
 * Commit times come from the server's clock and may step back a little, so the transaction that is found by halving is
 * verified by reading on from the segment before; one that stands even earlier is looked for after the boot (boot.ts).
 */
import { LifeboatError } from "../errors/error.ts";
import { formatInstant, throwIfAborted } from "../platform/clock.ts";
import { lsnMax, parseLsn } from "../postgres/lsn.ts";
import { formatWalTime, type WalTime } from "../wal/records/events.ts";
import { readEvents, segmentSummary } from "../wal/records/reader.ts";
import { describeGap, type PlannedSegment, type RestorePlan, stopPlan } from "./plan.ts";
import { fetchPlanned, recordsOf } from "./planned-wal.ts";
import { type Candidates, isTooEarly, type SearchTools, tooEarly } from "./search.ts";
import { isBeyond, meetsTarget, type RecoveryTarget, recordOf, type StopRecord, stopAt } from "./target.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };
type TimeTarget = RecoveryTarget & { readonly kind: "time" };

/** As `findStop`, for a time. */
export async function findTimeStop(
  plans: Candidates,
  target: TimeTarget,
  tools: SearchTools,
  options: CallOptions,
): Promise<RestorePlan> {
  for (const plan of plans) {
    const { walSegmentBytes } = plan;
    // PostgreSQL would not mind: it stops at the first transaction after the backup, which itself is too new.
    if (plan.backup.endedAt > formatInstant(target.time)) throw tooEarly(formatInstant(target.time), plan);
    const found = await halve(plan, target, tools, options);
    const record = await firstBeyond(plan, target, { tools, from: found.index - 1 }, options);
    if (record === undefined) throw outOfReach(plan, target, found.lastCommit);
    const stop = stopAt(target, record, { walSegmentBytes, others: [] });
    if (!isTooEarly(plan, stop)) return stopPlan(plan, stop);
    // A backup that had ended by its own clock may still not be consistent by the server's: an older one is.
  }
  throw tooEarly(formatInstant(target.time), plans[0]);
}

/** The segment with the first commit beyond the target, by halving; the last one when none has any. */
async function halve(
  plan: RestorePlan,
  target: TimeTarget,
  tools: SearchTools,
  options: CallOptions,
): Promise<{ readonly index: number; readonly lastCommit: WalTime | undefined }> {
  const { segments } = plan;
  let low = 0;
  let high = segments.length;
  let lastCommit: WalTime | undefined;
  while (low < high) {
    throwIfAborted(options.signal, "looking for the moment in the WAL");
    const middle = Math.floor((low + high) / 2);
    const commits = await commitsFrom(plan, segments.slice(middle, high), tools, options);
    // A stretch without commits says nothing: what is looked for lies before it if anywhere.
    if (commits === undefined || isBeyond(commits.latest, target)) high = middle;
    else {
      lastCommit = commits.latest;
      low = middle + commits.index + 1;
    }
  }
  const found = await commitsFrom(plan, segments.slice(low), tools, options);
  return { index: found === undefined ? segments.length - 1 : low + found.index, lastCommit };
}

/** The first of these segments with commits, and the latest of their times. */
async function commitsFrom(
  plan: RestorePlan,
  segments: readonly PlannedSegment[],
  tools: SearchTools,
  options: CallOptions,
): Promise<{ readonly index: number; readonly latest: WalTime } | undefined> {
  for (const [index, segment] of segments.entries()) {
    const summary = segmentSummary(await fetchPlanned(tools.wal, plan, segment, options));
    tools.onSegment(plan.walSegmentBytes);
    if (summary.kind === "good" && summary.lastCommitTime !== undefined) {
      return { index, latest: summary.lastCommitTime };
    }
  }
  return undefined;
}

/** The first record beyond the target, from a segment on: commits that cross into the next one are seen here only. */
async function firstBeyond(
  plan: RestorePlan,
  target: TimeTarget,
  at: { readonly tools: SearchTools; readonly from: number },
  options: CallOptions,
): Promise<StopRecord | undefined> {
  const start = parseLsn(plan.backup.startLsn);
  const from = lsnMax(start, plan.segments[Math.max(0, at.from)]?.start ?? start);
  const source = recordsOf(plan, at.tools.wal, () => at.tools.onSegment(plan.walSegmentBytes));
  for await (const event of readEvents(source, { from }, options)) {
    if (meetsTarget(target, event)) return recordOf(event);
  }
  return undefined;
}

function outOfReach(plan: RestorePlan, target: TimeTarget, lastCommit: WalTime | undefined): LifeboatError {
  const time = formatInstant(target.time);
  const last =
    lastCommit === undefined
      ? "no commit after the backup is held"
      : `the last commit held is at ${formatWalTime(lastCommit)}`;
  if (plan.gapAfter !== undefined) {
    return new LifeboatError("restore.wal-gap", {
      message: `${time} lies after a hole in the WAL: ${describeGap(plan.gapAfter)}; before it, ${last}`,
      remedy: "Choose an earlier moment, or a backup taken after the hole.",
    });
  }
  return new LifeboatError("restore.point-out-of-reach", {
    message: `${time} lies after everything the vault holds: ${last}`,
    remedy: "Choose an earlier moment, or restore to the newest point with --to latest.",
  });
}
