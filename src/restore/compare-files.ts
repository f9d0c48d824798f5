/**
 * Compares the files of a folder with what a backup noted of them, by threads.
 *
 * Two pages that differ although their LSN is the same are one page with other hint bits, or pages of two histories that
 * parted; that their CRC is the same too happens once in four thousand million such pairs.
 * Invariants: files are opened and read by the threads alone; a long file is compared by both of them; the fingerprints that
 * are held are those of the files that are being compared, the pages that differ those of the batches under way.
 */
import { throwIfAborted } from "../platform/clock.ts";
import type { FileFacts } from "../platform/files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { FingerprintReader } from "../vault/fingerprints.ts";
import { type BytesFile, type PagesFile, ZERO_CHUNK } from "../vault/manifest.ts";
import { addRun, CRC_BYTES, type FilePartFound, type FilePartWanted, LSN_BYTES } from "../vault/threads/comparer.ts";
import { BATCH_PAGES, BATCH_PARTS, type ComparerPool } from "../vault/threads/comparer-pool.ts";

/** What of a file that is there may stay: all of it, or all pages but these (flat runs of two: first page, pages). */
export type KeptFile =
  | { readonly kind: "same"; readonly facts: FileFacts }
  | {
      readonly kind: "pages";
      readonly facts: FileFacts;
      readonly differing: readonly number[];
      readonly keptPages: number;
    };

/** A file of the backup, and where it lies here. */
export type FileWanted = { readonly line: PagesFile | BytesFile; readonly target: string };

/** Who takes the pages that differ. What it rejects with ends the comparison. */
export type PagesTaker = {
  /** Pages of the file that is being compared, in the order of the files and of the pages in each. They hold until it resolves. */
  readonly take: (pages: Buffer) => Promise<void>;
  /** The file is compared; undefined when nothing of it may stay. */
  readonly endFile: (file: FileWanted, kept: KeptFile | undefined) => Promise<void>;
};

