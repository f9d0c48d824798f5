/**
 * Which moments can be restored: what is held of the WAL, seen from the backups. Pure.
 *
 * Nouns: a *recovery range* begins where a backup becomes consistent and ends with the WAL that follows it without a gap;
 * several backups may lie in one.
 */
import { type Lsn, parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { leftAt } from "./history.ts";
import {
  untoldTimelines,
  type WalGap,
  type WalHoldings,
  type WalLineage,
  type WalSpan,
  walLineages,
} from "./ranges.ts";

/** A span into which one can restore. */
export type RecoveryRange = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  /** Where the oldest of its backups is consistent. */
  readonly from: Lsn;
  readonly to: Lsn;
  readonly backups: readonly BackupRecord[];
};

/** Ranges, gaps, and backups that lack WAL. */
export type RecoveryPoints = {
  readonly ranges: readonly RecoveryRange[];
  readonly gaps: readonly (WalGap & { readonly systemId: SystemId })[];
  /** Of the newest timeline the gap behind which nothing can be restored, where no backup begins behind it: at most one. */
  readonly outOfReach: readonly (WalGap & { readonly systemId: SystemId })[];
  /** What is held of the newest timeline's own WAL, where no backup leads into that and moments of others can be restored: at most one. */
  readonly unreached: readonly (WalSpan & { readonly systemId: SystemId })[];
  /** What is held of timelines whose history is lost: nothing of it can be restored. */
  readonly untold: readonly (WalSpan & { readonly systemId: SystemId })[];
  /**
   * What is held of a timeline behind the place where a newer one left it, and is in no range: a restore along that timeline, which
   * must be named, reaches it. `from` is that place.
   */
  readonly leftBehind: readonly RecoveryRange[];
  /** Backups whose own WAL is not all held: they cannot be restored. */
  readonly stranded: readonly BackupRecord[];
};

/** Finds the ranges of one system. */
export function recoveryPoints(backups: readonly BackupRecord[], holdings: WalHoldings): RecoveryPoints {
  const { systemId } = holdings;
  const ranges: RecoveryRange[] = [];
  const leftBehind: RecoveryRange[] = [];
  const gaps = new Map<string, WalGap & { readonly systemId: SystemId }>();
  const placed = new Set<string>();
  // The newest timeline first: a backup is shown on the branch that goes furthest.
  for (const lineage of walLineages(holdings).toReversed()) {
    for (const range of lineage.ranges) {
      const inside = backups.filter((backup) => !placed.has(backup.backupId) && liesIn(backup, lineage, range));
      const from = inside.map((backup) => parseLsn(backup.endLsn)).reduce<Lsn | undefined>(earlier, undefined);
      if (from === undefined) {
        leftBehind.push(...leftBehindIn(range, { lineage, holdings, backups, ranges }));
        continue;
      }
      for (const backup of inside) placed.add(backup.backupId);
      ranges.push({ systemId, timeline: lineage.timeline, from, to: range.to, backups: inside });
    }
    for (const gap of lineage.gaps) gaps.set(`${gap.timeline}/${gap.from}`, { ...gap, systemId });
  }
  ranges.sort((a, b) => (a.from < b.from ? -1 : 1));
  const stranded = backups.filter((backup) => !placed.has(backup.backupId));
  const outOfReach = lastGapOf(holdings, ranges).map((gap) => ({ ...gap, systemId }));
  const unreached = unreachedOf(holdings, ranges).map((span) => ({ ...span, systemId }));
  const untold = untoldTimelines(holdings).map((span) => ({ ...span, systemId }));
  return { ranges, gaps: [...gaps.values()], outOfReach, unreached, untold, leftBehind, stranded };
}

/** Of a range whose backups are all shown on newer branches, what none of these has. */
function leftBehindIn(
  range: WalLineage["ranges"][number],
  of: {
    readonly lineage: WalLineage;
    readonly holdings: WalHoldings;
    readonly backups: readonly BackupRecord[];
    /** Of newer branches. */
    readonly ranges: readonly RecoveryRange[];
  },
): readonly RecoveryRange[] {
  const { timeline } = of.lineage;
  const inside = of.backups.filter((backup) => liesIn(backup, of.lineage, range));
  if (inside.length === 0) return [];
  const left = of.ranges.map((each) => leftAt(of.holdings.histories.get(each.timeline) ?? [], timeline));
  const from = left.filter((at) => at !== undefined).reduce<Lsn | undefined>(later, undefined);
  if (from === undefined || from >= range.to || !range.spans.some((span) => span.timeline === timeline)) return [];
  const { systemId } = of.holdings;
  return [{ systemId, timeline, from, to: range.to, backups: inside }];
}

/** Where what is held goes on, and no range does. */
function lastGapOf(holdings: WalHoldings, ranges: readonly RecoveryRange[]): readonly WalGap[] {
  const newest = walLineages(holdings).at(-1);
  if (newest === undefined) return [];
  const own = ranges.filter(({ timeline }) => timeline === newest.timeline);
  const gap = newest.gaps.find(({ from }) => own.every(({ to }) => to <= from));
  return gap === undefined || own.length === 0 ? [] : [gap];
}

/** The newest timeline began before every backup ended, or its history is not held. */
function unreachedOf(holdings: WalHoldings, ranges: readonly RecoveryRange[]): readonly WalSpan[] {
  const newest = walLineages(holdings).at(-1);
  if (newest === undefined || ranges.length === 0) return [];
  if (ranges.some(({ timeline }) => timeline === newest.timeline)) return [];
  const own = newest.ranges.flatMap(({ spans }) => spans.filter(({ timeline }) => timeline === newest.timeline));
  const [first, last] = [own.at(0), own.at(-1)];
  return first === undefined || last === undefined ? [] : [{ ...first, to: last.to }];
}

function liesIn(backup: BackupRecord, lineage: WalLineage, range: WalLineage["ranges"][number]): boolean {
  const start = parseLsn(backup.startLsn);
  const end = parseLsn(backup.endLsn);
  if (range.from > start || range.to < end || !lineage.historyHeld) return false;
  // The backup's timeline must own its WAL on this branch; elsewhere the same positions are other bytes.
  return range.spans.some((span) => span.timeline === backup.timeline && span.from <= start && span.to >= end);
}

function later(a: Lsn | undefined, b: Lsn): Lsn {
  return a === undefined || b > a ? b : a;
}

function earlier(a: Lsn | undefined, b: Lsn): Lsn {
  return a === undefined || b < a ? b : a;
}
