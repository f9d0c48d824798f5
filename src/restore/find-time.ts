/**
 * Finds the segment of a plan in which a moment lies, by the commit times in the WAL.
 *
 * Invariant: the segment found, or one before it, holds the first commit after the moment, so recovery has something to
 * stop at. Commit times come from the server's clock and may step back a little; the margin covers that.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant, throwIfAborted } from "../platform/clock.ts";
import { walTimeToInstant } from "../wal/records/events.ts";
import { segmentSummary } from "../wal/records/reader.ts";
import { describeGap, type PlannedSegment, type RestorePlan, shortenPlan } from "./plan.ts";
import type { RestoreWal } from "./restore-wal.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Shortens a plan with a time as its target to the WAL it needs. Throws `restore.point-out-of-reach` or `restore.wal-gap`. */
export async function narrowToTime(
  plan: RestorePlan,
  tools: { readonly wal: RestoreWal; readonly time: Instant },
  options: CallOptions,
): Promise<RestorePlan> {
  const { segments } = plan;
  let low = 0;
  let high = segments.length;
  let lastCommit: Instant | undefined;
  while (low < high) {
    throwIfAborted(options.signal, "looking for the moment in the WAL");
    const middle = Math.floor((low + high) / 2);
    const commits = await commitsFrom(segments, middle, tools.wal, options);
    // A stretch without commits says nothing: what is looked for lies before it if anywhere.
    if (commits === undefined || commits.latest > tools.time) high = middle;
    else {
      lastCommit = commits.latest;
      low = commits.index + 1;
    }
  }
  const found = await commitsFrom(segments, low, tools.wal, options);
  if (found === undefined) throw outOfReach(plan, tools.time, lastCommit);
  return shortenPlan(plan, segments[found.index]?.name ?? "");
}

/** The first segment at or after `index` with commits, and the latest of their times. */
async function commitsFrom(
  segments: readonly PlannedSegment[],
  index: number,
  wal: RestoreWal,
  options: CallOptions,
): Promise<{ readonly index: number; readonly latest: Instant } | undefined> {
  for (let at = index; at < segments.length; at += 1) {
    const segment = segments[at];
    const bytes = segment === undefined ? undefined : await wal.segment(segment.name, options);
    const summary = bytes === undefined ? undefined : segmentSummary(bytes);
    if (summary?.kind === "good" && summary.lastCommitTime !== undefined) {
      return { index: at, latest: walTimeToInstant(summary.lastCommitTime) };
    }
  }
  return undefined;
}

function outOfReach(plan: RestorePlan, time: Instant, lastCommit: Instant | undefined): LifeboatError {
  const last =
    lastCommit === undefined
      ? "no commit after the backup is held"
      : `the last commit held is at ${formatInstant(lastCommit)}`;
  if (plan.gapAfter !== undefined) {
    return new LifeboatError("restore.wal-gap", {
      message: `${formatInstant(time)} lies after a hole in the WAL: ${describeGap(plan.gapAfter)}; before it, ${last}`,
      remedy: "Choose an earlier moment, or a backup taken after the hole.",
    });
  }
  return new LifeboatError("restore.point-out-of-reach", {
    message: `${formatInstant(time)} lies after everything the vault holds: ${last}`,
    remedy: "Choose an earlier moment, or restore to the newest point with --to latest.",
  });
}
