/**
 * Tablespaces whose folders lie outside of the data directory, and standbys that may share them.
 *
 * A standby replays the path of a tablespace as it stands in the WAL: one on the primary's machine leads to the primary's own
 * folder, and both write there. Not every one does: a standby that was restored from a backup with the tablespace has a folder of its own.
 */
import type { QueryRow } from "./query-connection.ts";

export type OutsideTablespaces = {
  readonly tablespaces: readonly { readonly name: string; readonly location: string }[];
  /** Names of physical standbys that stream from the server's own machine, as far as addresses tell. */
  readonly standbysHere: readonly string[];
};

/** One of a server, as it lies outside of the data directory. */
export type OutsideTablespace = { readonly oid: number; readonly name: string; readonly location: string };

/** So many are told of. */
const TABLESPACES_MAX = 100;

/** One made in place has a relative path. Receivers of WAL and backups have no folders. */
export const OUTSIDE_TABLESPACES_SQL = `SELECT
    ARRAY(SELECT spcname::text FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid LIMIT ${TABLESPACES_MAX}) AS names,
    ARRAY(SELECT pg_tablespace_location(oid) FROM pg_tablespace
      WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid LIMIT ${TABLESPACES_MAX}) AS locations,
    ARRAY(SELECT application_name FROM pg_stat_replication r
      WHERE state = 'streaming' AND application_name !~ '^(lifeboat|pg_receivewal|pg_basebackup)'
        AND (client_addr IS NULL OR client_addr <<= '127.0.0.0/8' OR client_addr = '::1' OR client_addr = inet_server_addr())
        AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
      ORDER BY 1) AS standbys`;

/** Reads the answer to `OUTSIDE_TABLESPACES_SQL`. */
export function readOutsideTablespaces(row: QueryRow): OutsideTablespaces {
  const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
  const locations = textsOf(row["locations"]);
  const tablespaces = textsOf(row["names"]).map((name, index) => ({ name, location: locations[index] ?? "" }));
  return { tablespaces, standbysHere: textsOf(row["standbys"]) };
}

/** The same tablespaces for whoever compares them with a backup's, as rows. */
export const TABLESPACE_ROWS_SQL = `SELECT oid::int8 AS oid, spcname::text AS name, pg_tablespace_location(oid) AS location
  FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%' ORDER BY oid LIMIT ${TABLESPACES_MAX}`;

/** Reads rows of `TABLESPACE_ROWS_SQL`. */
export function readTablespaceRows(rows: readonly QueryRow[]): readonly OutsideTablespace[] {
  return rows.map(({ oid, name, location }) => ({
    oid: Number(oid),
    name: String(name),
    location: String(location),
  }));
}

/** Those that a backup has not. By number: a restore may have put them elsewhere. */
export function tablespacesBeyond(
  tablespaces: readonly OutsideTablespace[],
  backup: { readonly tablespaces: readonly { readonly oid: number }[] },
): readonly OutsideTablespace[] {
  return tablespaces.filter(({ oid }) => backup.tablespaces.every((each) => each.oid !== oid));
}
