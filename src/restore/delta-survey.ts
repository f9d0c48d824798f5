/**
 * Finds out what of a data directory a backup has too.
 *
 * A page is kept where it lies when its fingerprint is the one that the backup noted of this page of this file
 * (compare-files.ts). A file of bytes is kept when it has the size and the keyed SHA-256 of the backup's. Everything else is
 * written anew, or removed. So is a file with a second name, whatever it holds: the other name is somebody's copy, or an aside.
 * Invariant: nothing is written here; what is found holds as long as nobody writes in the folders.
 */
import path from "node:path";
import type { Files } from "../platform/files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { FingerprintReader } from "../vault/fingerprints.ts";
import {
  type BytesFile,
  type ChunkTable,
  type ManifestFile,
  OUTSIDE_PREFIX,
  type PagesFile,
} from "../vault/manifest.ts";
import type { PackFacts } from "../vault/pack.ts";
import { contentNameKey } from "../vault/sealing.ts";
import { ComparerPool } from "../vault/threads/comparer-pool.ts";
import type { ChunkThreads } from "../vault/threads/start.ts";
import type { Vault } from "../vault/vault.ts";
import { compareFiles, type FileWanted, type KeptFile, type PagesTaker } from "./compare-files.ts";
import { type PlannedImage, placePages } from "./image-writer.ts";
import { type Layout, MARKS, tablespaceOf } from "./layout.ts";
import { PlacementTable } from "./placements.ts";

/** What a delta restore will keep and remove. */
export type DeltaSurvey = {
  /** By the path on this machine; a file that is not in here is written whole. */
  readonly kept: ReadonlyMap<string, KeptFile>;
  /** What goes: folders before what lies in them. */
  readonly removed: readonly string[];
  /** Bytes that stay as they are. */
  readonly keptBytes: number;
  /** Bytes of the files that stay, now: by the tablespace's OID, undefined for all that lies in none. */
  readonly presentBytes: ReadonlyMap<number | undefined, number>;
  /** Of what goes, bytes in a folder of WAL outside of the data directory. */
  readonly removedWalBytes: number;
  /** Bytes that are written. */
  readonly writeBytes: number;
  /** Bytes that are read from the vault for it. */
  readonly fetchBytes: number;
  /** The packs that they are read from. */
  readonly packs: readonly PackFacts[];
};

type Tools = {
  readonly vault: Vault;
  readonly files: Files;
  readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Takes what the folders have otherwise than the backup. */
  readonly taker?: PagesTaker | undefined;
  /** Undefined: its own. */
  readonly threads?: ChunkThreads | undefined;
};

