/**
 * Histories that the vault has lost, or cannot open, as the manifests of backups have them: each keeps that of the timeline it was taken on.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import { readManifestHeader } from "../vault/manifest.ts";
import { tellsLoss } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";
import { namesAncestors, parseHistory } from "./history.ts";
import { heldTimelines, isHistoryHeld, type WalHoldings } from "./ranges.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The same holdings with the histories that only backups have. Backups are looked at only where WAL of a timeline has none. */
export async function withHistoriesOfBackups(
  vault: Vault,
  holdings: WalHoldings,
  options: CallOptions,
): Promise<WalHoldings> {
  const { systemId, closedHistories = [] } = holdings;
  const lacking = [...heldTimelines(holdings)].filter((each) => !isHistoryHeld(holdings, each));
  if (lacking.length === 0) return holdings;
  const { backups } = await listBackups(vault, { systemId }, options);
  const histories = new Map(holdings.histories);
  for (const timeline of lacking) {
    const content = await historyIn(vault, backups, timeline, options);
    if (content !== undefined) histories.set(timeline, parseHistory(timeline, content));
  }
  return { ...holdings, histories, closedHistories: closedHistories.filter((each) => !histories.has(each)) };
}

/** The history of a timeline from a backup that was taken on it; undefined where none tells it. */
export async function historyOfBackups(
  vault: Vault,
  of: { readonly systemId: SystemId; readonly timeline: Timeline },
  options: CallOptions,
): Promise<Buffer | undefined> {
  const { backups } = await listBackups(vault, { systemId: of.systemId }, options);
  return historyIn(vault, backups, of.timeline, options);
}

async function historyIn(
  vault: Vault,
  backups: readonly BackupRecord[],
  timeline: Timeline,
  options: CallOptions,
): Promise<Buffer | undefined> {
  for (const backup of backups.filter((each) => each.timeline === timeline).toReversed()) {
    try {
      const { history } = await readManifestHeader(vault, backup, options);
      const content = Buffer.from(history ?? "");
      if (namesAncestors(timeline, content)) return content;
    } catch (error) {
      // One that is damaged tells nothing; another may.
      if (!tellsLoss(error) && !isLifeboatError(error, "store.failed")) throw error;
    }
  }
  return undefined;
}
