/** What a node wrote that nobody else has: kept under another name before its directory is written over. */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import { makeFolderDurable, writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import {
  isHistoryName,
  type Lsn,
  lsnAdd,
  parseSegmentName,
  segmentName,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { AsideRoom, spareBytes } from "../restore/aside-room.ts";
import { PAGE_HEADER_BYTES, readPageHeader, WAL_MAGIC } from "../wal/records/page.ts";

/** Where a node's own WAL begins, and what it is kept as. */
export type Evidence = {
  readonly dataFolder: string;
  /** From `fork` on, and of every later timeline. */
  readonly timeline: Timeline;
  /** Undefined: all of it. */
  readonly fork: Lsn | undefined;
  readonly walSegmentBytes: number;
  /** The folder of what is kept goes below `under`, named after this and the first segment. */
  readonly under: string;
  readonly name: string;
};

/** What came of it. */
export type KeptWal =
  /** `isWhole`: from the fork on no segment is missing. */
  | { readonly kind: "kept"; readonly folder: string; readonly isWhole: boolean }
  /** Its WAL ends before the fork. */
  | { readonly kind: "nothing-beyond" }
  /** It has none of these timelines. */
  | { readonly kind: "none" };

type Segment = { readonly name: string; readonly start: Lsn };

/**
 * Keeps these segments, the histories of their timelines too; their names survive a power cut once this returns. Repeatable. Rejects
 * with `restore.no-space` where they cannot have second names and copies would fill the disk.
 */
export async function keepWalFrom(files: Files, of: Evidence): Promise<KeptWal> {
  const wal = path.join(of.dataFolder, "pg_wal");
  const { own, histories } = await ownWal(files, wal, of);
  const beyond = own.filter(({ start }) => of.fork === undefined || lsnAdd(start, of.walSegmentBytes) > of.fork);
  const [first] = beyond;
  if (first === undefined) return { kind: own.length === 0 ? "none" : "nothing-beyond" };
  const names = [...histories, ...beyond.map(({ name }) => name)];
  const folder = await folderFor(files, wal, { names, of, from: of.fork ?? first.start });
  await makeFolderDurable(files, folder, 0o700);
  const room = new AsideRoom(files, folder, spareBytes(of.walSegmentBytes));
  for (const name of names) await keepFile(files, { from: path.join(wal, name), to: path.join(folder, name), room });
  await files.syncFolder(folder);
  return { kind: "kept", folder, isWhole: isWhole(beyond, of) };
}

/** By position; what has only a name, and old or no content, is left out: its name may be far ahead of all that was written. */
async function ownWal(
  files: Files,
  wal: string,
  { timeline, walSegmentBytes }: Evidence,
): Promise<{ readonly own: readonly Segment[]; readonly histories: readonly string[] }> {
  const own: Segment[] = [];
  const histories: string[] = [];
  for (const { name } of await files.list(wal)) {
    if (isHistoryName(name) && timelineOfSegment(name) >= timeline) histories.push(name);
    const place = parseSegmentName(name, walSegmentBytes);
    if (place === undefined || place.timeline < timeline) continue;
    if (await isWritten(files, path.join(wal, name), place.start)) own.push({ name, start: place.start });
  }
  return { own: own.toSorted((a, b) => Number(a.start - b.start)), histories };
}

/** False only where its first page is known to be none of this place: never written, or recycled. Damaged WAL is evidence too. */
async function isWritten(files: Files, file: string, start: Lsn): Promise<boolean> {
  const handle = await files.open(file, "read");
  try {
    const bytes = await handle.read({ position: 0, length: PAGE_HEADER_BYTES });
    if (bytes.byteLength === PAGE_HEADER_BYTES && bytes.every((byte) => byte === 0)) return false;
    const page = readPageHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
    return page === undefined || !WAL_MAGIC.has(page.magic) || BigInt(page.address) === start;
  } finally {
    await handle.close();
  }
}

function isWhole(beyond: readonly Segment[], { fork, walSegmentBytes }: Evidence): boolean {
  if (fork === undefined) return false;
  let covered = fork;
  for (const { start } of beyond) {
    if (start > covered) return false;
    covered = lsnAdd(start, walSegmentBytes);
  }
  return true;
}

/**
 * The first folder that has nothing else under these names. What a rebuild kept that was given up may be otherwise by now: a
 * server that was started on the directory writes into segments, and gives them other names, by way of the second name too.
 */
async function folderFor(
  files: Files,
  wal: string,
  { names, of, from: lsn }: { readonly names: readonly string[]; readonly of: Evidence; readonly from: Lsn },
): Promise<string> {
  const { timeline, walSegmentBytes } = of;
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
async function keepFile(
  files: Files,
  { from, to, room }: { readonly from: string; readonly to: string; readonly room: AsideRoom },
): Promise<void> {
  if ((await files.stat(to)) !== undefined) return;
  try {
    await files.link(from, to);
  } catch (error) {
    if (!isLifeboatError(error, "platform.file-failed")) throw error;
    const content = await files.readFile(from);
    await room.take(content.byteLength);
    await writeDurable(files, { file: to, parts: [content], over: "new", permissions: 0o600, unique: "evidence" });
  }
}
