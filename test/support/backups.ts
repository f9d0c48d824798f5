/**
 * Backups and restores of test servers, with WAL taken from the server's own pg_wal instead of from a receiver: for tests
 * of backup and restore that are not about receiving.
 */
import { mkdtemp } from "node:fs/promises";
import path from "node:path";
import { type BackupRequest, type BackupTools, takeBackup, type WalCoverage } from "../../src/backup/backup.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { systemFiles } from "../../src/platform/files.ts";
import { systemLocks } from "../../src/platform/lock.ts";
import type { SystemId, Timeline } from "../../src/postgres/lsn.ts";
import type { BaseBackupSink, ReplicationConnection } from "../../src/postgres/replication.ts";
import { openReplication } from "../../src/postgres/replication-connection.ts";
import { HeldWal } from "../../src/restore/held-wal.ts";
import type { PricedPlan, RestoreTools } from "../../src/restore/restore.ts";
import { prepareRestore, runRestore } from "../../src/restore/restore.ts";
import type { BackupRecord } from "../../src/vault/backups.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { listWal, putHistory, putSegment } from "../../src/vault/wal-store.ts";
import { parseSegmentSize } from "../../src/wal/segment-size.ts";
import { walBetween } from "../../src/wal/settings-between.ts";
import { memoryFolder } from "../../tools/test/memory-folder.ts";
import { type Ask, removeFolder, SUPERUSER, serverUser, type TestServer } from "./servers.ts";

/** Page compression of tests. */
const COMPRESSION = { level: 1 };

/** A replication connection to a test server over its Unix socket. */
export function openTestReplication(server: TestServer) {
  const { socketFolder, port } = server.server.setup;
  const options = { host: socketFolder, port, user: SUPERUSER.name, applicationName: "test", connectTimeoutMs: 10_000 };
  return openReplication(options, {});
}

/** Puts every complete segment and history of the server's pg_wal into the vault. */
export async function storeServerWal(server: TestServer, vault: Vault): Promise<void> {
  const [row] = await server.query(
    "SELECT system_identifier::text AS id, pg_walfile_name(pg_current_wal_lsn() + 1) AS current FROM pg_control_system()",
  );
  const [systemId, current] = [String(row?.["id"]) as SystemId, String(row?.["current"])];
  const folder = path.join(server.dataFolder, "pg_wal");
  const held = new Set((await listWal(vault, { systemId }, {})).segments);
  for (const { name } of await systemFiles.list(folder)) {
    const history = /^([0-9A-F]{8})\.history$/.exec(name);
    const bytes = async (): Promise<Buffer> => systemFiles.readFile(path.join(folder, name));
    if (history !== null) {
      const timeline = Number.parseInt(history[1] ?? "", 16) as Timeline;
      await putHistory(vault, { systemId, timeline, content: await bytes() }, {});
    }
    // Names beyond the current segment are files that the server keeps for later.
    if (!/^[0-9A-F]{24}$/.test(name) || name >= current || held.has(name)) continue;
    await putSegment(vault, { systemId, segment: name, bytes: await bytes() }, {});
  }
}

/** The size of the server's WAL segments. */
export async function segmentBytesOf(server: TestServer): Promise<number> {
  return Number(await server.value("SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"));
}

/** Takes a backup; the WAL is taken from pg_wal once the server has ended the backup. */
export async function takeTestBackup(
  server: TestServer,
  vault: Vault,
  changes: {
    readonly tools?: Partial<BackupTools>;
    readonly request?: Partial<BackupRequest>;
    readonly signal?: AbortSignal;
    /** Something to do in the middle of the server's sending, after so many bytes. */
    readonly hold?: Parameters<typeof heldConnection>[1] | undefined;
  } = {},
): Promise<BackupRecord> {
  const between = walBetween(
    { vault, files: systemFiles },
    parseSegmentSize(await server.value("SHOW wal_segment_size")),
  );
  const wal: WalCoverage = {
    begin: async () => undefined,
    covered: async () => {
      await server.query("SELECT pg_switch_wal()");
      await storeServerWal(server, vault);
    },
    between: {
      holds: async (stretch, options) => {
        await storeServerWal(server, vault);
        return between.holds(stretch, options);
      },
      settings: between.settings,
      unsoundCopy: between.unsoundCopy,
    },
  };
  const direct = await openTestReplication(server);
  const connection = changes.hold === undefined ? direct : heldConnection(direct, changes.hold);
  try {
    return await takeBackup(
      { vault, clock: systemClock, connection, wal, outsideFiles: [], onProgress: () => undefined, ...changes.tools },
      { label: "test", checkpoint: "fast", compression: COMPRESSION, adoptSystem: false, ...changes.request },
      { signal: changes.signal },
    );
  } finally {
    await connection.close();
  }
}

