/** A login and a write as clients of a pool do them. */
import pg from "pg";
import { guardedSocket } from "../platform/guarded-socket.ts";
import type { ServerAddress } from "../pooler/pooler.ts";
import type { Timeline } from "../postgres/lsn.ts";
import { forgetEnvironment } from "../postgres/session-settings.ts";

/** As whom. */
export type PoolRole = { readonly user: string; readonly password: string; readonly database: string };

type CallOptions = { readonly signal: AbortSignal };

/** Logs in and goes again. */
export async function logInAs(role: PoolRole, server: ServerAddress, options: CallOptions): Promise<void> {
  await asClient(role, server, "SELECT 1 AS one", options);
}

/** Writes the one row of a table, and says on which timeline. One statement: a pooler may give each another connection. */
export async function writeAs(
  role: PoolRole,
  at: { readonly server: ServerAddress; readonly table: string },
  options: CallOptions,
): Promise<Timeline> {
  const sql = `INSERT INTO ${at.table} VALUES (1, md5(random()::text), now())
    ON CONFLICT (id) DO UPDATE SET token = excluded.token, at = excluded.at
    RETURNING ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline`;
  const [row] = await asClient(role, at.server, sql, options);
  return Number(row?.["timeline"]) as Timeline;
}

async function asClient(
  role: PoolRole,
  server: ServerAddress,
  sql: string,
  { signal }: CallOptions,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const session = new pg.Client({
    ...server,
    user: role.user,
    database: role.database,
    password: () => role.password,
    application_name: "lifeboat_controller",
    client_encoding: "UTF8",
    ssl: false,
    stream: () => guardedSocket(),
  });
  forgetEnvironment(session, { options: "" });
  session.on("error", () => undefined);
  const destroy = (): void => {
    session.connection.stream.destroy();
  };
  signal.throwIfAborted();
  signal.addEventListener("abort", destroy, { once: true });
  try {
    await session.connect();
    return (await session.query<Record<string, unknown>>(sql)).rows;
  } finally {
    signal.removeEventListener("abort", destroy);
    // What is left is a goodbye.
    void session.end().catch(() => undefined);
  }
}