export type CompareTools = {
  readonly fingerprints: Pick<FingerprintReader, "read">;
  readonly pool: ComparerPool;
  /** Told of each file once; undefined when nothing of it may stay. */
  readonly onFile: (file: FileWanted, kept: KeptFile | undefined) => void;
  /** With a pool that takes pages. */
  readonly taker?: PagesTaker | undefined;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Compares all files. Throws what reading them, or the vault, throws. */
export async function compareFiles(
  tools: CompareTools,
  files: readonly FileWanted[],
  options: CallOptions,
): Promise<void> {
  const { pool } = tools;
  const compared = new Map<number, ComparedFile>();
  const batches = batchesOf(files);
  let turn = Promise.resolve();
  const work = async (slot: number): Promise<void> => {
    for (let next = batches.next(); next.done !== true; next = batches.next()) {
      throwIfAborted(options.signal, "comparing the folder with the backup");
      const batch = next.value;
      for (const { file } of batch) {
        const wanted = files[file];
        if (wanted !== undefined && !compared.has(file)) compared.set(file, new ComparedFile(wanted, tools, options));
      }
      const before = turn;
      const mine = Promise.withResolvers<void>();
      turn = mine.promise;
      try {
        for (const { file, part } of batch) await compared.get(file)?.placeFingerprints(pool.slots[slot], part);
        const found = await pool.compare({ slot, parts: batch.map(({ part }) => part) });
        // Pages are taken in the order in which batches were begun: the lanes end in any.
        await before;
        await note(tools, compared, { slot, batch, found });
      } finally {
        mine.resolve();
      }
    }
  };
  const stopped = (slot: number): Promise<void> =>
    work(slot).finally(() => {
      // Done, or failed: what the others have begun they end, and nothing more is begun.
      batches.return(undefined);
    });
  const lanes = await Promise.allSettled(pool.slots.map((_, slot) => stopped(slot)));
  for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
}

/** Tells of what was found in a batch, and hands on what is to be taken of it. */
async function note(
  { pool, onFile, taker }: CompareTools,
  compared: Map<number, ComparedFile>,
  of: { readonly slot: number; readonly batch: readonly NumberedPart[]; readonly found: readonly FilePartFound[] },
): Promise<void> {
  const pages = pool.slots[of.slot]?.differing;
  let taken = 0;
  for (const [index, { file, part }] of of.batch.entries()) {
    const found = of.found[index];
    const bytes = pagesOf(found?.differing ?? []) * BLOCK_BYTES;
    if (bytes > 0 && pages !== undefined) await taker?.take(pages.subarray(taken, taken + bytes));
    taken += bytes;
    const each = compared.get(file);
    if (each?.add(part, found) !== true) continue;
    compared.delete(file);
    const kept = each.kept();
    onFile(each.wanted, kept);
    await taker?.endFile(each.wanted, kept);
  }
}

/** A part of a file, by its place in the list of files. */
type NumberedPart = { readonly file: number; readonly part: FilePartWanted };

function* batchesOf(files: readonly FileWanted[]): Generator<readonly NumberedPart[], undefined> {
  let parts: NumberedPart[] = [];
  let pages = 0;
  for (const [file, { line, target }] of files.entries()) {
    const pageCount = Math.ceil(line.sizeBytes / BLOCK_BYTES);
    let firstPage = 0;
    // An empty file is a part too.
    do {
      const room = line.kind === "pages" ? BATCH_PAGES - pages : pageCount;
      const count = Math.min(room, pageCount - firstPage);
      const at = pages * (LSN_BYTES + CRC_BYTES);
      const part: FilePartWanted =
        line.kind === "pages"
          ? { kind: "pages", path: target, firstPage, pageCount: count, at }
          : { kind: "bytes", path: target, sizeBytes: line.sizeBytes, contentName: line.contentName };
      parts.push({ file, part });
      pages += count;
      firstPage += count;
      if (pages < BATCH_PAGES && parts.length < BATCH_PARTS) continue;
      yield parts;
      [parts, pages] = [[], 0];
    } while (firstPage < pageCount);
  }
  if (parts.length > 0) yield parts;
}

/** One file, until all its parts were compared. */
class ComparedFile {
  readonly wanted: FileWanted;
  readonly #fingerprints: Promise<Buffer> | undefined;
  readonly #found = new Map<number, { readonly part: FilePartWanted; readonly found: FilePartFound }>();
  #outstandingPages: number;

  constructor(wanted: FileWanted, { fingerprints }: CompareTools, options: CallOptions) {
    this.wanted = wanted;
    const { line } = wanted;
    this.#outstandingPages = line.kind === "pages" ? line.sizeBytes / BLOCK_BYTES : 0;
    this.#fingerprints = line.kind === "pages" ? fingerprints.read(line.fingerprints, options) : undefined;
    // Whoever waits for them may have failed before.
    this.#fingerprints?.catch(() => undefined);
  }

  /** Puts the fingerprints of a part where it says that they are. */
  async placeFingerprints(slot: { readonly fingerprints: Buffer } | undefined, part: FilePartWanted): Promise<void> {
    const fingerprints = await this.#fingerprints;
    if (part.kind !== "pages" || fingerprints === undefined || slot === undefined) return;
    const { firstPage, pageCount, at } = part;
    const crcs = (this.wanted.line.sizeBytes / BLOCK_BYTES) * LSN_BYTES;
    const end = firstPage + pageCount;
    fingerprints.copy(slot.fingerprints, at, firstPage * LSN_BYTES, end * LSN_BYTES);
    fingerprints.copy(
      slot.fingerprints,
      at + pageCount * LSN_BYTES,
      crcs + firstPage * CRC_BYTES,
      crcs + end * CRC_BYTES,
    );
  }

  /** Takes what was found of a part. True when it was the last one. */
  add(part: FilePartWanted, found: FilePartFound | undefined): boolean {
    if (found !== undefined) this.#found.set(part.kind === "pages" ? part.firstPage : 0, { part, found });
    if (part.kind === "pages") this.#outstandingPages -= part.pageCount;
    return this.#outstandingPages === 0;
  }

  /** Undefined when the file is not there, or better written anew. */
  kept(): KeptFile | undefined {
    const parts = [...this.#found].sort(([a], [b]) => a - b).map(([, each]) => each);
    const first = parts[0]?.found;
    // A file that went, or got a second name, while its parts were compared is none that could stay.
    if (first?.facts === undefined || parts.some(({ found }) => found.facts === undefined)) return undefined;
    const { facts } = first;
    const { line } = this.wanted;
    if (line.kind === "bytes") return first.same ? { kind: "same", facts } : undefined;
    const pageCount = line.sizeBytes / BLOCK_BYTES;
    const differing: number[] = [];
    let present = 0;
    for (const { part, found } of parts) {
      for (let at = 0; at < found.differing.length; at += 2) {
        addRun(differing, found.differing[at] ?? 0, found.differing[at + 1] ?? 0);
      }
      present += found.comparedPages;
      if (part.kind !== "pages" || found.comparedPages < part.pageCount) break;
    }
    const keptPages = present - pagesOf(differing);
    // Pages behind the end of the file are zero once it has its length; the others come from the vault.
    if (present < pageCount) addRun(differing, present, pageCount - present);
    // The vault holds nothing that could be written over a page that has to become zero, nor over the piece of one at the end.
    const begunPages = Math.ceil(facts.sizeBytes / BLOCK_BYTES);
    if (keptPages === 0 || becomeZero(line.extents, differing, begunPages)) return undefined;
    return { kind: "pages", facts, differing, keptPages };
  }
}

function pagesOf(runs: readonly number[]): number {
  let pages = 0;
  for (let at = 1; at < runs.length; at += 2) pages += runs[at] ?? 0;
  return pages;
}

/** True when one of the first pages, of which something is there, differs and is one of zeros in the backup. */
function becomeZero(extents: readonly number[], differing: readonly number[], begunPages: number): boolean {
  for (let at = 0; at < extents.length; at += 4) {
    if (extents[at + 2] !== ZERO_CHUNK) continue;
    const first = extents[at] ?? 0;
    const end = Math.min(first + (extents[at + 1] ?? 0), begunPages);
    for (let run = 0; run < differing.length; run += 2) {
      const from = differing[run] ?? 0;
      if (from < end && first < from + (differing[run + 1] ?? 0)) return true;
    }
  }
  return false;
}
