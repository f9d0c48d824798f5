/**
 * The operator's mistake of the demo, and the proof that it was undone: a DELETE without its WHERE takes every row of a
 * table, at a known moment, and a restore to just before it has each of them again.
 */
import type { Instant } from "../platform/clock.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";
import type { LocalServer } from "../postgres/server.ts";
import { DATABASE } from "./servers.ts";

/** The table that loses its rows; nothing refers to it, and the client writes to another. */
export const DELETED_TABLE = "price_history";

type CallOptions = { readonly signal: AbortSignal };

/** A table of gigabytes is read, or deleted from, on a busy disk. */
const QUERY_TIMEOUT_MS = 600_000;
const SAMPLES = 3;
const TITLES = 20;

/** What a table holds: the number of its rows, and a checksum over all of them in any order. */
export type TableDigest = { readonly rows: number; readonly checksum: string };

/** What was deleted, and the moment just before it by the server's clock. */
export type Deletion = { readonly before: Instant; readonly held: TableDigest; readonly deletedRows: number };

/** Notes what the table holds and the time, then deletes every row. */
export async function deleteByMistake(server: LocalServer, options: CallOptions): Promise<Deletion> {
  return withCatalog(server, options, async (session) => {
    const held = await digestOf(session, options);
    // Rounded down to what a restore can be told; it is the moment before the statement begins, not of its commit.
    const before = await ask(
      session,
      "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::text AS answer",
      options,
    );
    const deleted = await ask(
      session,
      `WITH gone AS (DELETE FROM ${DELETED_TABLE} RETURNING 1) SELECT count(*)::text AS answer FROM gone`,
      options,
    );
    return { before: Number(before) as Instant, held, deletedRows: Number(deleted) };
  });
}

/** What the table holds on a restored server, and some of its rows as a person reads them. */
export async function lookAtTable(
  server: LocalServer,
  options: CallOptions,
): Promise<{ readonly held: TableDigest; readonly samples: readonly string[] }> {
  return withCatalog(server, options, async (session) => {
    const held = await digestOf(session, options);
    const rows = await session.query(
      `SELECT to_char(h.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, h.price::text, p.currency, p.title
       FROM ${DELETED_TABLE} h JOIN products p ON p.id = h.product_id ORDER BY h.product_id, h.recorded_at LIMIT ${SAMPLES}`,
      [],
      { ...options, timeoutMs: QUERY_TIMEOUT_MS },
    );
    const samples = rows.map(
      (row) => `${String(row["day"])}  ${String(row["price"])} ${String(row["currency"])}  ${String(row["title"])}`,
    );
    return { held, samples };
  });
}

/** Titles of products picked at random. */
export async function pickTitles(server: LocalServer, options: CallOptions): Promise<readonly string[]> {
  return withCatalog(server, options, async (session) => {
    const sql = `SELECT title FROM products ORDER BY random() LIMIT ${TITLES}`;
    const rows = await session.query(sql, [], { ...options, timeoutMs: QUERY_TIMEOUT_MS });
    return rows.map((row) => String(row["title"]));
  });
}

/** The number of rows of the table. */
export async function countRows(server: LocalServer, options: CallOptions): Promise<number> {
  return withCatalog(server, options, async (session) =>
    Number(await ask(session, `SELECT count(*)::text AS answer FROM ${DELETED_TABLE}`, options)),
  );
}

async function digestOf(session: QueryConnection, options: CallOptions): Promise<TableDigest> {
  const [row] = await session.query(
    `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(h::text, 0)), 0)::text AS checksum FROM ${DELETED_TABLE} h`,
    [],
    { ...options, timeoutMs: QUERY_TIMEOUT_MS },
  );
  return { rows: Number(row?.["rows"]), checksum: String(row?.["checksum"]) };
}

async function ask(session: QueryConnection, sql: string, options: CallOptions): Promise<string> {
  const [row] = await session.query(sql, [], { ...options, timeoutMs: QUERY_TIMEOUT_MS });
  return String(row?.["answer"]);
}

async function withCatalog<T>(
  server: LocalServer,
  options: CallOptions,
  work: (session: QueryConnection) => Promise<T>,
): Promise<T> {
  const session = await server.connect({ database: DATABASE, namesOf: "database" }, options);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}
