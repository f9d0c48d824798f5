/**
 * What a restore will do, decided from what the vault holds. Pure: the dry run prints this value and the restore runs it.
 */
import { assert } from "../errors/error.ts";
import { formatInstant } from "../platform/clock.ts";
import {
  formatLsn,
  type Lsn,
  lsnAdd,
  lsnDistance,
  lsnMax,
  lsnMin,
  parseLsn,
  type SystemId,
  segmentName,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { type LineagePart, leftAt, lineageOf } from "../wal/history.ts";
import {
  coversRange,
  isHistoryHeld,
  lostTimelines,
  untoldTimelines,
  type WalGap,
  type WalHoldings,
  type WalSpan,
  type WalTail,
  walLineage,
} from "../wal/ranges.ts";
import type { PlannedStop, RecoveryTarget } from "./target.ts";

/** What the plan is made from: one system's announced backups, oldest first, and all WAL held of it. */
export type RestoreFacts = { readonly backups: readonly BackupRecord[]; readonly holdings: WalHoldings };

/** A file of WAL to lay into pg_wal. */
export type PlannedSegment = {
  readonly name: string;
  readonly start: Lsn;
  /** Fewer than a segment's bytes for the unfinished tail, and where the plan's timeline left this one; zeros fill the rest. */
  readonly validBytes: number;
};

/** From which backup, along which timeline, over which WAL. */
export type RestorePlan = {
  readonly systemId: SystemId;
  readonly backup: BackupRecord;
  readonly target: RecoveryTarget;
  /** Where recovery ends because of the target. */
  readonly stop: PlannedStop;
  /** The timeline that recovery follows. */
  readonly timeline: Timeline;
  readonly walSegmentBytes: number;
  readonly segments: readonly PlannedSegment[];
  /** Those of them that are handed to the server while it recovers; the others are laid before it starts. */
  readonly fed: readonly PlannedSegment[];
  /** Timelines whose history files are laid. */
  readonly histories: readonly Timeline[];
  /** Timelines whose history does not open: of each its name is laid, so that the server takes no timeline id twice. */
  readonly closedHistories: readonly Timeline[];
  /** The end of the WAL that is used; with nothing to stop at also where recovery ends, but for a record cut short. */
  readonly endLsn: Lsn;
  /** WAL that follows the end after a hole, if there is any: such a plan reaches a time before the hole at the most. */
  readonly gapAfter: WalGap | undefined;
  /** WAL of a timeline whose history is lost, where no timeline was named: it may have grown out of this one, and is left out. The newest, of several. */
  readonly untold: WalSpan | undefined;
};

/** Why there is no plan. */
export type RestoreRefusal =
  | { readonly kind: "no-backup"; readonly why: "none-held" | "unknown-name" | "none-old-enough" | "none-on-timeline" }
  /** Every candidate lacks WAL that it needs to be consistent. */
  | { readonly kind: "backup-wal-missing"; readonly backup: BackupRecord; readonly gaps: readonly WalGap[] }
  /** WAL goes on after a hole, so "latest" would silently be less than the latest. */
  | { readonly kind: "gap-before-latest"; readonly backup: BackupRecord; readonly reach: Lsn; readonly gap: WalGap }
  /**
   * The history of a newer timeline is lost, so "latest" would silently be the end of an older one; or that of `timeline` itself, along
   * which no server recovers then.
   */
  | { readonly kind: "history-lost"; readonly timeline: Timeline; readonly reach: Lsn; readonly untold: WalSpan };

export type PlanRequest = {
  readonly target: RecoveryTarget;
  /** A backup's name; undefined takes the newest that serves. */
  readonly backupId: string | undefined;
  /** The timeline to follow; undefined follows the newest that grew out of the backup's own. */
  readonly timeline: Timeline | undefined;
  /** Restore to the last position before a hole in the WAL, or before a timeline whose history is lost, knowingly, when there is one. */
  readonly acceptGap: boolean;
};

/**
 * Plans a restore: a plan for every backup from which the target may be reached, the one to prefer first. What stops
 * recovery is not looked for here: until `stopPlan`, each uses all WAL that follows its backup without a hole.
 */
export function planRestore(
  facts: RestoreFacts,
  request: PlanRequest,
): { readonly kind: "plans"; readonly plans: readonly [RestorePlan, ...RestorePlan[]] } | RestoreRefusal {
  const candidates = chooseCandidates(facts.backups, request);
  if (candidates.kind !== "candidates") return candidates;
  const plans: RestorePlan[] = [];
  let refusal: RestoreRefusal = { kind: "no-backup", why: "none-held" };
  for (const backup of candidates.backups) {
    const outcome = planFrom(facts.holdings, backup, request);
    if (outcome.kind === "plan") {
      plans.push(outcome.plan);
      // For these, an older backup is no better than one that can become consistent.
      if (request.target.kind === "latest" || request.target.kind === "immediate") break;
    } else if (plans.length === 0) {
      refusal = outcome;
      if (outcome.kind === "gap-before-latest" || outcome.kind === "history-lost") break;
    }
  }
  const [first, ...others] = plans;
  return first === undefined ? refusal : { kind: "plans", plans: [first, ...others] };
}

/** The same plan with its stop, and no more WAL than recovery has to see of it. */
export function stopPlan(plan: RestorePlan, stop: PlannedStop): RestorePlan {
  const seen = seenOf(stop);
  if (seen === undefined) return { ...plan, stop };
  const last = plan.segments.findLast((segment) => segment.start < seen);
  return { ...shortenPlan(plan, last?.name ?? ""), stop };
}

/**
 * The same plan along the timeline on which it stops, where all of that is held. PostgreSQL names the timeline that it was told to
 * follow as the new one's parent, also when it stops before that began, or its WAL ends before (at a hole): then the positions of the
 * new history go back.
 */
export function settlePlan(plan: RestorePlan, holdings: WalHoldings): RestorePlan {
  const stopped = seenOf(plan.stop);
  const seen = stopped ?? plan.endLsn;
  const parts = lineageOf(plan.timeline, holdings.histories.get(plan.timeline) ?? []);
  // To its very beginning, and no further, the newer one is followed where nothing says to stop there.
  const index = parts.findIndex(({ to }) => to === undefined || (stopped === undefined ? seen < to : seen <= to));
  const owner = parts[index];
  const from = parseLsn(plan.backup.startLsn);
  if (owner === undefined || owner.timeline === plan.timeline || !isHistoryHeld(holdings, owner.timeline)) return plan;
  // Cut where the newer timeline left it: recovery must not be able to go on behind that, whatever it meets.
  const segments = segmentsOf(holdings, parts.slice(0, index + 1), { from, to: seen });
  const last = segments.at(-1);
  const endLsn = last === undefined ? plan.endLsn : lsnAdd(last.start, last.validBytes);
  const isHeld = segments.length === plan.segments.length && endLsn >= seen;
  return isHeld ? { ...plan, timeline: owner.timeline, segments, endLsn } : plan;
}

/** Up to where recovery must see the WAL; undefined: to its end. */
function seenOf(stop: PlannedStop): Lsn | undefined {
  if (stop.kind === "end-of-wal") return undefined;
  return stop.kind === "record" ? stop.record.end : stop.reaches;
}

/** The position that recovery reaches; at the end of the WAL the record that is cut short there is not counted out. */
export function plannedReach(plan: Pick<RestorePlan, "stop" | "endLsn">): Lsn {
  return plan.stop.kind === "end-of-wal" ? plan.endLsn : plan.stop.reaches;
}

/** The same plan with less WAL: up to and with the given segment. */
export function shortenPlan(plan: RestorePlan, lastSegment: string): RestorePlan {
  const last = plan.segments.findIndex((segment) => segment.name === lastSegment);
  if (last < 0 || last === plan.segments.length - 1) return plan;
  const segments = plan.segments.slice(0, last + 1);
  const end = segments.at(-1);
  const endLsn = end === undefined ? plan.endLsn : lsnAdd(end.start, end.validBytes);
  return { ...plan, segments, endLsn, gapAfter: undefined };
}

/**
 * The same plan with at most so many bytes of WAL laid, and the rest fed. The unfinished tail is always laid: it may lie in
 * the spool of a receiver, which goes on.
 */
export function feedPlan(plan: RestorePlan, laidBytesMax: number): RestorePlan {
  if (plannedWalBytes(plan) <= laidBytesMax) return plan;
  const laidCount = Math.floor(laidBytesMax / plan.walSegmentBytes);
  return { ...plan, fed: plan.segments.slice(laidCount).filter((each) => each.validBytes === plan.walSegmentBytes) };
}

/** The segments of a plan that are laid before the server starts. */
export function laidSegments(plan: RestorePlan): readonly PlannedSegment[] {
  const fed = new Set(plan.fed.map((segment) => segment.name));
  return plan.segments.filter((segment) => !fed.has(segment.name));
}

/** Bytes of WAL that recovery is given. */
export function plannedWalBytes(plan: RestorePlan): number {
  return plan.segments.length * plan.walSegmentBytes;
}

/** Bytes of WAL that recovery replays at the most. */
export function replayBytes(plan: RestorePlan): number {
  return Math.max(
    0,
    lsnDistance({ from: parseLsn(plan.backup.startLsn), to: lsnMin(plan.endLsn, plannedReach(plan)) }),
  );
}

/** A gap in words: both ends and what is missing. */
export function describeGap(gap: WalGap): string {
  return `${formatLsn(gap.from)} to ${formatLsn(gap.to)} on timeline ${gap.timeline} (${gap.segmentCount} segments from ${gap.firstSegment})`;
}

function chooseCandidates(
  backups: readonly BackupRecord[],
  request: PlanRequest,
): { readonly kind: "candidates"; readonly backups: readonly BackupRecord[] } | RestoreRefusal {
  if (backups.length === 0) return { kind: "no-backup", why: "none-held" };
  if (request.backupId !== undefined) {
    const named = backups.filter((backup) => backup.backupId === request.backupId);
    return named.length === 0 ? { kind: "no-backup", why: "unknown-name" } : { kind: "candidates", backups: named };
  }
  const { target } = request;
  const serving = backups.filter((backup) => {
    if (target.kind === "time") return backup.endedAt <= formatInstant(target.time);
    // What a transaction or a name is needs a look into the WAL.
    return target.kind !== "lsn" || parseLsn(backup.endLsn) <= target.lsn;
  });
  if (serving.length === 0) return { kind: "no-backup", why: "none-old-enough" };
  return { kind: "candidates", backups: serving.toReversed() };
}

function planFrom(
  holdings: WalHoldings,
  backup: BackupRecord,
  request: PlanRequest,
): { readonly kind: "plan"; readonly plan: RestorePlan } | RestoreRefusal {
  const from = parseLsn(backup.startLsn);
  const to = parseLsn(backup.endLsn);
  const own = coversRange(holdings, { timeline: backup.timeline, from, to });
  if (own.kind === "missing") return { kind: "backup-wal-missing", backup, gaps: own.gaps };
  const timeline = request.timeline ?? newestDescendant(holdings, backup);
  if (!liesOn(holdings, backup, timeline)) {
    const untold = untoldTimelines(holdings).find((each) => each.timeline === timeline);
    if (untold === undefined) return { kind: "no-backup", why: "none-on-timeline" };
    return { kind: "history-lost", timeline, reach: to, untold };
  }
  const lineage = walLineage(holdings, timeline);
  const range = lineage.ranges.find((each) => each.from <= from && each.to >= to);
  if (range === undefined) return { kind: "backup-wal-missing", backup, gaps: lineage.gaps };
  if (!lineage.historyHeld && holdings.closedHistories?.includes(timeline) !== true) {
    return { kind: "history-lost", timeline, reach: range.to, untold: { timeline, from, to: range.to } };
  }
  const leftOut = request.timeline === undefined ? leftOutBeside(holdings, timeline) : undefined;
  // An older one was left for this one, as far as anybody knows: that is said, and no reason to refuse.
  const isNewer = leftOut !== undefined && leftOut.timeline > timeline;
  if (isNewer && request.target.kind === "latest" && !request.acceptGap) {
    return { kind: "history-lost", timeline, reach: range.to, untold: leftOut };
  }
  const gapAfter = lineage.gaps.find((gap) => gap.from >= range.to);
  if (gapAfter !== undefined && request.target.kind === "latest" && !request.acceptGap) {
    return { kind: "gap-before-latest", backup, reach: range.to, gap: gapAfter };
  }
  const parts = lineageOf(timeline, holdings.histories.get(timeline) ?? []);
  const segments = segmentsOf(holdings, parts, { from, to: range.to });
  const last = segments.at(-1);
  assert(
    last !== undefined && lsnAdd(last.start, last.validBytes) === range.to,
    "what is laid ends where the range does",
  );
  return {
    kind: "plan",
    plan: {
      systemId: holdings.systemId,
      backup,
      target: request.target,
      stop: { kind: "end-of-wal" },
      timeline,
      walSegmentBytes: holdings.walSegmentBytes,
      segments,
      fed: [],
      // All of them, not only the lineage's: a history that is missing lets the server take a timeline id twice (rule B10).
      histories: [...holdings.histories.keys()].sort((a, b) => a - b),
      closedHistories: holdings.closedHistories ?? [],
      endLsn: range.to,
      gapAfter,
      untold: leftOut,
    },
  };
}

/** The newest timeline of which nobody can tell that it did not go on, its own history being lost. */
function leftOutBeside(holdings: WalHoldings, timeline: Timeline): WalSpan | undefined {
  const repeated = lostTimelines(holdings).findLast((each) => each.timeline < timeline);
  return untoldTimelines(holdings).at(-1) ?? repeated;
}

/** True when the backup was taken on the timeline, or on an ancestor before the timeline left it. */
function liesOn(holdings: WalHoldings, backup: BackupRecord, timeline: Timeline): boolean {
  if (timeline === backup.timeline) return true;
  const left = leftAt(holdings.histories.get(timeline) ?? [], backup.timeline);
  return left !== undefined && parseLsn(backup.endLsn) <= left;
}

/** The newest timeline that grew out of the backup's own after the backup ended. */
function newestDescendant(holdings: WalHoldings, backup: BackupRecord): Timeline {
  let newest = backup.timeline;
  for (const timeline of holdings.histories.keys()) {
    if (timeline > newest && liesOn(holdings, backup, timeline)) newest = timeline;
  }
  return newest;
}

function segmentsOf(
  holdings: WalHoldings,
  parts: readonly LineagePart[],
  stretch: { readonly from: Lsn; readonly to: Lsn },
): readonly PlannedSegment[] {
  const { walSegmentBytes, tails } = holdings;
  const held = { walSegmentBytes, tails, segments: new Set(holdings.segments) };
  const newestFirst = parts.toReversed();
  const planned: PlannedSegment[] = [];
  for (
    let start = segmentStart(stretch.from, walSegmentBytes);
    start < stretch.to;
    start = lsnAdd(start, walSegmentBytes)
  ) {
    const copies = newestFirst.flatMap((part) => copyOf(held, part, start) ?? []);
    // A timeline's first segment repeats what came before it, so the newest that begins here or earlier is the one to take; but of
    // one that is being taken up less may be held than of the timeline before it.
    const end = copies.reduce((most, copy) => lsnMax(most, copy.end), start);
    const taken = copies.find((copy) => copy.end === end);
    if (taken !== undefined)
      planned.push({ name: taken.name, start, validBytes: lsnDistance({ from: start, to: end }) });
  }
  return planned;
}

/** What is held of the segment on one timeline, to where the lineage left that; undefined where that is nothing. */
function copyOf(
  {
    walSegmentBytes,
    segments,
    tails,
  }: Pick<WalHoldings, "walSegmentBytes" | "tails"> & { readonly segments: ReadonlySet<string> },
  part: LineagePart,
  start: Lsn,
): { readonly name: string; readonly end: Lsn } | undefined {
  if (segmentStart(part.from, walSegmentBytes) > start) return undefined;
  const name = segmentName({ timeline: part.timeline, lsn: start, walSegmentBytes });
  const tail = longest(tails.filter((each) => each.timeline === part.timeline && each.start === start));
  const heldEnd = segments.has(name) ? lsnAdd(start, walSegmentBytes) : (tail?.end ?? start);
  // What the timeline wrote behind the switch is another branch's: PostgreSQL would replay it, not knowing better.
  const end = part.to === undefined ? heldEnd : lsnMin(heldEnd, part.to);
  return end > start ? { name, end } : undefined;
}

/** Of one segment there may be two tails: one that is being received, and one that was kept apart when its timeline ended. */
function longest(tails: readonly WalTail[]): WalTail | undefined {
  return tails.toSorted((a, b) => (a.end < b.end ? 1 : -1))[0];
}
