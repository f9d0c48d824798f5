/**
 * Histories that the vault has lost, or cannot open, as those of later timelines repeat them: PostgreSQL begins a timeline's history with a
 * copy of its parent's.
 *
 * Invariant: one that anything held contradicts is none. Two branches of one system may have the same number, and a later history be of the other.
 */
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { listBackups } from "../vault/backups.ts";
import { getHistory, getSegment } from "../vault/wal-store.ts";
import type { WalSources } from "./get.ts";
import { contradictionOf, firstSegmentOf } from "./given-history.ts";
import { namesAncestors, parseHistory, type TimelineHistory } from "./history.ts";
import { isClosed, readHoldingsPastDamage } from "./holdings.ts";
import { heldTimelines, isHistoryHeld, type WalHoldings } from "./ranges.ts";
import { historyOfBackups } from "./told-by-backups.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The same holdings with the histories that only later ones tell. */
export async function withHistoriesOfLater(
  sources: WalSources,
  holdings: WalHoldings,
  options: CallOptions,
): Promise<WalHoldings> {
  const { closedHistories = [] } = holdings;
  const told = new Map<Timeline, TimelineHistory>();
  for (const timeline of heldTimelines(holdings)) {
    const isNamed = [...holdings.histories.values()].some((each) => each.some((at) => at.timeline === timeline));
    if (!isNamed || isHistoryHeld(holdings, timeline)) continue;
    const content = await historyOfLater(sources, timeline, options);
    if (content !== undefined) told.set(timeline, parseHistory(timeline, content));
  }
  if (told.size === 0) return holdings;
  return {
    ...holdings,
    histories: new Map([...holdings.histories, ...told]),
    closedHistories: closedHistories.filter((each) => !told.has(each)),
    repeatedHistories: [...told.keys()],
  };
}

/** The history of a timeline that the vault has not, or cannot open: as backups have it, which say it best, or as a later one repeats it. */
export async function historyTold(
  sources: WalSources,
  timeline: Timeline,
  options: CallOptions,
): Promise<Buffer | undefined> {
  const { vault, systemId } = sources;
  const content = await historyOfBackups(vault, { systemId, timeline }, options);
  return content ?? (await historyOfLater(sources, timeline, options));
}

/** The history of a timeline, byte for byte, from the next later one that names it; undefined where none tells it, or no backup would be restored by it. */
async function historyOfLater(
  sources: WalSources,
  timeline: Timeline,
  options: CallOptions,
): Promise<Buffer | undefined> {
  const { vault, systemId } = sources;
  const { backups } = await listBackups(vault, { systemId }, options);
  const walSegmentBytes = backups[0]?.walSegmentBytes;
  if (walSegmentBytes === undefined) return undefined;
  const holdings = await readHoldingsPastDamage(sources, walSegmentBytes, options);
  const naming = [...holdings.histories]
    .filter(([, history]) => history.some((each) => each.timeline === timeline))
    .map(([later]) => later);
  if (naming.length === 0) return undefined;
  const later = await getHistory(vault, { systemId, timeline: Math.min(...naming) as Timeline }, options);
  const content = later && copyOfParent(timeline, later);
  if (content === undefined || !namesAncestors(timeline, content)) return undefined;
  const given = { timeline, history: parseHistory(timeline, content) };
  const first = await firstOf(sources, { systemId, segment: firstSegmentOf(holdings.segments, timeline) }, options);
  return contradictionOf(given, { holdings, backups, first }) === undefined ? content : undefined;
}

/** What lies before the line that names a timeline, without the empty line that PostgreSQL puts between. */
function copyOfParent(timeline: Timeline, later: Buffer): Buffer | undefined {
  const lines = later.toString("utf8").split("\n");
  const at = lines.findIndex((line) => new RegExp(`^\\s*${timeline}\\s`).test(line));
  if (at < 1) return undefined;
  const own = lines.slice(0, lines[at - 1] === "" ? at - 1 : at);
  return Buffer.from(own.map((line) => `${line}\n`).join(""));
}

async function firstOf(
  { vault }: WalSources,
  { systemId, segment }: { readonly systemId: SystemId; readonly segment: string | undefined },
  options: CallOptions,
): Promise<Buffer | undefined> {
  if (segment === undefined) return undefined;
  try {
    return await getSegment(vault, { systemId, segment }, options);
  } catch (error) {
    if (!isClosed(error)) throw error;
    return undefined;
  }
}
