/**
 * Stores the image of a cluster: every file in packs, and the manifest that names them.
 */
import { LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant, type Monotonic } from "../platform/clock.ts";
import { CONTROL_FILE_PATH, type ControlFile, parseControlFile } from "../postgres/control-file.ts";
import { formatLsn, historyName, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { BaseBackupEnd, ReplicationConnection, SystemIdentity } from "../postgres/replication.ts";
import { OUTSIDE_PREFIX, readManifest } from "../vault/manifest.ts";
import type { BackupId } from "../vault/names.ts";
import { PackWriter } from "../vault/pack-writer.ts";
import { tellsLoss } from "../vault/unopened.ts";
import type { Vault } from "../vault/vault.ts";
import { parseHistory } from "../wal/history.ts";
import type { BackupRequest, BackupTools } from "./backup.ts";
import { BackupSink } from "./backup-sink.ts";
import type { ParentChoice } from "./choose-parent.ts";
import type { WhyFull } from "./decide.ts";
import { assertPacksThere } from "./known-damage.ts";
import type { ParentImage } from "./parent-image.ts";
import { checkSkipped } from "./skipped.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** A stored image, not yet announced. */
export type Image = {
  readonly sink: BackupSink;
  readonly end: BaseBackupEnd;
  readonly control: ControlFile;
  readonly storedBytes: number;
  /** Undefined when pages were kept of the parent. */
  readonly whyFull: WhyFull | undefined;
  readonly parent: ParentImage | undefined;
  /** Sealed, and not in the vault: what finds it there may announce the backup. */
  readonly manifest: { readonly name: string; readonly parts: readonly Buffer[] };
};

/** What storing an image came to. */
export type ImageOutcome =
  | { readonly kind: "stored"; readonly image: Image }
  /** Nothing of it can be used: what was to be kept of the parent is missing or damaged. */
  | { readonly kind: "parent-damaged"; readonly damage: LifeboatError };

/** What is known of a backup before its image is stored. */
export type ImageRun = {
  readonly named: { readonly systemId: SystemId; readonly backupId: BackupId };
  readonly server: SystemIdentity;
  readonly startedAt: Instant;
  readonly settings: Readonly<Record<string, string>>;
  /** The history file of the timeline; null on timeline 1. */
  readonly history: string | null;
};

/** Streams the server's files into packs; `storeManifest` makes an image of them, once its parent is cleared. */
export async function storeImage(
  tools: BackupTools,
  request: BackupRequest,
  run: ImageRun & { readonly choice: () => Promise<ParentChoice> },
  options: CallOptions,
): Promise<ImageOutcome> {
  const { vault, connection } = tools;
  const packs = new PackWriter(vault, {
    compression: request.compression,
    onPack: (pack) => sink.onPack(pack),
    signal: options.signal,
  });
  const sink = new BackupSink(
    { vault, packs, onProgress: tools.onProgress, choice: run.choice, signal: options.signal },
    {
      ...run.named,
      serverVersion: connection.serverVersion,
      timeline: run.server.timeline,
      startedAt: formatInstant(run.startedAt),
      label: request.label,
      settings: { ...run.settings },
      history: run.history,
    },
  );
  try {
    tools.onProgress({ phase: "checkpoint", doneBytes: 0, totalBytes: 0 });
    const { label, checkpoint, maxRateKiB } = request;
    const asked = { label, checkpoint, maxRateKiB, waitForArchive: false, manifestChecksums: "none" } as const;
    const end = await connection.baseBackup(asked, sink, options);
    if (end.timeline !== run.server.timeline) throw timelineChanged(run.server.timeline, end.timeline);
    const others = checkSkipped(end.skipped);
    if (others.length > 0) tools.onSkipped?.(others);
    if (sink.parent?.damage !== undefined) return { kind: "parent-damaged", damage: sink.parent.damage };
    const control = parseControlFile(sink.kept(CONTROL_FILE_PATH));
    checkControl(control, run.server);
    for (const file of tools.outsideFiles) sink.addOutside(`${OUTSIDE_PREFIX}${file.name}`, file.content);
    tools.onProgress({ phase: "store", doneBytes: sink.dataBytes, totalBytes: sink.dataBytes });
    await sink.storeRest(packs);
    if (sink.parent?.damage !== undefined) return { kind: "parent-damaged", damage: sink.parent.damage };
    const manifest = await endManifest({ sink, end, control, endedAt: formatInstant(tools.clock.now()) });
    const storedBytes = manifest.parts.reduce((bytes, part) => bytes + part.byteLength, packs.storedBytes);
    const image = { sink, end, control, storedBytes, whyFull: sink.whyFull, parent: sink.parent, manifest };
    return { kind: "stored", image };
  } finally {
    await packs.settle();
  }
}

/** Stores the manifest of an image that may be announced, and reads it back. */
export async function storeManifest(
  vault: Vault,
  of: Pick<ImageRun, "named"> & Pick<Image, "manifest">,
  options: CallOptions,
): Promise<void> {
  await vault.store.put(of.manifest.name, of.manifest.parts, options);
  await readManifest(vault, of.named, {}, options);
}

/**
 * A pack that was kept, and looked for so lately, is not looked for again: a hundred take 15 ms on a busy disk, and a backup that changes
 * nothing keeps all. Whoever deletes it meanwhile may as well come right after the announcement.
 */
const SEEN_LATELY_MS = 5000;

/**
 * Throws `backup.pack-lost` unless every pack that the manifest of an image names is in the vault with its size, or was a moment ago, if
 * it was kept. To be asked last: the WAL may have been waited for since the packs were stored. A prune that was planned once the manifest
 * lay there takes none.
 */
export async function assertImageThere(
  vault: Vault,
  { sink }: Pick<Image, "sink">,
  options: CallOptions,
): Promise<void> {
  try {
    const lately = (vault.clock.monotonic() - SEEN_LATELY_MS) as Monotonic;
    await assertPacksThere(vault, sink.packsNotSeenSince(lately), options);
  } catch (cause) {
    if (!tellsLoss(cause)) throw cause;
    throw new LifeboatError("backup.pack-lost", {
      message: `the backup is not announced, since a pack that it needs went from ${vault.store.name} while it was taken: ${cause.message}`,
      remedy:
        "Take the backup again. Look who deletes in the vault: a lifecycle rule of the bucket, a prune of an earlier Lifeboat, a hand.",
      retryable: true,
      cause,
      details: cause.details,
    });
  }
}

async function endManifest(
  image: Pick<Image, "sink" | "end" | "control"> & { readonly endedAt: string },
): Promise<Image["manifest"]> {
  const { control, end, sink } = image;
  return sink.endManifest({
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
}

/** The settings that decide later whether this backup may be a parent (safety rules A1 and A4). */
const PARENT_SETTINGS = ["full_page_writes", "wal_log_hints", "wal_level", "data_checksums"];

/** Reads them as the server shows them. */
export async function readSettings(
  connection: ReplicationConnection,
  options: CallOptions,
): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const name of PARENT_SETTINGS) settings[name] = await connection.show(name, options);
  return settings;
}

/** The text of a timeline's history; null for timeline 1. Throws `wal.history-damaged`: stored, it would be the vault's for good. */
export async function readHistory(
  connection: ReplicationConnection,
  timeline: Timeline,
  options: CallOptions,
): Promise<string | null> {
  if (timeline === 1) return null;
  const history = await connection.timelineHistory(timeline, options);
  if (history.name === historyName(timeline)) {
    parseHistory(timeline, history.content);
    return history.content.toString("utf8");
  }
  throw new LifeboatError("backup.stream-malformed", {
    message: `the server sent ${history.name} when asked for the history of timeline ${timeline}`,
    remedy: "Take the backup again; if this comes back, report it with the server's version.",
  });
}

function checkControl(control: ControlFile, server: SystemIdentity): void {
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
