/**
 * Which segments of WAL some backup can still use. Pure.
 *
 * A backup needs everything from the segment in which it begins, on its own timeline and on every one that branched off
 * after its end, up to the newest. Whatever cannot be judged stays: timelines without their history, timelines later than
 * every backup's, and what was stored too lately to know which backup under way wants it.
 */
import { parseSegmentName, type SystemId, segmentStart, type Timeline } from "../postgres/lsn.ts";
import { type LineagePart, lineageOf, type TimelineHistory } from "../wal/history.ts";
import type { RetainedBackup } from "./decide.ts";

/** The WAL that a vault holds of one system, and the backups that will still be there. */
export type WalFacts = {
  readonly systemId: SystemId;
  readonly walSegmentBytes: number;
  /** All backups that are not deleted: those with a tombstone may come back. */
  readonly backups: readonly RetainedBackup[];
  readonly segments: readonly { readonly segment: string; readonly sizeBytes: number; readonly storedMs: number }[];
  readonly histories: ReadonlyMap<Timeline, TimelineHistory>;
  /** What was stored at this time or later stays. */
  readonly settledBeforeMs: number;
};

/** What goes, and with which segment each timeline begins afterwards. */
export type WalDecision = {
  readonly remove: WalFacts["segments"];
  readonly keepFrom: readonly { readonly systemId: SystemId; readonly timeline: Timeline; readonly segment: string }[];
};

/** Decides on one system's WAL. Nothing goes when the system has no backup. */
export function decideWal(facts: WalFacts): WalDecision {
  const needs = needsOf(facts);
  const newestBackup = Math.max(0, ...facts.backups.map(({ timeline }) => timeline));
  const remove: WalFacts["segments"][number][] = [];
  const keepFrom = new Map<Timeline, string>();
  for (const each of facts.segments) {
    const at = parseSegmentName(each.segment, facts.walSegmentBytes);
    const judged = at !== undefined && at.timeline <= newestBackup && isKnown(at.timeline, facts);
    if (judged && each.storedMs < facts.settledBeforeMs && !needs.some((need) => isNeeded(at, need, facts))) {
      remove.push(each);
    } else if (at !== undefined && each.segment < (keepFrom.get(at.timeline) ?? "Z")) {
      keepFrom.set(at.timeline, each.segment);
    }
  }
  const { systemId } = facts;
  return { remove, keepFrom: [...keepFrom].map(([timeline, segment]) => ({ systemId, timeline, segment })) };
}

/** A lineage, and the first byte that is needed on it. */
type Need = { readonly parts: readonly LineagePart[]; readonly from: bigint };

function needsOf(facts: WalFacts): readonly Need[] {
  const timelines = new Set<Timeline>([...facts.histories.keys(), ...facts.backups.map(({ timeline }) => timeline)]);
  const needs: Need[] = [];
  for (const timeline of timelines) {
    const parts = lineageOf(timeline, facts.histories.get(timeline) ?? []);
    const starts = facts.backups.filter((backup) => liesOn(backup, parts)).map(({ startLsn }) => startLsn);
    const from = starts.reduce<bigint | undefined>(
      (least, lsn) => (least === undefined || lsn < least ? lsn : least),
      undefined,
    );
    if (from !== undefined)
      needs.push({ parts, from: segmentStart(from as (typeof starts)[number], facts.walSegmentBytes) });
  }
  return needs;
}

function liesOn(backup: RetainedBackup, parts: readonly LineagePart[]): boolean {
  const part = parts.find(({ timeline }) => timeline === backup.timeline);
  return part !== undefined && (part.to === undefined || backup.endLsn <= part.to);
}

function isKnown(timeline: Timeline, { histories }: WalFacts): boolean {
  return timeline === 1 || histories.has(timeline);
}

function isNeeded(
  segment: { readonly timeline: Timeline; readonly start: bigint },
  need: Need,
  { walSegmentBytes }: WalFacts,
): boolean {
  const part = need.parts.find(({ timeline }) => timeline === segment.timeline);
  if (part === undefined || segment.start < need.from) return false;
  // A timeline's first segment holds what came before it too; its ancestor's last one ends beyond the switch.
  const end = segment.start + BigInt(walSegmentBytes);
  return end > part.from && (part.to === undefined || segment.start < part.to);
}
