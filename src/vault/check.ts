/**
 * Looks a vault over and says what can still be restored.
 *
 * Nouns: a *finding* is one thing wrong with one object; a backup is *whole* when its manifest opens, every pack it names
 * is there with its size, and so is the WAL that makes it consistent (and, when data was read, all of it opens).
 * Invariant: one damaged object hides no other: everything is looked at, then judged. Nothing is changed.
 */
import type { LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import {
  type Lsn,
  lsnAdd,
  parseLsn,
  parseSegmentName,
  type SystemId,
  segmentName,
  segmentStart,
} from "../postgres/lsn.ts";
import { type BackupRecord, listBackups } from "./backups.ts";
import { BatchFetcher } from "./batches.ts";
import { objectDamaged, objectMissing } from "./header.ts";
import { readGivenWraps } from "./key-open.ts";
import { lostAnnouncements } from "./lost-announcements.ts";
import { lostHistories, noteLeft, type TimelinesLeft } from "./lost-histories.ts";
import { type ChunkTable, type ManifestFile, readManifest, ZERO_CHUNK } from "./manifest.ts";
import { judgeMarkers } from "./marker.ts";
import {
  type BackupId,
  historyKey,
  KEY_NOTES_PREFIX,
  PACKS_PREFIX,
  packName,
  parseBackupName,
  parseHoldName,
  parseWalKey,
  proofName,
  segmentKey,
  VAULT_MARKER_COPY,
  WAL_PREFIX,
} from "./names.ts";
import type { PackFacts } from "./pack.ts";
import { checkPackBytes, chunksByPack } from "./pack-reader.ts";
import { listProofs } from "./proofs.ts";
import { isRestoreProgram, PRESENT_PROGRAM, PROGRAMS_PREFIX } from "./restore-program.ts";
import { tellsLoss } from "./unopened.ts";
import { getBlob, type Vault } from "./vault.ts";
import { getHistory } from "./wal-store.ts";

/** One thing that is wrong. */
export type Finding = { readonly object: string; readonly reason: LifeboatError };

/** What a check found. */
export type VaultReport = {
  readonly backups: readonly {
    readonly backup: BackupRecord;
    readonly whole: boolean;
    readonly findings: readonly Finding[];
  }[];
  /** Announcements, proofs, markers, holds, key wraps and WAL that do not open, and announcements that are lost: findings outside of any readable backup. */
  readonly findings: readonly Finding[];
  /** Objects that make the vault safer, which the next backup or a repair stores: the copy of its marker, the restore program. */
  readonly lacking: readonly string[];
  readonly unfinished: readonly { readonly systemId: SystemId; readonly backupId: BackupId }[];
  /**
   * Packs that no backup names, with a tombstone or without: left by a crash, or of a backup under way. Harmless. None are listed while a
   * record or a manifest cannot be read, since it may name them.
   */
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
  const fetcher = new BatchFetcher(vault);
  try {
    return await checkWith(fetcher, vault, options);
  } finally {
    await fetcher.close();
  }
}

async function checkWith(fetcher: BatchFetcher, vault: Vault, options: CheckOptions): Promise<VaultReport> {
  // The backups first: what an announced backup names was stored before it, so a later listing has it.
  const listing = await listBackups(vault, {}, options);
  const sizes = await listSizes(vault, options);
  const progress = new ReadProgress(options, sizes);
  const wal = await checkWal(vault, { sizes, backups: listing.backups, progress }, options);
  const packs = new PackChecks({ vault, fetcher }, sizes, progress, options);
  const backups: VaultReport["backups"][number][] = [];
  for (const backup of listing.backups) {
    throwIfAborted(options.signal, "checking backups");
    const findings = [...(await checkBackup(vault, backup, packs, options)), ...walFindings(backup, wal)];
    backups.push({ backup, whole: findings.length === 0, findings });
  }
  for (const backup of listing.tombstoned) {
    // It is to go: what is wrong with it harms nobody, but its packs are not left over.
    const unread = await damageOf(async () => {
      const { chunks } = await readManifest(vault, backup, {}, options);
      for (const pack of chunks.packs) packs.named.add(packName(pack.id));
    });
    packs.unknown ||= unread !== undefined && backup.announced;
  }
  const findings: Finding[] = listing.damaged.map((each) => ({ object: nameOf(each), reason: each.reason }));
  const programs = await checkPrograms(vault, options);
  const markers = await judgeMarkers(vault, options);
  findings.push(...markers.findings, ...(await checkKeyWraps(vault, options)), ...programs.findings);
  findings.push(...(await checkMarkers(vault, sizes, options)));
  const { unfinished } = listing;
  for (const { object, reason } of lostAnnouncements({ names: sizes, unfinished, now: vault.clock.now() })) {
    findings.push({ object, reason });
  }
  const proofs = await listProofs(vault, {}, options);
  findings.push(...proofs.damaged.map((proof) => ({ object: proofName(proof), reason: proof.reason })));
  for (const [object, reason] of wal.damaged) if (!wal.needed.has(object)) findings.push({ object, reason });
  const told = new Set(backups.flatMap((backup) => backup.findings.map(({ object }) => object)));
  for (const { object, reason } of lostHistories({
    names: sizes.keys(),
    backups: listing.backups,
    left: wal.left,
    walSegmentBytes: wal.segmentBytes,
  })) {
    if (!told.has(object) && (await vault.store.head(object, options)) === undefined) findings.push({ object, reason });
  }
  // What an unreadable record or manifest names is not known: then no pack can be said to be named by none.
  const allRead = listing.damaged.length === 0 && !packs.unknown;
  const unnamed = [...sizes.keys()].filter((key) => key.startsWith(PACKS_PREFIX) && !packs.named.has(key));
  return {
    backups,
    findings,
    lacking: [...(markers.lacksCopy ? [VAULT_MARKER_COPY] : []), ...programs.lacking],
    unfinished,
    unreferencedPacks: allRead ? unnamed : [],
    walSegmentCount: wal.segmentCount,
    readBytes: progress.doneBytes,
  };
}

/** Looks one backup over, all of its data too, as `checkVault` does; the record need not be announced. */
export async function checkOneBackup(
  vault: Vault,
  backup: BackupRecord,
  call: { readonly signal?: AbortSignal | undefined },
): Promise<readonly Finding[]> {
  const options = { ...call, readData: true, onProgress: () => undefined };
  const sizes = await listSizes(vault, options);
  const needed = new Set(segmentsOf(backup));
  const own = new Map([...sizes].filter(([key]) => needed.has(key)));
  const progress = new ReadProgress(options, own);
  const wal = await checkWal(vault, { sizes: own, backups: [backup], progress }, options);
  const fetcher = new BatchFetcher(vault);
  try {
    const packs = new PackChecks({ vault, fetcher }, sizes, progress, options);
    return [...(await checkBackup(vault, backup, packs, options)), ...walFindings(backup, wal)];
  } finally {
    await fetcher.close();
  }
}

class ReadProgress {
  readonly #options: CheckOptions;
  readonly #totalBytes: number;
  doneBytes = 0;

  constructor(options: CheckOptions, sizes: ReadonlyMap<string, number>) {
    this.#options = options;
    let total = 0;
    for (const [key, sizeBytes] of sizes) {
      const isData = key.startsWith(PACKS_PREFIX) || parseWalKey(key)?.kind === "segment";
      if (isData ? options.readData : key.startsWith(WAL_PREFIX)) total += sizeBytes;
    }
    this.#totalBytes = total;
  }

  add(bytes: number): void {
    this.doneBytes += bytes;
    this.#options.onProgress({ doneBytes: this.doneBytes, totalBytes: this.#totalBytes });
  }
}

/** A pack with the chunks that a backup needs of it. */
type PackChunks = { readonly table: ChunkTable; readonly pack: PackFacts; readonly numbers: readonly number[] };

/** Checks each pack once, however many backups name it. */
class PackChecks {
  readonly named = new Set<string>();
  /** Set when a manifest could not be read: which packs it names nobody knows. */
  unknown = false;
  readonly #vault: Vault;
  readonly #fetcher: BatchFetcher;
  readonly #sizes: ReadonlyMap<string, number>;
  readonly #progress: ReadProgress;
  readonly #options: CheckOptions;
  readonly #results = new Map<string, LifeboatError | undefined>();

  constructor(
    tools: { readonly vault: Vault; readonly fetcher: BatchFetcher },
    sizes: ReadonlyMap<string, number>,
    progress: ReadProgress,
    options: CheckOptions,
  ) {
    this.#vault = tools.vault;
    this.#fetcher = tools.fetcher;
    this.#sizes = sizes;
    this.#progress = progress;
    this.#options = options;
  }

  async check(wanted: PackChunks): Promise<LifeboatError | undefined> {
    const name = packName(wanted.pack.id);
    this.named.add(name);
    if (!this.#results.has(name)) this.#results.set(name, await this.#look(wanted, name));
    return this.#results.get(name);
  }

  async #look(wanted: PackChunks, name: string): Promise<LifeboatError | undefined> {
    const { pack } = wanted;
    const sizeBytes = this.#sizes.get(name);
    if (sizeBytes === undefined) return objectMissing(name);
    if (sizeBytes !== pack.sizeBytes)
      return objectDamaged(name, `it has ${sizeBytes} bytes, ${pack.sizeBytes} were stored`);
    if (!this.#options.readData) return undefined;
    const result = await damageOf(async () => {
      await checkPackBytes(this.#vault, pack, this.#options);
      // That they open is all that is asked of them.
      for await (const _ of this.#fetcher.fetch(wanted, this.#options));
    });
    this.#progress.add(pack.sizeBytes);
    return result;
  }
}

async function checkBackup(
  vault: Vault,
  backup: BackupRecord,
  packs: PackChecks,
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const object = nameOf({ ...backup, part: "manifest" });
  let table: ChunkTable | undefined;
  let history: string | undefined;
  const reason = await damageOf(async () => {
    const { chunks, header } = await readManifest(vault, backup, {}, options);
    table = chunks;
    history = header.history ?? undefined;
    let broken: string | undefined;
    const onFile = (file: ManifestFile): void => {
      if (!liesInside(file, chunks)) broken ??= file.path;
    };
    // Read a second time, now that all chunks are known: a manifest may have more files than fit in memory.
    await readManifest(vault, backup, { onFile }, options);
    if (broken !== undefined) throw objectDamaged(object, `the bytes of ${broken} lie outside of its chunks`);
  });
  if (reason !== undefined) findings.push({ object, reason });
  packs.unknown ||= table === undefined;
  if (table !== undefined) findings.push(...(await checkPacks(table, packs)));
  if (history !== undefined) findings.push(...(await checkHistory(vault, { backup, history }, options)));
  return findings;
}

/** The history of the backup's timeline, without which a server could begin one that there is already (safety rule B10). */
async function checkHistory(
  vault: Vault,
  of: { readonly backup: BackupRecord; readonly history: string },
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const object = historyKey(of.backup);
  const reason = await damageOf(async () => {
    const held = await getHistory(vault, of.backup, options);
    if (held === undefined) throw objectMissing(object);
    if (held.toString("utf8") !== of.history) throw objectDamaged(object, "it is not what the manifest says");
  });
  return reason === undefined ? [] : [{ object, reason }];
}

async function checkPacks(table: ChunkTable, packs: PackChecks): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const numbers = chunksByPack(table);
  for (const [index, pack] of table.packs.entries()) {
    const reason = await packs.check({ table, pack, numbers: numbers[index] ?? [] });
    if (reason !== undefined) findings.push({ object: packName(pack.id), reason });
  }
  return findings;
}

function liesInside(file: ManifestFile, table: ChunkTable): boolean {
  if (file.kind === "bytes") return piecesLieInside(file.pieces, table);
  if (file.kind !== "pages") return true;
  for (let at = 0; at < file.extents.length; at += 4) {
    const [, pages = 0, chunk = 0, slot = 0] = file.extents.slice(at, at + 4);
    if (chunk !== ZERO_CHUNK && (slot + pages) * BLOCK_BYTES > (table.plainBytes[chunk] ?? 0)) return false;
  }
  return piecesLieInside(file.fingerprints, table);
}

function piecesLieInside(pieces: readonly number[], table: ChunkTable): boolean {
  for (let at = 0; at < pieces.length; at += 3) {
    const [chunk = 0, from = 0, length = 0] = pieces.slice(at, at + 3);
    if (from + length > (table.plainBytes[chunk] ?? 0)) return false;
  }
  return true;
}

type WalChecks = {
  readonly segmentCount: number;
  /** By object. */
  readonly damaged: ReadonlyMap<string, LifeboatError>;
  /** The segments that make some backup consistent. */
  readonly needed: ReadonlySet<string>;
  /** What the histories say of the timelines that they name. */
  readonly left: TimelinesLeft;
  readonly segmentBytes: ReadonlyMap<SystemId, number>;
};

/** Looks for the WAL that backups need, opens every history, and with `readData` every segment. */
async function checkWal(
  vault: Vault,
  held: {
    readonly sizes: ReadonlyMap<string, number>;
    readonly backups: readonly BackupRecord[];
    readonly progress: ReadProgress;
  },
  options: CheckOptions,
): Promise<WalChecks> {
  const segmentBytes = new Map(held.backups.map((backup) => [backup.systemId, backup.walSegmentBytes]));
  const needed = new Set(held.backups.flatMap((backup) => [...segmentsOf(backup)]));
  const damaged = new Map<string, LifeboatError>();
  const left = new Map<string, Lsn>();
  let segmentCount = 0;
  for (const [key, sizeBytes] of held.sizes) {
    const named = parseWalKey(key);
    if (named === undefined) continue;
    throwIfAborted(options.signal, "checking WAL");
    if (named.kind === "segment") segmentCount += 1;
    if (named.kind === "segment" && !options.readData) continue;
    const reason = await damageOf(async () => {
      const plain = await getBlob(vault, key, options);
      held.progress.add(sizeBytes);
      if (named.kind === "segment") checkSegment(key, { ...named, plain }, segmentBytes.get(named.systemId));
      else noteLeft(left, named, plain);
    });
    if (reason !== undefined && (needed.has(key) || !isGone(reason))) damaged.set(key, reason);
  }
  for (const key of needed) if (!held.sizes.has(key)) damaged.set(key, objectMissing(key));
  return { segmentCount, damaged, needed, left, segmentBytes };
}

function checkSegment(
  key: string,
  held: { readonly segment: string; readonly plain: Buffer },
  expectedBytes: number | undefined,
): void {
  if (expectedBytes === undefined) return;
  if (held.plain.byteLength !== expectedBytes) {
    throw objectDamaged(key, `it holds ${held.plain.byteLength} bytes, a segment has ${expectedBytes}`);
  }
  if (parseSegmentName(held.segment, expectedBytes) === undefined) {
    throw objectDamaged(key, "its name is not one a segment of this size can have");
  }
}

/** The objects of the WAL from a backup's start to its end. */
function* segmentsOf(backup: BackupRecord): Generator<string> {
  const { systemId, timeline, walSegmentBytes } = backup;
  const end = parseLsn(backup.endLsn);
  let lsn = segmentStart(parseLsn(backup.startLsn), walSegmentBytes);
  for (; lsn < end; lsn = lsnAdd(lsn, walSegmentBytes)) {
    yield segmentKey({ systemId, segment: segmentName({ timeline, lsn, walSegmentBytes }) });
  }
}

function walFindings(backup: BackupRecord, wal: WalChecks): readonly Finding[] {
  const findings: Finding[] = [];
  for (const object of segmentsOf(backup)) {
    const reason = wal.damaged.get(object);
    if (reason !== undefined) findings.push({ object, reason });
  }
  return findings;
}

/** Key wraps that are none: whoever holds their passphrase or recovery key could no longer open the vault. */
async function checkKeyWraps(vault: Vault, options: CheckOptions): Promise<readonly Finding[]> {
  const { unreadable, ungiven } = await readGivenWraps(vault.store, options);
  const why = "it is not a key wrap this version can read, or not that of its name";
  const damaged = unreadable.map((object) => ({ object, reason: objectDamaged(object, why) }));
  return [...damaged, ...ungiven.map(({ name, reason }) => ({ object: name, reason }))];
}

/**
 * What works by its name alone, whatever is in it: markers of backups, holds, notes. One that does not open harms nobody, and
 * tells of a disk that errs.
 */
async function checkMarkers(
  vault: Vault,
  sizes: ReadonlyMap<string, number>,
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const key of sizes.keys()) {
    if (!isMarker(key)) continue;
    const reason = await damageOf(async () => void (await getBlob(vault, key, options)));
    if (reason !== undefined && !isGone(reason)) findings.push({ object: key, reason });
  }
  return findings;
}

/** Released, pruned or brought back since it was listed. */
function isGone({ code }: LifeboatError): boolean {
  return code === "store.object-missing";
}

function isMarker(key: string): boolean {
  if (key.startsWith(KEY_NOTES_PREFIX) || parseHoldName(key) !== undefined) return true;
  const part = parseBackupName(key)?.part;
  return part === "started" || part === "tombstone";
}

/** Restore programs that are not the ones we know: whoever runs one gives it his passphrase. And whether there is one to be run. */
async function checkPrograms(vault: Vault, options: CheckOptions): Promise<Pick<VaultReport, "findings" | "lacking">> {
  const findings: Finding[] = [];
  let known = 0;
  for await (const { key } of vault.store.list(PROGRAMS_PREFIX, options)) {
    const reason = await damageOf(async () => {
      const isOurs = isRestoreProgram(key, await vault.store.get(key, options));
      if (isOurs === true) known += 1;
      if (isOurs !== false) return;
      throw objectDamaged(key, "it is not the restore program of this version: do not run it");
    });
    if (reason !== undefined) findings.push({ object: key, reason });
  }
  const isLacking = known === 0 && !findings.some(({ object }) => object === PRESENT_PROGRAM);
  return { findings, lacking: isLacking ? [PRESENT_PROGRAM] : [] };
}

async function damageOf(work: () => Promise<void>): Promise<LifeboatError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (tellsLoss(error)) return error;
    throw error;
  }
}

async function listSizes(vault: Vault, options: CheckOptions): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const facts of vault.store.list("", options)) sizes.set(facts.key, facts.sizeBytes);
  return sizes;
}

function nameOf(backup: { readonly systemId: SystemId; readonly backupId: BackupId; readonly part?: string }): string {
  const name = `backups/${backup.systemId}/${backup.backupId}/${backup.part ?? "announced"}`;
  return parseBackupName(name) === undefined ? String(backup.backupId) : name;
}
