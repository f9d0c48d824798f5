/**
 * Which backups a vault has.
 *
 * Nouns: `started` marks a backup under way; `announced` is the record that makes it a backup; one that has a started
 * marker and no announcement is unfinished, and nobody is ever offered it; a `tombstone` says that a backup is to go, and
 * nobody is offered it any more, though all of it is still there until a grace period has passed.
 * Invariants: the announcement is put after everything that the backup needs was stored and read back; of a backup
 * nothing is deleted before it has had a tombstone for that long.
 */
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import type { RandomSource } from "../platform/random.ts";
import type { SystemId, Timeline } from "../postgres/lsn.ts";
import { BACKUPS_PREFIX, type BackupId, backupName, parseBackupName } from "./names.ts";
import { isReadableJson, refusedJson } from "./refused-json.ts";
import { opensForOthers } from "./unopened.ts";
import { getBlob, putBlob, type Vault } from "./vault.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

const whole = z.number().int().min(0);

/** For which tier of retention backups are taken; the first three are pruned by time window, the last by its age alone. */
const BACKUP_TIERS = ["hourly", "daily", "weekly", "manual"] as const;

/** A tier of retention. */
export type BackupTier = (typeof BACKUP_TIERS)[number];

const recordSchema = z.strictObject({
  format: z.literal("lifeboat-backup"),
  version: z.literal(1),
  backupId: z.string().transform((text) => text as BackupId),
  systemId: z.string().transform((text) => text as SystemId),
  label: z.string(),
  tier: z.enum(BACKUP_TIERS),
  serverVersion: whole,
  /** The timeline the backup was taken on, and the WAL it needs to be consistent. */
  timeline: whole.transform((value) => value as Timeline),
  startLsn: z.string(),
  endLsn: z.string(),
  walSegmentBytes: whole,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  /** Why every page was stored; null for a backup that kept pages of its parent. */
  whyFull: z.string().nullable(),
  parent: z.string().nullable(),
  fileCount: whole,
  /** Bytes a restore writes. */
  dataBytes: whole,
  /** Bytes this backup added to the vault. */
  storedBytes: whole,
  durationMs: whole,
});

/** A backup that was announced. */
export type BackupRecord = z.output<typeof recordSchema>;

/** A backup that is to go. */
export type TombstonedBackup = {
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  /** When it got its tombstone, by the store's clock. */
  readonly tombstonedMs: number;
  /** False once its announcement was deleted: then there is no way back. */
  readonly announced: boolean;
  /** Undefined when its announcement is gone, or does not open. */
  readonly record: BackupRecord | undefined;
  /** Why its announcement does not open. */
  readonly reason?: LifeboatError | undefined;
};

/** What a listing found. */
export type BackupListing = {
  /** Oldest first. */
  readonly backups: readonly BackupRecord[];
  /** Oldest first. None of them is among the others. */
  readonly tombstoned: readonly TombstonedBackup[];
  /** Started and never announced: under way, or left by a crash. */
  readonly unfinished: readonly {
    readonly systemId: SystemId;
    readonly backupId: BackupId;
    readonly startedMs: number;
  }[];
  /** Announcements that do not open, with the reason. */
  readonly damaged: readonly {
    readonly backupId: BackupId;
    readonly systemId: SystemId;
    readonly reason: LifeboatError;
  }[];
};

/** No backup takes a week: one that was begun longer ago and not announced is left behind (`vault.backup-abandoned`). */
export const LEFT_BEHIND_MS = 7 * 86_400_000;

/** Makes a backup's name from the time and eight random digits. */
export function createBackupId(now: Instant, random: RandomSource): BackupId {
  const stamp = formatInstant(now)
    .toLowerCase()
    .replace(/\.\d+z$/, "z")
    .replace(/[-:]/g, "");
  return `${stamp}-${random(4).toString("hex")}` as BackupId;
}

/** Marks a backup as under way. */
export async function markStarted(
  vault: Vault,
  backup: { readonly systemId: SystemId; readonly backupId: BackupId },
  facts: { readonly startedAt: string; readonly label: string },
  options: CallOptions,
): Promise<void> {
  const plain = Buffer.from(JSON.stringify({ format: "lifeboat-backup-started", version: 1, ...facts }));
  await putBlob(vault, { name: backupName(backup, "started"), plain }, options);
}

/**
 * Announces a backup: from now on it is one. Throws `vault.backup-abandoned` when its started marker is gone: then a prune
 * has taken it for left behind, and its packs with it.
 */
