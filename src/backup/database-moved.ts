/**
 * A database that was moved, or copied by its files, while an image was taken, and that would not be restored as it is.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatLsn } from "../postgres/lsn.ts";
import type { UnsoundCopy } from "../wal/records/copied-folders.ts";
import type { RelationFolder } from "../wal/records/main-data.ts";

const WHAT = {
  moved: "was moved to another tablespace",
  "source-dropped": "was copied by its files, and the database it was copied from dropped",
  "source-changed": "was copied by its files, and the database it was copied from changed",
} as const satisfies Record<UnsoundCopy["why"], string>;

/** The refusal, with what helps. Numbers are what the WAL has: the name may be gone. */
export function databaseMoved({ lsn, source, target, why }: UnsoundCopy): LifeboatError {
  const at = formatLsn(lsn);
  return new LifeboatError("backup.database-moved", {
    message: `the database with OID ${target.database} ${WHAT[why]} at ${at} while the backup ran: recovery would copy ${folderName(source)} to ${folderName(target)} as the backup has it, incomplete or not at all`,
    remedy:
      "Take the backup again when no database is moved (ALTER DATABASE … SET TABLESPACE), and none copied with STRATEGY file_copy whose template is dropped or written to. STRATEGY wal_log, which is the default, does no harm.",
    retryable: true,
    details: { lsn: at, why, database: target.database, source: folderName(source), target: folderName(target) },
  });
}

const DEFAULT_TABLESPACE = 1663;

/** As a path in the data directory, but for the version's folder in a tablespace. */
function folderName({ tablespace, database }: RelationFolder): string {
  return tablespace === DEFAULT_TABLESPACE ? `base/${database}` : `pg_tblspc/${tablespace}/${database}`;
}
