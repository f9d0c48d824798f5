/**
 * Checks all databases of a sandbox from inside: heaps, btree indexes, visibility maps.
 *
 * Heaps by amcheck's verify_heapam, indexes by its bt_index_check with heapallindexed, maps by pg_visibility; beside them
 * pages whose map bit is set and whose own flag is not (safety rule A1). The extensions are made in the sandbox only.
 * Invariants: what one relation or database has hides no other; a server that ends is a finding and the end of the checks.
 * Source: PostgreSQL manual, "amcheck", "pg_visibility".
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { QueryConnection, QueryRow } from "../postgres/query-connection.ts";
import type { ProofFinding } from "../vault/proofs.ts";
import { missingDatabase } from "./databases.ts";
import type { BadPage } from "./page-scan.ts";
import { refusalOf, SANDBOX_SCHEMA, type SandboxServer } from "./sandbox-server.ts";
import { type RelationFinding, withSorting } from "./sorted-elsewhere.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** One relation may be a terabyte; a proof is stopped by its operator, not by us. */
const RELATION_TIMEOUT_MS = 7 * 86_400_000;
/** Catalogue queries and making extensions. */
const STATEMENT_TIMEOUT_MS = 600_000;
/** Sessions that check side by side. */
const SESSIONS = 2;
/** Findings of one relation that are told. */
const TOLD_OF_ONE = 5;

const EXTENSIONS = ["amcheck", "pg_visibility"] as const;

/** OIDs of access methods, the same in every cluster: heap and btree (pg_am.dat). */
const HEAP_AM = 2;
const BTREE_AM = 403;

/** What was checked, and what is wrong. */
export type RelationChecks = {
  readonly findings: readonly ProofFinding[];
  readonly heaps: number;
  readonly indexes: number;
  readonly notCompared: readonly NotCompared[];
};

/** An index of which only the order was checked: its expressions cannot be reckoned anew, as `why` says. */
export type NotCompared = { readonly object: string; readonly why: string };

/** Throws `proof.extension-missing` when the server's programs have no amcheck or no pg_visibility. */
export async function requireExtensions(server: SandboxServer, options: CallOptions): Promise<void> {
  const session = await server.connect(undefined, options);
  try {
    const rows = await session.query(
      "SELECT name FROM pg_available_extensions WHERE name = ANY ($1::text[])",
      [EXTENSIONS],
      { timeoutMs: STATEMENT_TIMEOUT_MS, ...options },
    );
    const missing = EXTENSIONS.filter((name) => !rows.some((row) => row["name"] === name));
    if (missing.length > 0) throw extensionsMissing(missing);
  } finally {
    await session.close();
  }
}

/** The error of programs without the extensions that the depth `checked` needs. */
export function extensionsMissing(missing: readonly string[]): LifeboatError {
  return new LifeboatError("proof.extension-missing", {
    message: `the PostgreSQL programs on this machine have no ${missing.join(" and no ")}, so depth checked cannot be shown`,
    remedy:
      "Install PostgreSQL's contrib extensions (Debian: part of postgresql-16; Red Hat: postgresql16-contrib), name other programs with --postgres-bin-dir, or ask for --depth booted.",
  });
}

/** Checks every relation of the databases, which let sessions in. */
export async function checkRelations(
  server: SandboxServer,
  databases: readonly string[],
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
  options: CallOptions,
): Promise<RelationChecks> {
  const findings: ProofFinding[] = [];
  const counts = { heaps: 0, indexes: 0 };
  const notCompared: NotCompared[] = [];
  let shared = true;
  for (const database of databases) {
    throwIfAborted(options.signal, "checking databases");
    try {
      const found = await checkDatabase(server, { database, shared }, onProgress, options);
      findings.push(...found.findings);
      counts.heaps += found.heaps;
      counts.indexes += found.indexes;
      notCompared.push(...found.notCompared);
    } catch (error) {
      const refused = missingDatabase(error, database) ?? refusalOf(error, `database ${database}`);
      if (refused === undefined) throw error;
      findings.push(refused);
    }
    if (findings.some(({ code }) => code === "server-ended")) break;
    shared = false;
  }
  return { findings, ...counts, notCompared };
}

/** The name of the relation that a page belongs to, for people; undefined when the server cannot tell. */
export async function relationOf(
  server: SandboxServer,
  page: BadPage,
  options: CallOptions,
): Promise<string | undefined> {
  const { databaseOid, tablespaceOid, relfilenode } = page.relation;
  const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, ...options };
  try {
    const asked = await server.connect(undefined, options);
    let database = "";
    try {
      const rows = await asked.query("SELECT datname FROM pg_database WHERE oid = $1::oid", [databaseOid], limits);
      database = String(rows[0]?.["datname"] ?? "");
    } finally {
      await asked.close();
    }
    const session = await server.connect(database === "" ? undefined : database, options);
    try {
      const rows = await session.query(
        `SELECT format('%I.%I', n.nspname, c.relname) AS name
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.oid = pg_filenode_relation($1::oid, $2::oid)`,
        [tablespaceOid, relfilenode],
        limits,
      );
      const name = rows[0]?.["name"];
      return typeof name === "string" ? `${database === "" ? "" : `database ${database}, `}${name}` : undefined;
    } finally {
      await session.close();
    }
  } catch (error) {
    // The catalogue itself may be what is damaged: the file's name then has to do.
    if (error instanceof LifeboatError && error.code !== "platform.aborted") return undefined;
    throw error;
  }
}

