/**
 * Whether what a server holds is what another one held, and whether PostgreSQL itself finds it in order: every database,
 * every table by the checksum of its rows, amcheck and pg_visibility over every relation.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { isLifeboatError } from "../../src/errors/error.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { contentOf, restoreLatest, storeServerWal, withFolder } from "./backups.ts";
import { startServer, type TestServer } from "./servers.ts";

/** Names of the databases that one can connect to, but for the one template that nobody writes to. */
async function databasesOf(server: TestServer): Promise<readonly string[]> {
  const rows = await server.query("SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname");
  return rows.map((row) => String(row["datname"]));
}

/** A checksum of the rows of every table of every database, by `database: schema.table`. */
export async function contentOfAll(server: TestServer): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const database of await databasesOf(server)) {
    // Databases without tables count too.
    all.set(database, "");
    for (const [table, sum] of await contentOf(server, database)) all.set(`${database}: ${table}`, sum);
  }
  return all;
}

/** Each query lists what is wrong, as text, of relations in the database it runs in. */
const CHECKS: readonly string[] = [
  `SELECT format('heap %s, block %s: %s', c.oid::regclass, v.blkno, v.msg) AS fault
     FROM pg_class c, verify_heapam(c.oid, check_toast => true) v WHERE c.relam = 2 AND c.relpersistence <> 't'`,
  // Raises an error at the first index that is not in order.
  `SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relam = 403 AND c.relpersistence <> 't' AND i.indisvalid AND i.indisready`,
  `SELECT format('map of %s calls visible what is not: %s', c.oid::regclass, t) AS fault
     FROM pg_class c, pg_check_visible(c.oid) t WHERE c.relam = 2 AND c.relpersistence <> 't'`,
  `SELECT format('map of %s calls frozen what is not: %s', c.oid::regclass, t) AS fault
     FROM pg_class c, pg_check_frozen(c.oid) t WHERE c.relam = 2 AND c.relpersistence <> 't'`,
  `SELECT format('map of %s calls block %s all-visible, the block does not', c.oid::regclass, v.blkno) AS fault
     FROM pg_class c, pg_visibility(c.oid) v
    WHERE c.relam = 2 AND c.relpersistence <> 't' AND v.all_visible AND NOT v.pd_all_visible`,
];

/** Everything that PostgreSQL can tell to be wrong in any database; empty when all is in order. Makes the extensions. */
export async function faultsOf(server: TestServer): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const database of await databasesOf(server)) {
    const session = await server.server.connect({ database, namesOf: "database" }, {});
    try {
      const ask = (sql: string) => session.query(sql, [], { timeoutMs: 30_000 });
      for (const name of ["amcheck", "pg_visibility"]) await ask(`CREATE EXTENSION IF NOT EXISTS ${name}`);
      for (const check of CHECKS) {
        try {
          for (const { fault } of await ask(check))
            if (fault !== undefined) faults.push(`${database}: ${String(fault)}`);
        } catch (error) {
          if (!isLifeboatError(error)) throw error;
          faults.push(`${database}: ${error.message}`);
        }
      }
    } finally {
      await session.close();
    }
  }
  return faults;
}

/**
 * The rows of `<table> WHERE ...`, counted by reading the table and by an index: alone, as far as the table's map allows
 * that, or for a bitmap of the table's rows, which is all that some kinds of index can do.
 */
export async function countBothWays(
  server: TestServer,
  rows: string,
  by: "index" | "bitmap" = "index",
): Promise<{ readonly sequential: number; readonly indexed: number }> {
  const session = await server.server.connect({ namesOf: "database" }, {});
  try {
    const count = async (ways: readonly string[]): Promise<number> => {
      for (const each of ["seqscan", "indexscan", "indexonlyscan", "bitmapscan"]) {
        await session.query(`SET enable_${each} = ${ways.includes(each)}`, [], { timeoutMs: 30_000 });
      }
      const [found] = await session.query(`SELECT count(*) AS count FROM ${rows}`, [], { timeoutMs: 30_000 });
      return Number(found?.["count"]);
    };
    const indexed = await count(by === "bitmap" ? ["bitmapscan"] : ["indexscan", "indexonlyscan"]);
    return { sequential: await count(["seqscan"]), indexed };
  } finally {
    await session.close();
  }
}

/**
 * The newest point of the vault, restored from this backup, holds what the server holds now, unlogged tables being empty,
 * and PostgreSQL finds nothing wrong with it; `look` sees more. The server's WAL is stored first.
 */
export async function assertRestores(
  of: { readonly server: TestServer; readonly vault: Vault; readonly backup: BackupRecord },
  look: (restored: TestServer) => Promise<void> = async () => undefined,
): Promise<void> {
  const { server, vault, backup } = of;
  await server.query("SELECT pg_switch_wal()");
  await storeServerWal(server, vault);
  const wanted = await contentOfAll(server);
  for (const { name } of await server.query(UNLOGGED)) wanted.set(`postgres: ${String(name)}`, "0 0");
  await withFolder(async (folder) => {
    const target = path.join(folder, "restored");
    const place = { folder: target, tablespacesUnder: path.join(folder, "tablespaces") };
    const plan = await restoreLatest(vault, backup, place);
    assert.equal(plan.backup.backupId, backup.backupId);
    await using restored = await startServer({ major: server.major, dataFolder: target, until: "recovered" });
    assert.deepEqual(await contentOfAll(restored), wanted);
    assert.deepEqual(await faultsOf(restored), []);
    await look(restored);
  });
}

const UNLOGGED =
  "SELECT format('%I.%I', relnamespace::regnamespace, relname) AS name FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'";
