/**
 * Looks a vault over and says what can still be restored.
 *
 * Nouns: a *finding* is one thing wrong with one object; a backup is *whole* when its manifest opens and every pack it
 * names is there with its size (and, when data was read, opens chunk by chunk).
 * Invariant: one damaged object hides no other: everything is looked at, then judged. Nothing is changed.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { parseSegmentName, type SystemId } from "../postgres/lsn.ts";
import { type BackupRecord, listBackups } from "./backups.ts";
import { objectDamaged } from "./header.ts";
import { type ChunkTable, type ManifestFile, readManifest, ZERO_CHUNK } from "./manifest.ts";
import { type BackupId, PACKS_PREFIX, packName, parseBackupName, parseWalKey, WAL_PREFIX } from "./names.ts";
import type { PackFacts } from "./pack.ts";
import { checkPackBytes, fetchChunks, objectMissing } from "./pack-reader.ts";
import { getBlob, type Vault } from "./vault.ts";

/** One thing that is wrong. */
export type Finding = { readonly object: string; readonly reason: LifeboatError };

/** What a check found. */
export type VaultReport = {
  readonly backups: readonly {
    readonly backup: BackupRecord;
    readonly whole: boolean;
    readonly findings: readonly Finding[];
  }[];
  /** Announcements that do not open, WAL that does not open: findings outside of any readable backup. */
  readonly findings: readonly Finding[];
  readonly unfinished: readonly { readonly systemId: SystemId; readonly backupId: BackupId }[];
  /** Packs that no announced backup names: left by a crash, or of a backup under way. Harmless. */
  readonly unreferencedPacks: readonly string[];
  readonly walSegmentCount: number;
  readonly readBytes: number;
};

export type CheckOptions = {
  /** Open every chunk and every WAL segment, not only the records. */
  readonly readData: boolean;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  readonly signal?: AbortSignal | undefined;
};

/** Checks the vault. Rejects only when the store itself cannot answer. */
export async function checkVault(vault: Vault, options: CheckOptions): Promise<VaultReport> {
  const sizes = await listSizes(vault, options);
  const listing = await listBackups(vault, {}, options);
  const progress = new ReadProgress(options, sizes);
  const packs = new PackChecks(vault, sizes, progress, options);
  const backups: VaultReport["backups"][number][] = [];
  for (const backup of listing.backups) {
    throwIfAborted(options.signal, "checking backups");
    const findings = await checkBackup(vault, backup, packs, options);
    backups.push({ backup, whole: findings.length === 0, findings });
  }
  const findings: Finding[] = listing.damaged.map((each) => ({ object: nameOf(each), reason: each.reason }));
  const segments = [...sizes.keys()].filter((key) => parseWalKey(key) !== undefined);
  for (const key of segments) {
    throwIfAborted(options.signal, "checking WAL");
    if (options.readData) findings.push(...(await checkWal(vault, key, backups, progress, options)));
  }
  const unreferencedPacks = [...sizes.keys()].filter((key) => key.startsWith(PACKS_PREFIX) && !packs.named.has(key));
  return {
    backups,
    findings,
    unfinished: listing.unfinished,
    unreferencedPacks,
    walSegmentCount: segments.length,
    readBytes: progress.doneBytes,
  };
}

class ReadProgress {
  readonly #options: CheckOptions;
  readonly #totalBytes: number;
  doneBytes = 0;

  constructor(options: CheckOptions, sizes: ReadonlyMap<string, number>) {
    this.#options = options;
    let total = 0;
    for (const [key, sizeBytes] of sizes) {
      if (key.startsWith(PACKS_PREFIX) || key.startsWith(WAL_PREFIX)) total += sizeBytes;
    }
    this.#totalBytes = total;
  }

  add(bytes: number): void {
    this.doneBytes += bytes;
    this.#options.onProgress({ doneBytes: this.doneBytes, totalBytes: this.#totalBytes });
  }
}

/** Checks each pack once, however many backups name it. */
class PackChecks {
  readonly named = new Set<string>();
  readonly #vault: Vault;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #progress: ReadProgress;
  readonly #options: CheckOptions;
  readonly #results = new Map<string, LifeboatError | undefined>();

  constructor(vault: Vault, sizes: ReadonlyMap<string, number>, progress: ReadProgress, options: CheckOptions) {
    this.#vault = vault;
    this.#sizes = sizes;
    this.#progress = progress;
    this.#options = options;
  }

