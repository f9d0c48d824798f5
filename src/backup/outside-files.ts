/**
 * Captures configuration that lies outside the data directory, where the server lets us read it.
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import { openQuery } from "../postgres/query-connection.ts";
import type { ConnectOptions } from "../postgres/replication.ts";
import type { OutsideFile } from "./backup.ts";

/** Settings whose value is the path of a configuration file. */
const FILE_SETTINGS = ["config_file", "hba_file", "ident_file"];
const QUERY_TIMEOUT_MS = 15_000;

/**
 * Reads the configuration files that lie outside the data directory. A role that may not read them, or a server that lets
 * it open no ordinary connection, is warned about and costs the files, not the backup: a restore writes a configuration
 * that starts.
 */
export async function captureOutsideFiles(
  address: ConnectOptions,
  options: { readonly signal?: AbortSignal | undefined; readonly warn: (text: string) => void },
): Promise<readonly OutsideFile[]> {
  try {
    return await readOutside(address, options.signal);
  } catch (error) {
    if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
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
