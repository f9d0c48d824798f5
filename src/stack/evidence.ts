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
  const { dataFolder, timeline, fork, walSegmentBytes } = of;
  const first = segmentName({ timeline, lsn: fork, walSegmentBytes });
  const start = parseSegmentName(first, walSegmentBytes)?.start ?? fork;
  const kept = path.join(of.under, `${of.name}-${first}`);
  await makeFolderDurable(files, kept, 0o700);
  for (let count = 0; count < EVIDENCE_SEGMENTS_MAX; count += 1) {
    const lsn = lsnAdd(start, count * walSegmentBytes);
    const name = segmentName({ timeline, lsn, walSegmentBytes });
    const from = path.join(dataFolder, "pg_wal", name);
    if ((await files.stat(from)) === undefined) break;
    await keepFile(files, from, path.join(kept, name));
  }
  await files.syncFolder(kept);
  return kept;
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
