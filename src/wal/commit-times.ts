/**
 * When the commits in a stretch of WAL happened.
 */
import type { Instant } from "../platform/clock.ts";
import { walTimeToInstant } from "./records/events.ts";
import { segmentSummary } from "./records/reader.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Hands out segments by name, fewer bytes than a whole one for a tail; undefined when there is none. */
export type SegmentSource = { segment(name: string, options: CallOptions): Promise<Buffer | undefined> };

/** Segments looked at before giving up: an idle server fills segments without a commit, but not for ever. */
const SEGMENTS_READ_MAX = 8;

/** The latest commit in the last of these segments that have one; undefined when none of the last few has. */
export async function lastCommitTime(
  source: SegmentSource,
  segments: readonly string[],
  options: CallOptions,
): Promise<Instant | undefined> {
  for (const name of segments.slice(-SEGMENTS_READ_MAX).reverse()) {
    const bytes = await source.segment(name, options);
    const summary = bytes === undefined ? undefined : segmentSummary(bytes);
    if (summary?.kind === "good" && summary.lastCommitTime !== undefined)
      return walTimeToInstant(summary.lastCommitTime);
  }
  return undefined;
}
