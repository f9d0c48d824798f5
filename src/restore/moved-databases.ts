/**
 * Finds in the WAL of a backup that a database was moved, or copied by its files, while it was taken, see wal/records/copied-folders.ts.
 *
 * A backup is announced only when that did not happen (decision 61); one that an earlier version announced may be restored
 * without that database, and nothing but its WAL tells.
 */
import { isLifeboatError } from "../errors/error.ts";
import { type Lsn, parseLsn, segmentStart } from "../postgres/lsn.ts";
import { isAtLeast, standings } from "../proof/decide.ts";
import type { BackupRecord } from "../vault/backups.ts";
import type { BackupId } from "../vault/names.ts";
import type { ProofListing } from "../vault/proofs.ts";
import { CopiedFolders, lastSegmentEnd, type UnsoundCopy } from "../wal/records/copied-folders.ts";
import type { RecordCursor } from "../wal/records/cursor.ts";
import { scanRecords } from "../wal/records/reader.ts";
import type { RestorePlan } from "./plan.ts";
import { recordsOf } from "./planned-wal.ts";
import type { RestoreWal } from "./restore-wal.ts";

/**
 * A plan is to be there at once, and the WAL of a backup that ran for hours takes minutes to read. So much takes 4 to 5 s, whatever a segment has;
 * the rest of the last segment comes on top.
 */
const ASKED_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * What the WAL of backups showed, for who plans again while WAL comes: that of a backup does not change. Only what no later WAL can change is
 * kept: a backup may end in a segment of which the rest is yet to come.
 */
export type MovedFound = Map<BackupId, UnsoundCopy | undefined>;

/** What says that WAL is damaged or gone, for good. That a store does not answer now is none of it: the next look may show something. */
const UNREADABLE: ReadonlySet<string> = new Set([
  "wal.segment-missing",
  "wal.segment-damaged",
  "vault.object-damaged",
  "vault.object-missing",
  "store.object-missing",
  "store.object-truncated",
]);

/** The copies within a backup's own range, of all records that are shown. */
export class ImageCopies {
  readonly #start: number;
  readonly #end: number;
  readonly #copied: CopiedFolders;

  constructor({ startLsn, endLsn, walSegmentBytes }: BackupRecord) {
    this.#start = Number(parseLsn(startLsn));
    this.#end = Number(lastSegmentEnd(parseLsn(endLsn), walSegmentBytes));
    this.#copied = new CopiedFolders(parseLsn(endLsn));
  }

  visit(cursor: RecordCursor): undefined {
    if (cursor.lsn >= this.#start && cursor.lsn < this.#end) this.#copied.visit(cursor);
  }

  /** Of several the first; asked for when every record was shown. */
  unsound(): UnsoundCopy | undefined {
    return this.#copied.unsound();
  }
}

/**
 * What the WAL of a plan's backup shows of it. Undefined where it shows nothing, and where it is not asked: of a backup that was proven by a
 * boot, whose databases were opened then, of one with much WAL, and of WAL that cannot be read, which whoever restores is told.
 */
export async function movedUnder(
  {
    wal,
    proofs,
    found,
  }: { readonly wal: RestoreWal; readonly proofs: ProofListing; readonly found?: MovedFound | undefined },
  plan: RestorePlan,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<UnsoundCopy | undefined> {
  const { backup, walSegmentBytes } = plan;
  const [start, end] = [parseLsn(backup.startLsn), parseLsn(backup.endLsn)];
  if (end - start > ASKED_BYTES_MAX) return undefined;
  const standing = standings(proofs).get(backup.backupId);
  if (standing?.kind === "proven" && isAtLeast(standing.depth, "booted")) return undefined;
  if (found?.has(backup.backupId) === true) return found.get(backup.backupId);
  const copies = new ImageCopies(backup);
  const limit = lastSegmentEnd(end, walSegmentBytes);
  let isRead = false;
  try {
    await scanRecords(recordsOf(plan, wal), { from: start, limit }, (cursor) => copies.visit(cursor), options);
    isRead = true;
  } catch (error) {
    if (!isLifeboatError(error) || !UNREADABLE.has(error.code)) throw error;
  }
  const unsound = copies.unsound();
  const isSettled = unsound !== undefined || (isRead && holdsWhole(plan, end));
  if (isSettled) found?.set(backup.backupId, unsound);
  return unsound;
}

/** Whether all of the segment in which a backup ends is planned. */
function holdsWhole({ segments, walSegmentBytes }: RestorePlan, end: Lsn): boolean {
  const last = segmentStart((end - 1n) as Lsn, walSegmentBytes);
  return segments.some(({ start, validBytes }) => start === last && validBytes === walSegmentBytes);
}