type Relation = { readonly oid: number; readonly name: string; readonly kind: "heap" | "index" };

async function checkDatabase(
  server: SandboxServer,
  of: { readonly database: string; readonly shared: boolean },
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
  options: CallOptions,
): Promise<RelationChecks> {
  const { database } = of;
  const first = await server.connect(database, options);
  const sessions = [first];
  try {
    await makeExtensions(first, options);
    const relations = await relationsOf(first, of.shared, options);
    while (sessions.length < SESSIONS) sessions.push(await server.connect(database, options));
    const waiting = [...relations];
    const findings: RelationFinding[] = [];
    const notCompared: NotCompared[] = [];
    const checks = { server, notCompared };
    const work = async (session: QueryConnection): Promise<void> => {
      for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
        const found = await checkOne(session, { ...checks, ...each, database }, options);
        findings.push(...found.map((finding) => ({ oid: each.oid, finding })));
        onProgress({ done: relations.length - waiting.length, total: relations.length });
        if (found.some(({ code }) => code === "server-ended")) waiting.length = 0;
      }
    };
    const ended = await Promise.allSettled(sessions.map(work));
    for (const each of ended) if (each.status === "rejected") throw each.reason;
    const heaps = relations.filter(({ kind }) => kind === "heap").length;
    const told = await withSorting(first, findings, options);
    return { findings: told, heaps, indexes: relations.length - heaps, notCompared };
  } finally {
    for (const session of sessions) await session.close();
  }
}

/**
 * Makes the extensions, or brings those that are there up to date, all in a schema that is ours: who may create in the schema where one
 * lies can put a function beside it that matches our call better, and what he made would run as a superuser of this machine's sandbox.
 */
async function makeExtensions(session: QueryConnection, options: CallOptions): Promise<void> {
  const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, ...options };
  await session.query(`DROP SCHEMA IF EXISTS ${SANDBOX_SCHEMA} CASCADE`, [], limits);
  await session.query(`CREATE SCHEMA ${SANDBOX_SCHEMA}`, [], limits);
  for (const name of EXTENSIONS) {
    const [there] = await session.query("SELECT FROM pg_extension WHERE extname = $1", [name], limits);
    if (there === undefined) await session.query(`CREATE EXTENSION ${name} SCHEMA ${SANDBOX_SCHEMA}`, [], limits);
    else {
      await session.query(`ALTER EXTENSION ${name} SET SCHEMA ${SANDBOX_SCHEMA}`, [], limits);
      // One that came with an upgrade may lack verify_heapam.
      await session.query(`ALTER EXTENSION ${name} UPDATE`, [], limits);
    }
  }
}

async function relationsOf(
  session: QueryConnection,
  shared: boolean,
  options: CallOptions,
): Promise<readonly Relation[]> {
  const rows = await session.query(
    `SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind = 'i' AS is_index
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
      WHERE c.relpersistence <> 't' AND (NOT c.relisshared OR $1)
        AND (c.relkind IN ('r', 'm', 't') AND c.relam = ${HEAP_AM}
          OR c.relkind = 'i' AND c.relam = ${BTREE_AM} AND i.indisready AND i.indisvalid)
      ORDER BY pg_relation_size(c.oid) DESC`,
    [shared],
    { timeoutMs: STATEMENT_TIMEOUT_MS, ...options },
  );
  return rows.map((row) => ({
    oid: Number(row["oid"]),
    name: String(row["name"]),
    kind: row["is_index"] === true ? "index" : "heap",
  }));
}

type CheckedRelation = Relation & {
  readonly server: SandboxServer;
  readonly database: string;
  readonly notCompared: NotCompared[];
};