/**
 * To drop a database the server waits for every process to close its files (a ProcSignalBarrier), and one that waits for us to read
 * does not: then the stream goes on before `meanwhile` is done.
 */
const HELD_MS_MAX = 2000;
/** So slowly a paced stream is read: the server gets on, and not far. */
const PACE_MS = 20;

/**
 * The connection, with one base backup's stream held back once, after `atBytes`, until `meanwhile` is done: far more follows than sockets hold.
 * Where it is `paced` the stream is read slowly instead, for what waits for the server's process that sends.
 */
export function heldConnection(
  connection: ReplicationConnection,
  hold: {
    readonly atBytes: number;
    readonly meanwhile: () => Promise<unknown>;
    readonly paced?: boolean | undefined;
  },
): ReplicationConnection {
  let bytes = 0;
  let isDone = false;
  let doing: Promise<unknown> | undefined;
  const holding = (sink: BaseBackupSink): BaseBackupSink => ({
    begin: (facts) => sink.begin(facts),
    archive: (facts) => sink.archive(facts),
    manifest: (json) => sink.manifest(json),
    data: async (view) => {
      bytes += view.byteLength;
      if (doing === undefined && bytes > hold.atBytes) {
        doing = hold.meanwhile().finally(() => {
          isDone = true;
        });
        if (hold.paced !== true) await Promise.race([doing, systemClock.sleep(HELD_MS_MAX, {})]);
      }
      if (hold.paced === true && doing !== undefined && !isDone) {
        await Promise.race([doing, systemClock.sleep(PACE_MS, {})]);
      }
      await sink.data(view);
    },
  });
  return {
    serverVersion: connection.serverVersion,
    backendPid: connection.backendPid,
    identifySystem: (options) => connection.identifySystem(options),
    show: (name, options) => connection.show(name, options),
    timelineHistory: (timeline, options) => connection.timelineHistory(timeline, options),
    createSlot: (slot, options) => connection.createSlot(slot, options),
    readSlot: (name, options) => connection.readSlot(name, options),
    dropSlot: (name, options) => connection.dropSlot(name, options),
    baseBackup: async (request, sink, options) => {
      try {
        return await connection.baseBackup(request, holding(sink), options);
      } finally {
        await doing;
      }
    },
    startWal: (from, options) => connection.startWal(from, options),
    close: () => connection.close(),
  };
}

/** What a restore of a test backup needs. */
export function restoreTools(vault: Vault, backup: BackupRecord): RestoreTools {
  const { systemId, walSegmentBytes } = backup;
  // Without a spool: what the vault alone holds.
  const wal = new HeldWal({ vault, files: systemFiles, systemId }, walSegmentBytes);
  return { vault, files: systemFiles, clock: systemClock, locks: systemLocks, wal, onProgress: () => undefined };
}

/** Restores to the newest point into `folder`. */
export async function restoreLatest(
  vault: Vault,
  backup: BackupRecord,
  place: { readonly folder: string; readonly tablespacesUnder?: string },
): Promise<PricedPlan> {
  const tools = restoreTools(vault, backup);
  const request = { systemId: backup.systemId, target: { kind: "latest" }, acceptGap: false } as const;
  const plan = await prepareRestore(tools, request, {});
  const tablespaces = { byOid: new Map<number, string>(), under: place.tablespacesUnder };
  await runRestore(tools, plan, { folder: place.folder, tablespaces, owner: await serverUser() }, {});
  return plan;
}

/** Runs `body` with a folder that is gone afterwards. */
export async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(memoryFolder(), "lifeboat-folder-"));
  await systemFiles.changeMode(folder, 0o755);
  try {
    return await body(folder);
  } finally {
    removeFolder(folder);
  }
}

/** A checksum of the rows of every ordinary table of a database, by name; equal when the content is. */
export function contentOf(
  server: Pick<TestServer, "onOneSession">,
  database = "postgres",
): Promise<ReadonlyMap<string, string>> {
  return server.onOneSession({ database }, contentSeenBy);
}

async function contentSeenBy(ask: Ask): Promise<ReadonlyMap<string, string>> {
  const tables = await ask(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1`,
  );
  const content = new Map<string, string>();
  for (const { name } of tables) {
    const sql = `SELECT count(*) || ' ' || coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0) AS sum FROM ${String(name)} t`;
    const rows = await ask(sql);
    content.set(String(name), String(rows[0]?.["sum"]));
  }
  return content;
}
