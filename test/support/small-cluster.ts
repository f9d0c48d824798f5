/**
 * A cluster with a little of everything and nothing more, recorded, for tests that repeat a backup or a restore often.
 */
import path from "node:path";
import { systemFiles } from "../../src/platform/files.ts";
import { type Recording, readWal, recordBackup, trimRecording } from "./recordings.ts";
import { giveTo, serverUser, startServer, type TestServer } from "./servers.ts";

/** Two backups of one cluster, the second after more was written; the WAL of each is its own. */
export type SmallCluster = {
  readonly first: Recording;
  readonly second: Recording;
  /** The WAL from the end of the first to the start of the second. */
  readonly between: ReadonlyMap<string, Buffer>;
  readonly walSegmentBytes: number;
};

const SEGMENT_BYTES = 1024 * 1024;

/** Records the small cluster. Takes a server for about two seconds. */
export async function recordSmallCluster(): Promise<SmallCluster> {
  await using server = await startServer({
    walSegmentBytes: SEGMENT_BYTES,
    settings: { wal_keep_size: "64MB" },
  });
  await fill(server);
  const relation = await server.value("SELECT pg_relation_filepath('plain')");
  const moved = (await server.value("SELECT pg_relation_filepath('moved')")).replace(/^pg_tblspc\//, "");
  const keep = (name: string): boolean =>
    KEPT.has(name) || name === relation || name === `pg_tblspc/${moved}` || /^pg_tblspc\/\d+\/PG_\d+/.test(name);
  const first = trimRecording(await recordBackup(server), keep);
  await server.query("INSERT INTO plain SELECT g, md5(g::text) FROM generate_series(1001, 1500) g");
  const second = trimRecording(await recordBackup(server), keep);
  const from = first.end.endLsn;
  const between = await readWal(server, { ...second.identity, from, to: second.begin.startLsn });
  return { first, second, between, walSegmentBytes: SEGMENT_BYTES };
}

const KEPT: ReadonlySet<string> = new Set([
  "PG_VERSION",
  "backup_label",
  "base",
  "base/5",
  "global",
  "global/pg_control",
  "pg_hba.conf",
  "pg_tblspc",
  "pg_wal",
  "postgresql.auto.conf",
  "postgresql.conf",
  "tablespace_map",
]);

async function fill(server: TestServer): Promise<void> {
  const folder = path.join(server.folder, "space");
  await systemFiles.makeFolder(folder);
  await giveTo(await serverUser(), folder);
  await server.query("CREATE TABLE plain (id int, body text)");
  await server.query("INSERT INTO plain SELECT g, md5(g::text) FROM generate_series(1, 1000) g");
  await server.query(`CREATE TABLESPACE space LOCATION '${folder}'`);
  await server.query("CREATE TABLE moved (id int) TABLESPACE space");
  await server.query("INSERT INTO moved SELECT generate_series(1, 100)");
}
