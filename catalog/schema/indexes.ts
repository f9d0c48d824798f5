/**
 * Builds indexes while others write.
 *
 * CREATE INDEX CONCURRENTLY is no part of a transaction. When it is cut off, an index is left that is kept up and never used: it is
 * dropped and built anew. When only the program that asked for it is gone, the server goes on building, which is waited for. It
 * waits for every transaction that is older than itself to end, wherever that one is: whoever asks, or waits for who does, must not
 * be in the middle of a statement meanwhile, or it would wait for us. Source: PostgreSQL manual, "Building Indexes Concurrently".
 */
import { assert } from "../../src/errors/error.ts";
import type { Session } from "../database/session.ts";
import type { Migration } from "./migration.ts";

/** Two sessions outside of any transaction: one builds, the other looks how it goes on. */
export type Builders = { readonly builder: Session; readonly watcher: Session };

/** It waited too long for transactions of others, and was called off. */
export class BuildBlocked extends Error {}

const LOOK_EVERY_S = 0.25;

/**
 * Builds what is not there of a migration's indexes. Rejects with BuildBlocked when one of them waits in vain for so many seconds
 * on end; what was built stays.
 */
export async function buildIndexes(
  { builder, watcher }: Builders,
  migration: Migration,
  { waitsS, signal }: { readonly waitsS: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  for (const { name, create } of indexesOf(migration)) {
    const drop = `drop index concurrently ${name}`;
    for (let state = await stateOf(watcher, name); state !== "valid"; state = await stateOf(watcher, name)) {
      signal?.throwIfAborted();
      if (state === "building") {
        const isOver = async (): Promise<boolean> => (await stateOf(watcher, name)) !== "building";
        await watch(watcher, { statement: create, waitsS, isOver });
        continue;
      }
      const statement = state === "none" ? create : drop;
      let isOver = false;
      const done = builder.query(statement).finally(() => {
        isOver = true;
      });
      const ends = await Promise.allSettled([watch(watcher, { statement, waitsS, isOver: () => isOver }), done]);
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    }
  }
}

/** The indexes of a migration: their names, and what builds them beside those who write. */
export function indexesOf({ number, sql }: Migration): readonly { readonly name: string; readonly create: string }[] {
  return sql
    .split(";")
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .map((each) => {
      const [, create, name] = /^(create(?: unique)? index) (\w+) on /.exec(each) ?? [];
      assert(
        create !== undefined && name !== undefined,
        `migration ${number} is nothing but indexes, and has: ${each}`,
      );
      return { name, create: each.replace(create, `${create} concurrently`) };
    });
}

async function stateOf(watcher: Session, name: string): Promise<"none" | "valid" | "invalid" | "building"> {
  const { rows } = await watcher.query(
    `select indisvalid as is_valid, exists (
       select from pg_stat_progress_create_index where index_relid = indexrelid and datname = current_database()) as is_building
     from pg_index where indexrelid = to_regclass($1)`,
    [name],
  );
  const [row] = rows;
  if (row === undefined) return "none";
  if (row["is_valid"] === true) return "valid";
  return row["is_building"] === true ? "building" : "invalid";
}

/** Looks on until a statement is over, and calls it off when it has waited for others too long. */
async function watch(
  watcher: Session,
  asked: { readonly statement: string; readonly waitsS: number; readonly isOver: () => boolean | Promise<boolean> },
): Promise<void> {
  for (let waitedS = 0; !(await asked.isOver()); ) {
    await watcher.query(`select pg_sleep(${LOOK_EVERY_S})`);
    const { rows } = await watcher.query(
      `select pid from pg_stat_activity
       where datname = current_database() and query = $1 and state = 'active' and wait_event_type = 'Lock'`,
      [asked.statement],
    );
    waitedS = rows.length === 0 ? 0 : waitedS + LOOK_EVERY_S;
    if (waitedS < asked.waitsS) continue;
    for (const { pid } of rows) await watcher.query("select pg_cancel_backend($1)", [pid]);
    throw new BuildBlocked();
  }
}
