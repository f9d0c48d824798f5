/**
 * Looks at a backup as it lies in the vault: all of it there (`present`), every byte of it as it was stored (`intact`).
 *
 * Invariants: one damaged object hides no other; what the store could not answer is thrown and never taken for damage;
 * memory is bounded however large the backup is: files are compared in batches.
 */

import { databaseMoved } from "../backup/database-moved.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { formatLsn, type Lsn, parseLsn, timelineOfSegment } from "../postgres/lsn.ts";
import { ImageCopies } from "../restore/moved-databases.ts";
import { PlacementTable } from "../restore/placements.ts";
import type { RestorePlan } from "../restore/plan.ts";
import type { RestoreWal } from "../restore/restore-wal.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { BatchFetcher, type FetchedBatch } from "../vault/batches.ts";
import { crc32 } from "../vault/crc32.ts";
import { objectDamaged, objectMissing } from "../vault/header.ts";
import { type ChunkTable, type ManifestFile, type PagesFile, readManifest, ZERO_CHUNK } from "../vault/manifest.ts";
import { KEYS_PREFIX, PACKS_PREFIX, packName, parseKeyWrapName, segmentKey } from "../vault/names.ts";
import { checkPackBytes } from "../vault/pack-reader.ts";
import type { ProofFinding } from "../vault/proofs.ts";
import type { Vault } from "../vault/vault.ts";
import type { RecordCursor } from "../wal/records/cursor.ts";
import { checkSegmentHeader } from "../wal/records/page.ts";
import { scanRecords } from "../wal/records/reader.ts";
import { type CreatedTablespace, decodeTablespace } from "../wal/records/tablespaces.ts";
import { readServerEnd } from "./server-end.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What looking needs. */
export type LookTools = {
  readonly vault: Vault;
  readonly wal: RestoreWal;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
};

/** What was found, and how much was read for it. */
export type Look = { readonly findings: readonly ProofFinding[]; readonly readBytes: number };

/** LSN and CRC-32 of one page. */
const FINGERPRINT_BYTES = 12;
const LSN_BYTES = 8;
/** Fingerprints compared at a time: of 20 GiB of pages. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;

/** Errors that say what is wrong with a backup; all others say why it could not be looked at. */
const DAMAGE_CODES: ReadonlySet<string> = new Set([
  "vault.object-damaged",
  "vault.object-missing",
  "vault.format-unknown",
  "store.object-missing",
  "store.object-truncated",
  "wal.segment-missing",
  "wal.segment-damaged",
  "wal.history-damaged",
  "restore.wal-gap",
  "restore.image-incomplete",
  "restore.point-not-reached",
  "postgres.start-failed",
]);

/** The finding that an error is, or undefined when it says nothing about the backup. */
export async function findingOf(
  vault: Vault,
  error: unknown,
  object: string,
  options: CallOptions,
): Promise<ProofFinding | undefined> {
  if (!isLifeboatError(error)) return undefined;
  const named = error.details["object"];
  const finding = { object: typeof named === "string" ? named : object, code: error.code, message: error.message };
  if (error.code === "vault.key-missing") {
    // A key that the vault has is one that our secret does not open; one that nobody has is a damaged header.
    return (await hasKey(vault, String(error.details["keyId"]), options)) ? undefined : finding;
  }
  const log = error.details["logTail"];
  // A setting, a missing file of another machine, a role that cannot log in: only damage is the backup's.
  if (typeof log === "string" && readServerEnd(log).kind !== "damage") return undefined;
  if (error.code === "postgres.start-failed" && log === undefined) return undefined;
  // A server that only needs longer is no fault of the backup.
  return DAMAGE_CODES.has(error.code) && !error.retryable ? finding : undefined;
}

async function hasKey(vault: Vault, keyId: string, options: CallOptions): Promise<boolean> {
  for await (const { key } of vault.store.list(KEYS_PREFIX, options)) {
    if (parseKeyWrapName(key)?.keyId === keyId) return true;
  }
  return false;
}

