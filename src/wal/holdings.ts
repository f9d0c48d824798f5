/**
 * What is held of a system's WAL, gathered from the vault and the spool for ranges.ts.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { Timeline } from "../postgres/lsn.ts";
import { opensForOthers } from "../vault/unopened.ts";
import { getHistory, listWal } from "../vault/wal-store.ts";
import type { WalSources } from "./get.ts";
import { parseHistory, type TimelineHistory } from "./history.ts";
import type { WalHoldings } from "./ranges.ts";
import { listSpool, type SpoolFile } from "./spool-files.ts";
import { readSpoolState } from "./spool-state.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * Lists all WAL that is held. `walSegmentBytes` is what the backups of the system say; a spool of this system must
 * agree. Rejects rather than answer with part of it.
 */
export async function readHoldings(
  sources: WalSources,
  walSegmentBytes: number,
  options: CallOptions,
): Promise<WalHoldings> {
  return gather(sources, walSegmentBytes, options, (error) => {
    throw error;
  });
}

/** The same for who restores: a history that does not open hides no other timeline, and is listed as closed. */
export async function readHoldingsPastDamage(
  sources: WalSources,
  walSegmentBytes: number,
  options: CallOptions,
): Promise<WalHoldings> {
  return gather(sources, walSegmentBytes, options, (error) => {
    if (!isClosed(error)) throw error;
  });
}

/** The same for who asks of one timeline, and takes of all histories its own alone: one of another that does not open ends nothing. */
export async function readHoldingsOf(
  sources: WalSources,
  walSegmentBytes: number,
  timeline: Timeline,
  options: CallOptions,
): Promise<WalHoldings> {
  return gather(sources, walSegmentBytes, options, (error, of) => {
    if (of === timeline || !isClosed(error)) throw error;
  });
}

/** Whether a history is there and cannot be had from there. */
export function isClosed(error: unknown): boolean {
  return isLifeboatError(error) && (CLOSED.has(error.code) || opensForOthers(error));
}

const CLOSED: ReadonlySet<string> = new Set(["vault.object-damaged", "wal.history-damaged", "store.failed"]);

async function gather(
  sources: WalSources,
  walSegmentBytes: number,
  options: CallOptions,
  pass: (error: unknown, timeline: Timeline) => void,
): Promise<WalHoldings> {
  const { vault, systemId } = sources;
  // The spool first: a segment leaves it only after the vault has it.
  const spooled = await readSpool(sources, walSegmentBytes);
  const stored = await listWal(vault, { systemId }, options);
  const histories = new Map<Timeline, TimelineHistory>();
  const closedHistories: Timeline[] = [];
  for (const timeline of stored.histories) {
    try {
      const content = await getHistory(vault, { systemId, timeline }, options);
      if (content !== undefined) histories.set(timeline, parseHistory(timeline, content));
    } catch (error) {
      pass(error, timeline);
      closedHistories.push(timeline);
    }
  }
  const complete = spooled.filter(({ kind }) => kind === "complete").map(({ segment }) => segment);
  const tails = spooled.filter(({ kind, sizeBytes }) => kind !== "complete" && sizeBytes > 0);
  const segments = [...new Set([...stored.segments, ...complete])].sort();
  return { systemId, walSegmentBytes, segments, tails, histories, closedHistories };
}

async function readSpool(sources: WalSources, walSegmentBytes: number): Promise<readonly SpoolFile[]> {
  const { files, spoolFolder, systemId } = sources;
  const state = spoolFolder === undefined ? undefined : await readSpoolState(files, spoolFolder);
  if (state === undefined || spoolFolder === undefined || state.systemId !== systemId) return [];
  return await listSpool(files, spoolFolder, { systemId, walSegmentBytes });
}
