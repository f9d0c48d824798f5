/**
 * Which of the gaps that a spool remembers still ask for a backup. Pure.
 *
 * Invariant: a gap stands until a backup begins behind it, whichever receiver noticed it; one on a branch that was left is nobody's loss.
 */
import { type Lsn, lsnMin, parseLsn, type Timeline } from "../postgres/lsn.ts";
import { leftAt, parseHistory } from "./history.ts";
import type { ReceivedGap, SpoolState } from "./spool-state.ts";

/** The gaps of a spool's timeline and its ancestors behind which none of these backups begins, in their order. */
export function standingGaps(
  { timeline, history, gaps }: Pick<SpoolState, "timeline" | "history" | "gaps">,
  backups: readonly { readonly timeline: Timeline; readonly startLsn: string }[],
): readonly ReceivedGap[] {
  const ancestors = history === "" ? [] : parseHistory(timeline, Buffer.from(history));
  /** Where what counts of a timeline ends: nowhere on the one that is received. */
  const endOf = (of: Timeline): Lsn | undefined => (of === timeline ? LSN_MAX : leftAt(ancestors, of));
  const counts = (of: Timeline, lsn: Lsn): boolean => lsn < (endOf(of) ?? lsn);
  const starts = backups
    .map((backup) => ({ timeline: backup.timeline, lsn: parseLsn(backup.startLsn) }))
    .filter((start) => counts(start.timeline, start.lsn));
  return gaps.filter((gap) => {
    if (!counts(gap.timeline, gap.from)) return false;
    const end = lsnMin(gap.to, endOf(gap.timeline) ?? gap.to);
    return !starts.some((start) => start.lsn >= end);
  });
}

const LSN_MAX = 0xffff_ffff_ffff_ffffn as Lsn;
