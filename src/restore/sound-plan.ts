/**
 * Plans a restore from a backup that no proof stands against, nor its own WAL.
 *
 * Nouns: a backup is *doubted* when its newest proof failed or does not open, or when its WAL shows that a database was moved while
 * it was taken; it is *passed over* when it would have been taken without that.
 * Invariant: a doubted backup is taken where it is named, or where no other serves, and the plan says so.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { parseLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { doubtedBackups } from "../proof/decide.ts";
import { type BackupRecord, listBackups } from "../vault/backups.ts";
import { type BackupId, historyKey } from "../vault/names.ts";
import type { ProofListing } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import type { WalHoldings } from "../wal/ranges.ts";
import type { UnsoundCopy } from "../wal/records/copied-folders.ts";
import { findStop } from "./find-stop.ts";
import { type PlanRequest, plannedReach, planRestore, type RestorePlan, settlePlan } from "./plan.ts";
import { refusalError } from "./refusal.ts";
import type { RestoreWal } from "./restore-wal.ts";

/** What proofs and WAL say against the backup of a plan, and against those that would have been taken without them. */
export type ProofDoubts = {
  readonly isDoubted: boolean;
  /** Newer than the backup of the plan, oldest first. */
  readonly passedOver: readonly BackupRecord[];
  /** The databases that were moved, of those of these backups whose WAL shows it. */
  readonly moved: ReadonlyMap<BackupId, UnsoundCopy>;
};

type SoundPlan = { readonly plan: RestorePlan; readonly doubts: ProofDoubts };

/** Plans, with its stop. Throws `restore.no-backup`, `restore.wal-gap`, `restore.point-out-of-reach`, and what `findStop` throws. */
export async function planSound(
  tools: {
    readonly vault: Vault;
    readonly wal: RestoreWal;
    readonly proofs: ProofListing;
    readonly onSegment: (segmentBytes: number) => void;
    /** What the WAL of the plan's backup shows of a database that was moved meanwhile. Left out: it is not asked. */
    readonly movedUnder?: ((plan: RestorePlan) => Promise<UnsoundCopy | undefined>) | undefined;
  },
  request: PlanRequest & { readonly systemId: SystemId },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<SoundPlan> {
  const { vault, wal } = tools;
  const listing = await listBackups(vault, { systemId: request.systemId }, options);
  const holdings = await wal.holdings(options);
  if (request.timeline !== undefined) refuseClosed(holdings, request.timeline);
  const planFrom = async (backups: readonly BackupRecord[]): Promise<RestorePlan> => {
    const outcome = planRestore({ backups, holdings }, request);
    if (outcome.kind !== "plans") throw refusalError(outcome, { listing, vault, request });
    for (const plan of outcome.plans) refuseClosed(holdings, plan.timeline);
    return settlePlan(await findStop(outcome.plans, tools, options), holdings);
  };
  const doubted = new Set(doubtedBackups(tools.proofs));
  const moved = new Map<BackupId, UnsoundCopy>();
  const lookUnder = async (plan: RestorePlan): Promise<boolean> => {
    const { backupId } = plan.backup;
    const copy = moved.get(backupId) ?? (await tools.movedUnder?.(plan));
    if (copy !== undefined) moved.set(backupId, copy);
    return copy === undefined;
  };
  for (let looks = 0; request.backupId === undefined && looks < LOOKS_MAX; looks += 1) {
    const sound = listing.backups.filter(({ backupId }) => !doubted.has(backupId));
    try {
      const plan = await planFrom(sound);
      const isSound = await lookUnder(plan);
      const passed = passedOver(plan, listing.backups, doubted);
      if (isSound) return { plan, doubts: { isDoubted: false, passedOver: passed, moved } };
      doubted.add(plan.backup.backupId);
    } catch (error) {
      // A doubted one may still be restored, in part at least: better than nothing, as long as it is said.
      const isUnserved = isLifeboatError(error) && UNSERVED.has(error.code);
      if (!isUnserved || sound.length === listing.backups.length) throw error;
      break;
    }
  }
  const plan = await planFrom(listing.backups);
  const isSound = await lookUnder(plan);
  const isDoubted = !isSound || doubted.has(plan.backup.backupId);
  return { plan, doubts: { isDoubted, passedOver: [], moved } };
}

/** Of so many backups in a row the WAL is read; that a database was moved under each of them is no accident. */
const LOOKS_MAX = 4;

/** Throws `vault.object-damaged` where the timeline that is to be followed has a history that does not open. */
function refuseClosed({ systemId, closedHistories = [] }: WalHoldings, timeline: Timeline): void {
  if (!closedHistories.includes(timeline)) return;
  const object = historyKey({ systemId, timeline });
  throw new LifeboatError("vault.object-damaged", {
    message: `object ${object} does not open: what led to timeline ${timeline} is not known`,
    remedy:
      "Run `lifeboat vault repair`: it makes it again where a spool or a backup has it. Or copy it back from another copy of the vault. To restore what lies before that timeline, knowingly, pass --timeline with an earlier one.",
    details: { object },
  });
}

/** What says that none of some backups serves. */
const UNSERVED: ReadonlySet<string> = new Set(["restore.no-backup", "restore.wal-gap", "restore.point-out-of-reach"]);

function passedOver(
  plan: RestorePlan,
  backups: readonly BackupRecord[],
  doubted: ReadonlySet<BackupId>,
): readonly BackupRecord[] {
  const { kind } = plan.target;
  const newer = backups.slice(backups.findIndex(({ backupId }) => backupId === plan.backup.backupId) + 1);
  return newer.filter(({ backupId, endLsn }) => {
    // Of the latest, also one behind a hole that the plan ends at.
    const serves = kind === "latest" || kind === "immediate" || parseLsn(endLsn) <= plannedReach(plan);
    return serves && doubted.has(backupId);
  });
}
