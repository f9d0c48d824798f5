/**
 * The logical replication slots of a server: what change data capture and subscriptions go on from. They are in no WAL: a
 * standby has one only where PostgreSQL 17 or later copied it there, or somebody made it.
 */
import { type Lsn, parseLsn } from "./lsn.ts";
import type { QueryRow } from "./query-connection.ts";

/** A slot that lasts beyond its session. */
export type LogicalSlot = {
  readonly name: string;
  readonly database: string;
  readonly plugin: string;
  /** Of 17 on: to be copied to standbys. False below. */
  readonly failover: boolean;
  /** Of a standby from 17 on: it is a copy, and kept as the primary's is. */
  readonly isSynced: boolean;
  /** As far as its reader has confirmed what it read; undefined while it is being made. */
  readonly confirmed: Lsn | undefined;
  /** Nobody can go on from it: the WAL or the rows that it needs are gone. */
  readonly isLost: boolean;
  /** On a standby: its copy has not caught up with what the standby has, and would be dropped by a promotion. */
  readonly isUnfinished: boolean;
};

/** The first major that copies logical slots to standbys. */
export const SLOTS_COPIED_SINCE_MAJOR = 17;

/** More than anybody reads from. One more is asked for: who gets that has not seen all. */
export const SLOTS_MAX = 1_000;

/**
 * Columns differ from major to major: what a version does not have is missing in the JSON. A session's own slot ends with the session,
 * unless it is a copy that is being made: it must not crowd out those that last.
 */
export const LOGICAL_SLOTS_SQL = `SELECT to_jsonb(s) AS slot FROM pg_replication_slots s
  WHERE slot_type = 'logical' AND (NOT temporary OR to_jsonb(s)->>'synced' = 'true') ORDER BY slot_name LIMIT ${SLOTS_MAX + 1}`;

/** Reads what was answered on a primary, or on a standby. */
export function readLogicalSlots(rows: readonly QueryRow[]): readonly LogicalSlot[] {
  return rows
    .map(({ slot }) => slot as Readonly<Record<string, unknown>>)
    .map((slot) => ({
      name: String(slot["slot_name"]),
      database: String(slot["database"]),
      plugin: String(slot["plugin"]),
      failover: slot["failover"] === true,
      isSynced: slot["synced"] === true,
      confirmed: typeof slot["confirmed_flush_lsn"] === "string" ? parseLsn(slot["confirmed_flush_lsn"]) : undefined,
      isLost:
        slot["wal_status"] === "lost" ||
        slot["conflicting"] === true ||
        typeof slot["invalidation_reason"] === "string",
      isUnfinished: slot["temporary"] === true,
    }));
}