/** Every object of the backup is in the listing, packs with the size that was recorded; the manifest opens. */
export async function lookPresent(
  { vault }: LookTools,
  of: { readonly backup: BackupRecord; readonly plan: RestorePlan },
  options: CallOptions,
): Promise<Look> {
  const findings: ProofFinding[] = [];
  const { chunks } = await readManifest(vault, of.backup, {}, options);
  const packs = await sizesOf(vault, PACKS_PREFIX, options);
  for (const pack of chunks.packs) {
    const name = packName(pack.id);
    const sizeBytes = packs.get(name);
    if (sizeBytes === pack.sizeBytes) continue;
    const why = `it has ${sizeBytes} bytes, ${pack.sizeBytes} were stored`;
    pushFinding(findings, sizeBytes === undefined ? objectMissing(name) : objectDamaged(name, why), name);
  }
  const { systemId } = of.plan;
  for (const { name } of of.plan.segments) {
    const key = segmentKey({ systemId, segment: name });
    if ((await vault.store.head(key, options)) === undefined) pushFinding(findings, objectMissing(key), key);
  }
  return { findings, readBytes: 0 };
}

async function sizesOf(vault: Vault, prefix: string, options: CallOptions): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, sizeBytes } of vault.store.list(prefix, options)) sizes.set(key, sizeBytes);
  return sizes;
}

/**
 * Every byte of the backup and of its WAL is read, opened and compared with what was recorded of it. Answers also with the
 * tablespaces that the WAL creates.
 */
export async function lookIntact(
  tools: LookTools,
  of: { readonly backup: BackupRecord; readonly plan: RestorePlan },
  options: CallOptions,
): Promise<Look & { readonly tablespaces: readonly CreatedTablespace[] }> {
  const files: ManifestFile[] = [];
  const { chunks } = await readManifest(tools.vault, of.backup, { onFile: (file) => files.push(file) }, options);
  const packBytes = chunks.packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const totalBytes = packBytes + of.plan.segments.reduce((sum, { validBytes }) => sum + validBytes, 0);
  let readBytes = 0;
  const read = (bytes: number): void => {
    readBytes += bytes;
    tools.onProgress({ doneBytes: Math.min(readBytes, totalBytes), totalBytes });
  };
  const findings: ProofFinding[] = [];
  const damagedPacks = new Set<number>();
  for (const [index, pack] of chunks.packs.entries()) {
    throwIfAborted(options.signal, "reading packs");
    const check = (): Promise<void> => checkPackBytes(tools.vault, pack, options);
    const damage = await damageIn(tools.vault, packName(pack.id), check, options);
    if (damage !== undefined) {
      findings.push(damage);
      damagedPacks.add(index);
    }
    read(pack.sizeBytes);
  }
  const fetcher = new BatchFetcher(tools.vault);
  try {
    for (const batch of batchesOf(files)) {
      const compared = await compareBatch({ ...tools, fetcher }, { batch, chunks, damagedPacks }, options);
      findings.push(...compared);
    }
  } finally {
    await fetcher.close();
  }
  const tablespaces: CreatedTablespace[] = [];
  findings.push(...(await readWal(tools, { ...of, tablespaces }, read, options)));
  return { findings, readBytes, tablespaces };
}

/** Files whose fingerprints fit in memory together. */
function* batchesOf(files: readonly ManifestFile[]): Generator<readonly ManifestFile[]> {
  let batch: ManifestFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.kind === "folder" || file.kind === "link") continue;
    const needed = file.kind === "pages" ? (file.sizeBytes / BLOCK_BYTES) * FINGERPRINT_BYTES : 0;
    if (batch.length > 0 && bytes + needed > BATCH_BYTES_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += needed;
  }
  if (batch.length > 0) yield batch;
}

type Batch = {
  readonly batch: readonly ManifestFile[];
  readonly chunks: ChunkTable;
  readonly damagedPacks: Set<number>;
};

/** Opens every chunk that the files use, and compares each page with its fingerprint. */
async function compareBatch(
  { vault, fetcher }: { readonly vault: Vault; readonly fetcher: BatchFetcher },
  of: Batch,
  options: CallOptions,
): Promise<readonly ProofFinding[]> {
  const comparison = new Comparison(of.batch);
  const findings: ProofFinding[] = [];
  const byPack: number[][] = of.chunks.packs.map(() => []);
  for (const number of comparison.chunks) byPack[of.chunks.packOf[number] ?? 0]?.push(number);
  let complete = true;
  for (const [index, pack] of of.chunks.packs.entries()) {
    const numbers = byPack[index] ?? [];
    if (numbers.length === 0) continue;
    if (of.damagedPacks.has(index)) {
      complete = false;
      continue;
    }
    const take = async (): Promise<void> => {
      for await (const fetched of fetcher.fetch({ table: of.chunks, numbers }, options)) comparison.takeAll(fetched);
    };
    const damage = await damageIn(vault, packName(pack.id), take, options);
    if (damage === undefined) continue;
    findings.push(damage);
    of.damagedPacks.add(index);
    complete = false;
  }
  // What a damaged pack holds is missing on both sides: the pack is the finding.
  return complete ? [...findings, ...comparison.findings()] : findings;
}

