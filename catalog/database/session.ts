/**
 * The catalogue's database, as the rest of the service sees it.
 *
 * Nouns: a *session* is something that runs SQL on one connection; a *transaction* is a run of statements on it that is there
 * whole or not at all.
 * Invariants: statements have no names, since a pooler in transaction mode hands each transaction another connection;
 * whatever is set, is set for a transaction only.
 */
import type { QueryResult } from "pg";

/** What runs SQL: a client of `pg`, or one that a pool has lent. Without values several statements may stand in one text. */
export interface Session {
  query(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
}

/** One that a pool has lent. */
export interface LentSession extends Session {
  /**
   * Commits. Resolves to whether the answer came with a warning: the wait for those who confirm it was cancelled, and the commit is on
   * the primary alone (rule B11). Any warning counts, since the SQLSTATE of this one is the general 01000, or that of what cancelled it.
   */
  commit(): Promise<{ readonly isWarned: boolean }>;
}

/** A row, its values unread. */
export type Row = Readonly<Record<string, unknown>>;

/** Runs `work` in a transaction; rolls back when it rejects, with its error. */
export async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query("begin");
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // The work's error is the one to tell; a connection that cannot roll back is closed by who lent it.
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
  await session.query("commit");
  return result;
}
