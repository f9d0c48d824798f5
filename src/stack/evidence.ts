/** What a node wrote that nobody else has: kept under another name before its directory is written over. */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import { makeFolderDurable, writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import { type Lsn, lsnAdd, parseSegmentName, segmentName, type Timeline } from "../postgres/lsn.ts";

/** WAL of a diverged node that is kept: its end is near the fork, and what lies far beyond is recycled names. */
const EVIDENCE_SEGMENTS_MAX = 16;

/** Where a node's own WAL begins, and what it is kept as. */
export type Evidence = {
  readonly dataFolder: string;
  readonly timeline: Timeline;
  readonly fork: Lsn;
  readonly walSegmentBytes: number;
  /** The folder of what is kept goes below `under`, named after this and the first segment. */
  readonly under: string;
  readonly name: string;
};

/** Keeps the segments from the fork on; their names survive a power cut once this returns. Repeatable. */
export async function keepWalFrom(files: Files, of: Evidence): Promise<string> {
  const wal = path.join(of.dataFolder, "pg_wal");
  const names = await segmentsFrom(files, wal, of);
  const kept = await folderFor(files, wal, { names, of });
  await makeFolderDurable(files, kept, 0o700);
  for (const name of names) await keepFile(files, path.join(wal, name), path.join(kept, name));
  await files.syncFolder(kept);
  return kept;
}

async function segmentsFrom(
  files: Files,
  wal: string,
  { timeline, fork, walSegmentBytes }: Evidence,
): Promise<readonly string[]> {
  const first = segmentName({ timeline, lsn: fork, walSegmentBytes });
  const start = parseSegmentName(first, walSegmentBytes)?.start ?? fork;
  const names: string[] = [];
  while (names.length < EVIDENCE_SEGMENTS_MAX) {
    const name = segmentName({ timeline, lsn: lsnAdd(start, names.length * walSegmentBytes), walSegmentBytes });
    if ((await files.stat(path.join(wal, name))) === undefined) break;
    names.push(name);
  }
  return names;
}

/**
 * The first folder that has nothing else under these names. What a rebuild kept that was given up may be otherwise by now: a
 * server that was started on the directory writes into segments, and gives them other names, by way of the second name too.
 */
async function folderFor(
  files: Files,
  wal: string,
  { names, of }: { readonly names: readonly string[]; readonly of: Evidence },
): Promise<string> {
  const { timeline, fork: lsn, walSegmentBytes } = of;
  const first = path.join(of.under, `${of.name}-${segmentName({ timeline, lsn, walSegmentBytes })}`);
  for (let number = 1; ; number += 1) {
    const folder = number === 1 ? first : `${first}-${number}`;
    let hasOther = false;
    for (const name of names) hasOther ||= await differs(files, path.join(wal, name), path.join(folder, name));
    if (!hasOther) return folder;
  }
}

async function differs(files: Files, from: string, kept: string): Promise<boolean> {
  if ((await files.stat(kept)) === undefined) return false;
  return !(await files.readFile(kept)).equals(await files.readFile(from));
}

/** By a second name, or as a copy where the WAL lies on a disk of its own and can have no name here. Repeatable. */
async function keepFile(files: Files, from: string, to: string): Promise<void> {
  if ((await files.stat(to)) !== undefined) return;
  try {
    await files.link(from, to);
  } catch (error) {
    if (!isLifeboatError(error, "platform.file-failed")) throw error;
    const parts = [await files.readFile(from)];
    await writeDurable(files, { file: to, parts, over: "new", permissions: 0o600, unique: "evidence" });
  }
}
