/**
 * Captures configuration that lies outside the data directory, where the server lets us read it; and asks on the same session for what
 * a base backup leaves out without a word.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { openQuery, type QueryConnection } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import { majorOf } from "../postgres/server-version.ts";
import type { OutsideFile } from "./backup.ts";

/** Settings whose value is the path of a configuration file. */
const FILE_SETTINGS = ["config_file", "hba_file", "ident_file"];
/** What does not only cost the files. */
const PASSED_ON: ReadonlySet<string> = new Set(["platform.aborted", "backup.file-skipped"]);
const QUERY_TIMEOUT_MS = 15_000;

/**
 * Reads the configuration files that lie outside the data directory. A role that may not read them, or a server that lets
 * it open no ordinary connection, is warned about and costs the files, not the backup: a restore writes a configuration
 * that starts. Rejects with `backup.file-skipped` where a tablespace would be missing.
 */
export async function captureOutsideFiles(
  address: ConnectOptions,
  options: { readonly signal?: AbortSignal | undefined; readonly warn: (text: string) => void },
): Promise<readonly OutsideFile[]> {
  try {
    return await readOutside(address, options.signal);
  } catch (error) {
    if (!isLifeboatError(error) || PASSED_ON.has(error.code)) throw error;
    const remedy =
      error.code === "postgres.not-permitted"
        ? `As a superuser, in the database ${address.database ?? "postgres"}: ${grantsFor(address.user)}`
        : error.remedy;
    options.warn(
      `warning: configuration outside the data directory, if there is any, is not in this backup: ${error.message}. ${remedy}`,
    );
    return [];
  }
}

// Membership in pg_read_server_files opens absolute paths to pg_read_file, and does not allow calling it.
function grantsFor(role: string): string {
  const name = `"${role.replaceAll('"', '""')}"`;
  return `GRANT pg_monitor, pg_read_server_files TO ${name}; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO ${name};`;
}

async function readOutside(address: ConnectOptions, signal: AbortSignal | undefined): Promise<readonly OutsideFile[]> {
  const session = await openQuery(address, { signal });
  const limit = { timeoutMs: QUERY_TIMEOUT_MS, signal };
  try {
    await refuseInPlace(session, limit);
    const captured: OutsideFile[] = [];
    const [data] = await session.query("SELECT current_setting('data_directory') AS folder", [], limit);
    const dataFolder = String(data?.["folder"]);
    for (const setting of FILE_SETTINGS) {
      const [row] = await session.query("SELECT current_setting($1) AS file", [setting], limit);
      const file = String(row?.["file"] ?? "");
      if (file === "" || file.startsWith(`${dataFolder}/`)) continue;
      const [content] = await session.query("SELECT pg_read_file($1) AS text", [file], limit);
      captured.push({ name: path.basename(file), content: Buffer.from(String(content?.["text"] ?? ""), "utf8") });
    }
    return captured;
  } finally {
    await session.close();
  }
}

/** PostgreSQL 15 sends nothing of a tablespace that was made in place (`allow_in_place_tablespaces`), and does not name it. */
async function refuseInPlace(
  session: QueryConnection,
  limit: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  if (majorOf(session.serverVersion) > 15) return;
  const sql =
    "SELECT spcname AS name FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE 'pg@_tblspc/%' ESCAPE '@'";
  const names = (await session.query(sql, [], limit)).map(({ name }) => String(name));
  if (names.length === 0) return;
  throw new LifeboatError("backup.file-skipped", {
    message: `PostgreSQL 15 leaves tablespaces that were made in place out of a backup: ${names.join(", ")}`,
    remedy:
      "Move what lies there to a tablespace with a folder of its own (ALTER TABLE … SET TABLESPACE), and drop it.",
  });
}
