/**
 * A vault of very many objects, looked through: `node --expose-gc scale-objects.ts <look> <count>`. Prints what it took as JSON.
 *
 * The vault is that of a service which is backed up by the rules of retention: BACKUPS backups, half of the objects their packs,
 * the other half segments of WAL without a gap. Records and manifests are real; of packs and segments the store knows only names
 * and sizes, which is all that is asked of them here. It answers from memory: what a disk takes to list them is not in it.
 */
import { writeFileSync } from "node:fs";
import { formatInstant, type Instant, systemClock } from "../src/platform/clock.ts";
import { systemFiles } from "../src/platform/files.ts";
import { systemRandom } from "../src/platform/random.ts";
import { formatLsn, type Lsn, type SystemId, segmentName, type Timeline } from "../src/postgres/lsn.ts";
import { HeldWal } from "../src/restore/held-wal.ts";
import { planPrune } from "../src/retention/survey.ts";
import { openMemoryStore } from "../src/store/memory/memory-store.ts";
import type { ObjectFacts, Store } from "../src/store/store.ts";
import { announce, type BackupRecord, createBackupId, listBackups, markStarted } from "../src/vault/backups.ts";
import { checkVault } from "../src/vault/check.ts";
import { ManifestWriter } from "../src/vault/manifest.ts";
import { type PackId, packName, segmentKey } from "../src/vault/names.ts";
import { listProofs } from "../src/vault/proofs.ts";
import { initVault, type Vault } from "../src/vault/vault.ts";
import { recoveryPoints } from "../src/wal/recovery-points.ts";
import type { ScaleLook } from "./scale-plan.ts";

/** What one look took. */
export type LookUsage = { readonly wallMs: number; readonly cpuMs: number; readonly peakRssBytes: number };

/** Hourly 24, daily 7, weekly 4. */
const BACKUPS = 35;
const SEGMENT_BYTES = 16 * 1024 * 1024;
const PACK_BYTES = 32 * 1024 * 1024;
/** A pack has some 700, but these count with the size of the database and not with the objects. */
const CHUNKS_PER_PACK = 4;
const CHUNK_BYTES = 128 * 1024;
const STORED_CHUNK_BYTES = 46_000;
const HOUR_MS = 3_600_000;
const systemId = "7441234567890123456" as SystemId;
const timeline = 1 as Timeline;

function packId(number: number): PackId {
  const digest = Math.imul(number + 1, 0x9e37_79b1) >>> 0;
  return (digest.toString(16).padStart(8, "0") + number.toString(16).padStart(24, "0")) as PackId;
}

function segmentOf(number: number): string {
  return segmentName({
    timeline,
    lsn: (BigInt(number) * BigInt(SEGMENT_BYTES)) as Lsn,
    walSegmentBytes: SEGMENT_BYTES,
  });
}

/** A store that has so many packs and segments besides what it was given. */
function simulated(store: Store, counts: { readonly packs: number; readonly segments: number }): Store {
  const storedMs = systemClock.now();
  function* names(prefix: string): Generator<ObjectFacts> {
    const wanted = (key: string): boolean => key.startsWith(prefix);
    for (let number = 0; number < counts.packs; number += 1) {
      const key = packName(packId(number));
      if (wanted(key)) yield { key, sizeBytes: PACK_BYTES, storedMs };
    }
    for (let number = 0; number < counts.segments; number += 1) {
      const key = segmentKey({ systemId, segment: segmentOf(number) });
      if (wanted(key)) yield { key, sizeBytes: SEGMENT_BYTES / 4, storedMs };
    }
  }
  const mayHold = (prefix: string): boolean =>
    ["packs/", "wal/"].some((each) => each.startsWith(prefix) || prefix.startsWith(each));
  return {
    name: "a simulated store",
    put: (key, parts, options) => store.put(key, parts, options),
    get: (key, options) => store.get(key, options),
    getRange: (key, range, options) => store.getRange(key, range, options),
    head: (key, options) => store.head(key, options),
    delete: (key, options) => store.delete(key, options),
    list: async function* (prefix, options) {
      yield* store.list(prefix, options);
      if (mayHold(prefix)) yield* names(prefix);
    },
  };
}

function recordOf(of: {
  readonly packs: readonly PackId[];
  readonly segment: number;
  readonly at: number;
}): BackupRecord {
  const start = BigInt(of.segment) * BigInt(SEGMENT_BYTES);
  const at = formatInstant(of.at as Instant);
  return {
    format: "lifeboat-backup",
    version: 1,
    backupId: createBackupId(of.at as Instant, systemRandom),
    systemId,
    label: "scale",
    tier: "hourly",
    serverVersion: 160_004,
    timeline,
    startLsn: formatLsn((start + 40n) as Lsn),
    endLsn: formatLsn((start + 400n) as Lsn),
    walSegmentBytes: SEGMENT_BYTES,
    startedAt: at,
    endedAt: at,
    whyFull: "no-parent",
    parent: null,
    fileCount: 1,
    dataBytes: of.packs.length * CHUNKS_PER_PACK * CHUNK_BYTES,
    storedBytes: of.packs.length * PACK_BYTES,
    durationMs: 0,
  };
}

