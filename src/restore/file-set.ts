/**
 * The files being restored: made, written in any order, and synced: large ones when each is complete, then all at once.
 *
 * A data directory has a thousand small files, and a turn through the pool of threads costs more than making or writing one:
 * so these wait for the disk where the others are waited for.
 */
import { assert, LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { FileFacts, FileHandle, FilePart, Files } from "../platform/files.ts";
import { severalAtOnce } from "../platform/several-at-once.ts";
import { turnOfOthers } from "../platform/timer.ts";

/** Who owns what is written; undefined leaves it to this process. */
export type Owner = { readonly uid: number; readonly gid: number };

/** Open at a time; a process may usually have 1024. */
const OPEN_FILES_MAX = 200;
/** Files made at a time. */
const MAKERS = 4;
/** Files of this size are synced as soon as they are complete, so that the disk has work; the rest wait for one sync of all. */
const SYNC_EARLY_BYTES_MIN = 16 * 1024 * 1024;
/** Syncs under way at a time. */
const SYNCS_MAX = 4;
/**
 * Bytes after which a file that is still being written is synced on the side. A kernel with much memory would else begin to
 * write when a tenth of that is dirty: here, after all the work is done.
 */
const FLUSH_BYTES = 64 * 1024 * 1024;

type Entry = {
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
  /** It is there like this, and parts of it stay. */
  readonly existing: FileFacts | undefined;
  outstanding: number;
  /** Whether anything is to be written into it. */
  isWritten: boolean;
  /** Settles when it is there; undefined before that was begun. */
  made: Promise<void> | undefined;
  handle: Promise<FileHandle> | undefined;
  busy: number;
  /** Written since the last sync on the side. */
  dirtyBytes: number;
};

/** Whether a file is written by threads, and synced when it is complete. */
function isLarge({ sizeBytes }: Entry): boolean {
  return sizeBytes >= SYNC_EARLY_BYTES_MIN;
}

/** One set serves one restore. */
export class FileSet {
  readonly #files: Files;
  readonly #owner: Owner | undefined;
  readonly #entries: (Entry | undefined)[] = [];
  readonly #open = new Set<Entry>();
  readonly #syncing = new Set<Promise<void>>();
  #flushing: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;

  constructor(files: Files, owner: Owner | undefined) {
    this.#files = files;
    this.#owner = owner;
  }

  /** A number for a file that is written by somebody else. */
  reserve(): number {
    return this.#entries.push(undefined) - 1;
  }

  /** Adds a file; it comes into being with `prepare`, or gets its length where it is there already. */
  add(file: {
    readonly path: string;
    readonly mode: number;
    readonly sizeBytes: number;
    readonly existing?: FileFacts | undefined;
  }): number {
    const { existing } = file;
    const begun = { outstanding: 0, isWritten: false, made: undefined, handle: undefined, busy: 0, dirtyBytes: 0 };
    return this.#entries.push({ ...file, existing, ...begun }) - 1;
  }

  /** Says how many writes complete a file. */
  expect(file: number, writes: number): void {
    const entry = this.#entry(file);
    entry.outstanding = writes;
    entry.isWritten = writes > 0;
  }

  /** Makes a folder now; one that exists gets the mode. */
  async makeFolder(folder: string, mode: number): Promise<void> {
    await this.#files.makeFolder(folder, mode);
    await this.#files.changeMode(folder, mode);
    if (this.#owner !== undefined) await this.#files.changeOwner(folder, this.#owner);
  }

  async makeLink(at: string, target: string): Promise<void> {
    await this.#files.symlink(target, at);
    if (this.#owner !== undefined) await this.#files.changeOwner(at, this.#owner);
  }

  /**
   * Makes every file with its length; what is never written stays zero. Files may be written meanwhile: one that is not there yet
   * is made first. Where many files were removed within the last minutes, ext4 takes a millisecond to make one.
   */
  async prepare(options: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    const entries = this.#entries.filter((entry) => entry !== undefined);
    // Those that threads write to come first.
    entries.sort((a, b) => Number(isLarge(b)) - Number(isLarge(a)));
    await severalAtOnce(entries, MAKERS, async (entry) => {
      throwIfAborted(options.signal, "making files");
      await this.#made(entry);
      await turnOfOthers();
    });
  }

  /** Writes parts of a file, which do for so many of the writes that were announced; the last one has it synced. */
  async write(file: number, parts: readonly FilePart[], writes: number): Promise<void> {
    this.#throwIfFailed();
    const entry = this.#entry(file);
    entry.outstanding -= writes;
    assert(entry.outstanding >= 0, "a file gets no more writes than were announced");
    // The others are written within a few batches: keeping them open costs more turns through the pool than opening them.
    await this.#made(entry);
    if (!isLarge(entry)) return this.#files.writeParts(entry.path, parts);
    entry.busy += 1;
    try {
      const handle = await this.#acquire(entry);
      await handle.writeParts(parts);
      for (const { data } of parts) this.#flush(entry, handle, data.byteLength);
    } finally {
      entry.busy -= 1;
    }
    if (entry.outstanding === 0) await this.#complete(entry);
  }

  /**
   * Lends a file out to be written by threads, until `takeBack`; undefined for one that is written by `write` alone. One that
   * is lent out is neither synced nor closed.
   */
  async lend(file: number): Promise<number | undefined> {
    this.#throwIfFailed();
    const entry = this.#entry(file);
    if (!isLarge(entry)) return undefined;
    await this.#made(entry);
    entry.busy += 1;
    const handle = await this.#acquire(entry).catch((cause: unknown) => {
      entry.busy -= 1;
      throw cause;
    });
    if (handle.descriptor === undefined) entry.busy -= 1;
    return handle.descriptor;
  }

  /** Takes a file back of which so many bytes were written, which do for so many writes; the last one has it synced. */
  async takeBack(file: number, written: { readonly bytes: number; readonly writes: number }): Promise<void> {
    this.#throwIfFailed();
    const entry = this.#entry(file);
    assert(entry.busy > 0 && entry.handle !== undefined, "a file that is taken back was lent out");
    entry.outstanding -= written.writes;
    assert(entry.outstanding >= 0, "a file gets no more writes than were announced");
    this.#flush(entry, await entry.handle, written.bytes);
    entry.busy -= 1;
    if (entry.outstanding === 0) await this.#complete(entry);
  }

  /** Where a file lies. */
  pathOf(file: number): string {
    return this.#entry(file).path;
  }

  /** Syncs the file systems of the roots, and waits for the syncs under way. Throws when a file is incomplete. */
  async finish(roots: readonly string[]): Promise<void> {
    this.#throwIfFailed();
    for (const entry of this.#entries) {
      const isDone = entry === undefined || (entry.made !== undefined && entry.outstanding === 0);
      assert(isDone, "every file is there and complete when a restore finishes");
    }
    const syncing = Promise.all(this.#syncing);
    for (const root of roots) await this.#files.syncFileSystem(root);
    await syncing;
    this.#throwIfFailed();
  }

  /** Closes what is open, whatever became of it. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#syncing, this.#flushing]);
    for (const entry of [...this.#open]) await this.#release(entry);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  #made(entry: Entry): Promise<void> {
    entry.made ??= this.#make(entry);
    return entry.made;
  }

  async #make(entry: Entry): Promise<void> {
    const { path, mode, sizeBytes, existing } = entry;
    const owner = this.#owner;
    if (existing === undefined) return this.#files.makeFile(path, { sizeBytes, permissions: mode, owner });
    if (entry.isWritten || existing.sizeBytes !== sizeBytes) await this.#throwUnlessOwn(path);
    if (existing.sizeBytes !== sizeBytes) {
      const handle = await this.#files.open(path, "update");
      try {
        await handle.truncate(sizeBytes);
      } finally {
        await handle.close();
      }
    }
    if (existing.mode !== mode) await this.#files.changeMode(path, mode);
    const isOwners = owner === undefined || (existing.uid === owner.uid && existing.gid === owner.gid);
    if (!isOwners) await this.#files.changeOwner(path, owner);
  }

  /** A file that somebody gave a second name since it was compared would change under that one too. */
  async #throwUnlessOwn(file: string): Promise<void> {
    const facts = await this.#files.stat(file);
    if (facts?.kind === "file" && facts.nameCount === 1) return;
    throw new LifeboatError("restore.target-changed", {
      message: `${file} was compared, and ${facts?.kind === "file" ? "has a second name" : "is no file"} now`,
      remedy: "Run the same command again: it goes on, and makes such a file anew. This one was not touched.",
    });
  }

  #entry(file: number): Entry {
    const entry = this.#entries[file];
    assert(entry !== undefined, "a file number names a file");
    return entry;
  }

  async #acquire(entry: Entry): Promise<FileHandle> {
    if (entry.handle === undefined) {
      entry.handle = this.#files.open(entry.path, "update");
      this.#open.add(entry);
      if (this.#open.size > OPEN_FILES_MAX) await this.#closeIdle();
    }
    return entry.handle;
  }

  async #closeIdle(): Promise<void> {
    for (const entry of this.#open) {
      if (entry.busy === 0) {
        await this.#syncAndRelease(entry);
        return;
      }
    }
  }

  /** Has the disk work while the rest comes in. One at a time: threads are needed for the rest. */
  #flush(entry: Entry, handle: FileHandle, writtenBytes: number): void {
    entry.dirtyBytes += writtenBytes;
    if (entry.dirtyBytes < FLUSH_BYTES || this.#flushing !== undefined) return;
    entry.dirtyBytes = 0;
    entry.busy += 1;
    this.#flushing = handle
      .sync()
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => {
        entry.busy -= 1;
        this.#flushing = undefined;
      });
  }

  async #complete(entry: Entry): Promise<void> {
    while (this.#syncing.size >= SYNCS_MAX) await Promise.race(this.#syncing);
    const work = this.#syncAndRelease(entry)
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .finally(() => this.#syncing.delete(work));
    this.#syncing.add(work);
  }

  async #syncAndRelease(entry: Entry): Promise<void> {
    const handle = entry.handle;
    if (handle === undefined) return;
    entry.handle = undefined;
    this.#open.delete(entry);
    const opened = await handle;
    // It may be this file's: nothing is closed that is in use.
    await this.#flushing;
    try {
      await opened.sync();
    } finally {
      await opened.close();
    }
  }

  async #release(entry: Entry): Promise<void> {
    const handle = entry.handle;
    entry.handle = undefined;
    this.#open.delete(entry);
    const opened = await handle?.catch(() => undefined);
    await opened?.close();
  }
}
