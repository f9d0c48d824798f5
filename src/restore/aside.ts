/**
 * Keeps aside what a delta restore is about to overwrite or remove: together with the backup it is the old data directory.
 *
 * Nouns: an *aside* is a folder with what of the old directory the backup does not have: the pages that differ and what lies
 * behind the backup's end of a file in `pages`, every file that goes under its old path in `removed`.
 * Invariants: an aside is whole, and on stable storage, before anything of the old directory is changed; its header comes
 * last. Its pages are those that were compared: they are taken while they lie in a core's cache, and the disk writes them
 * while the rest is compared. What goes is given a second name, which costs nothing: no delta restore keeps a file that has
 * one (delta-survey.ts), neither this one nor the next, which may be from another backup.
 * Why so: docs/decisions/0014-rebuilt-over-what-differs.md. Format: docs/formats/aside.md.
 */
import path from "node:path";
import { z } from "zod";
import { assert, isLifeboatError, LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { makeFolderDurable, writeDurable } from "../platform/durable.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { crc32 } from "../vault/crc32.ts";
import type { BackupId } from "../vault/names.ts";
import { AsideRoom } from "./aside-room.ts";
import type { FileWanted, KeptFile, PagesTaker } from "./compare-files.ts";
import type { DeltaSurvey } from "./delta-survey.ts";
import type { PlannedImage } from "./image-writer.ts";
import { type Layout, placePath } from "./layout.ts";

/** The names in an aside. */
export const ASIDE_HEADER = "aside.json";
export const ASIDE_PAGES = "pages";
export const ASIDE_REMOVED = "removed";

const whole = z.number().int().min(0);

const headerSchema = z.strictObject({
  format: z.literal("lifeboat-aside"),
  version: z.literal(1),
  madeAt: z.iso.datetime(),
  systemId: z.string().transform((text) => text as SystemId),
  /** What all else of the old directory is in. */
  backupId: z.string().transform((text) => text as BackupId),
  /** Where it lay: the data directory, a folder for each tablespace outside, then that of WAL where that is outside. */
  roots: z.array(z.string()).min(1),
  pages: z.strictObject({ sizeBytes: whole, crc32: whole }),
  /** `ranges` are flat runs of two: first byte in the file, bytes; their bytes follow one another in `pages`. */
  files: z.array(z.strictObject({ path: z.string(), sizeBytes: whole, ranges: z.array(whole) })),
  /** Paths of the backup that the old directory did not have. */
  absent: z.array(z.string()),
});

/** What an aside says of itself. */
export type AsideHeader = z.output<typeof headerSchema>;

/** What is about to be changed. */
export type AsideRequest = {
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  readonly image: PlannedImage;
  readonly layout: Layout;
  readonly survey: Pick<DeltaSurvey, "kept" | "removed">;
  readonly madeAt: string;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Copied at a time. */
const WINDOW_BYTES = 1024 * 1024;
/** Bytes after which the disk begins to write what was taken, so that the sync at the end finds little. */
const FLUSH_BYTES = 64 * 1024 * 1024;

/**
 * An aside that is being made: first it takes pages, while the old directory is compared, then the rest. Changes nothing of what
 * it keeps; cut short, it leaves a folder without a header. Close it.
 */
export class AsideWriter implements PagesTaker {
  readonly #files: Files;
  readonly #into: string;
  readonly #room: AsideRoom;
  readonly #pages: PagesWriter;
  readonly #kept: AsideHeader["files"] = [];

  private constructor(files: Files, into: string, taking: { readonly room: AsideRoom; readonly pages: PagesWriter }) {
    this.#files = files;
    this.#into = into;
    this.#room = taking.room;
    this.#pages = taking.pages;
  }

  /** Begins one in a folder that is not there yet. The disk begins to write when `flushBytes` were taken; `reserveBytes` stay free. */
  static async begin(
    files: Files,
    into: string,
    { flushBytes = FLUSH_BYTES, reserveBytes }: { readonly flushBytes?: number; readonly reserveBytes?: number } = {},
  ): Promise<AsideWriter> {
    await makeFolderDurable(files, into, 0o700);
    const room = new AsideRoom(files, into, reserveBytes);
    const pages = await PagesWriter.create(files, path.join(into, ASIDE_PAGES), { flushBytes, room });
    return new AsideWriter(files, into, { room, pages });
  }

  /** Takes pages of the file that is being compared. Throws `restore.no-space` as `AsideRoom` does. */
  async take(pages: Buffer): Promise<void> {
    await this.#pages.add(pages);
  }

  /** Adds what else of the file the backup does not have, or lets go of its pages: one that goes keeps its whole content. */
  async endFile({ line, target }: FileWanted, found: KeptFile | undefined): Promise<void> {
    const pages = this.#pages;
    if (found?.kind !== "pages") return pages.forgetFile();
    const { sizeBytes } = found.facts;
    const ranges = rangesOf(found, { sizeBytes, backupBytes: line.sizeBytes });
    const missing = bytesOf(ranges) - pages.fileBytes;
    assert(missing >= 0, "of a file only what differs was taken");
    if (missing > 0) await pages.copy(target, { position: sizeBytes - missing, length: missing });
    pages.endFile();
    if (ranges.length > 0 || sizeBytes !== line.sizeBytes) this.#kept.push({ path: line.path, sizeBytes, ranges });
  }

  /**
   * Keeps the rest and makes the aside whole. Throws `restore.no-space` as `AsideRoom` does, and `restore.target-in-use` when somebody
   * removed it meanwhile.
   */
  async finish(request: AsideRequest, options: CallOptions): Promise<void> {
    const { layout, survey } = request;
    const files = this.#files;
    throwIfAborted(options.signal, "keeping the old directory aside");
    await this.#pages.finish();
    const absent: string[] = [];
    for (const line of request.image.lines) {
      const target = placePath(layout, line.path);
      if (target === undefined || survey.kept.has(target)) continue;
      if ((await files.stat(target)) === undefined) absent.push(line.path);
    }
    const removed = new SecondNames(files, {
      roots: layout.roots,
      into: path.join(this.#into, ASIDE_REMOVED),
      room: this.#room,
    });
    for (const each of survey.removed) {
      throwIfAborted(options.signal, "keeping the old directory aside");
      await removed.keep(each);
    }
    await removed.finish();
    await this.#checkPages();
    const { systemId, backupId, madeAt } = request;
    const { sizeBytes, crc32: sum } = this.#pages;
    const header: AsideHeader = {
      format: "lifeboat-aside",
      version: 1,
      madeAt,
      systemId,
      backupId,
      roots: [...layout.roots],
      pages: { sizeBytes, crc32: sum },
      files: this.#kept,
      absent,
    };
    const parts = [Buffer.from(`${JSON.stringify(header)}\n`)];
    await writeDurable(files, { file: path.join(this.#into, ASIDE_HEADER), parts, over: "new", unique: "lifeboat" });
  }

  /** Closes what is open; whole or not. */
  close(): Promise<void> {
    return this.#pages.close();
  }

  /** Removes one that did not become whole: of the old directory nothing was changed then. With a header it stays. */
  async discard(): Promise<void> {
    const header = await this.#files.stat(path.join(this.#into, ASIDE_HEADER));
    if (header === undefined) await this.#files.removeTree(this.#into);
  }

  /** Another rebuild of the node takes one without a header for left over, and what is written goes to a file without a name. */
  async #checkPages(): Promise<void> {
    const file = path.join(this.#into, ASIDE_PAGES);
    const { sizeBytes } = this.#pages;
    const there = (await this.#files.stat(file))?.sizeBytes;
    if (there === sizeBytes) return;
    throw new LifeboatError("restore.target-in-use", {
      message: `${file} ${there === undefined ? "is gone" : `has ${there} bytes`}, ${sizeBytes} were written: another rebuild removed it`,
      remedy: "Nothing was changed. Wait until the other rebuild of this node has ended.",
    });
  }
}

/**
 * The header of an aside; undefined for a folder that was left before it was one. Throws `restore.image-incomplete` for one that cannot
 * be read: its folder may hold what nothing else has.
 */
export async function readAside(files: Files, folder: string): Promise<AsideHeader | undefined> {
  const file = path.join(folder, ASIDE_HEADER);
  let bytes: Buffer;
  try {
    bytes = await files.readFile(file);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
  try {
    return headerSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    throw new LifeboatError("restore.image-incomplete", {
      message: `${file} is not the header of an aside as this program writes it`,
      remedy:
        "Nothing was changed. The files beside it are those of the old directory, and can be looked at as they are.",
      cause,
    });
  }
}

/** The bytes of a file here that the backup does not have: pages that differ, and what lies behind the backup's end. */
function rangesOf(
  { differing }: Extract<KeptFile, { readonly kind: "pages" }>,
  { sizeBytes, backupBytes }: { readonly sizeBytes: number; readonly backupBytes: number },
): number[] {
  const ranges: number[] = [];
  const add = (from: number, end: number): void => {
    if (from < end) ranges.push(from, end - from);
  };
  for (let at = 0; at < differing.length; at += 2) {
    const from = (differing[at] ?? 0) * BLOCK_BYTES;
    const end = from + (differing[at + 1] ?? 0) * BLOCK_BYTES;
    add(from, Math.min(end, sizeBytes));
  }
  add(backupBytes, sizeBytes);
  return ranges;
}

function bytesOf(ranges: readonly number[]): number {
  let bytes = 0;
  for (let at = 1; at < ranges.length; at += 2) bytes += ranges[at] ?? 0;
  return bytes;
}

type PagesLimits = { readonly flushBytes: number; readonly room: AsideRoom };

/** Puts parts of files behind one another. */
class PagesWriter {
  readonly #files: Files;
  readonly #handle: FileHandle;
  readonly #room: AsideRoom;
  readonly #flushBytes: number;
  #flushing: Promise<void> = Promise.resolve();
  #failure: { readonly cause: unknown } | undefined;
  #dirtyBytes = 0;
  /** As it was when the file that is under way began. */
  #before = { sizeBytes: 0, crc32: 0 };
  #forgot = false;
  sizeBytes = 0;
  crc32 = 0;

  private constructor(files: Files, handle: FileHandle, { flushBytes, room }: PagesLimits) {
    this.#files = files;
    this.#handle = handle;
    this.#room = room;
    this.#flushBytes = flushBytes;
  }

  static async create(files: Files, file: string, limits: PagesLimits): Promise<PagesWriter> {
    return new PagesWriter(files, await files.open(file, "create"), limits);
  }

  /** Bytes of the file that is under way. */
  get fileBytes(): number {
    return this.sizeBytes - this.#before.sizeBytes;
  }

  async add(bytes: Buffer): Promise<void> {
    await this.#room.take(bytes.byteLength);
    await this.#handle.write(bytes, this.sizeBytes);
    this.sizeBytes += bytes.byteLength;
    this.crc32 = crc32(bytes, this.crc32);
    this.#flush(bytes.byteLength);
  }

  async copy(
    file: string,
    { position, length }: { readonly position: number; readonly length: number },
  ): Promise<void> {
    const handle = await this.#files.open(file, "read");
    try {
      for (let done = 0; done < length; done += WINDOW_BYTES) {
        const wanted = Math.min(WINDOW_BYTES, length - done);
        await this.add(await handle.read({ position: position + done, length: wanted }));
      }
    } finally {
      await handle.close();
    }
  }

  endFile(): void {
    this.#before = { sizeBytes: this.sizeBytes, crc32: this.crc32 };
  }

  /** What comes next is written over what came of the file that is under way. */
  forgetFile(): void {
    this.#forgot ||= this.fileBytes > 0;
    this.sizeBytes = this.#before.sizeBytes;
    this.crc32 = this.#before.crc32;
  }

  /** All that was put there is on stable storage. */
  async finish(): Promise<void> {
    await this.#flushing;
    if (this.#failure !== undefined) throw this.#failure.cause;
    if (this.#forgot) await this.#handle.truncate(this.sizeBytes);
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#handle.close();
  }

  #flush(writtenBytes: number): void {
    this.#dirtyBytes += writtenBytes;
    if (this.#dirtyBytes < this.#flushBytes) return;
    this.#dirtyBytes = 0;
    this.#flushing = this.#flushing
      .then(() => this.#handle.writeBack())
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      });
  }
}

/** Gives what goes a second name below one folder. */
class SecondNames {
  readonly #files: Files;
  readonly #roots: readonly string[];
  readonly #into: string;
  readonly #room: AsideRoom;
  readonly #folders = new Set<string>();

  constructor(
    files: Files,
    of: { readonly roots: readonly string[]; readonly into: string; readonly room: AsideRoom },
  ) {
    this.#files = files;
    this.#roots = of.roots;
    this.#into = of.into;
    this.#room = of.room;
  }

  async keep(file: string): Promise<void> {
    const root = this.#roots.findIndex((each) => file.startsWith(`${each}${path.sep}`));
    const to = path.join(this.#into, String(root), path.relative(this.#roots[root] ?? "", file));
    await this.#makeFolder(path.dirname(to));
    await this.#keepAs(file, to);
  }

  /** All names are on stable storage. */
  async finish(): Promise<void> {
    for (const folder of this.#folders) await this.#files.syncFolder(folder);
  }

  async #keepAs(from: string, to: string): Promise<void> {
    const files = this.#files;
    const facts = await files.stat(from);
    if (facts?.kind === "folder") {
      await this.#makeFolder(to);
      for (const { name } of await files.list(from)) await this.#keepAs(path.join(from, name), path.join(to, name));
    } else if (facts?.kind === "link") await files.symlink(await files.readLink(from), to);
    else if (facts?.kind === "file") await linkOrCopy(files, { from, to }, this.#room);
    // A socket or a pipe holds nothing.
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    await this.#files.makeFolder(folder, 0o700);
    for (let at = folder; at.startsWith(this.#into); at = path.dirname(at)) this.#folders.add(at);
    this.#folders.add(path.dirname(this.#into));
  }
}

/** By a second name, or as a copy where the file lies on another file system and can have no name here. */
async function linkOrCopy(
  files: Files,
  names: { readonly from: string; readonly to: string },
  room: AsideRoom,
): Promise<void> {
  try {
    await files.link(names.from, names.to);
  } catch (error) {
    // Another file system, or one that knows no second names.
    if (!isLifeboatError(error, "platform.file-failed") && !isLifeboatError(error, "platform.file-denied")) throw error;
    await copyFile(files, { ...names, room }, (target) => target.sync());
  }
}

/** Copies a file to a name that is free, as far as `room` has room; `finish` gets the copy while it is open. */
export async function copyFile(
  files: Files,
  copy: { readonly from: string; readonly to: string; readonly mode?: number; readonly room?: AsideRoom },
  finish: (target: FileHandle) => Promise<void> = async () => undefined,
): Promise<void> {
  const source = await files.open(copy.from, "read");
  try {
    const target = await files.open(copy.to, "create", copy.mode);
    try {
      await copyThrough(source, target, copy.room);
      await finish(target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copyThrough(source: FileHandle, target: FileHandle, room: AsideRoom | undefined): Promise<void> {
  for (let position = 0; ; position += WINDOW_BYTES) {
    const data = await source.read({ position, length: WINDOW_BYTES });
    await room?.take(data.byteLength);
    await target.write(data, position);
    if (data.byteLength < WINDOW_BYTES) return;
  }
}
