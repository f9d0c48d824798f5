/**
 * Relations of a sound cluster that are shorter than its statistics say, empty, or without a file: what must not be taken for damage.
 */
import assert from "node:assert/strict";
import type { TestServer } from "./servers.ts";

const BEFORE = [
  "CREATE UNLOGGED TABLE unlogged (id serial PRIMARY KEY, body text)",
  "INSERT INTO unlogged (body) SELECT md5(g::text) FROM generate_series(1, 2000) g",
  "CREATE INDEX ON unlogged USING gin (string_to_array(body, '-'))",
  "CREATE TABLE parted (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
  "CREATE TABLE part_one PARTITION OF parted FOR VALUES FROM (0) TO (9)",
  "CREATE TABLE bare (body text)",
  "CREATE TABLE every (id int, body text, words text[], place point, span int4range)",
  "CREATE INDEX ON every USING hash (id)",
  "CREATE INDEX ON every USING gin (words)",
  "CREATE INDEX ON every USING gist (span)",
  "CREATE INDEX ON every USING spgist (place)",
  "CREATE INDEX ON every USING brin (id)",
  "CREATE MATERIALIZED VIEW unfilled AS SELECT * FROM every WITH NO DATA",
  "CREATE VIEW seen AS SELECT * FROM every",
  // One value, so that its index lists rows.
  "CREATE TABLE listed AS SELECT g % 3 AS few, repeat(md5(g::text), 4) AS body FROM generate_series(1, 9000) g",
  "CREATE INDEX listed_few ON listed (few) INCLUDE (body) WHERE few > 5",
  "CREATE INDEX ON listed (few)",
  "CREATE TABLE emptied AS SELECT * FROM listed",
  "CREATE TABLE shortened (id int PRIMARY KEY, body text)",
  "INSERT INTO shortened SELECT g, md5(g::text) FROM generate_series(1, 9000) g",
  "CREATE TABLE loaded (id int)",
  "CREATE UNIQUE INDEX loaded_id ON loaded (id)",
  "CREATE SEQUENCE counted",
  "VACUUM (ANALYZE)",
];

const AFTER = [
  "TRUNCATE emptied",
  // The statistics of the second line stay.
  "BEGIN; CREATE TABLE within AS SELECT * FROM listed; ANALYZE within; TRUNCATE within; COMMIT",
  "DELETE FROM shortened WHERE id > 100",
  "VACUUM shortened",
  // Pages are added some at a time, and those that are not used yet are in no WAL.
  "COPY loaded FROM PROGRAM 'seq 1 30000'",
  "ANALYZE loaded",
  "CREATE TABLE counted_twice AS SELECT 1 AS id FROM generate_series(1, 2)",
  "VACUUM FULL listed",
  "VACUUM FULL pg_class",
  "ALTER TABLE part_one SET UNLOGGED",
  // Holds its table, and has a file for it that nobody names yet.
  "BEGIN; TRUNCATE shortened; PREPARE TRANSACTION 'of two ''phases'''",
];

/** Makes them, on a server that may have one prepared transaction: those of before a backup, and those that WAL after it makes. */
export async function makeShortRelations(server: TestServer, when: "before" | "after"): Promise<void> {
  for (const sql of when === "before" ? BEFORE : AFTER) await server.query(sql);
  if (when === "before") return;
  // An index that could not be built stays, and is not valid.
  await assert.rejects(server.query("CREATE UNIQUE INDEX CONCURRENTLY unbuilt ON counted_twice (id)"));
  if (server.major < 18) return;
  await server.query(
    "SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', 'bare', 'relpages', 500, 'reltuples', 9000::real)",
  );
}
