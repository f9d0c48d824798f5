/**
 * Whether a history that a person gives can be that of a timeline whose history is lost. Pure.
 *
 * Two branches of one system may have the same number: a restored copy that was promoted takes the next one too. Once stored a history counts for
 * good: restores and prunes go by it, and a receiver whose server has another is refused. So what is held must not contradict it.
 * What cannot be told: one that says the timeline began before what is held of it, where nothing else speaks of that.
 */
import { formatLsn, type Lsn, lsnAdd, parseLsn, parseSegmentName, type Timeline } from "../postgres/lsn.ts";
import type { TimelineHistory } from "./history.ts";
import type { WalHoldings } from "./ranges.ts";
import { readPageHeader, SEGMENT_HEADER_BYTES, WAL_MAGIC, WAL_PAGE_BYTES } from "./records/page.ts";

/** A history as it was given. */
export type GivenHistory = { readonly timeline: Timeline; readonly history: TimelineHistory };

/** What is held, to judge it by. */
export type HeldBesideHistory = {
  readonly holdings: Pick<WalHoldings, "segments" | "walSegmentBytes" | "histories">;
  readonly backups: readonly { readonly backupId: string; readonly timeline: Timeline; readonly startLsn: string }[];
  /** The first segment that is held of the timeline; undefined where none is, or it cannot be read. */
  readonly first: Buffer | undefined;
};

/** The name of the first segment that is held of a timeline; undefined where none is. */
export function firstSegmentOf(segments: readonly string[], timeline: Timeline): string | undefined {
  const prefix = timeline.toString(16).toUpperCase().padStart(8, "0");
  return segments.filter((name) => name.startsWith(prefix)).sort()[0];
}

/** What contradicts it, in words; undefined where nothing does. */
export function contradictionOf(given: GivenHistory, held: HeldBesideHistory): string | undefined {
  const began = given.history.at(-1)?.switchLsn;
  if (began === undefined) return "it names no ancestor";
  return byHistories(given, held.holdings.histories) ?? byBackups(given, began, held) ?? byWal(given, began, held);
}

/** Whether two histories say the same, whatever reasons they give. */
export function isSameHistory(one: TimelineHistory, other: TimelineHistory): boolean {
  const says = (history: TimelineHistory) =>
    history.map(({ timeline, switchLsn }) => `${timeline} ${switchLsn}`).join();
  return says(one) === says(other);
}

/** A history begins with those of its ancestors. */
function byHistories({ timeline, history }: GivenHistory, held: WalHoldings["histories"]): string | undefined {
  for (const [other, its] of held) {
    const [older, younger] = other < timeline ? [its, history] : [history, its];
    const index = younger.findIndex((each) => each.timeline === Math.min(other, timeline));
    if (other === timeline || index < 0 || isSameHistory(older, younger.slice(0, index))) continue;
    return `the history of timeline ${other} that is held tells of another branch`;
  }
  return undefined;
}

function byBackups({ timeline }: GivenHistory, began: Lsn, { backups }: HeldBesideHistory): string | undefined {
  const before = backups.find((each) => each.timeline === timeline && parseLsn(each.startLsn) < began);
  if (before === undefined) return undefined;
  return `backup ${before.backupId} was begun on that timeline at ${before.startLsn}, and by this it began at ${formatLsn(began)}`;
}

function byWal({ timeline }: GivenHistory, began: Lsn, { holdings, first }: HeldBesideHistory): string | undefined {
  const { segments, walSegmentBytes } = holdings;
  const name = firstSegmentOf(segments, timeline);
  const start = name === undefined ? undefined : parseSegmentName(name, walSegmentBytes)?.start;
  if (start === undefined) return undefined;
  const end = lsnAdd(start, walSegmentBytes);
  const by = `by this it began at ${formatLsn(began)}`;
  if (began >= end) return `WAL of that timeline is held from ${formatLsn(start)} on, and ${by}`;
  const own = first === undefined ? undefined : firstOwnPage(first, timeline);
  if (own === undefined) return undefined;
  // The page in which it began still says the timeline before.
  const [from, to] = [lsnAdd(start, own - WAL_PAGE_BYTES), lsnAdd(start, own + SEGMENT_HEADER_BYTES)];
  if (began <= to && (own === 0 || began >= from)) return undefined;
  const at = own === 0 ? `at ${formatLsn(start)} or before` : `between ${formatLsn(from)} and ${formatLsn(to)}`;
  return `by the pages of ${name} that timeline began ${at}, and ${by}`;
}

/** Where the first page lies that says the timeline; undefined where none does. */
function firstOwnPage(segment: Buffer, timeline: Timeline): number | undefined {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  for (let at = 0; at < segment.byteLength; at += WAL_PAGE_BYTES) {
    const page = readPageHeader(view, at);
    if (page === undefined || !WAL_MAGIC.has(page.magic)) return undefined;
    if (page.timeline === timeline) return at;
  }
  return undefined;
}
