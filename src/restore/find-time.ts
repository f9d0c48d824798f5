/**
 * Finds where recovery stops for a moment: before the first transaction that ended after it.
 *
 * Found by halving, for that reads a few segments of days of WAL. It takes commit times to rise with the WAL, but for the little that
 * passes between reading the clock and writing the record. Where the server's clock was set, there are several places with an
 * earlier time before and a later one behind, and any of them may be found. The server is told that place (target.ts).
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant, throwIfAborted } from "../platform/clock.ts";
import { type Lsn, lsnAdd, lsnMax, parseLsn } from "../postgres/lsn.ts";
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
    const { low, lastCommit } = await halve(plan, target, tools, options);
    const record = await firstBeyond(plan, target, { tools, from: low - 1 }, options);
    if (record === undefined) throw outOfReach(plan, target, lastCommit);
    const stop = stopAt(target, record, { walSegmentBytes, others: [] });
    // A backup that had ended by its own clock may still not be consistent by the server's: an older one is.
    if (isTooEarly(plan, stop)) continue;
    return stopPlan(plan, { ...stop, leftOut: await findLeftOut(plan, target, { tools, record }, options) });
  }
  throw tooEarly(formatInstant(target.time), plans[0]);
}

/** The segment behind the last one with a commit, and none beyond the target. */
async function halve(
  plan: RestorePlan,
  target: TimeTarget,
  tools: SearchTools,
  options: CallOptions,
): Promise<{ readonly low: number; readonly lastCommit: WalTime | undefined }> {
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
  return { low, lastCommit };
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

/** The first record beyond the target, from a segment on: ends that cross into the next one, and rollbacks, are seen here only. */
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

/** Commits stand in the order of their times but for what passes between reading the clock and writing the record: milliseconds. */
const DISORDER_MICROS_MAX = 1_000_000;

/**
 * A commit behind the stop that the server's clock dated at or before the target, looked for in segments ever further away. A busy
 * server with a right clock has a commit so soon after the target that nothing is read.
 */
async function findLeftOut(
  plan: RestorePlan,
  target: TimeTarget,
  { tools, record }: { readonly tools: SearchTools; readonly record: StopRecord },
  options: CallOptions,
): Promise<{ readonly time: WalTime; readonly segment: Lsn } | undefined> {
  if (record.time === undefined || record.time - target.time * 1000 <= DISORDER_MICROS_MAX) return undefined;
  const own = plan.segments.findLastIndex(({ start }) => start <= record.lsn);
  const source = recordsOf(plan, tools.wal, () => tools.onSegment(plan.walSegmentBytes));
  for (let away = 0; ; away = away * 2 + 1) {
    const segment = plan.segments[own + away];
    if (segment === undefined) return undefined;
    const from = lsnMax(record.end, segment.start);
    const range = { from, limit: lsnAdd(segment.start, plan.walSegmentBytes) };
    try {
      for await (const event of readEvents(source, range, options)) {
        if (event.kind !== "commit" || isBeyond(event.time, target)) continue;
        return { time: event.time, segment: segment.start };
      }
    } catch (error) {
      // What lies behind the stop is not restored, so damage there is no reason against this restore.
      if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
      return undefined;
    }
  }
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
