/**
 * What the searches for a stop share: what they are given, and how they refuse.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn, parseLsn } from "../postgres/lsn.ts";
import type { WalEnd } from "../wal/records/reader.ts";
import { describeGap, type RestorePlan } from "./plan.ts";
import type { RestoreWal } from "./restore-wal.ts";
import type { PlannedStop } from "./target.ts";

/** What looking into the WAL needs. */
export type SearchTools = {
  readonly wal: RestoreWal;
  /** Called for every segment that was read. */
  readonly onSegment: (segmentBytes: number) => void;
};

/** Plans of one target, the one to prefer first. */
export type Candidates = readonly [RestorePlan, ...RestorePlan[]];

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
