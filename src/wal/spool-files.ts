/**
 * The files of a spool, for whoever reads it: the receiver that owns it, `wal get`, a restore.
 *
 * Nouns: a *complete* file has all bytes of its segment and its plain name; a *partial* has the bytes from the segment's
 * first on, as many as its marks and the records behind them say (one of an earlier version has none, and counts as far as it is long); an *ended* one is
 * the partial of a timeline that another one took over from, kept apart as evidence and for a restore of that timeline, and
 * cut to the bytes that count.
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import { type Lsn, lsnAdd, parseSegmentName, type SystemId, type Timeline, timelineDigits } from "../postgres/lsn.ts";
import { filledBehind, laidOutBytes, type PartialPlace, readMarks } from "./spool-marks.ts";
import { spoolDamaged } from "./spool-state.ts";

/** A file of WAL in a spool. */
export type SpoolFile = {
  readonly kind: "complete" | "partial" | "ended";
  readonly path: string;
  /** PostgreSQL's name of the segment. */
  readonly segment: string;
  readonly timeline: Timeline;
  readonly start: Lsn;
  /** The position after the last byte in the file. */
  readonly end: Lsn;
  readonly sizeBytes: number;
};

/** Which WAL of which size. */
export type SpoolSystem = { readonly systemId: SystemId; readonly walSegmentBytes: number };

const PARTIAL = ".partial";

/** One is what happens; for another one the receiver would have to fill a segment or to change its timeline while we look. */
const RENAMES_MAX = 3;

/** Where the segments of one timeline lie. */
export function timelineFolder(
  spool: string,
  of: { readonly systemId: SystemId; readonly timeline: Timeline },
): string {
  return path.join(spool, of.systemId, timelineDigits(of.timeline));
}

/** The file name of a segment that is being received. */
export function partialName(segment: string): string {
  return `${segment}${PARTIAL}`;
}

/** The file name of a partial that was ended by the timeline `endedBy`. */
export function endedName(segment: string, endedBy: Timeline): string {
  return `${segment}${PARTIAL}.tl${timelineDigits(endedBy)}`;
}

/** Folders of timelines in which nothing but ended files lies, by their paths, with those files. */
export type FoldersAtRest = Map<string, readonly SpoolFile[]>;

/**
 * All files of WAL of one system, in the order of timelines and positions. Folders in `atRest` are not looked into, and those
 * found at rest are put there: for the spool's owner, who knows when that changes. Throws `wal.spool-damaged`.
 */
export async function listSpool(
  files: Files,
  spool: string,
  system: SpoolSystem,
  atRest?: FoldersAtRest,
): Promise<readonly SpoolFile[]> {
  const found: SpoolFile[] = [];
  for (const name of await namesIn(files, path.join(spool, system.systemId))) {
    if (!/^[0-9A-F]{8}$/.test(name)) continue;
    const folder = path.join(spool, system.systemId, name);
    const own = atRest?.get(folder) ?? (await lookInto(files, folder, system));
    if (own.every(({ kind }) => kind === "ended")) atRest?.set(folder, own);
    found.push(...own);
  }
  return found;
}

async function lookInto(files: Files, folder: string, system: SpoolSystem): Promise<readonly SpoolFile[]> {
  const found: SpoolFile[] = [];
  const names = await namesIn(files, folder);
  for (const name of names) {
    const each =
      (await look(files, path.join(folder, name), system)) ??
      (await underItsNewName(files, { folder, name, names }, system));
    if (each !== undefined) found.push(each);
  }
  return found;
}

/**
 * A partial that was listed and is not there: the receiver has completed or ended it since, or taken an ended one up again. Left
 * out, the end of all that is held would be missing from what is said of it. Undefined where it is stored by now, and removed.
 */
async function underItsNewName(
  files: Files,
  { folder, name, names }: { readonly folder: string; readonly name: string; readonly names: readonly string[] },
  system: SpoolSystem,
): Promise<SpoolFile | undefined> {
  if (!name.includes(PARTIAL)) return undefined;
  const [segment = ""] = name.split(PARTIAL);
  for (let tries = 0; tries < RENAMES_MAX; tries += 1) {
    const now = await namesIn(files, folder);
    const renamed = now.find((each) => each.startsWith(segment) && !names.includes(each));
    if (renamed === undefined) return undefined;
    const file = await look(files, path.join(folder, renamed), system);
    if (file !== undefined) return file;
  }
  return undefined;
}

async function look(files: Files, file: string, system: SpoolSystem): Promise<SpoolFile | undefined> {
  const match = /^([0-9A-F]{24})(\.partial(\.tl[0-9A-F]{8})?)?$/.exec(path.basename(file));
  const segment = match?.[1] ?? "";
  const at = parseSegmentName(segment, system.walSegmentBytes);
  if (match === null || at === undefined) return undefined;
  const facts = await files.stat(file);
  // Completed, stored and removed, or renamed, since the folder was listed.
  if (facts === undefined) return undefined;
  const kind = match[3] !== undefined ? "ended" : match[2] !== undefined ? "partial" : "complete";
  const laidOut = kind !== "complete" && facts.sizeBytes === laidOutBytes(system.walSegmentBytes);
  const sizeBytes = laidOut ? await filledBytes(files, file, { ...at, ...system }) : facts.sizeBytes;
  if (sizeBytes === undefined) return undefined;
  if (sizeBytes > system.walSegmentBytes || (kind === "complete" && sizeBytes < system.walSegmentBytes)) {
    throw spoolDamaged(file, `it has ${sizeBytes} bytes, a segment has ${system.walSegmentBytes}`);
  }
  return { kind, path: file, segment, ...at, end: lsnAdd(at.start, sizeBytes), sizeBytes };
}

/** The bytes of a file of this spool that count as held. Rejects with `platform.file-missing` when it is there no more. */
export async function readSpoolFile(files: Files, { path: file, sizeBytes }: SpoolFile): Promise<Buffer> {
  return (await files.readFile(file)).subarray(0, sizeBytes);
}

/** How much of a file counts that was laid out; undefined when it was renamed meanwhile. */
async function filledBytes(files: Files, file: string, of: PartialPlace): Promise<number | undefined> {
  let handle: FileHandle;
  try {
    handle = await files.open(file, "read");
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
  try {
    // The receiver may be writing a mark at this moment, and then the other one.
    const marks = async () => await readMarks(handle, of);
    let standing = await marks();
    if (standing?.length === 0) standing = await marks();
    if (standing === undefined) return of.walSegmentBytes;
    const [newest] = standing;
    if (newest === undefined) throw spoolDamaged(file, "neither of its two marks fits what it holds");
    return await filledBehind(handle, of, newest.filledBytes);
  } finally {
    await handle.close();
  }
}

async function namesIn(files: Files, folder: string): Promise<readonly string[]> {
  try {
    return (await files.list(folder)).map(({ name }) => name);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return [];
    throw error;
  }
}