/** The fingerprints of a batch of files: as they were recorded, and as the pages say. */
class Comparison {
  readonly #files: readonly PagesFile[];
  readonly #recorded: readonly Buffer[];
  readonly #found: readonly Buffer[];
  readonly #pages = new PlacementTable();
  readonly #prints = new PlacementTable();
  readonly #others = new Map<number, { readonly file: string; end: number }>();
  readonly #outside: string[] = [];

  constructor(batch: readonly ManifestFile[]) {
    this.#files = batch.filter((file) => file.kind === "pages");
    const empty = (file: PagesFile): Buffer => Buffer.alloc((file.sizeBytes / BLOCK_BYTES) * FINGERPRINT_BYTES);
    this.#recorded = this.#files.map(empty);
    this.#found = this.#files.map(empty);
    for (const [index, file] of this.#files.entries()) this.#place(index, file);
    this.#pages.seal();
    this.#prints.seal();
    for (const file of batch) {
      if (file.kind !== "bytes") continue;
      for (let at = 0; at < file.pieces.length; at += 3) {
        const [chunk = 0, from = 0, length = 0] = file.pieces.slice(at, at + 3);
        const known = this.#others.get(chunk);
        if (known === undefined || known.end < from + length) {
          this.#others.set(chunk, { file: file.path, end: from + length });
        }
      }
    }
  }

  get chunks(): ReadonlySet<number> {
    return new Set([...this.#pages.chunks, ...this.#prints.chunks, ...this.#others.keys()]);
  }

  takeAll({ numbers, starts, plain }: FetchedBatch): void {
    for (const [index, number] of numbers.entries()) {
      this.#take(number, plain.subarray(starts[index], starts[index + 1] ?? plain.byteLength));
    }
  }

  #take(number: number, plain: Buffer): void {
    const other = this.#others.get(number);
    if (other !== undefined && other.end > plain.byteLength) this.#outside.push(other.file);
    for (const { file, to, from, length } of this.#pages.of(number)) {
      if (from + length > plain.byteLength) this.#outside.push(this.#files[file]?.path ?? "");
      else this.#print(file, to / BLOCK_BYTES, plain.subarray(from, from + length));
    }
    for (const { file, to, from, length } of this.#prints.of(number)) {
      if (from + length > plain.byteLength) this.#outside.push(this.#files[file]?.path ?? "");
      else plain.copy(this.#recorded[file] ?? plain, to, from, from + length);
    }
  }

  findings(): readonly ProofFinding[] {
    const findings: ProofFinding[] = this.#outside.map((file) => ({
      object: file,
      code: "manifest",
      message: `the bytes of ${file} lie outside of its chunks`,
    }));
    for (const [index, { path: file }] of this.#files.entries()) {
      const [recorded, found] = [this.#recorded[index], this.#found[index]];
      if (recorded === undefined || found === undefined || recorded.equals(found)) continue;
      const block = differingPage(recorded, found);
      const message = `page ${block} of ${file} is not the one that its fingerprint was made of`;
      findings.push({ object: `${file}, block ${block}`, code: "fingerprint", message });
    }
    return findings;
  }

  #place(index: number, file: PagesFile): void {
    for (let at = 0; at < file.extents.length; at += 4) {
      const [page = 0, pages = 0, chunk = 0, slot = 0] = file.extents.slice(at, at + 4);
      const length = pages * BLOCK_BYTES;
      if (chunk === ZERO_CHUNK) {
        for (let each = 0; each < pages; each += 1) this.#print(index, page + each, ZERO_PAGE);
      } else this.#pages.add({ chunk, file: index, to: page * BLOCK_BYTES, from: slot * BLOCK_BYTES, length });
    }
    this.#prints.addPieces(index, file.fingerprints);
  }

  /** Notes LSN and CRC-32 of each page, laid out as they are recorded: all LSNs, then all CRCs. */
  #print(file: number, firstPage: number, pages: Buffer): void {
    const found = this.#found[file];
    if (found === undefined) return;
    const count = found.byteLength / FINGERPRINT_BYTES;
    for (let at = 0, page = firstPage; at < pages.byteLength; at += BLOCK_BYTES, page += 1) {
      pages.copy(found, page * LSN_BYTES, at, at + LSN_BYTES);
      found.writeUInt32LE(crc32(pages.subarray(at, at + BLOCK_BYTES)), count * LSN_BYTES + page * 4);
    }
  }
}

