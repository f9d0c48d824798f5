/**
 * Logs in to every database of a sandbox: one of which the folder is missing, or empty, lets nobody in, and the server starts
 * and takes writes all the same.
 *
 * Invariant: what keeps people out of a database and says nothing of its data (a login trigger, a library) is no finding.
 */
import { isLifeboatError } from "../errors/error.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import type { ProofFinding } from "../vault/proofs.ts";
import { refusalOf, type SandboxServer } from "./sandbox-server.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Catalogue queries. */
const STATEMENT_TIMEOUT_MS = 600_000;
/** A database that is marked as half dropped has this limit; nobody can open it (PostgreSQL 16.0 and later minors). */
const INVALID_LIMIT = -2;

/**
 * What a login says of the data: a folder without its version, a file that is missing, what does not read, and what the server
 * calls an error within itself. Source: PostgreSQL manual, "PostgreSQL Error Codes".
 */
const DATA_STATES = /^(22023|58P01|XX...)$/;

/** A database, and whether people may log in to it. */
export type Database = { readonly name: string; readonly quoted: string; readonly open: boolean };

/** Every database but those that are half dropped. */
export async function listDatabases(server: SandboxServer, options: CallOptions): Promise<readonly Database[]> {
  const session = await server.connect(undefined, options);
  try {
    const rows = await session.query(
      "SELECT datname, quote_ident(datname) AS quoted, datallowconn FROM pg_database WHERE datconnlimit <> $1 ORDER BY oid",
      [INVALID_LIMIT],
      { timeoutMs: STATEMENT_TIMEOUT_MS, ...options },
    );
    return rows.map((row) => ({
      name: String(row["datname"]),
      quoted: String(row["quoted"]),
      open: row["datallowconn"] === true,
    }));
  } finally {
    await session.close();
  }
}

/** Has every database let sessions in; returns their names. */
export async function openDatabases(server: SandboxServer, options: CallOptions): Promise<readonly string[]> {
  const databases = await listDatabases(server, options);
  const session = await server.connect(undefined, options);
  try {
    for (const { quoted } of databases.filter(({ open }) => !open)) {
      const sql = `ALTER DATABASE ${quoted} ALLOW_CONNECTIONS true`;
      await session.query(sql, [], { timeoutMs: STATEMENT_TIMEOUT_MS, ...options });
    }
    return databases.map(({ name }) => name);
  } finally {
    await session.close();
  }
}

/**
 * Undoes the prepared transactions of the session's database. Each holds its locks until it is ended, for weeks where it was forgotten, and
 * what asks a table for its length would wait for them; in a copy that is thrown away nobody ends them.
 */
export async function undoPrepared(session: QueryConnection, options: CallOptions): Promise<void> {
  const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, ...options };
  const sql = "SELECT quote_literal(gid) AS gid FROM pg_prepared_xacts WHERE database = current_database()";
  for (const { gid } of await session.query(sql, [], limits)) {
    await session.query(`ROLLBACK PREPARED ${String(gid)}`, [], limits);
  }
}

/** Logs in to each that lets people in. One that does not hides no other; a server that ends is the end of it. */
export async function tryDatabases(server: SandboxServer, options: CallOptions): Promise<readonly ProofFinding[]> {
  const findings: ProofFinding[] = [];
  for (const { name, open } of await listDatabases(server, options)) {
    if (!open) continue;
    try {
      await (await server.connect(name, options)).close();
    } catch (error) {
      const found = loginFinding(error, name);
      if (found !== undefined) findings.push(found);
      if (found?.code === "server-ended") break;
    }
  }
  return findings;
}

/** The finding that a database is of which the catalogue knows and that is not there; undefined for any other error. */
export function missingDatabase(error: unknown, database: string): ProofFinding | undefined {
  if (!isLifeboatError(error) || error.details["sqlstate"] !== "3D000") return undefined;
  return { object: `database ${database}`, code: "database", message: error.message };
}

/** Undefined for what says nothing of the data. Throws what keeps us from asking, as `refusalOf` does. */
function loginFinding(error: unknown, database: string): ProofFinding | undefined {
  const missing = missingDatabase(error, database);
  if (missing !== undefined) return missing;
  let refused: ProofFinding | undefined;
  try {
    refused = refusalOf(error, `database ${database}`);
  } catch (lacking) {
    // Libraries and locales are looked for once the folder was found: those of its sessions are for depth checked.
    if (isLifeboatError(lacking, "proof.library-missing")) return undefined;
    throw lacking;
  }
  if (refused === undefined && !isRefusal(error)) throw error;
  if (refused?.code !== "server") return refused;
  return isOfData(error) ? { ...refused, code: "database" } : undefined;
}

function isRefusal(error: unknown): boolean {
  return isLifeboatError(error, "postgres.login-refused") || isLifeboatError(error, "postgres.not-permitted");
}

function isOfData(error: unknown): boolean {
  return isLifeboatError(error) && DATA_STATES.test(String(error.details["sqlstate"]));
}
