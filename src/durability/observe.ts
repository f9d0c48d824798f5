/** Asks a server how durable its commits are, on a new session: an old one may not have read what was set. Changes nothing. */

import { type Lsn, parseLsn } from "../postgres/lsn.ts";
import { openQuery, type QueryConnection, type QueryRow } from "../postgres/query-connection.ts";
import type { CallOptions, ConnectOptions } from "../postgres/replication.ts";
import { COMMIT_OVERRIDES_SQL, readCommitOverrides } from "../postgres/waiting-commits.ts";
import type { ConfirmerRow, ServerDurability } from "./facts.ts";

/** Views of the server's memory answer in milliseconds; this is for a machine that hardly gets on. */
const QUERY_TIMEOUT_MS = 10_000;

/** Names of our own sessions begin so; they are no clients. */
const OUR_SESSIONS = "lifeboat%";

/**
 * Looks, as a superuser: only one may see what is in the server's files. Rejects as `openQuery` and its queries do. Only
 * reads, so that it does not wait for confirmers itself.
 */
export async function observeDurability(address: ConnectOptions, options: CallOptions): Promise<ServerDurability> {
  const session = await openQuery(address, options);
  try {
    return await lookAround(session, options);
  } finally {
    await session.close();
  }
}

async function lookAround(session: QueryConnection, options: CallOptions): Promise<ServerDurability> {
  const rows = (sql: string, parameters: readonly unknown[] = []): Promise<readonly QueryRow[]> =>
    session.query(sql, parameters, { ...options, timeoutMs: QUERY_TIMEOUT_MS });
  const [settings = {}] = await rows(SETTINGS_SQL);
  const [file] = await rows(FILE_SQL);
  const [activity = {}] = await rows(ACTIVITY_SQL, [OUR_SESSIONS]);
  const inRecovery = settings["in_recovery"] === true;
  return {
    version: session.serverVersion,
    inRecovery,
    effectiveNames: String(settings["names"]),
    synchronousCommit: String(settings["commit"]),
    setNames: textOf(file?.["setting"]),
    setError: textOf(file?.["error"]),
    overrides: readCommitOverrides(await rows(COMMIT_OVERRIDES_SQL)),
    confirmers: (await rows(inRecovery ? CASCADED_SQL : CONFIRMERS_SQL)).map(confirmerOf),
    waiting: { count: Number(activity["waiting"]), longestMs: Number(activity["longest_ms"] ?? 0) },
    clientCount: Number(activity["clients"]),
  };
}

const SETTINGS_SQL = `SELECT current_setting('synchronous_standby_names') AS names,
  current_setting('synchronous_commit') AS commit, pg_is_in_recovery() AS in_recovery`;

// The last mention wins.
const FILE_SQL = `SELECT setting, error FROM pg_file_settings
  WHERE name = 'synchronous_standby_names' ORDER BY seqno DESC LIMIT 1`;

// A backup is a WAL sender too, and confirms nothing.
const confirmersSql = (end: string): string => `SELECT r.application_name AS name, r.pid, r.state, r.sync_state,
    r.flush_lsn::text AS flushed, pg_wal_lsn_diff(${end}, r.flush_lsn)::float8 AS behind, s.slot_name::text AS slot
  FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
  WHERE r.state <> 'backup' ORDER BY 1, 2`;
const CONFIRMERS_SQL = confirmersSql("pg_current_wal_flush_lsn()");
const CASCADED_SQL = confirmersSql("pg_last_wal_receive_lsn()");

const ACTIVITY_SQL = `SELECT
  count(*) FILTER (WHERE wait_event_type = 'IPC' AND wait_event = 'SyncRep')::int AS waiting,
  max(extract(epoch FROM clock_timestamp() - query_start) * 1000)
    FILTER (WHERE wait_event_type = 'IPC' AND wait_event = 'SyncRep')::float8 AS longest_ms,
  count(*) FILTER (WHERE backend_type = 'client backend' AND application_name NOT LIKE $1)::int AS clients
  FROM pg_stat_activity`;

function confirmerOf(row: QueryRow): ConfirmerRow {
  const behind = row["behind"];
  return {
    name: String(row["name"]),
    pid: Number(row["pid"]),
    state: String(row["state"]),
    syncState: String(row["sync_state"]),
    flushed: lsnOf(row["flushed"]),
    behindBytes: typeof behind === "number" ? Math.max(0, behind) : undefined,
    slot: textOf(row["slot"]),
  };
}

function lsnOf(value: unknown): Lsn | undefined {
  return typeof value === "string" ? parseLsn(value) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
