/**
 * Judges every page of a data directory by its checksum and its header, as the server does when it reads one.
 *
 * Free space and visibility maps are left out: a copy of a running server may hold torn pages of them, which the server
 * replaces by empty ones, and what a visibility map says is checked against its table.
 */
import path from "node:path";
import { throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import { judgePage, type PageVerdict } from "../postgres/page.ts";
import { parseRelationPath, type RelationFile } from "../postgres/relation-file.ts";

/** Bytes read at a time. */
const READ_BYTES = 1024 * 1024;

/** A page that is not good. */
export type BadPage = {
  readonly path: string;
  readonly relation: RelationFile;
  /** From the start of the relation's fork. */
  readonly block: number;
  readonly verdict: Exclude<PageVerdict, "good" | "empty">;
};

/** A page of a relation's main fork that was read. */
export type ScannedPage = {
  /** Of the relation's first file, below the data directory. */
  readonly relationPath: string;
  readonly segment: number;
  /** From the start of the relation. */
  readonly block: number;
  readonly verdict: PageVerdict;
  /** It lies here from `at` on, until the call returns. */
  readonly bytes: Buffer;
  readonly at: number;
};

/** Who looks on: relations that are first come before all others, each with its files in order. */
export type ScanWatcher = {
  isFirst(relationPath: string): boolean;
  takeFile(file: { readonly relationPath: string; readonly segment: number; readonly blocks: number }): void;
  takePage(page: ScannedPage): void;
};

/** What a scan saw. */
export type PageScan = { readonly pageCount: number; readonly bad: readonly BadPage[] };

/** Scans all relation files below a data directory on which nobody writes. */
export async function scanPages(
  files: Files,
  cluster: { readonly dataFolder: string; readonly checksums: boolean; readonly segmentBlocks: number },
  options: {
    readonly onProgress: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
    readonly watcher: ScanWatcher;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<PageScan> {
  const { watcher } = options;
  const found = inOrder(await relationFiles(files, cluster.dataFolder), watcher);
  const totalBytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const bad: BadPage[] = [];
  let pageCount = 0;
  let doneBytes = 0;
  for (const file of found) {
    const { relationPath, sizeBytes } = file;
    const { fork, segment } = file.relation;
    if (fork === "main") watcher.takeFile({ relationPath, segment, blocks: Math.floor(sizeBytes / BLOCK_BYTES) });
    const handle = await files.open(path.join(cluster.dataFolder, file.path), "read");
    try {
      for (let position = 0; position + BLOCK_BYTES <= sizeBytes; position += READ_BYTES) {
        throwIfAborted(options.signal, "checking pages");
        const bytes = await handle.read({ position, length: Math.min(READ_BYTES, sizeBytes - position) });
        for (let at = 0; at + BLOCK_BYTES <= bytes.byteLength; at += BLOCK_BYTES) {
          const block = (position + at) / BLOCK_BYTES + segment * cluster.segmentBlocks;
          const verdict = judgePage(bytes, at, { blockNumber: block, checksums: cluster.checksums });
          pageCount += 1;
          if (fork === "main") watcher.takePage({ relationPath, segment, block, verdict, bytes, at });
          if (verdict !== "good" && verdict !== "empty") bad.push({ ...file, block, verdict });
        }
        doneBytes += bytes.byteLength;
        options.onProgress({ doneBytes, totalBytes });
      }
    } finally {
      await handle.close();
    }
  }
  return { pageCount, bad };
}

type Found = {
  readonly path: string;
  readonly relationPath: string;
  readonly relation: RelationFile;
  readonly sizeBytes: number;
};

function inOrder(found: readonly Found[], watcher: ScanWatcher): readonly Found[] {
  const rank = ({ relationPath }: Found): number => (watcher.isFirst(relationPath) ? 0 : 1);
  return found.toSorted((one, other) => {
    const byRank = rank(one) - rank(other);
    if (byRank !== 0) return byRank;
    if (one.relationPath !== other.relationPath) return one.relationPath < other.relationPath ? -1 : 1;
    return one.relation.segment - other.relation.segment;
  });
}

async function relationFiles(files: Files, dataFolder: string): Promise<readonly Found[]> {
  const found: Found[] = [];
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const { name, kind } of await files.list(path.join(dataFolder, folder))) {
      const inside = `${folder}/${name}`;
      // Tablespaces are links; below them lie a folder of the version and folders of databases.
      if (kind === "folder" || (kind === "link" && folder === "pg_tblspc")) {
        if (depth > 0) await visit(inside, depth - 1);
        continue;
      }
      const relation = parseRelationPath(inside);
      if (relation === undefined || relation.temporary || relation.fork === "fsm" || relation.fork === "vm") continue;
      const facts = await files.stat(path.join(dataFolder, inside));
      const relationPath = inside.replace(/\.\d+$/, "");
      if (facts !== undefined) found.push({ path: inside, relationPath, relation, sizeBytes: facts.sizeBytes });
    }
  };
  await visit("global", 0);
  await visit("base", 1);
  await visit("pg_tblspc", 3);
  return found;
}
