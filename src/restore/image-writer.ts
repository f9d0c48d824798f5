/**
 * Writes the files of a backup into a folder, pack by pack.
 *
 * Nouns: a *placement* says which pages or bytes of a chunk go where in which file; a file is *complete* when all its
 * placements were written.
 * Invariants: the control file is handed back, not written, so a folder that was cut short cannot start; every file is
 * synced once it is complete; memory and open files are bounded.
 */
import { LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { BLOCK_BYTES, CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import type { BackupRecord } from "../vault/backups.ts";
import { BatchFetcher } from "../vault/batches.ts";
import { type ChunkTable, type ManifestFile, ZERO_CHUNK } from "../vault/manifest.ts";
import type { ChunkThreads } from "../vault/threads/start.ts";
import type { Vault } from "../vault/vault.ts";
import type { KeptFile } from "./compare-files.ts";
import { FileSet, type Owner } from "./file-set.ts";
import { PlacementTable } from "./placements.ts";
import { PlacementScatter } from "./scatter.ts";

/** Numbers of an extent: first page, pages, chunk, first page in the chunk. */
const EXTENT_NUMBERS = 4;

/** What the manifest of a backup says of its files, and where their bytes lie. */
export type PlannedImage = { readonly lines: readonly ManifestFile[]; readonly chunks: ChunkTable };

export type ImageRequest = {
  readonly backup: BackupRecord;
  readonly image: PlannedImage;
  /** Empty folders, made with the right owner: the data directory, and those of tablespaces. */
  readonly roots: readonly string[];
  /** Where a manifest's path goes: for paths outside the folder, tablespaces among them. Undefined leaves the path out. */
  readonly placePath: (manifestPath: string) => string | undefined;
  readonly owner: Owner | undefined;
  /** What lies there already and stays, by its path on this machine; nothing else lies where a file is to be written. */
  readonly kept?: ReadonlyMap<string, KeptFile> | undefined;
  /** About how many bytes that comes to: a guess costs time at most. */
  readonly wantedBytes: number;
  /** What else is to be written into the folders once they are there; synced with the files. */
  readonly beside?: ((options: { readonly signal: AbortSignal }) => Promise<void>) | undefined;
  /** What is to be written when everything else is there, of which the control file is handed over; synced with the files. */
  readonly last?: ((controlFile: Buffer) => Promise<void>) | undefined;
};

export type ImageTools = {
  readonly vault: Vault;
  readonly files: Files;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Undefined: its own. */
  readonly threads?: ChunkThreads | undefined;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What was written, and the control file, which was not. */
type WrittenImage = { readonly controlFile: Buffer; readonly writtenBytes: number };

/** Writes the image. Resolves when every byte is on stable storage but the control file, which is the caller's to write. */
export async function writeImage(
  tools: ImageTools,
  request: ImageRequest,
  options: CallOptions,
): Promise<WrittenImage> {
  const set = new FileSet(tools.files, request.owner);
  const fetcher = new BatchFetcher(tools.vault, undefined, tools.threads);
  try {
    // Threads take a while to start, and so do the files to be made.
    fetcher.expect(request.wantedBytes);
    return await writeFiles(tools, request, { set, fetcher }, options);
  } finally {
    await Promise.all([set.close(), fetcher.close()]);
  }
}

async function writeFiles(
  tools: ImageTools,
  request: ImageRequest,
  { set, fetcher }: { readonly set: FileSet; readonly fetcher: BatchFetcher },
  options: CallOptions,
): Promise<WrittenImage> {
  const { lines, chunks } = request.image;
  const placements = new PlacementTable();
  const control: { bytes: Buffer | undefined; sizeBytes: number } = { bytes: undefined, sizeBytes: 0 };
  let controlFile = -1;
  for (const line of lines) {
    if (line.path === CONTROL_FILE_PATH && line.kind === "bytes") {
      control.sizeBytes = line.sizeBytes;
      control.bytes = Buffer.alloc(line.sizeBytes);
      controlFile = set.reserve();
      placements.addPieces(controlFile, line.pieces);
      continue;
    }
    const target = request.placePath(line.path);
    if (target === undefined) continue;
    await placeLine(set, placements, line, { target, kept: request.kept?.get(target) });
  }
  if (control.bytes === undefined) throw noControlFile(request.backup);
  placements.seal();
  const copy = { chunks, placements, set, fetcher, control, controlFile };
  const works = [(all: Stoppable) => set.prepare(all), (all: Stoppable) => copyChunks(tools, copy, all)];
  await together([...works, request.beside ?? (async () => undefined)], options.signal);
  await request.last?.(control.bytes);
  await set.finish(request.roots);
  return { controlFile: control.bytes, writtenBytes: placements.totalBytes };
}

type Stoppable = { readonly signal: AbortSignal };

/** Does all, and ends when all have ended: a failure stops the others, since nobody may write into what was given up. */
async function together(
  works: readonly ((options: Stoppable) => Promise<void>)[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = new AbortController();
  const options = { signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]) };
  let failure: { readonly cause: unknown } | undefined;
  const guarded = async (work: (typeof works)[number]): Promise<void> => {
    try {
      await work(options);
    } catch (cause) {
      failure ??= { cause };
      stop.abort(cause);
    }
  };
  await Promise.all(works.map(guarded));
  if (failure !== undefined) throw failure.cause;
}

async function placeLine(
  set: FileSet,
  placements: PlacementTable,
  line: ManifestFile,
  { target, kept }: { readonly target: string; readonly kept: KeptFile | undefined },
): Promise<void> {
  if (line.kind === "folder") return set.makeFolder(target, line.mode);
  if (line.kind === "link") return set.makeLink(target, line.target);
  const file = set.add({ path: target, mode: line.mode, sizeBytes: line.sizeBytes, existing: kept?.facts });
  if (kept?.kind === "same") return;
  if (line.kind === "bytes") {
    placements.addPieces(file, line.pieces);
    set.expect(file, line.pieces.length / 3);
    return;
  }
  const wanted = kept?.differing ?? [0, line.sizeBytes / BLOCK_BYTES];
  set.expect(file, placePages(placements, file, { extents: line.extents, wanted }));
}

/** Adds placements for the wanted pages of a file (flat runs of two, in order); returns how many. */
export function placePages(
  placements: PlacementTable,
  file: number,
  { extents, wanted }: { readonly extents: readonly number[]; readonly wanted: readonly number[] },
): number {
  let placed = 0;
  let run = 0;
  // By index: a backup with many before it has an extent for every other page, and a list for each would be most of the work.
  for (let at = 0; at < extents.length && run < wanted.length; at += EXTENT_NUMBERS) {
    const page = extents[at] ?? 0;
    const end = page + (extents[at + 1] ?? 0);
    const chunk = extents[at + 2] ?? 0;
    const slot = extents[at + 3] ?? 0;
    while (run < wanted.length && (wanted[run] ?? 0) + (wanted[run + 1] ?? 0) <= page) run += 2;
    if (chunk === ZERO_CHUNK) continue;
    for (let each = run; each < wanted.length && (wanted[each] ?? 0) < end; each += 2) {
      const from = Math.max(page, wanted[each] ?? 0);
      const count = Math.min(end, (wanted[each] ?? 0) + (wanted[each + 1] ?? 0)) - from;
      const length = count * BLOCK_BYTES;
      placements.add({ chunk, file, to: from * BLOCK_BYTES, from: (slot + from - page) * BLOCK_BYTES, length });
      placed += 1;
    }
  }
  return placed;
}

type Copy = {
  readonly chunks: ChunkTable;
  readonly placements: PlacementTable;
  readonly set: FileSet;
  readonly fetcher: BatchFetcher;
  readonly control: { readonly bytes: Buffer | undefined };
  readonly controlFile: number;
};

async function copyChunks(
  tools: ImageTools,
  copy: Copy,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { chunks: table, placements, set, fetcher, controlFile } = copy;
  const totalBytes = placements.totalBytes;
  let doneBytes = 0;
  const kept = { file: controlFile, bytes: copy.control.bytes ?? Buffer.alloc(0) };
  const scatter = new PlacementScatter(placements, set, kept);
  for await (const batch of fetcher.fetch({ table, numbers: placements.chunks, scatter }, options)) {
    throwIfAborted(options.signal, "writing files");
    doneBytes += await scatter.finish(batch);
    tools.onProgress({ doneBytes, totalBytes });
  }
}

function noControlFile(backup: BackupRecord): LifeboatError {
  return new LifeboatError("restore.image-incomplete", {
    message: `the manifest of backup ${backup.backupId} names no control file`,
    remedy: "Restore from another backup; `lifeboat backups` lists them.",
  });
}