const ZERO_PAGE = Buffer.alloc(BLOCK_BYTES);

function differingPage(recorded: Buffer, found: Buffer): number {
  const count = recorded.byteLength / FINGERPRINT_BYTES;
  for (let page = 0; page < count; page += 1) {
    const crc = count * LSN_BYTES + page * 4;
    const sameLsn = recorded.readBigUInt64LE(page * LSN_BYTES) === found.readBigUInt64LE(page * LSN_BYTES);
    if (!sameLsn || recorded.readUInt32LE(crc) !== found.readUInt32LE(crc)) return page;
  }
  return count;
}

/** Reads the planned WAL from its first segment on, record by record, each with its checksum and its link to the one before. */
async function readWal(
  { vault, wal }: LookTools,
  of: { readonly backup: BackupRecord; readonly plan: RestorePlan; readonly tablespaces: CreatedTablespace[] },
  read: (bytes: number) => void,
  options: CallOptions,
): Promise<readonly ProofFinding[]> {
  const { plan } = of;
  const findings: ProofFinding[] = [];
  const planned = new Map(plan.segments.map((segment) => [segment.name, segment]));
  const timelines = new Map(plan.segments.map((segment) => [segment.start, timelineOfSegment(segment.name)]));
  const readSegment = async (name: string): Promise<Buffer | undefined> => {
    const segment = planned.get(name);
    if (segment === undefined) return undefined;
    const object = segmentKey({ systemId: plan.systemId, segment: name });
    let bytes: Buffer | undefined;
    const fetched = async (): Promise<void> => {
      bytes = await wal.segment(name, options);
      if (bytes === undefined) throw objectMissing(object);
      const why = segmentFault(bytes, segment, plan);
      if (why !== undefined) throw segmentDamaged(name, why);
    };
    const damage = await damageIn(vault, object, fetched, options);
    read(segment.validBytes);
    if (damage === undefined) return bytes;
    findings.push(damage);
    return undefined;
  };
  const [first] = plan.segments;
  const last = plan.segments.at(-1);
  if (first === undefined || last === undefined) return findings;
  const source = {
    walSegmentBytes: plan.walSegmentBytes,
    timelineAt: (start: Lsn) => timelines.get(start) ?? plan.timeline,
    readSegment,
  };
  const copied = new ImageCopies(of.backup);
  const note = (cursor: RecordCursor): undefined => {
    const created = decodeTablespace(cursor);
    if (created !== undefined) of.tablespaces.push(created);
    copied.visit(cursor);
  };
  const end = await scanRecords(source, { from: first.start }, note, options);
  const copy = copied.unsound();
  if (copy !== undefined) pushFinding(findings, databaseMoved(copy), `backup ${of.backup.backupId}`);
  if (findings.length === 0 && (end.at < last.start || end.at < parseLsn(of.backup.endLsn))) {
    const at = plan.segments.findLast((segment) => segment.start <= end.at)?.name ?? first.name;
    pushFinding(findings, segmentDamaged(at, `valid WAL ends at ${formatLsn(end.at)} (${end.reason})`), at);
  }
  return findings;
}

function segmentFault(bytes: Buffer, segment: RestorePlan["segments"][number], plan: RestorePlan): string | undefined {
  if (bytes.byteLength < segment.validBytes || bytes.byteLength > plan.walSegmentBytes) {
    return `it has ${bytes.byteLength} bytes, ${segment.validBytes} were planned`;
  }
  const { systemId, walSegmentBytes } = plan;
  const check = checkSegmentHeader(bytes, { start: segment.start, systemId, walSegmentBytes });
  return check.kind === "bad" ? `its first page says ${check.found}, expected ${check.expected}` : undefined;
}

function segmentDamaged(name: string, why: string): LifeboatError {
  return new LifeboatError("wal.segment-damaged", {
    message: `segment ${name} is not what it should be: ${why}`,
    remedy: "Copy this segment back from another copy of the vault; `lifeboat points` shows what can be restored.",
  });
}

async function damageIn(
  vault: Vault,
  object: string,
  work: () => Promise<void>,
  options: CallOptions,
): Promise<ProofFinding | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const finding = await findingOf(vault, error, object, options);
    if (finding === undefined) throw error;
    return finding;
  }
}

function pushFinding(findings: ProofFinding[], error: LifeboatError, object: string): void {
  findings.push({ object, code: error.code, message: error.message });
}
