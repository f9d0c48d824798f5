/**
 * WAL that a vault lacks beside what its backups need of it.
 *
 * That a segment is gone cannot be told from that nobody ever received it: both are a gap. One behind which nothing can be restored asks for
 * a backup; of any other the moments inside are lost, and all else can be had.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { formatLsn, lsnAdd, type SystemId, segmentName, segmentStart } from "../postgres/lsn.ts";
import { listBackups } from "../vault/backups.ts";
import type { Finding } from "../vault/check.ts";
import { segmentKey } from "../vault/names.ts";
import { tellsLoss } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";
import { listSystems } from "../vault/wal-store.ts";
import { readHoldings } from "./holdings.ts";
import type { WalGap } from "./ranges.ts";
import { recoveryPoints } from "./recovery-points.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A gap, and whose WAL it is. */
export type VaultGap = WalGap & { readonly systemId: SystemId; readonly walSegmentBytes: number };

/** Behind the oldest backup: what lies before it nobody can use. */
export type VaultGaps = {
  /** With each the first segment that is missing, as a check names it: until a backup begins behind it nothing there can be restored. */
  readonly outOfReach: readonly (VaultGap & { readonly finding: Finding })[];
  /** A backup begins behind them. */
  readonly between: readonly VaultGap[];
};

/** A gap is looked at once more, segment by segment, when it is no longer than this: a listing may pass over what is stored meanwhile. */
const SEGMENTS_LOOKED_AT_MAX = 64;

/** Looks for them in the vault alone. A system whose histories do not open is passed over: a check names those. */
export async function vaultGaps(
  tools: { readonly vault: Vault; readonly files: Files },
  options: CallOptions,
): Promise<VaultGaps> {
  const { vault } = tools;
  const outOfReach: VaultGaps["outOfReach"][number][] = [];
  const between: VaultGap[] = [];
  for (const systemId of await listSystems(vault, options)) {
    const { backups } = await listBackups(vault, { systemId }, options);
    const [first] = backups;
    if (first === undefined) continue;
    const holdings = await readHoldings({ ...tools, systemId }, first.walSegmentBytes, options).catch(unopened);
    if (holdings === undefined) continue;
    const points = recoveryPoints(backups, holdings);
    for (const missing of points.gaps) {
      const gap = { ...missing, walSegmentBytes: first.walSegmentBytes };
      if (points.ranges.every(({ to }) => to > gap.from) || (await isFilled(vault, gap, options))) continue;
      const isLast = points.outOfReach.some(({ timeline, from }) => timeline === gap.timeline && from === gap.from);
      if (isLast) outOfReach.push({ ...gap, finding: findingOf(gap) });
      else between.push(gap);
    }
  }
  return { outOfReach, between };
}

/** The objects of a gap. */
export function* objectsOf(gap: VaultGap): Generator<{ readonly segment: string; readonly object: string }> {
  const { walSegmentBytes } = gap;
  let lsn = segmentStart(gap.from, walSegmentBytes);
  for (let count = 0; count < gap.segmentCount; count += 1) {
    const segment = segmentName({ timeline: gap.timeline, lsn, walSegmentBytes });
    yield { segment, object: segmentKey({ systemId: gap.systemId, segment }) };
    lsn = lsnAdd(lsn, walSegmentBytes);
  }
}

/** The bytes of a gap may have been stored since the vault was listed. */
async function isFilled(vault: Vault, gap: VaultGap, options: CallOptions): Promise<boolean> {
  if (gap.segmentCount > SEGMENTS_LOOKED_AT_MAX) return false;
  for (const { object } of objectsOf(gap)) {
    if ((await vault.store.head(object, options)) === undefined) return false;
  }
  return true;
}

function findingOf(gap: VaultGap): Finding {
  const { systemId, timeline, from, to, firstSegment, segmentCount } = gap;
  const object = segmentKey({ systemId, segment: firstSegment });
  const which = segmentCount === 1 ? "is" : `and ${segmentCount - 1} behind it are`;
  return {
    object,
    reason: new LifeboatError("vault.object-missing", {
      message: `object ${object} ${which} not there: WAL is missing from ${formatLsn(from)} to ${formatLsn(to)} on timeline ${timeline}, no backup begins behind that, and nothing there can be restored`,
      remedy:
        "Take a backup now, where the server lives: `lifeboat backup`. `lifeboat vault repair` stores again what lies in the receiver's spool; else copy what is missing back from another copy of the vault.",
      details: { object },
    }),
  };
}

/** A history that does not open, or is none, is a finding of the check. */
function unopened(error: unknown): undefined {
  if (tellsLoss(error) || isLifeboatError(error, "wal.history-damaged")) return undefined;
  throw error;
}
