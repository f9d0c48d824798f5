/**
 * What a read may take of the server's time, said to the server itself.
 *
 * Who stops waiting for an answer ends its own waiting, not the statement: that runs on, and the next one beside it. On a connection
 * that is known to end at one server the limit is set once, for the session. Anywhere else it goes ahead of the read in the same
 * write and, since no Sync is between them, in the same transaction, which is all that it is set for: a pooler lends its
 * connection to somebody else afterwards. Source: PostgreSQL manual, "Extended Query" and `statement_timeout`.
 */
import type pg from "pg";
import { EXECUTE, messageOf } from "./messages.ts";

/** A server that has not given up by then is frozen, or the way to it is cut. What it left, the next try of a write finds. */
export const ANSWER_MARGIN_MS = 500;

/** What sets a limit for one transaction: a statement without rows, with a CommandComplete of its own. */
export function limitMessages(limitMs: number): Buffer {
  const statement = `select where set_config('statement_timeout', '${limitMs}', true) is null`;
  return Buffer.concat([messageOf("P", `\0${statement}\0\0\0`), messageOf("B", "\0".repeat(8)), EXECUTE]);
}

/** What is set for the session, by connection; undefined: another process than we were told of serves it. */
const SET = new WeakMap<pg.ClientBase, number | undefined>();

/**
 * Sets a limit for the session where that is safe, and tells whether it is. A pooler makes up the process that it names to us when
 * we log in, a server tells its own.
 */
export async function limitSession(client: pg.ClientBase, limitMs: number): Promise<boolean> {
  if (SET.has(client)) {
    const set = SET.get(client);
    if (set === undefined || set === limitMs) return set !== undefined;
  }
  const query: pg.QueryConfig & { readonly query_timeout: number } = {
    text: "select set_config('statement_timeout', $1, false) where pg_backend_pid() = $2",
    // The types do not know that a client knows its server's process.
    values: [String(limitMs), (client as unknown as { readonly processID: number }).processID],
    query_timeout: limitMs + ANSWER_MARGIN_MS,
  };
  const { rows } = await client.query(query);
  SET.set(client, rows.length === 0 ? undefined : limitMs);
  return rows.length > 0;
}
