/**
 * A primary and a replica of it, as tests of replication need them: the replica is a copy of the primary's folder from
 * before its first start, streams from a slot of its name, and is named in postgresql.auto.conf alone, so that ALTER SYSTEM
 * on it changes whom it follows.
 */
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Settings } from "../../src/postgres/cluster.ts";
import { eventually, temporaryFolder } from "./receivers.ts";
import { giveTo, type Major, SUPERUSER, serverUser, startServer, type TestServer } from "./servers.ts";

/** The name of the replica's connection, and of its slot. */
export const REPLICA_NAME = "db_replica";

// As in a stack: what is told often makes tests short.
const SETTINGS: Settings = {
  wal_receiver_status_interval: "1s",
  wal_receiver_timeout: "2s",
  wal_sender_timeout: "5s",
  wal_retrieve_retry_interval: "100ms",
  hot_standby: true,
};

/** Both servers; gone at the end of the test. */
export class Pair implements AsyncDisposable {
  readonly primary: TestServer;
  readonly replica: TestServer;
  readonly #folder: AsyncDisposable;

  constructor(parts: { readonly primary: TestServer; readonly replica: TestServer; readonly folder: AsyncDisposable }) {
    this.primary = parts.primary;
    this.replica = parts.replica;
    this.#folder = parts.folder;
  }

  /** Waits until the primary says that the replica streams. */
  async streams(): Promise<void> {
    await eventually("the replica streams", async () => {
      const sql = "SELECT count(*) FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'";
      return (await this.primary.value(sql, [REPLICA_NAME])) === "1";
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.replica[Symbol.asyncDispose]();
    } finally {
      await this.primary[Symbol.asyncDispose]();
      await this.#folder[Symbol.asyncDispose]();
    }
  }
}

/** How a replica of a server reaches it, for primary_conninfo. */
export function conninfoOf(upstream: TestServer, name: string): string {
  const { socketFolder, port } = upstream.server.setup;
  return `host=${socketFolder} port=${port} user=${SUPERUSER.name} application_name=${name} connect_timeout=2`;
}

/** Starts both; the replica streams when this resolves. */
export async function startPair(options: { readonly major?: Major; readonly settings?: Settings } = {}): Promise<Pair> {
  const major = options.major ?? 16;
  const settings = { ...SETTINGS, ...options.settings };
  const folder = await temporaryFolder("pair");
  const primary = await startServer({ major, name: "primary", settings, started: false });
  const dataFolder = path.join(folder.folder, "replica");
  await cp(primary.dataFolder, dataFolder, { recursive: true });
  await writeFile(path.join(dataFolder, "standby.signal"), "");
  const follow = `primary_conninfo = '${conninfoOf(primary, REPLICA_NAME)}'\nprimary_slot_name = '${REPLICA_NAME}'\n`;
  await writeFile(path.join(dataFolder, "postgresql.auto.conf"), follow);
  await giveTo(await serverUser(), folder.folder);
  await primary.start();
  await primary.query("SELECT pg_create_physical_replication_slot($1, true)", [REPLICA_NAME]);
  const replica = await startServer({ major, name: "replica", dataFolder });
  const pair = new Pair({ primary, replica, folder });
  await pair.streams();
  return pair;
}
