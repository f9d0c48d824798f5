/**
 * Finds out what of a data directory a backup has too.
 *
 * A page is kept where it lies when its LSN and the CRC-32 of all its bytes are those that the backup noted of this page of
 * this file. Two pages that differ although their LSN is the same are one page with other hint bits, or pages of two
 * histories that parted; that their CRC is the same too happens once in four thousand million such pairs. A file of bytes is
 * kept when it has the size and the keyed SHA-256 of the backup's. Everything else is written anew, or removed.
 * Invariant: nothing is written here; what is found holds as long as nobody writes in the folders.
 */
import { createHmac, type KeyObject } from "node:crypto";
import path from "node:path";
import { ParentImage, type ParentPages } from "../backup/parent-image.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { crc32 } from "../vault/crc32.ts";
import { type BytesFile, type ManifestFile, OUTSIDE_PREFIX, type PagesFile, ZERO_CHUNK } from "../vault/manifest.ts";
import { contentNameKey } from "../vault/sealing.ts";
import type { Vault } from "../vault/vault.ts";
import { type PlannedImage, placePages } from "./image-writer.ts";
import { type Layout, MARKS, tablespaceOf } from "./layout.ts";
import { PlacementTable } from "./placements.ts";

/** What of a file that is there may stay: all of it, or all pages but these (flat runs of two: first page, pages). */
export type KeptFile =
  | { readonly kind: "same" }
  | { readonly kind: "pages"; readonly differing: readonly number[]; readonly keptPages: number };

/** What a delta restore will keep and remove. */
export type DeltaSurvey = {
  /** By the path on this machine; a file that is not in here is written whole. */
  readonly kept: ReadonlyMap<string, KeptFile>;
  /** What goes: folders before what lies in them. */
  readonly removed: readonly string[];
  /** Bytes that stay as they are. */
  readonly keptBytes: number;
  /** Bytes of the files that stay, now. */
  readonly presentBytes: number;
  /** Bytes that are written. */
  readonly writeBytes: number;
  /** Bytes that are read from the vault for it. */
  readonly fetchBytes: number;
};

type Tools = {
  readonly vault: Vault;
  readonly files: Files;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
};

type Wanted = {
  readonly backup: BackupRecord;
  readonly image: PlannedImage;
  readonly placePath: (manifestPath: string) => string | undefined;
  readonly layout: Layout;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

const READ_BYTES = 1024 * 1024;
const LSN_BYTES = 8;
const CRC_BYTES = 4;

/** Compares the folders with the backup. */
export async function surveyTarget(tools: Tools, wanted: Wanted, options: CallOptions): Promise<DeltaSurvey> {
  const { lines, chunks } = wanted.image;
  const image = await ParentImage.open(tools.vault, wanted.backup, options);
  const kept = new Map<string, KeptFile>();
  const folders = new Set<string>(wanted.layout.roots);
  const key = contentNameKey(tools.vault.dataKey);
  const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(READ_BYTES));
  const sum = { kept: 0, present: 0, done: 0 };
  const totalBytes = lines.reduce((bytes, line) => bytes + ("sizeBytes" in line ? line.sizeBytes : 0), 0);
  const placements = new PlacementTable();
  for (const line of lines) {
    const target = wanted.placePath(line.path);
    if (target === undefined) continue;
    if (line.kind === "folder") folders.add(target);
    if (!("sizeBytes" in line)) continue;
    throwIfAborted(options.signal, "comparing the folder with the backup");
    const facts = line.path.startsWith(OUTSIDE_PREFIX) ? undefined : await tools.files.stat(target);
    const here = facts?.kind === "file" ? { line, target, sizeBytes: facts.sizeBytes } : undefined;
    const found = here === undefined ? undefined : await compare(tools, here, { image, key, buffers }, options);
    if (found !== undefined) {
      kept.set(target, found);
      sum.kept += found.kind === "same" ? line.sizeBytes : found.keptPages * BLOCK_BYTES;
      sum.present += here?.sizeBytes ?? 0;
    }
    if (found?.kind !== "same") placeRest(placements, line, found);
    sum.done += line.sizeBytes;
    tools.onProgress({ doneBytes: sum.done, totalBytes });
  }
  const removed = await surplus(tools.files, { layout: wanted.layout, lines }, { kept, folders });
  placements.seal();
  const fetchBytes = placements.chunks.reduce((bytes, chunk) => bytes + (chunks.storedBytes[chunk] ?? 0), 0);
  return {
    kept,
    removed,
    keptBytes: sum.kept,
    presentBytes: sum.present,
    writeBytes: placements.totalBytes,
    fetchBytes,
  };
}

function placeRest(placements: PlacementTable, line: PagesFile | BytesFile, kept: KeptFile | undefined): void {
  if (line.kind === "bytes") placements.addPieces(0, line.pieces);
  else {
    const all = [0, line.sizeBytes / BLOCK_BYTES];
    placePages(placements, 0, { extents: line.extents, wanted: kept?.kind === "pages" ? kept.differing : all });
  }
}

type Compared = { readonly line: PagesFile | BytesFile; readonly target: string; readonly sizeBytes: number };

type Means = { readonly image: ParentImage; readonly key: KeyObject; readonly buffers: readonly Buffer[] };