async function storeBackup(
  vault: Vault,
  of: { readonly packs: readonly PackId[]; readonly segment: number; readonly at: number },
): Promise<void> {
  const record = recordOf(of);
  await markStarted(vault, record, record, {});
  const chunkCount = of.packs.length * CHUNKS_PER_PACK;
  const { backupId, serverVersion, startLsn, startedAt, label } = record;
  const rest = { parent: null, whyFull: null, settings: {}, history: null, tablespaces: [] };
  const head = { kind: "manifest", format: "lifeboat-manifest", version: 1 } as const;
  const writer = new ManifestWriter(vault, {
    ...head,
    backupId,
    systemId,
    serverVersion,
    timeline,
    startLsn,
    startedAt,
    label,
    ...rest,
  });
  for (const [index, id] of of.packs.entries()) {
    const numbers = Array.from({ length: CHUNKS_PER_PACK }, (_, chunk) => index * CHUNKS_PER_PACK + chunk);
    const places = numbers.map((_, chunk) => ({
      ordinal: chunk,
      offset: 48 + chunk * STORED_CHUNK_BYTES,
      storedBytes: STORED_CHUNK_BYTES,
      plainBytes: CHUNK_BYTES,
      codec: 1 as const,
    }));
    writer.pack({ facts: { id, keyId: vault.dataKey.id, sizeBytes: PACK_BYTES, crc32: 0 }, numbers, places });
  }
  const object = await writer.end({
    kind: "end",
    endLsn: record.endLsn,
    endTimeline: timeline,
    endedAt: record.endedAt,
    fileCount: 0,
    dataBytes: record.dataBytes,
    chunkCount,
    catalogVersion: 202_307_071,
    blockBytes: 8192,
    relationSegmentBlocks: 131_072,
    walSegmentBytes: SEGMENT_BYTES,
    dataChecksumVersion: 1,
  });
  await vault.store.put(object.name, object.parts);
  await announce(vault, record, {});
}

async function makeVault(count: number): Promise<Vault> {
  const memory = openMemoryStore({ clock: systemClock });
  const segments = Math.ceil(count / 2);
  const packsEach = Math.max(1, Math.floor(count / 2 / BACKUPS));
  const store = simulated(memory, { packs: packsEach * BACKUPS, segments });
  const tools = { store, clock: systemClock, random: systemRandom };
  const { vault } = await initVault(tools, { kind: "open" }, {});
  for (let number = 0; number < BACKUPS; number += 1) {
    const packs = Array.from({ length: packsEach }, (_, index) => packId(number * packsEach + index));
    const segment = Math.floor((number * (segments - 1)) / BACKUPS);
    await storeBackup(vault, { packs, segment, at: systemClock.now() - (BACKUPS - number) * HOUR_MS });
  }
  return vault;
}

const LOOKS: Readonly<Record<ScaleLook, (vault: Vault) => Promise<void>>> = {
  backups: async (vault) => {
    const { backups } = await listBackups(vault, {}, {});
    await listProofs(vault, {}, {});
    if (backups.length !== BACKUPS) throw new Error(`${backups.length} backups`);
  },
  check: async (vault) => {
    const report = await checkVault(vault, { readData: false, onProgress: () => undefined });
    const whole = report.backups.filter((backup) => backup.whole).length;
    if (whole !== BACKUPS || report.unreferencedPacks.length > 0) throw new Error(`${whole} backups are whole`);
  },
  prune: async (vault) => {
    const windows = { hourly: 24, daily: 7, weekly: 4 };
    const policy = { windows, manualDays: undefined, graceMs: 24 * HOUR_MS, named: new Set<never>() };
    const plan = await planPrune(vault, { policy, proofs: new Map(), unopenedProofs: [] }, {});
    if (plan.decision.blockedBy !== undefined) throw new Error("nothing would be pruned");
  },
  points: async (vault) => {
    const { backups } = await listBackups(vault, { systemId }, {});
    const wal = new HeldWal({ vault, files: systemFiles, systemId }, SEGMENT_BYTES);
    const { ranges, stranded } = recoveryPoints(backups, await wal.holdings({}));
    if (ranges.length !== 1 || stranded.length > 0) throw new Error(`${ranges.length} ranges`);
  },
};

/** Makes a vault of so many objects and looks through it; what making it took is left out. */
export async function lookThrough(look: ScaleLook, count: number): Promise<LookUsage> {
  const vault = await makeVault(count);
  globalThis.gc?.();
  // The kernel's high-water mark begins anew: proc(5), clear_refs.
  writeFileSync("/proc/self/clear_refs", "5");
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  await LOOKS[look](vault);
  const wallMs = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const status = (await systemFiles.readFile("/proc/self/status")).toString("latin1");
  const peakRssBytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  return { wallMs, cpuMs: (user + system) / 1000, peakRssBytes };
}

if (import.meta.main) {
  const [look, count] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(await lookThrough(look as ScaleLook, Number(count)))}\n`);
}
