/**
 * Which WAL is held without a gap: pure arithmetic on names.
 *
 * Nouns: *holdings* are all complete segments, tails and histories of one system, wherever they lie; a *lineage* is one
 * timeline with its ancestors up to where it left them; a *range* is a stretch of a lineage without a gap, made of
 * *spans* on single timelines; a *gap* lies between two ranges.
 * Invariants: a byte counts as held only when the timeline that owns it in the lineage, or a later one of the lineage
 * that begins in the same segment (PostgreSQL copies what came before), is held there; ranges are in order, never touch,
 * and with the gaps between them fill everything from the first byte held to the last.
 */
import { assert } from "../errors/error.ts";
import {
  type Lsn,
  lsnAdd,
  lsnMax,
  lsnMin,
  parseSegmentName,
  type SystemId,
  segmentName,
  segmentStart,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { type LineagePart, lineageOf, partAt, type TimelineHistory } from "./history.ts";

/** The unfinished end of a stretch: bytes of one segment from its start to `end`. */
export type WalTail = { readonly timeline: Timeline; readonly start: Lsn; readonly end: Lsn };

/** What is held of one system's WAL. */
export type WalHoldings = {
  readonly systemId: SystemId;
  readonly walSegmentBytes: number;
  /** PostgreSQL's file names of complete segments, in any order. */
  readonly segments: readonly string[];
  readonly tails: readonly WalTail[];
  readonly histories: ReadonlyMap<Timeline, TimelineHistory>;
  /** Timelines whose history is there and does not open: nothing is known of them but that there are. */
  readonly closedHistories?: readonly Timeline[];
  /** Timelines whose own history is lost: the one in `histories` is what a later one repeats of it. */
  readonly repeatedHistories?: readonly Timeline[];
};

/** Bytes of one timeline, `from` inclusive, `to` exclusive. */
export type WalSpan = { readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn };

/** A recovery range: held from end to end. */
export type WalRange = { readonly from: Lsn; readonly to: Lsn; readonly spans: readonly WalSpan[] };

/** What is not held, on one timeline. */
export type WalGap = WalSpan & { readonly firstSegment: string; readonly segmentCount: number };

/** What is held of a timeline and its ancestors. */
export type WalLineage = {
  readonly timeline: Timeline;
  /** False when the timeline's history is not held: nothing before its own segments is then known to belong to it. */
  readonly historyHeld: boolean;
  readonly ranges: readonly WalRange[];
  readonly gaps: readonly WalGap[];
};

/** Whether a stretch is held. */
export type WalCoverage = { readonly kind: "covered" } | { readonly kind: "missing"; readonly gaps: readonly WalGap[] };

/** Timelines of which WAL is held, or a history, whether or not that opens. */
export function heldTimelines({
  segments,
  tails,
  histories,
  closedHistories = [],
}: WalHoldings): ReadonlySet<Timeline> {
  const held = new Set<Timeline>([...histories.keys(), ...closedHistories, ...tails.map(({ timeline }) => timeline)]);
  for (const name of segments) held.add(timelineOfSegment(name));
  return held;
}

/** Whether it is known from where a timeline grew, which a server has to be told to follow it. The first has no history. */
export function isHistoryHeld({ histories }: Pick<WalHoldings, "histories">, timeline: Timeline): boolean {
  return timeline === 1 || histories.has(timeline);
}

/** The lineage of every timeline of which anything is held, oldest timeline first. */
export function walLineages(holdings: WalHoldings): readonly WalLineage[] {
  const timelines = new Set<Timeline>(holdings.histories.keys());
  for (const span of heldSpans(holdings)) timelines.add(span.timeline);
  return [...timelines].sort((a, b) => a - b).map((timeline) => walLineage(holdings, timeline));
}

/** The ranges and gaps of one timeline with its ancestors. */
export function walLineage(holdings: WalHoldings, timeline: Timeline): WalLineage {
  const lineage = lineageOf(timeline, holdings.histories.get(timeline) ?? []);
  const merged = heldStretches(holdings, lineage);
  const gaps = merged.slice(1).flatMap((next, index) => {
    const before = merged[index];
    return before === undefined ? [] : gapsOf(holdings, lineage, { from: before.to, to: next.from });
  });
  return {
    timeline,
    historyHeld: isHistoryHeld(holdings, timeline),
    ranges: merged.map((stretch) => ({ ...stretch, spans: split(lineage, stretch) })),
    gaps,
  };
}

/** Whether all WAL from `from` to `to` of a timeline and its ancestors is held; if not, what is missing. */
export function coversRange(
  holdings: WalHoldings,
  range: { readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
): WalCoverage {
  assert(range.from <= range.to, "a range of WAL does not end before it begins");
  const lineage = lineageOf(range.timeline, holdings.histories.get(range.timeline) ?? []);
  const gaps: WalGap[] = [];
  let at = range.from;
  for (const held of heldStretches(holdings, lineage)) {
    if (held.to <= at) continue;
    if (held.from >= range.to) break;
    if (held.from > at) gaps.push(...gapsOf(holdings, lineage, { from: at, to: held.from }));
    at = held.to;
  }
  if (at < range.to) gaps.push(...gapsOf(holdings, lineage, { from: at, to: range.to }));
  return gaps.length === 0 ? { kind: "covered" } : { kind: "missing", gaps };
}

/**
 * Timelines that grew nobody knows where, oldest first, with what is held of them: neither their own history is held nor a later one that names
 * them; or a later one does, and this is held behind the place where that left them. None of it can be restored, and what is newest may be theirs.
 */
export function untoldTimelines(holdings: WalHoldings): readonly WalSpan[] {
  const told = toldTo([...holdings.histories.values()]);
  const untold = new Map<Timeline, WalSpan>();
  for (const { timeline, from, to } of heldSpans(holdings)) {
    const end = told.get(timeline) ?? (0n as Lsn);
    if (isHistoryHeld(holdings, timeline) || to <= end) continue;
    const known = untold.get(timeline);
    const first = lsnMax(from, end);
    untold.set(timeline, { timeline, from: lsnMin(known?.from ?? first, first), to: lsnMax(known?.to ?? to, to) });
  }
  return [...untold.values()].sort((a, b) => a.timeline - b.timeline);
}

/** The same, with what only the repeated histories tell: it can be restored along its timeline, and is what nobody knows to have been left for good. */
export function lostTimelines(holdings: WalHoldings): readonly WalSpan[] {
  const repeated = new Set(holdings.repeatedHistories);
  return untoldTimelines({
    ...holdings,
    histories: new Map([...holdings.histories].filter(([of]) => !repeated.has(of))),
  });
}

/** Where each ancestor was left by the last of those that name it. */
function toldTo(histories: readonly TimelineHistory[]): ReadonlyMap<Timeline, Lsn> {
  const told = new Map<Timeline, Lsn>();
  for (const { timeline, switchLsn } of histories.flat()) {
    told.set(timeline, lsnMax(told.get(timeline) ?? switchLsn, switchLsn));
  }
  return told;
}

type Stretch = { readonly from: Lsn; readonly to: Lsn };

/** What is held along a lineage, in order, touching stretches joined. */
function heldStretches(holdings: WalHoldings, lineage: readonly LineagePart[]): readonly Stretch[] {
  const parts = new Map(lineage.map((part) => [part.timeline, part]));
  const stretches: Stretch[] = [];
  for (const span of heldSpans(holdings)) {
    const part = parts.get(span.timeline);
    // A segment before the one in which its timeline begins is not of this lineage, whatever its name says.
    if (part === undefined || span.from < segmentStart(part.from, holdings.walSegmentBytes)) continue;
    const to = part.to !== undefined && part.to < span.to ? part.to : span.to;
    if (span.from < to) stretches.push({ from: span.from, to });
  }
  return join(stretches);
}

function join(stretches: readonly Stretch[]): readonly Stretch[] {
  const joined: Stretch[] = [];
  for (const next of stretches.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = joined.at(-1);
    if (last === undefined || next.from > last.to) joined.push(next);
    else if (next.to > last.to) joined[joined.length - 1] = { from: last.from, to: next.to };
  }
  return joined;
}

function* heldSpans({ segments, tails, walSegmentBytes }: WalHoldings): Generator<WalSpan> {
  for (const name of segments) {
    const segment = parseSegmentName(name, walSegmentBytes);
    assert(segment !== undefined, `"${name}" is the name of a segment of ${walSegmentBytes} bytes`);
    yield { timeline: segment.timeline, from: segment.start, to: lsnAdd(segment.start, walSegmentBytes) };
  }
  for (const { timeline, start, end } of tails) yield { timeline, from: start, to: end };
}

/** A stretch by the timelines that own it. */
function split(lineage: readonly LineagePart[], stretch: Stretch): readonly WalSpan[] {
  const spans: WalSpan[] = [];
  let at = stretch.from;
  while (at < stretch.to) {
    const part = partAt(lineage, at);
    const to = part.to !== undefined && part.to < stretch.to ? part.to : stretch.to;
    spans.push({ timeline: part.timeline, from: at, to });
    at = to;
  }
  return spans;
}

function gapsOf(
  { walSegmentBytes }: WalHoldings,
  lineage: readonly LineagePart[],
  stretch: Stretch,
): readonly WalGap[] {
  return split(lineage, stretch).map((span) => {
    const first = segmentStart(span.from, walSegmentBytes);
    const last = segmentStart(lsnAdd(span.to, -1), walSegmentBytes);
    return {
      ...span,
      firstSegment: segmentName({ timeline: span.timeline, lsn: first, walSegmentBytes }),
      segmentCount: Number((last - first) / BigInt(walSegmentBytes)) + 1,
    };
  });
}
