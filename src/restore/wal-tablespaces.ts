/**
 * Keeps a recovery away from folders of tablespaces that are not its own.
 *
 * A tablespace that the backup has is put where the restore is told. One that the WAL behind the backup's start creates is not:
 * the server that replays it leads to the very folder that the WAL names, and writes there. On the machine of the server that was
 * backed up that is the folder that this server uses now.
 * Invariant: no WAL is handed to a recovery that would write into a folder in which anything lies, but for one that the recovery's
 * own directory leads to already: for the same tablespace, or for one that the original dropped before it made this one there. One that is empty or not there serves, and is made, for PostgreSQL does not make it.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import { formatLsn, parseLsn } from "../postgres/lsn.ts";
import type { CreatedTablespace } from "../wal/records/tablespaces.ts";
import { type Layout, TABLESPACES_FOLDER } from "./layout.ts";
import { plannedReach, type RestorePlan } from "./plan.ts";
import { MOVED_LIST } from "./recovery-files.ts";

/** Which tablespace is created, and where. */
type Place = Pick<CreatedTablespace, "oid" | "location">;

/** Where a recovery happens. */
type RecoveryPlace = {
  /** Makes a folder that its server may use, and what is missing of those above it. */
  readonly make: (folder: string) => Promise<void>;
  /** Whether its directory leads there, for this tablespace or one that had the folder before. */
  readonly own: (created: Place) => Promise<boolean>;
  /** Whether it may use no folder but its own. */
  readonly isolated?: boolean | undefined;
};

/** Admits each tablespace that a recovery by this plan creates. The function throws `restore.tablespace-in-wal`. */
export function tablespaceGuard(
  files: Files,
  plan: Pick<RestorePlan, "backup" | "stop" | "endLsn">,
  place: RecoveryPlace,
): (created: CreatedTablespace) => Promise<void> {
  return async (created) => {
    if (isReplayed(plan, created)) await admitTablespace(files, created, place);
  };
}

/** Whether recovery by this plan comes to the record. */
export function isReplayed(
  plan: Pick<RestorePlan, "backup" | "stop" | "endLsn">,
  { lsn }: Pick<CreatedTablespace, "lsn">,
): boolean {
  return lsn >= parseLsn(plan.backup.startLsn) && lsn < plannedReach(plan);
}

/**
 * Sees to it that the folder of a tablespace which the WAL creates is there and empty, or the recovery's own. Throws
 * `restore.tablespace-in-wal` when it is anything else.
 */
export async function admitTablespace(files: Files, created: CreatedTablespace, place: RecoveryPlace): Promise<void> {
  const { location } = created;
  if (await place.own(created)) return;
  if (place.isolated === true) throw tablespaceInWal(created, "this recovery may use no folder but its own");
  // A name that is none in UTF-8 reads as that of another folder.
  if (location.includes("\uFFFD")) throw tablespaceInWal(created, "whose name cannot be read here");
  const names = await namesIn(files, created);
  if (names.length > 0) throw tablespaceInWal(created, `that folder is not empty: it holds ${names[0] ?? ""}`);
  try {
    await place.make(location);
  } catch (cause) {
    if (!isLifeboatError(cause)) throw cause;
    throw tablespaceInWal(created, `that folder could not be made: ${cause.message}`, cause);
  }
}

/** What is a recovery's own by the layout of its restore: what the backup's tablespaces have there, each where the original had it. */
export function ownByLayout({ tablespaceFolders }: Layout, tablespaces: readonly Place[]): RecoveryPlace["own"] {
  const kept = tablespaces.filter(({ oid, location }) => tablespaceFolders.get(oid) === path.resolve(location));
  const folders = new Set(kept.map(({ location }) => path.resolve(location)));
  return async ({ oid, location }) => {
    const folder = path.resolve(location);
    return tablespaceFolders.get(oid) === folder || folders.has(folder);
  };
}

/**
 * What is a recovery's own by the links of its directory. One that a restore put elsewhere than the original had it vouches for itself
 * only: another tablespace of that place is not behind it in time but beside it.
 */
export function ownByLinks(files: Files, dataFolder: string): RecoveryPlace["own"] {
  return async ({ oid, location }) => {
    const folder = path.resolve(location);
    const leadsThere = async (name: string): Promise<boolean> => {
      const link = path.join(dataFolder, TABLESPACES_FOLDER, name);
      if ((await files.stat(link))?.kind !== "link") return false;
      return path.resolve(path.dirname(link), await files.readLink(link)) === folder;
    };
    if (await leadsThere(String(oid))) return true;
    const moved = await readIfThere(files, path.join(dataFolder, MOVED_LIST));
    // Of a restore of before nobody knows.
    if (moved === undefined) return false;
    const apart = moved.toString("utf8").split("\n");
    for (const { name } of await files.list(path.join(dataFolder, TABLESPACES_FOLDER))) {
      if (!apart.includes(name) && (await leadsThere(name))) return true;
    }
    return false;
  };
}

/** What lies in the folder, but for what an empty file system has. */
async function namesIn(files: Files, created: CreatedTablespace): Promise<readonly string[]> {
  try {
    return (await files.list(created.location)).map(({ name }) => name).filter((name) => name !== "lost+found");
  } catch (cause) {
    if (isLifeboatError(cause, "platform.file-missing")) return [];
    if (!isLifeboatError(cause)) throw cause;
    throw tablespaceInWal(created, `it cannot be told what lies there: ${cause.message}`, cause);
  }
}

/** The refusal, with what helps. */
export function tablespaceInWal(
  { lsn, oid, location }: CreatedTablespace,
  why: string,
  cause?: unknown,
): LifeboatError {
  const at = formatLsn(lsn);
  return new LifeboatError("restore.tablespace-in-wal", {
    message: `the WAL creates tablespace ${oid} at ${at} in ${location}, where recovery would write into what is there: ${why}`,
    remedy: `Take a new backup: one that has the tablespace puts it where it is told. Or restore to before it, with --to-lsn ${at} --exclusive, or on a machine where ${location} is empty or not there. Empty the folder only when no server uses it.`,
    details: { lsn: at, oid, location },
    cause,
  });
}
