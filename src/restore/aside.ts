/**
 * Keeps aside what a delta restore is about to overwrite or remove: together with the backup it is the old data directory.
 *
 * Nouns: an *aside* is a folder with what of the old directory the backup does not have: the pages that differ and what lies
 * behind the backup's end of a file in `pages`, every file that goes under its old path in `removed`.
 * Invariants: an aside is whole, and on stable storage, before anything of the old directory is changed; its header comes
 * last. What goes is given a second name, which costs nothing: a delta restore never writes into a file that it removes.
 * Why so: docs/decisions/0014-rebuilt-over-what-differs.md. Format: docs/formats/aside.md.
 */
import path from "node:path";
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import { makeFolderDurable, writeDurable } from "../platform/durable.ts";
import type { FileHandle, Files } from "../platform/files.ts";
import { BLOCK_BYTES } from "../postgres/control-file.ts";
import type { SystemId } from "../postgres/lsn.ts";
import { crc32 } from "../vault/crc32.ts";
import type { BackupId } from "../vault/names.ts";
import type { KeptFile } from "./compare-files.ts";
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

/** What is about to be changed, and where it is kept. */
export type AsideRequest = {
  /** The folder of the aside; not there yet. */
  readonly into: string;
  readonly systemId: SystemId;
  readonly backupId: BackupId;
  readonly image: PlannedImage;
  readonly layout: Layout;
  readonly survey: Pick<DeltaSurvey, "kept" | "removed">;
  readonly madeAt: string;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Read at a time. */
const WINDOW_BYTES = 1024 * 1024;
/** Wanted bytes that lie closer than this are read with what lies between them: a read costs as much as copying so many. */
const GAP_BYTES_MAX = 16 * BLOCK_BYTES;

/** Makes an aside. Changes nothing of what it keeps; cut short, it leaves a folder without a header. */
export async function keepAside(files: Files, request: AsideRequest, options: CallOptions): Promise<void> {
  const { into, layout, survey } = request;
  await makeFolderDurable(files, into, 0o700);
  const pages = await PagesWriter.create(files, path.join(into, ASIDE_PAGES));
  const kept: AsideHeader["files"] = [];
  const absent: string[] = [];
  try {
    for (const line of request.image.lines) {
      throwIfAborted(options.signal, "keeping the old directory aside");
      const target = placePath(layout, line.path);
      if (target === undefined) continue;
      const found = survey.kept.get(target);
      if (found === undefined) {
        if ((await files.stat(target)) === undefined) absent.push(line.path);
        continue;
      }
      if (found.kind === "same" || line.kind !== "pages") continue;
      const sizeBytes = (await files.stat(target))?.sizeBytes ?? 0;
      const ranges = rangesOf(found, { sizeBytes, backupBytes: line.sizeBytes });
      if (ranges.length === 0 && sizeBytes === line.sizeBytes) continue;
      await pages.copy(target, ranges);
      kept.push({ path: line.path, sizeBytes, ranges });
    }
    await pages.finish();
  } finally {
    await pages.close();
  }
  const removed = new SecondNames(files, layout.roots, path.join(into, ASIDE_REMOVED));
  for (const each of survey.removed) await removed.keep(each);
  await removed.finish();
  const { systemId, backupId, madeAt } = request;
  const header: AsideHeader = {
    format: "lifeboat-aside",
    version: 1,
    madeAt,
    systemId,
    backupId,
    roots: [...layout.roots],
    pages: { sizeBytes: pages.sizeBytes, crc32: pages.crc32 },
    files: kept,
    absent,
  };
  const parts = [Buffer.from(`${JSON.stringify(header)}\n`)];
  await writeDurable(files, { file: path.join(into, ASIDE_HEADER), parts, over: "new", unique: "lifeboat" });
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

/** Puts ranges of files behind one another. */
class PagesWriter {
  readonly #files: Files;
  readonly #handle: FileHandle;
  sizeBytes = 0;
  crc32 = 0;

  private constructor(files: Files, handle: FileHandle) {
    this.#files = files;
    this.#handle = handle;
  }

  static async create(files: Files, file: string): Promise<PagesWriter> {
    return new PagesWriter(files, await files.open(file, "create"));
  }

  async copy(file: string, ranges: readonly number[]): Promise<void> {
    if (ranges.length === 0) return;
    const handle = await this.#files.open(file, "read");
    try {
      for (const window of windowsOf(ranges)) {
        const position = window[0] ?? 0;
        const end = (window.at(-2) ?? 0) + (window.at(-1) ?? 0);
        const bytes = await handle.read({ position, length: end - position });
        const parts = [];
        for (let at = 0; at < window.length; at += 2) {
          const from = (window[at] ?? 0) - position;
          const data = bytes.subarray(from, from + (window[at + 1] ?? 0));
          parts.push({ data, position: this.sizeBytes });
          this.sizeBytes += data.byteLength;
          this.crc32 = crc32(data, this.crc32);
        }
        await this.#handle.writeParts(parts);
      }
    } finally {
      await handle.close();
    }
  }

  /** All that was put there is on stable storage. */
  finish(): Promise<void> {
    return this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Ranges that are read at once, each group flat runs of two as well. */
function* windowsOf(ranges: readonly number[]): Generator<number[]> {
  let window: number[] = [];
  let begin = 0;
  let end = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    const stop = (ranges[at] ?? 0) + (ranges[at + 1] ?? 0);
    for (let from = ranges[at] ?? 0; from < stop; ) {
      if (window.length > 0 && (from - end > GAP_BYTES_MAX || from - begin >= WINDOW_BYTES)) {
        yield window;
        window = [];
      }
      if (window.length === 0) begin = from;
      const until = Math.min(stop, begin + WINDOW_BYTES);
      window.push(from, until - from);
      end = until;
      from = until;
    }
  }
  if (window.length > 0) yield window;
}

/** Gives what goes a second name below one folder. */
class SecondNames {
  readonly #files: Files;
  readonly #roots: readonly string[];
  readonly #into: string;
  readonly #folders = new Set<string>();

  constructor(files: Files, roots: readonly string[], into: string) {
    this.#files = files;
    this.#roots = roots;
    this.#into = into;
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
    else if (facts?.kind === "file") await linkOrCopy(files, from, to);
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
async function linkOrCopy(files: Files, from: string, to: string): Promise<void> {
  try {
    await files.link(from, to);
  } catch (error) {
    // Another file system, or one that knows no second names.
    if (!isLifeboatError(error, "platform.file-failed") && !isLifeboatError(error, "platform.file-denied")) throw error;
    await copyFile(files, { from, to }, (target) => target.sync());
  }
}

/** Copies a file to a name that is free; `finish` gets the copy while it is open. */
export async function copyFile(
  files: Files,
  copy: { readonly from: string; readonly to: string; readonly mode?: number },
  finish: (target: FileHandle) => Promise<void> = async () => undefined,
): Promise<void> {
  const source = await files.open(copy.from, "read");
  try {
    const target = await files.open(copy.to, "create", copy.mode);
    try {
      await copyThrough(source, target);
      await finish(target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copyThrough(source: FileHandle, target: FileHandle): Promise<void> {
  for (let position = 0; ; position += WINDOW_BYTES) {
    const data = await source.read({ position, length: WINDOW_BYTES });
    await target.write(data, position);
    if (data.byteLength < WINDOW_BYTES) return;
  }
}