  async check(table: ChunkTable, pack: PackFacts): Promise<LifeboatError | undefined> {
    const name = packName(pack.id);
    this.named.add(name);
    if (!this.#results.has(name)) this.#results.set(name, await this.#look(table, pack, name));
    return this.#results.get(name);
  }

  async #look(table: ChunkTable, pack: PackFacts, name: string): Promise<LifeboatError | undefined> {
    const sizeBytes = this.#sizes.get(name);
    if (sizeBytes === undefined) return objectMissing(name);
    if (sizeBytes !== pack.sizeBytes)
      return objectDamaged(name, `it has ${sizeBytes} bytes, ${pack.sizeBytes} were stored`);
    if (!this.#options.readData) return undefined;
    const result = await damageOf(async () => {
      await checkPackBytes(this.#vault, pack, this.#options);
      await openAll(this.#vault, table, pack, this.#options);
    });
    this.#progress.add(pack.sizeBytes);
    return result;
  }
}

async function openAll(vault: Vault, table: ChunkTable, pack: PackFacts, options: CheckOptions): Promise<void> {
  const index = table.packs.indexOf(pack);
  const numbers: number[] = [];
  for (const [number, of] of table.packOf.entries()) if (of === index) numbers.push(number);
  for await (const chunk of fetchChunks(vault, { table, pack, numbers }, options)) await chunk.plain;
}

async function checkBackup(
  vault: Vault,
  backup: BackupRecord,
  packs: PackChecks,
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const broken: string[] = [];
  let table: ChunkTable | undefined;
  const files: ManifestFile[] = [];
  const unreadable = await damageOf(async () => {
    const manifest = await readManifest(vault, backup, { onFile: (file) => files.push(file) }, options);
    table = manifest.chunks;
    for (const file of files) if (!liesInside(file, manifest.chunks)) broken.push(file.path);
  });
  if (unreadable !== undefined) findings.push({ object: nameOf({ ...backup, part: "manifest" }), reason: unreadable });
  if (broken.length > 0) {
    const reason = objectDamaged(
      nameOf({ ...backup, part: "manifest" }),
      `the pages of ${broken[0]} lie outside of its chunks`,
    );
    findings.push({ object: nameOf({ ...backup, part: "manifest" }), reason });
  }
  for (const pack of table?.packs ?? []) {
    const reason = await packs.check(table as ChunkTable, pack);
    if (reason !== undefined) findings.push({ object: packName(pack.id), reason });
  }
  return findings;
}

function liesInside(file: ManifestFile, table: ChunkTable): boolean {
  if (file.kind === "pages") {
    for (let at = 0; at < file.extents.length; at += 4) {
      const [, pages = 0, chunk = 0, slot = 0] = file.extents.slice(at, at + 4);
      if (chunk !== ZERO_CHUNK && (slot + pages) * BLOCK_BYTES > (table.plainBytes[chunk] ?? 0)) return false;
    }
    return true;
  }
  if (file.kind !== "bytes") return true;
  for (let at = 0; at < file.pieces.length; at += 3) {
    const [chunk = 0, from = 0, length = 0] = file.pieces.slice(at, at + 3);
    if (from + length > (table.plainBytes[chunk] ?? 0)) return false;
  }
  return true;
}

async function checkWal(
  vault: Vault,
  key: string,
  backups: VaultReport["backups"],
  progress: ReadProgress,
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const named = parseWalKey(key);
  const reason = await damageOf(async () => {
    const plain = await getBlob(vault, key, options);
    progress.add(plain.byteLength);
    if (named?.kind !== "segment") return;
    const expected = backups.find((each) => each.backup.systemId === named.systemId)?.backup.walSegmentBytes;
    if (expected !== undefined && plain.byteLength !== expected) {
      throw objectDamaged(key, `it holds ${plain.byteLength} bytes, a segment has ${expected}`);
    }
    if (expected !== undefined && parseSegmentName(named.segment, expected) === undefined) {
      throw objectDamaged(key, "its name is not one a segment of this size can have");
    }
  });
  return reason === undefined ? [] : [{ object: key, reason }];
}

async function damageOf(work: () => Promise<void>): Promise<LifeboatError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (isLifeboatError(error) && DAMAGE_CODES.has(error.code)) return error;
    throw error;
  }
}

const DAMAGE_CODES: ReadonlySet<string> = new Set([
  "vault.object-damaged",
  "vault.object-missing",
  "vault.key-missing",
  "vault.format-unknown",
  "store.object-missing",
  "store.object-truncated",
]);

async function listSizes(vault: Vault, options: CheckOptions): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const facts of vault.store.list("", options)) sizes.set(facts.key, facts.sizeBytes);
  return sizes;
}

function nameOf(backup: { readonly systemId: SystemId; readonly backupId: BackupId; readonly part?: string }): string {
  const name = `backups/${backup.systemId}/${backup.backupId}/${backup.part ?? "announced"}`;
  return parseBackupName(name) === undefined ? String(backup.backupId) : name;
}
