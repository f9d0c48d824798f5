/**
 * What the server left out of a base backup.
 *
 * PostgreSQL follows the links of tablespaces and of pg_wal only. Any other link in its folders, and what is neither file nor
 * folder, it leaves out with a warning, whether a database lies behind it or nothing that matters.
 * Source: sendDir() in PostgreSQL's src/backend/backup/basebackup.c.
 */
import { LifeboatError } from "../errors/error.ts";

/** Folders of the data directory whose content belongs to the databases. */
const DATA_FOLDERS = new Set([
  "base",
  "global",
  "pg_commit_ts",
  "pg_logical",
  "pg_multixact",
  "pg_stat",
  "pg_tblspc",
  "pg_twophase",
  "pg_xact",
]);

/**
 * The paths of the server's warnings that are none of its data, but for its sockets, each once: it warns as it adds sizes up, too. Throws `backup.file-skipped` for one that is,
 * and for a warning that names no path.
 */
export function checkSkipped(warnings: readonly string[]): readonly string[] {
  const others = new Set<string>();
  for (const warning of warnings) {
    const skipped = pathIn(warning);
    if (skipped === undefined || isData(skipped)) throw leftOut(skipped ?? warning);
    if (!/^\.s\.PGSQL\.\d+(\.lock)?$/.test(skipped)) others.add(skipped);
  }
  return [...others];
}

/** The path between whatever quotes the server's language has: in the data directory, or absolute in a tablespace. */
function pathIn(warning: string): string | undefined {
  const quoted = /["'„“”‚‘’«»「」]\s*(\.?\/.+?)\s*["'„“”‚‘’«»「」](?!.*["'„“”‚‘’«»「」])/.exec(warning)?.[1];
  return quoted?.replace(/^\.\//, "");
}

function isData(skipped: string): boolean {
  return skipped.startsWith("/") || DATA_FOLDERS.has(skipped.split("/")[0] ?? "");
}

function leftOut(what: string): LifeboatError {
  return new LifeboatError("backup.file-skipped", {
    message: `the server left ${what} out of the backup: it is a link, or neither a file nor a folder`,
    remedy:
      "PostgreSQL backs up no links in its data directory but those of tablespaces and pg_wal. Stop the server and move what the link leads to back in its place; to have a database on another disk, give it a tablespace there: ALTER DATABASE … SET TABLESPACE, while no backup runs.",
    details: { skipped: what },
  });
}
