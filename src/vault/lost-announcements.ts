/**
 * Backups that have a manifest and are not announced. Pure.
 *
 * A manifest is put when all packs are stored and a delta's parent is cleared, and the announcement as soon as the WAL is there.
 * Where that did not come about within a week, the announcement was lost, or the backup was cut short at its last step: either
 * way it may be whole.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Instant } from "../platform/clock.ts";
import { formatInstant } from "../platform/clock.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { LEFT_BEHIND_MS } from "./backups.ts";
import { type BackupId, backupName, parseBackupName } from "./names.ts";

/** A backup that ought to be announced, and why that is known. */
export type LostAnnouncement = {
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  /** The announcement's name. */
  readonly object: string;
  readonly reason: LifeboatError;
};

/** What lies in a vault. */
type Held = {
  /** The names of its objects, at least those of its backups. */
  readonly names: ReadonlySet<string> | ReadonlyMap<string, unknown>;
  /** As the listing of its backups has them. */
  readonly unfinished: readonly { readonly backupId: BackupId; readonly startedMs: number }[];
  readonly now: Instant;
};

/** Those of which nothing but the manifest is left, too: no command leaves one. */
export function lostAnnouncements({ names, unfinished, now }: Held): readonly LostAnnouncement[] {
  const lost: LostAnnouncement[] = [];
  for (const key of names.keys()) {
    const named = parseBackupName(key);
    if (named?.part !== "manifest") continue;
    const { systemId, backupId } = named;
    const object = backupName(named, "announced");
    if (names.has(object) || names.has(backupName(named, "tombstone"))) continue;
    const begun = unfinished.find((each) => each.backupId === backupId);
    const isBegun = names.has(backupName(named, "started"));
    // Begun, and announced or given a tombstone since its names were listed.
    if (isBegun && begun === undefined) continue;
    if (begun !== undefined && now - begun.startedMs <= LEFT_BEHIND_MS) continue;
    lost.push({ systemId, backupId, object, reason: announcementLost({ backupId, object }, begun?.startedMs) });
  }
  return lost;
}

function announcementLost(
  { backupId, object }: { readonly backupId: BackupId; readonly object: string },
  startedMs: number | undefined,
): LifeboatError {
  const begun = startedMs === undefined ? "" : `, begun ${formatInstant(startedMs as Instant)},`;
  return new LifeboatError("vault.object-missing", {
    message: `object ${object} is not there, though backup ${backupId}${begun} has its manifest`,
    remedy: `Run \`lifeboat vault repair\`: it announces the backup again when all that it needs is there. If it cannot, copy this object back from another copy of the vault, or let the backup go with \`lifeboat prune --remove ${backupId}\`.`,
    details: { object },
  });
}