export async function announce(vault: Vault, record: BackupRecord, options: CallOptions): Promise<void> {
  if ((await vault.store.head(backupName(record, "started"), options)) === undefined) {
    throw new LifeboatError("vault.backup-abandoned", {
      message: `backup ${record.backupId} cannot be announced: its started marker is no longer in ${vault.store.name}`,
      remedy: "Take the backup again; a prune removes what was begun a week ago and not announced since.",
    });
  }
  const plain = Buffer.from(JSON.stringify(record));
  await putBlob(vault, { name: backupName(record, "announced"), plain }, options);
}

/** Lists the backups of all systems, or of one. Damage to one record hides no other. */
export async function listBackups(
  vault: Vault,
  of: { readonly systemId?: SystemId | undefined },
  options: CallOptions,
): Promise<BackupListing> {
  const prefix = of.systemId === undefined ? BACKUPS_PREFIX : `${BACKUPS_PREFIX}${of.systemId}/`;
  const started = new Map<BackupId, BackupListing["unfinished"][number]>();
  const tombstones = new Map<BackupId, TombstonedBackup>();
  const announced: { readonly key: string; readonly systemId: SystemId; readonly backupId: BackupId }[] = [];
  for await (const facts of vault.store.list(prefix, options)) {
    const named = parseBackupName(facts.key);
    if (named === undefined) continue;
    const { systemId, backupId } = named;
    if (named.part === "started") started.set(backupId, { systemId, backupId, startedMs: facts.storedMs });
    if (named.part === "announced") announced.push({ systemId, backupId, key: facts.key });
    if (named.part !== "tombstone") continue;
    const tombstone = { systemId, backupId, tombstonedMs: facts.storedMs, announced: false, record: undefined };
    tombstones.set(backupId, tombstone);
  }
  const backups: BackupRecord[] = [];
  const damaged: BackupListing["damaged"][number][] = [];
  for (const each of announced) {
    const tombstone = tombstones.get(each.backupId);
    started.delete(each.backupId);
    try {
      const record = await readRecord(vault, each.key, options);
      if (tombstone === undefined) backups.push(record);
      else tombstones.set(each.backupId, { ...tombstone, announced: true, record });
    } catch (error) {
      // A prune on another machine may be deleting it.
      if (tombstone !== undefined && isLifeboatError(error, "store.object-missing")) continue;
      if (!isLifeboatError(error) || !tellsDamage(error)) throw error;
      if (tombstone === undefined) {
        damaged.push({ backupId: each.backupId, systemId: each.systemId, reason: error });
      } else tombstones.set(each.backupId, { ...tombstone, announced: true, reason: error });
    }
  }
  for (const backupId of tombstones.keys()) started.delete(backupId);
  const byName = (a: { readonly backupId: BackupId }, b: { readonly backupId: BackupId }) =>
    a.backupId < b.backupId ? -1 : 1;
  return {
    // By their end, not by name: two may begin in the same second, and their names then sort by chance.
    backups: backups.sort((a, b) => (`${a.endedAt} ${a.backupId}` < `${b.endedAt} ${b.backupId}` ? -1 : 1)),
    tombstoned: [...tombstones.values()].sort(byName),
    unfinished: [...started.values()],
    damaged,
  };
}

/** One announced backup by its name. Throws `vault.backup-unknown`. */
export async function findBackup(vault: Vault, backupId: string, options: CallOptions): Promise<BackupRecord> {
  const { backups } = await listBackups(vault, {}, options);
  const found = backups.find((backup) => backup.backupId === backupId);
  if (found !== undefined) return found;
  throw new LifeboatError("vault.backup-unknown", {
    message: `the vault in ${vault.store.name} has no backup ${backupId}, it has ${backups.length} others`,
    remedy: "List them with `lifeboat backups`.",
  });
}

function tellsDamage(error: LifeboatError): boolean {
  return error.code === "vault.object-damaged" || opensForOthers(error);
}

/** Whether these bytes are such a record, of this version or a later one. */
export function isBackupRecord(plain: Buffer): boolean {
  return isReadableJson(plain, recordSchema);
}

async function readRecord(vault: Vault, key: string, options: CallOptions): Promise<BackupRecord> {
  const text = (await getBlob(vault, key, options)).toString("utf8");
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw refusedJson(key, text, { why: "it is not an announcement this version can read", cause });
  }
}