type Wanted = {
  readonly image: PlannedImage;
  readonly placePath: (manifestPath: string) => string | undefined;
  readonly layout: Layout;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Compares the folders with the backup. */
export async function surveyTarget(tools: Tools, wanted: Wanted, options: CallOptions): Promise<DeltaSurvey> {
  const { lines, chunks } = wanted.image;
  const survey = new Survey(lines);
  const folders = new Set<string>(wanted.layout.roots);
  const files: FileWanted[] = [];
  for (const line of lines) {
    const target = wanted.placePath(line.path);
    if (target === undefined) continue;
    if (line.kind === "folder") folders.add(target);
    if ("sizeBytes" in line) files.push({ line, target });
  }
  const own = await foldersThere(tools.files, { roots: wanted.layout.roots, folders });
  const waiting: FileWanted[] = [];
  for (const file of files) {
    // A copy of a file from outside the data directory: small, and not the server's.
    if (file.line.path.startsWith(OUTSIDE_PREFIX) || !own.has(path.dirname(file.target))) survey.note(file, undefined);
    else waiting.push(file);
  }
  const { taker, threads } = tools;
  const takesPages = taker !== undefined;
  const pool = new ComparerPool(tools.files, contentNameKey(tools.vault.dataKey), { takesPages, threads });
  pool.expect(survey.totalBytes);
  const onFile = (file: FileWanted, kept: KeptFile | undefined): void => {
    survey.note(file, kept);
    tools.onProgress({ doneBytes: survey.doneBytes, totalBytes: survey.totalBytes });
  };
  try {
    const fingerprints = new FingerprintReader(tools.vault, chunks);
    await compareFiles({ fingerprints, pool, onFile, taker }, waiting, options);
  } finally {
    await pool.close();
  }
  const removed = await surplus(tools.files, { layout: wanted.layout, lines }, { kept: survey.kept, folders });
  return { ...survey.end(chunks), removed, removedWalBytes: await walBytesOf(tools.files, wanted.layout, removed) };
}

/** Adds up what is found, in whatever order. */
class Survey {
  readonly kept = new Map<string, KeptFile>();
  readonly totalBytes: number;
  doneBytes = 0;
  readonly #placements = new PlacementTable();
  readonly #presentBytes = new Map<number | undefined, number>();
  #keptBytes = 0;

  constructor(lines: readonly ManifestFile[]) {
    this.totalBytes = lines.reduce((bytes, line) => bytes + ("sizeBytes" in line ? line.sizeBytes : 0), 0);
  }

  /** Notes what of a file stays. */
  note({ line, target }: FileWanted, found: KeptFile | undefined): void {
    this.doneBytes += line.sizeBytes;
    if (found?.kind !== "same") placeRest(this.#placements, line, found);
    if (found === undefined) return;
    this.kept.set(target, found);
    this.#keptBytes += found.kind === "same" ? line.sizeBytes : found.keptPages * BLOCK_BYTES;
    const oid = tablespaceOf(line.path);
    this.#presentBytes.set(oid, (this.#presentBytes.get(oid) ?? 0) + found.facts.sizeBytes);
  }

  end(chunks: ChunkTable): Omit<DeltaSurvey, "removed" | "removedWalBytes"> {
    const placements = this.#placements;
    placements.seal();
    const packs = new Set(Array.from(placements.chunks, (chunk) => chunks.packOf[chunk]));
    return {
      kept: this.kept,
      keptBytes: this.#keptBytes,
      presentBytes: this.#presentBytes,
      writeBytes: placements.totalBytes,
      fetchBytes: placements.chunks.reduce((bytes, chunk) => bytes + (chunks.storedBytes[chunk] ?? 0), 0),
      packs: chunks.packs.filter((_, index) => packs.has(index)),
    };
  }
}

function placeRest(placements: PlacementTable, line: PagesFile | BytesFile, kept: KeptFile | undefined): void {
  if (line.kind === "bytes") placements.addPieces(0, line.pieces);
  else {
    const all = [0, line.sizeBytes / BLOCK_BYTES];
    placePages(placements, 0, { extents: line.extents, wanted: kept?.kind === "pages" ? kept.differing : all });
  }
}

/**
 * Of the folders that are wanted, those that are there, by no link but those that lead to the roots. A link in place of a folder
 * is removed; what lies behind it is somebody's, and none of it would be found in the folder that is made.
 */
async function foldersThere(
  files: Files,
  { roots, folders }: { readonly roots: readonly string[]; readonly folders: ReadonlySet<string> },
): Promise<ReadonlySet<string>> {
  const there = new Set(roots);
  // What lies in a folder has a longer path.
  for (const folder of [...folders].toSorted((a, b) => a.length - b.length)) {
    if (!there.has(path.dirname(folder))) continue;
    if ((await files.stat(folder))?.kind === "folder") there.add(folder);
  }
  return there;
}

/**
 * Everything in the folders that is neither kept nor a folder of the backup. Of a tablespace only this server's own folders,
 * of a folder of WAL elsewhere only what a server makes there: it may be a disk of its own, with what such a disk has.
 */
async function surplus(
  files: Files,
  { layout, lines }: { readonly layout: Layout; readonly lines: readonly ManifestFile[] },
  wanted: { readonly kept: ReadonlyMap<string, KeptFile>; readonly folders: ReadonlySet<string> },
): Promise<readonly string[]> {
  const [main = ""] = layout.roots;
  const links = new Map(layout.links.map(({ at, target }) => [at, target]));
  const own = new Set(
    lines.filter(({ path: each }) => tablespaceOf(each) !== undefined).map((line) => line.path.split("/")[2]),
  );
  const removed: string[] = [];
  const visit = async (folder: string, isRoot: boolean, isOurs = (_name: string): boolean => true): Promise<void> => {
    for (const entry of await files.list(folder)) {
      const at = path.join(folder, entry.name);
      if (isRoot && MARKS.has(entry.name)) continue;
      if (!isOurs(entry.name)) continue;
      if (entry.kind === "link" && links.get(at) === path.resolve(folder, await files.readLink(at))) continue;
      if (entry.kind === "file" && wanted.kept.has(at)) continue;
      if (entry.kind === "folder" && wanted.folders.has(at)) await visit(at, false);
      else removed.push(at);
    }
  };
  for (const root of layout.roots) {
    if ((await files.stat(root)) === undefined) continue;
    if (root === main) await visit(root, true);
    else if (root === layout.walFolder) await visit(root, true, (name) => WAL_NAME.test(name));
    else await visit(root, true, (name) => own.has(name));
  }
  return removed;
}

/** What a server, and what lays WAL for it, makes in pg_wal. */
const WAL_NAME =
  /^(?:[0-9A-F]{24}(?:\..+)?|[0-9A-F]{8}\.history(?:\..+)?|archive_status|summaries|xlogtemp\.\d+|RECOVERY\w+|\..+\.tmp)$/;

async function walBytesOf(files: Files, { walFolder }: Layout, removed: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const each of removed) {
    if (path.dirname(each) === walFolder) bytes += (await files.stat(each))?.sizeBytes ?? 0;
  }
  return bytes;
}
