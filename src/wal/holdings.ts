/**
 * What is held of a system's WAL, gathered from the vault and the spool for ranges.ts.
 */
import type { Timeline } from "../postgres/lsn.ts";
import { getHistory, listWal } from "../vault/wal-store.ts";
import type { WalSources } from "./get.ts";
import { parseHistory, type TimelineHistory } from "./history.ts";
import type { WalHoldings } from "./ranges.ts";
import { listSpool, type SpoolFile } from "./spool-files.ts";
import { readSpoolState } from "./spool-state.ts";

/**
 * Lists all WAL that is held. `walSegmentBytes` is what the backups of the system say; a spool of this system must
 * agree. Rejects rather than answer with part of it.
 */
export async function readHoldings(
  sources: WalSources,
  walSegmentBytes: number,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<WalHoldings> {
  const { vault, systemId } = sources;
  // The spool first: a segment leaves it only after the vault has it.
  const spooled = await readSpool(sources, walSegmentBytes);
  const stored = await listWal(vault, { systemId }, options);
  const histories = new Map<Timeline, TimelineHistory>();
  for (const timeline of stored.histories) {
    const content = await getHistory(vault, { systemId, timeline }, options);
    if (content !== undefined) histories.set(timeline, parseHistory(timeline, content));
  }
  const complete = spooled.filter(({ kind }) => kind === "complete").map(({ segment }) => segment);
  const tails = spooled.filter(({ kind, sizeBytes }) => kind !== "complete" && sizeBytes > 0);
  const segments = [...new Set([...stored.segments, ...complete])].sort();
  return { systemId, walSegmentBytes, segments, tails, histories };
}

async function readSpool(sources: WalSources, walSegmentBytes: number): Promise<readonly SpoolFile[]> {
  const { files, spoolFolder, systemId } = sources;
  const state = spoolFolder === undefined ? undefined : await readSpoolState(files, spoolFolder);
  if (state === undefined || spoolFolder === undefined || state.systemId !== systemId) return [];
  return await listSpool(files, spoolFolder, { systemId, walSegmentBytes });
}