async function compare(
  tools: Tools,
  { line, target, sizeBytes }: Compared,
  { image, key, buffers }: Means,
  options: CallOptions,
): Promise<KeptFile | undefined> {
  if (line.kind === "bytes") {
    if (sizeBytes !== line.sizeBytes) return undefined;
    const hash = createHmac("sha256", key);
    await readThrough(tools.files, target, buffers, (part) => hash.update(part));
    return hash.digest("hex") === line.contentName ? { kind: "same" } : undefined;
  }
  const pages = await image.file(line.path, options);
  if (pages === undefined) return undefined;
  const comparison = new PageComparison(pages, Math.floor(sizeBytes / BLOCK_BYTES));
  await readThrough(tools.files, target, buffers, (part) => comparison.take(part));
  return comparison.result();
}

/** Reads a file from end to end, the next part while this one is looked at. */
async function readThrough(
  files: Files,
  file: string,
  buffers: readonly Buffer[],
  take: (part: Buffer) => void,
): Promise<void> {
  const handle = await files.open(file, "read");
  try {
    let next = readPart(handle, 0, buffers);
    for (let turn = 1; ; turn += 1) {
      const part = await next;
      if (part.byteLength === READ_BYTES) next = readPart(handle, turn, buffers);
      take(part);
      if (part.byteLength < READ_BYTES) return;
    }
  } finally {
    await handle.close();
  }
}

function readPart(handle: FileHandle, turn: number, buffers: readonly Buffer[]): Promise<Buffer> {
  const part = handle.read({ position: turn * READ_BYTES, length: READ_BYTES, into: buffers[turn % 2] });
  // The part before it may throw while this one is being read.
  part.catch(() => undefined);
  return part;
}

/** The pages of one file, against the fingerprints that the backup has of them. */
class PageComparison {
  readonly #pages: ParentPages;
  /** Whole pages of the file here. */
  readonly #present: number;
  readonly #differing: number[] = [];
  #page = 0;
  #kept = 0;

  constructor(pages: ParentPages, present: number) {
    this.#pages = pages;
    this.#present = Math.min(present, pages.pageCount);
  }

  /** The next bytes of the file. */
  take(part: Buffer): void {
    for (let at = 0; at + BLOCK_BYTES <= part.byteLength && this.#page < this.#present; at += BLOCK_BYTES) {
      if (this.#isSame(part, at)) this.#kept += 1;
      else this.#differs(this.#page, 1);
      this.#page += 1;
    }
  }

  /** Undefined when the file is better written anew. */
  result(): KeptFile | undefined {
    if (this.#kept === 0) return undefined;
    const missing = this.#pages.pageCount - this.#page;
    // Pages behind the end of the file are zero once it has its length; the others come from the vault.
    if (missing > 0) this.#differs(this.#page, missing);
    return this.#hasZeroes() ? undefined : { kind: "pages", differing: this.#differing, keptPages: this.#kept };
  }

  #isSame(part: Buffer, at: number): boolean {
    const { fingerprints, pageCount } = this.#pages;
    if (fingerprints.compare(part, at, at + LSN_BYTES, this.#page * LSN_BYTES, (this.#page + 1) * LSN_BYTES) !== 0)
      return false;
    const crc = fingerprints.readUInt32LE(pageCount * LSN_BYTES + this.#page * CRC_BYTES);
    return crc32(part.subarray(at, at + BLOCK_BYTES)) === crc;
  }

  #differs(page: number, count: number): void {
    const runs = this.#differing;
    const last = runs.length - 2;
    if (last >= 0 && (runs[last] ?? 0) + (runs[last + 1] ?? 0) === page) runs[last + 1] = (runs[last + 1] ?? 0) + count;
    else runs.push(page, count);
  }

  /** True when a page that is there has to become zero: the vault holds nothing that could be written over it. */
  #hasZeroes(): boolean {
    const { extents } = this.#pages;
    for (let at = 0; at < extents.length; at += 4) {
      if (extents[at + 2] !== ZERO_CHUNK) continue;
      const [first = 0, count = 0] = extents.subarray(at, at + 2);
      const end = Math.min(first + count, this.#present);
      for (let run = 0; run < this.#differing.length; run += 2) {
        const [from = 0, pages = 0] = this.#differing.slice(run, run + 2);
        if (from < end && first < from + pages) return true;
      }
    }
    return false;
  }
}

/** Everything in the folders that is neither kept nor a folder of the backup. Of a tablespace only this server's own folders. */
async function surplus(
  files: Files,
  { layout, lines }: { readonly layout: Layout; readonly lines: readonly ManifestFile[] },
  wanted: { readonly kept: ReadonlyMap<string, KeptFile>; readonly folders: ReadonlySet<string> },
): Promise<readonly string[]> {
  const [main = "", ...tablespaces] = layout.roots;
  const links = new Map(layout.links.map(({ at, target }) => [at, target]));
  const own = new Set(
    lines.filter(({ path: each }) => tablespaceOf(each) !== undefined).map((line) => line.path.split("/")[2]),
  );
  const removed: string[] = [];
  const visit = async (folder: string, isRoot: boolean, only?: ReadonlySet<string | undefined>): Promise<void> => {
    for (const entry of await files.list(folder)) {
      const at = path.join(folder, entry.name);
      if (isRoot && MARKS.has(entry.name)) continue;
      if (only !== undefined && !only.has(entry.name)) continue;
      if (entry.kind === "link" && links.get(at) === (await files.readLink(at))) continue;
      if (entry.kind === "file" && wanted.kept.has(at)) continue;
      if (entry.kind === "folder" && wanted.folders.has(at)) await visit(at, false);
      else removed.push(at);
    }
  };
  if ((await files.stat(main)) !== undefined) await visit(main, true);
  for (const root of tablespaces) if ((await files.stat(root)) !== undefined) await visit(root, true, own);
  return removed;
}
