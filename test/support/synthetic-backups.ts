/**
 * Backups that no server sent: records, manifests, packs and WAL as they lie in a vault, in a few bytes, with any time.
 */
import type { Clock, Instant, Monotonic } from "../../src/platform/clock.ts";
import { formatInstant } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { formatLsn, type Lsn, type SystemId, segmentName, type Timeline } from "../../src/postgres/lsn.ts";
import { announce, type BackupRecord, type BackupTier, createBackupId, markStarted } from "../../src/vault/backups.ts";
import { type ManifestHeader, ManifestWriter } from "../../src/vault/manifest.ts";
import { type PackId, packName } from "../../src/vault/names.ts";
import type { Vault } from "../../src/vault/vault.ts";
import { putSegment } from "../../src/vault/wal-store.ts";

/** Small segments: the names count here, not the bytes. */
export const SYNTHETIC_SEGMENT_BYTES = 1024 * 1024;

/** A wall clock that the test sets. */
export type SetClock = Clock & { set(now: number): void };

/** A clock that stands at `start` until it is set. */
export function setClock(start: number): SetClock {
  let now = start;
  return {
    now: () => now as Instant,
    monotonic: () => now as Monotonic,
    sleep: () => Promise.reject(new Error("nothing waits here")),
    set: (next) => {
      now = next;
    },
  };
}

/** What a synthetic backup is. It takes the clock of the vault for its times. */
export type SyntheticBackup = {
  readonly systemId: SystemId;
  readonly tier?: BackupTier;
  readonly timeline?: Timeline;
  /** The history of its timeline as its manifest has it; none unless said otherwise. */
  readonly history?: string;
  /** It needs the whole of this segment, by number. */
  readonly segment: number;
  /** Packs of an earlier backup that it names too, as a delta does. */
  readonly sharedPacks?: readonly PackId[];
  /** Outside of the data directory; none unless said otherwise. */
  readonly tablespaces?: ManifestHeader["tablespaces"];
  /** Stop before the announcement, or before the manifest. */
  readonly stopBefore?: "announced" | "manifest";
};

/** Stores a backup with one pack of its own, and its segment of WAL. */
export async function storeSyntheticBackup(
  vault: Vault,
  backup: SyntheticBackup,
): Promise<{ readonly record: BackupRecord; readonly packs: readonly PackId[] }> {
  const record = recordOf(vault, backup);
  await markStarted(vault, record, { startedAt: record.startedAt, label: record.label }, {});
  const packs = [...(backup.sharedPacks ?? []), await storePack(vault)];
  const stored = { record, packs };
  if (backup.stopBefore !== "manifest") await finishSyntheticBackup(vault, stored, backup);
  return stored;
}

/** What is left to do of a backup that was stopped before its manifest. */
export async function finishSyntheticBackup(
  vault: Vault,
  { record, packs }: { readonly record: BackupRecord; readonly packs: readonly PackId[] },
  backup: Pick<SyntheticBackup, "segment" | "stopBefore" | "tablespaces" | "history">,
): Promise<void> {
  await storeManifest(vault, record, { packs, tablespaces: backup.tablespaces ?? [], history: backup.history ?? null });
  await storeSegment(vault, { ...record, number: backup.segment });
  if (backup.stopBefore !== "announced") await announce(vault, record, {});
}

/** Stores a segment of WAL by its number. */
export async function storeSegment(
  vault: Vault,
  at: { readonly systemId: SystemId; readonly timeline: Timeline; readonly number: number },
): Promise<void> {
  const lsn = BigInt(at.number * SYNTHETIC_SEGMENT_BYTES) as Lsn;
  const segment = segmentName({ timeline: at.timeline, lsn, walSegmentBytes: SYNTHETIC_SEGMENT_BYTES });
  await putSegment(vault, { systemId: at.systemId, segment, bytes: Buffer.alloc(64, segment) }, {});
}

const PACK_BYTES = 100;
const CHUNK_BYTES = 10;

async function storePack(vault: Vault): Promise<PackId> {
  const id = systemRandom(16).toString("hex") as PackId;
  await vault.store.put(packName(id), [Buffer.alloc(PACK_BYTES)]);
  return id;
}

/** One file whose pieces lie in every pack. */
async function storeManifest(
  vault: Vault,
  record: BackupRecord,
  {
    packs,
    tablespaces,
    history,
  }: { readonly packs: readonly PackId[] } & Pick<ManifestHeader, "tablespaces" | "history">,
): Promise<void> {
  const { backupId, systemId, serverVersion, timeline, startLsn, startedAt, label, walSegmentBytes } = record;
  const of = { backupId, systemId, serverVersion, timeline, startLsn, startedAt, label };
  const rest = { parent: null, whyFull: null, settings: {}, history, tablespaces };
  const writer = new ManifestWriter(vault, {
    kind: "manifest",
    format: "lifeboat-manifest",
    version: 1,
    ...of,
    ...rest,
  });
  const dataBytes = packs.length * CHUNK_BYTES;
  const pieces = packs.flatMap((_, number) => [number, 0, CHUNK_BYTES]);
  const attributes = { path: "base/1", mode: 0o600, modifiedS: 0, contentName: "0".repeat(64) };
  await writer.file({ kind: "bytes", ...attributes, sizeBytes: dataBytes, pieces });
  for (const [number, id] of packs.entries()) {
    const places = [{ ordinal: 0, offset: 48, storedBytes: 26, plainBytes: CHUNK_BYTES, codec: 0 as const }];
    writer.pack({ facts: { id, keyId: vault.dataKey.id, sizeBytes: PACK_BYTES, crc32: 0 }, numbers: [number], places });
  }
  const object = await writer.end({
    kind: "end",
    endLsn: record.endLsn,
    endTimeline: timeline,
    endedAt: record.endedAt,
    fileCount: 1,
    dataBytes,
    chunkCount: packs.length,
    catalogVersion: 202_307_071,
    blockBytes: 8192,
    relationSegmentBlocks: 131_072,
    walSegmentBytes,
    dataChecksumVersion: 0,
  });
  await vault.store.put(object.name, object.parts);
}

function recordOf(vault: Vault, backup: SyntheticBackup): BackupRecord {
  const now = vault.clock.now();
  const start = backup.segment * SYNTHETIC_SEGMENT_BYTES;
  return {
    format: "lifeboat-backup",
    version: 1,
    backupId: createBackupId(now, systemRandom),
    systemId: backup.systemId,
    label: "synthetic",
    tier: backup.tier ?? "hourly",
    serverVersion: 160_004,
    timeline: backup.timeline ?? (1 as Timeline),
    startLsn: formatLsn(BigInt(start + 40) as Lsn),
    endLsn: formatLsn(BigInt(start + 400) as Lsn),
    walSegmentBytes: SYNTHETIC_SEGMENT_BYTES,
    startedAt: formatInstant(now),
    endedAt: formatInstant(now),
    whyFull: "no-parent",
    parent: null,
    fileCount: 1,
    dataBytes: 10,
    storedBytes: 10,
    durationMs: 0,
  };
}
