/**
 * Takes a backup: the server's own base backup, page by page into the vault.
 *
 * Nouns: a *backup* is a restorable image of a cluster; it is *announced* once it could be restored; *coverage* is the WAL
 * from the backup's start to its end lying readable in the vault.
 * Invariants: nothing is announced before every pack and the manifest were read back and the WAL is covered; whatever
 * ends a backup early leaves no announced backup behind; packs are never shared between backups under way.
 * Order: started marker, packs, manifest, WAL, announcement. Cut anywhere, the vault holds what it held, and objects that
 * nothing names.
 */
import { LifeboatError } from "../errors/error.ts";
import { type Clock, formatInstant } from "../platform/clock.ts";
import { BLOCK_BYTES, CONTROL_FILE_PATH, type ControlFile, parseControlFile } from "../postgres/control-file.ts";
import { formatLsn, historyName, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { BaseBackupEnd, ReplicationConnection, SystemIdentity } from "../postgres/replication.ts";
import {
  announce,
  type BackupRecord,
  type BackupTier,
  createBackupId,
  listBackups,
  markStarted,
} from "../vault/backups.ts";
import type { CompressionChoice } from "../vault/codec.ts";
import { OUTSIDE_PREFIX, readManifest } from "../vault/manifest.ts";
import { type BackupId, backupName, packName } from "../vault/names.ts";
import { PackWriter, type StoredPack } from "../vault/pack-writer.ts";
import type { Vault } from "../vault/vault.ts";
import { BackupSink } from "./backup-sink.ts";
import type { BackupProgress } from "./progress.ts";

/** What is asked for. */
export type BackupRequest = {
  readonly label: string;
  /** For which tier of retention; `manual` unless said. */
  readonly tier?: BackupTier | undefined;
  readonly checkpoint: "fast" | "spread";
  readonly compression: CompressionChoice;
  readonly maxRateKiB?: number | undefined;
  /** Let a vault that holds another system's backups take this one too, for example after pg_upgrade. */
  readonly adoptSystem: boolean;
};

/** Makes sure that WAL reaches the vault while a backup runs. */
export interface WalCoverage {
  /** Resolves once WAL from the server's current position on is on its way into the vault, whatever happens to it on the server. */
  begin(server: SystemIdentity, options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Resolves once all WAL of the range is readable in the vault. Throws `backup.wal-not-covered` when it does not get there. */
  covered(
    range: { readonly systemId: SystemId; readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn },
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
}

/** A file of the server that lies outside its data directory, for example Debian's postgresql.conf. */
export type OutsideFile = { readonly name: string; readonly content: Buffer };

export type BackupTools = {
  readonly vault: Vault;
  readonly clock: Clock;
  readonly connection: ReplicationConnection;
  readonly wal: WalCoverage;
  readonly outsideFiles: readonly OutsideFile[];
  readonly onProgress: (progress: BackupProgress) => void;
};

/** The oldest and newest server that was tested. */
const SERVER_MAJORS = { oldest: 15, newest: 18 };

type CallOptions = { readonly signal?: AbortSignal | undefined };

type Named = { readonly systemId: SystemId; readonly backupId: BackupId };

/** Takes one backup and announces it. Safe to repeat after any failure. */
export async function takeBackup(
  tools: BackupTools,
  request: BackupRequest,
  options: CallOptions,
): Promise<BackupRecord> {
  const begun = tools.clock.monotonic();
  const startedAt = tools.clock.now();
  checkServerVersion(tools.connection.serverVersion);
  const server = await tools.connection.identifySystem(options);
  await checkVaultTakes(tools.vault, server.systemId, request, options);
  const named = { systemId: server.systemId, backupId: createBackupId(startedAt, tools.vault.random) };
  await tools.wal.begin(server, options);
  await markStarted(tools.vault, named, { startedAt: formatInstant(startedAt), label: request.label }, options);
  const written: StoredPack[] = [];
  try {
    const image = await storeImage(tools, request, { named, server, startedAt, written }, options);
    const { startLsn } = image.sink.start;
    const range = { systemId: named.systemId, timeline: server.timeline, from: startLsn, to: image.end.endLsn };
    tools.onProgress({ phase: "wal", doneBytes: image.sink.dataBytes, totalBytes: image.sink.dataBytes });
    await tools.wal.covered(range, options);
    const record: BackupRecord = {
      format: "lifeboat-backup",
      version: 1,
      ...named,
      label: request.label,
      tier: request.tier ?? "manual",
      serverVersion: tools.connection.serverVersion,
      timeline: server.timeline,
      startLsn: formatLsn(startLsn),
      endLsn: formatLsn(image.end.endLsn),
      walSegmentBytes: image.control.walSegmentBytes,
      startedAt: formatInstant(startedAt),
      endedAt: formatInstant(tools.clock.now()),
      whyFull: image.whyFull,
      parent: null,
      fileCount: image.sink.fileCount,
      dataBytes: image.sink.dataBytes,
      storedBytes: image.storedBytes,
      durationMs: Math.round(tools.clock.monotonic() - begun),
    };
    tools.onProgress({ phase: "announce", doneBytes: image.sink.dataBytes, totalBytes: image.sink.dataBytes });
    await announce(tools.vault, record, options);
    return record;
  } catch (error) {
    await removeRemains(tools.vault, named, written);
    throw error;
  }
}

type Image = {
  readonly sink: BackupSink;
  readonly end: BaseBackupEnd;
  readonly control: ControlFile;
  readonly storedBytes: number;
  readonly whyFull: string;
};

async function storeImage(
  tools: BackupTools,
  request: BackupRequest,
  run: {
    readonly named: Named;
    readonly server: SystemIdentity;
    readonly startedAt: ReturnType<Clock["now"]>;
    readonly written: StoredPack[];
  },
  options: CallOptions,
): Promise<Image> {
  const { vault, connection } = tools;
  const whyFull = "no-parent";
  const packs = new PackWriter(vault, {
    compression: request.compression,
    onPack: (pack) => {
      run.written.push(pack);
      sink.onPack(pack);
    },
    signal: options.signal,
  });
  const sink = new BackupSink(
    { vault, packs, onProgress: tools.onProgress },
    {
      ...run.named,
      serverVersion: connection.serverVersion,
      timeline: run.server.timeline,
      startedAt: formatInstant(run.startedAt),
      label: request.label,
      parent: null,
      whyFull,
      settings: await readSettings(connection, options),
      history: await readHistory(connection, run.server.timeline, options),
    },
  );
  try {
    tools.onProgress({ phase: "checkpoint", doneBytes: 0, totalBytes: 0 });
    const { label, checkpoint, maxRateKiB } = request;
    const asked = { label, checkpoint, maxRateKiB, waitForArchive: false, manifestChecksums: "none" } as const;
    const end = await connection.baseBackup(asked, sink, options);
    if (end.timeline !== run.server.timeline) throw timelineChanged(run.server.timeline, end.timeline);
    const control = parseControlFile(sink.kept(CONTROL_FILE_PATH));
    checkControl(control, run.server);
    for (const file of tools.outsideFiles) sink.addOutside(`${OUTSIDE_PREFIX}${file.name}`, file.content);
    tools.onProgress({ phase: "store", doneBytes: sink.dataBytes, totalBytes: sink.dataBytes });
    await sink.storeRest(packs);
    const manifestBytes = await storeManifest(
      vault,
      { sink, end, control, endedAt: formatInstant(tools.clock.now()) },
      options,
    );
    await readManifest(vault, run.named, {}, options);
    return { sink, end, control, storedBytes: packs.storedBytes + manifestBytes, whyFull };
  } finally {
    await packs.settle();
  }
}

async function storeManifest(
  vault: Vault,
  image: {
    readonly sink: BackupSink;
    readonly end: BaseBackupEnd;
    readonly control: ControlFile;
    readonly endedAt: string;
  },
  options: CallOptions,
): Promise<number> {
  const { control, end, sink } = image;
  const manifest = await sink.endManifest({
    kind: "end",
    endLsn: formatLsn(end.endLsn),
    endTimeline: end.timeline,
    endedAt: image.endedAt,
    fileCount: sink.fileCount,
    dataBytes: sink.dataBytes,
    chunkCount: sink.chunkCount,
    catalogVersion: control.catalogVersion,
    blockBytes: control.blockBytes,
    relationSegmentBlocks: control.segmentBlocks,
    walSegmentBytes: control.walSegmentBytes,
    dataChecksumVersion: control.dataChecksumVersion,
  });
  await vault.store.put(manifest.name, manifest.parts, options);
  return manifest.parts.reduce((bytes, part) => bytes + part.byteLength, 0);
}

/** The settings that decide later whether this backup may be a parent (safety rules A1 and A4). */
const PARENT_SETTINGS = ["full_page_writes", "wal_log_hints", "wal_level", "data_checksums"];

async function readSettings(connection: ReplicationConnection, options: CallOptions): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const name of PARENT_SETTINGS) settings[name] = await connection.show(name, options);
  return settings;
}

async function readHistory(
  connection: ReplicationConnection,
  timeline: Timeline,
  options: CallOptions,
): Promise<string | null> {
  if (timeline === 1) return null;
  const history = await connection.timelineHistory(timeline, options);
  if (history.name === historyName(timeline)) return history.content.toString("utf8");
  throw new LifeboatError("backup.stream-malformed", {
    message: `the server sent ${history.name} when asked for the history of timeline ${timeline}`,
    remedy: "Take the backup again; if this comes back, report it with the server's version.",
  });
}

async function checkVaultTakes(
  vault: Vault,
  systemId: SystemId,
  request: BackupRequest,
  options: CallOptions,
): Promise<void> {
  const { backups } = await listBackups(vault, {}, options);
  const others = new Set(backups.map((backup) => backup.systemId));
  if (others.size === 0 || others.has(systemId) || request.adoptSystem) return;
  throw new LifeboatError("backup.foreign-system", {
    message: `the server is system ${systemId}, the vault in ${vault.store.name} holds backups of system ${[...others].join(", ")}`,
    remedy:
      "Give this server a vault of its own, or pass --adopt-system when it replaces the other (after pg_upgrade).",
  });
}

function checkServerVersion(serverVersion: number): void {
  const major = Math.trunc(serverVersion / 10_000);
  if (major >= SERVER_MAJORS.oldest && major <= SERVER_MAJORS.newest) return;
  throw new LifeboatError("backup.version-unsupported", {
    message: `the server is PostgreSQL ${major}, Lifeboat backs up ${SERVER_MAJORS.oldest} to ${SERVER_MAJORS.newest}`,
    remedy: "Use a Lifeboat that knows this version.",
  });
}

function checkControl(control: ControlFile, server: SystemIdentity): void {
  if (control.blockBytes !== BLOCK_BYTES) {
    throw new LifeboatError("backup.version-unsupported", {
      message: `the server's block size is ${control.blockBytes} bytes, Lifeboat backs up ${BLOCK_BYTES}`,
      remedy: "Use another tool for a server that was built with another block size.",
    });
  }
  if (control.systemId !== server.systemId) {
    throw new LifeboatError("backup.stream-malformed", {
      message: `the control file in the backup is of system ${control.systemId}, the server is ${server.systemId}`,
      remedy: "Connect to the server itself, not through something that switches between servers.",
    });
  }
}

function timelineChanged(before: Timeline, after: Timeline): LifeboatError {
  return new LifeboatError("backup.timeline-changed", {
    message: `the server went from timeline ${before} to ${after} while it sent the backup`,
    remedy: "Take the backup again.",
  });
}

/** Takes away what a failed backup stored. What cannot be taken away is named by nothing and harms nobody. */
async function removeRemains(vault: Vault, named: Named, written: readonly StoredPack[]): Promise<void> {
  const names = written.map((pack) => packName(pack.facts.id));
  names.push(backupName(named, "manifest"), backupName(named, "started"));
  for (const name of names) {
    try {
      await vault.store.delete(name);
    } catch {
      // The failure that brought us here is the one to report; an object left over is found by `vault check`.
      return;
    }
  }
}
