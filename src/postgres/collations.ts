/**
 * By which versions of its libraries (glibc, ICU) a server sorts text, and by which the text in it was sorted. An index over text is
 * read wrongly by another version: rows are not found, and what is unique is there twice.
 */
import type { QueryRow } from "./query-connection.ts";
import { quoteIdentifier } from "./wire/outgoing.ts";

/** What has an order of its own: a database, or a collation that is used in the database that was asked. */
export type CollationVersion = {
  readonly kind: "database" | "collation";
  /** A collation's as SQL names it. */
  readonly name: string;
  readonly library: "glibc" | "ICU";
  /** In the catalogue: by what its indexes were made, as far as the server knows. */
  readonly recorded: string;
  /** Of this server's library. */
  readonly actual: string;
};

/** A database for each customer, a collation for each language. One more is asked for: who gets that has not seen all. */
export const COLLATIONS_MAX = 1_000;

/**
 * Of databases all, of collations those that something depends on: asking ICU for each of the eight hundred that come with a server takes a
 * tenth of a second. C and PostgreSQL's own have no version that a library could change.
 */
const SORTED_SQL = `SELECT kind, name, provider, recorded, actual FROM (
    SELECT 'database' AS kind, datname::text AS name, datlocprovider AS provider, datcollversion AS recorded,
      pg_database_collation_actual_version(oid) AS actual
      FROM pg_database WHERE datallowconn
    UNION ALL
    SELECT 'collation', oid::regcollation::text, collprovider, collversion, pg_collation_actual_version(oid)
      FROM pg_collation c
      WHERE collversion IS NOT NULL
        AND EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_collation'::regclass AND refobjid = c.oid)
  ) AS sorted WHERE provider IN ('c', 'i') AND recorded IS NOT NULL AND actual IS NOT NULL`;

const IN_ORDER = `ORDER BY kind DESC, name LIMIT ${COLLATIONS_MAX + 1}`;

/** All. */
export const COLLATIONS_SQL = `${SORTED_SQL} ${IN_ORDER}`;

/** Those whose library has another version than the one by which the text was sorted. */
export const CHANGED_COLLATIONS_SQL = `${SORTED_SQL} AND recorded <> actual ${IN_ORDER}`;

/** The collation that stands for the order of the database (pg_collation.dat). */
const DATABASE_COLLATION = 100;

/**
 * What the indexes with the OIDs in $1 sort by, a row for each with the OID as `index`. Of what `text_pattern_ops` and its like sort, a
 * collation tells no order. Those inside of an expression or a predicate are in pg_depend, the database's own excepted.
 */
export const INDEX_COLLATIONS_SQL = `SELECT * FROM (
    SELECT used.index::int8 AS index, CASE WHEN by_database THEN 'database' ELSE 'collation' END AS kind,
      CASE WHEN by_database THEN datname::text ELSE c.oid::regcollation::text END AS name,
      CASE WHEN by_database THEN datlocprovider ELSE collprovider END AS provider,
      CASE WHEN by_database THEN datcollversion ELSE collversion END AS recorded,
      CASE WHEN by_database THEN pg_database_collation_actual_version(d.oid) ELSE pg_collation_actual_version(c.oid) END AS actual
      FROM (
        SELECT indexrelid AS index, key.sorts_by FROM pg_index, unnest(indcollation, indclass) AS key (sorts_by, opclass)
          JOIN pg_opclass ON pg_opclass.oid = key.opclass
          WHERE indexrelid = ANY ($1::oid[]) AND opcname NOT LIKE '%\\_pattern\\_ops'
        UNION
        SELECT objid, refobjid FROM pg_depend JOIN pg_index ON indexrelid = objid
          WHERE classid = 'pg_class'::regclass AND objid = ANY ($1::oid[]) AND refclassid = 'pg_collation'::regclass
            AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
      ) AS used JOIN pg_collation c ON c.oid = used.sorts_by JOIN pg_database d ON d.datname = current_database()
        CROSS JOIN LATERAL (SELECT c.oid = ${DATABASE_COLLATION} AS by_database) AS which
  ) AS sorted WHERE provider IN ('c', 'i') AND recorded IS NOT NULL AND actual IS NOT NULL
  ORDER BY index, kind DESC, name`;

/** Reads what was answered. */
export function readCollations(rows: readonly QueryRow[]): readonly CollationVersion[] {
  return rows.map(({ kind, name, provider, recorded, actual }) => ({
    kind: kind === "database" ? "database" : "collation",
    name: String(name),
    library: provider === "i" ? "ICU" : "glibc",
    recorded: String(recorded),
    actual: String(actual),
  }));
}

/**
 * What was sorted by another version than its library has, `shownMax` of it by name, and what puts those right; undefined where nothing
 * was. After a restore on another machine, or an update of its system, this is what makes indexes over text wrong.
 */
export function collationRisk(
  collations: readonly CollationVersion[],
  shownMax: number,
): { readonly message: string; readonly remedy: string } | undefined {
  const changed = collations.filter(({ recorded, actual }) => recorded !== actual);
  if (changed.length === 0) return undefined;
  const shown = changed.slice(0, shownMax);
  const each = shown.map(
    ({ kind, name, library, recorded, actual }) => `${kind} ${name} by ${library} ${actual}, was by ${recorded}`,
  );
  if (changed.length > shown.length) each.push(`and ${changed.length - shown.length} more`);
  return {
    message: `text is sorted by another version, and indexes over it may be read wrongly: ${each.join("; ")}`,
    remedy: shown.map(collationRemedy).join(" "),
  };
}

/** Puts right what was sorted by another version, once that version is the one to stay. */
export function collationRemedy({ kind, name }: Pick<CollationVersion, "kind" | "name">): string {
  return kind === "database"
    ? `In it: REINDEX DATABASE ${quoteIdentifier(name)}; ALTER DATABASE ${quoteIdentifier(name)} REFRESH COLLATION VERSION;`
    : `REINDEX each index that sorts by it, then: ALTER COLLATION ${name} REFRESH VERSION;`;
}