async function checkOne(
  session: QueryConnection,
  relation: CheckedRelation,
  options: CallOptions,
): Promise<readonly ProofFinding[]> {
  const { name, database, kind } = relation;
  const object = `database ${database}, ${kind === "index" ? "index" : "table"} ${name}`;
  const findings: ProofFinding[] = [];
  const attempt = async (work: () => Promise<readonly ProofFinding[]>): Promise<void> => {
    try {
      findings.push(...(await work()));
    } catch (error) {
      const refused = refusalOf(error, object);
      if (refused === undefined) throw error;
      findings.push(refused.code === "server" ? { ...refused, code: kind } : refused);
    }
  };
  const ask = (sql: string, told: (rows: readonly QueryRow[]) => readonly ProofFinding[]): Promise<void> =>
    attempt(async () => told(await session.query(sql, [relation.oid], { timeoutMs: RELATION_TIMEOUT_MS, ...options })));
  if (kind === "index") {
    await attempt(async () => {
      const why = await checkIndex(session, relation, options);
      if (why !== undefined) relation.notCompared.push({ object, why });
      return [];
    });
    return findings;
  }
  await ask(
    `SELECT blkno, offnum, msg FROM ${SANDBOX_SCHEMA}.verify_heapam($1::oid::regclass, check_toast => true) LIMIT ${TOLD_OF_ONE}`,
    (rows) =>
      rows.map((row) => ({
        object: `${object}, block ${String(row["blkno"])}`,
        code: "heap",
        message: `item ${String(row["offnum"])} of block ${String(row["blkno"])} of ${name}: ${String(row["msg"])}`,
      })),
  );
  await ask(BEHIND_END_SQL, ([row]) => {
    const [block, blocks] = [row?.["block"] ?? null, String(row?.["blocks"])];
    const message = `the visibility map knows rows in block ${String(block)} of ${name}, and it has ${blocks} blocks: its end is gone`;
    return block === null ? [] : [{ object, code: "file", message }];
  });
  for (const [check, what] of MAP_CHECKS) {
    await ask(
      `SELECT tid::text AS at FROM ${SANDBOX_SCHEMA}.${check}($1::oid::regclass) AS tid LIMIT ${TOLD_OF_ONE}`,
      (rows) => rows.map((row) => mapFinding(object, `row ${String(row["at"])} of ${name} ${what}`)),
    );
  }
  await ask(
    `SELECT blkno FROM ${SANDBOX_SCHEMA}.pg_visibility($1::oid::regclass) WHERE all_visible AND NOT pd_all_visible LIMIT ${TOLD_OF_ONE}`,
    (rows) =>
      rows.map((row) =>
        mapFinding(
          object,
          `the map calls block ${String(row["blkno"])} of ${name} all-visible, the block itself does not`,
        ),
      ),
  );
  return findings;
}

/**
 * An index's own functions may name others without their schema, which before 17 is found by whoever writes to the table: the names
 * that the database's sessions have are then tried as well. amcheck calls them with the rights of the table's owner. What is found by
 * neither is no damage: the order is checked without them, and what the server said is returned.
 */
async function checkIndex(
  session: QueryConnection,
  { server, database, oid }: CheckedRelation,
  options: CallOptions,
): Promise<string | undefined> {
  const check = (asked: QueryConnection, compares: boolean): Promise<unknown> =>
    asked.query(
      `SELECT ${SANDBOX_SCHEMA}.bt_index_check($1::pg_catalog.oid::pg_catalog.regclass, ${compares})`,
      [oid],
      { timeoutMs: RELATION_TIMEOUT_MS, ...options },
    );
  try {
    await check(session, true);
    return undefined;
  } catch (error) {
    if (!isNameUnknown(error)) throw error;
  }
  const other = await server.connect(database, { ...options, namesOf: "database" });
  try {
    await check(other, true);
    return undefined;
  } catch (error) {
    if (!isNameUnknown(error)) throw error;
    await check(session, false);
    return errorText(error);
  } finally {
    await other.close();
  }
}

/** Functions, tables, types, schemas and columns. Source: PostgreSQL manual, "PostgreSQL Error Codes", class 42. */
const NAME_UNKNOWN: ReadonlySet<unknown> = new Set(["42883", "42P01", "42704", "3F000", "42703"]);

function isNameUnknown(error: unknown): boolean {
  return isLifeboatError(error, "postgres.query-failed") && NAME_UNKNOWN.has(error.details["sqlstate"]);
}

/**
 * A block behind a table's end of which its map says something: a truncation takes that from the map. Where the statistics say that the table was
 * longer the map is asked; they alone would say nothing (relation-files.ts).
 */
const BEHIND_END_SQL = `
  SELECT blocks, (SELECT block FROM generate_series(blocks, c.relpages - 1) AS block
                   WHERE (${SANDBOX_SCHEMA}.pg_visibility_map(c.oid::regclass, block)).all_visible LIMIT 1) AS block
    FROM pg_class c CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) / ${BLOCK_BYTES} AS blocks) AS at
   WHERE c.oid = $1::oid AND c.relpersistence = 'p'`;

const MAP_CHECKS = [
  ["pg_check_visible", "is not visible to all, and the visibility map says that it is"],
  ["pg_check_frozen", "is not frozen, and the visibility map says that it is"],
] as const;

function mapFinding(object: string, message: string): ProofFinding {
  return { object, code: "visibility-map", message };
}
