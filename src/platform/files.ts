/**
 * Files of this machine, as a port.
 *
 * Nouns: a *handle* is an open file; *sync* makes what was written survive a power cut; a folder must be synced too
 * before a new or renamed name in it survives.
 * Invariants: nothing outside this folder imports node:fs; a failure is a LifeboatError that names the operation and
 * the path; a full disk has its own code (`platform.disk-full`), a missing file has its own (`platform.file-missing`).
 */
import { execFile } from "node:child_process";
import {
  closeSync,
  constants,
  type Dirent,
  fchownSync,
  fdatasyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  type StatsFs,
  writeSync,
} from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { assert, LifeboatError } from "../errors/error.ts";
import { errnoOf } from "./errno.ts";
import { sharedWriteOf } from "./shared-files.ts";

const run = promisify(execFile);

/** How a file is opened. `create` makes a new one and fails when it exists; `update` reads and writes an existing one. */
export type OpenMode = "read" | "create" | "update";

/** What is known of a path. */
export type FileFacts = {
  readonly kind: "file" | "folder" | "link" | "other";
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Permission bits, for example 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** How many names it has (st_nlink): what is written into a file of several is read by way of each. Of no use for a folder. */
  readonly nameCount: number;
};

/** One name in a folder. */
export type FolderEntry = { readonly name: string; readonly kind: FileFacts["kind"] };

/** Part of a file; with `into`, a buffer of at least `length` bytes, it is read into that one. */
type FileRange = { readonly position: number; readonly length: number; readonly into?: Buffer | undefined };

/** Bytes and where in a file they go. */
export type FilePart = { readonly data: Uint8Array; readonly position: number };

/** A file that is open to be read, blocking. Close it exactly once. */
export interface BlockingFile {
  readonly facts: FileFacts;
  /** Fills `into` from `position` on and returns how many bytes there were; fewer only at the end of the file. */
  read(position: number, into: Uint8Array): number;
  close(): void;
}

/** A file to be made. Without an owner it is this process's. */
export type MadeFile = {
  readonly sizeBytes: number;
  readonly permissions: number;
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
};

/** An open file. Close it exactly once. */
export interface FileHandle {
  /**
   * What threads of this process write by while the handle is open: see `writeShared`. Of a file that is none of the machine's it
   * holds in this thread alone (shared-files.ts), or there is none.
   */
  readonly descriptor?: number | undefined;
  /** Reads up to `length` bytes at `position` into a new buffer or the one given; fewer only at the end of the file. */
  read(at: FileRange): Promise<Buffer>;
  /** Writes all of `data` at `position`. */
  write(data: Uint8Array, position: number): Promise<void>;
  /**
   * As `write`, done when it returns: it holds this whole process up until then. For the few bytes that somebody waits for and
   * nothing else here is worth as much, since a turn through the pool of threads takes as long as the disk itself
   * (docs/measurements.md, "Receiving WAL").
   */
  writeNow(data: Uint8Array, position: number): void;
  /**
   * Writes several parts, each whole and at its own position, blocking: for parts that are each done before a turn through
   * the pool of threads would have begun. Where it fails, any of them may be written or not.
   */
  writeParts(parts: readonly FilePart[]): Promise<void>;
  /** Cuts or extends (with zeros) to `lengthBytes`. */
  truncate(lengthBytes: number): Promise<void>;
  /** Returns when data and size are on stable storage (fdatasync). A failed sync is final: never retry, reopen. */
  sync(): Promise<void>;
  /**
   * Brings what was written so far on its way to the disk and waits for it, promising nothing: written in one heap at the end,
   * it would hold up every sync of every other process behind it (docs/measurements.md, "Clients during a backup").
   */
  writeBack(): Promise<void>;
  /** As `sync`, done when it returns: see `writeNow`. */
  syncNow(): void;
  stat(): Promise<FileFacts>;
  close(): Promise<void>;
}

/** The files port. Paths are absolute. */
export interface Files {
  open(file: string, mode: OpenMode, permissions?: number): Promise<FileHandle>;
  readFile(file: string): Promise<Buffer>;
  /**
   * Opens a file to be read while this thread waits; undefined when there is none: nothing, a folder or a link. For threads
   * that have nothing else to do: a turn through the pool of threads costs ten times as much as reading a small file.
   */
  openBlocking(file: string): BlockingFile | undefined;
  /** Makes a new file of so many zeros, blocking (see `writeParts`); fails with `platform.file-exists` where something is. */
  makeFile(file: string, made: MadeFile): Promise<void>;
  /** Writes parts of an existing file as its handle would, with opening and closing it. */
  writeParts(file: string, parts: readonly FilePart[]): Promise<void>;
  /** Facts of a path, links not followed; undefined when nothing is there. */
  stat(file: string): Promise<FileFacts | undefined>;
  /** Names in a folder, sorted. */
  list(folder: string): Promise<readonly FolderEntry[]>;
  /** Makes a folder and its parents; one that exists is left as it is. Not synced: see durable.ts. */
  makeFolder(folder: string, permissions?: number): Promise<void>;
  /** Gives `from` the name `to`, replacing a file of that name. */
  rename(from: string, to: string): Promise<void>;
  /** Gives the file a second name; fails with `platform.file-exists` when that name is taken. */
  link(from: string, to: string): Promise<void>;
  /** Makes a symbolic link at `at` that points to `target`. */
  symlink(target: string, at: string): Promise<void>;
  readLink(file: string): Promise<string>;
  /** Removes a file; one that is not there is no error. */
  remove(file: string): Promise<void>;
  /** Removes a folder and all in it; one that is not there is no error. */
  removeTree(folder: string): Promise<void>;
  /** Makes the names in a folder survive a power cut. */
  syncFolder(folder: string): Promise<void>;
  /**
   * Returns when all that was written to the file system that holds `folder`, names and owners too, is on stable storage
   * (syncfs). For a thousand files at once: one by one they cost ten times as long.
   */
  syncFileSystem(folder: string): Promise<void>;
  changeOwner(file: string, owner: { readonly uid: number; readonly gid: number }): Promise<void>;
  changeMode(file: string, permissions: number): Promise<void>;
  /**
   * Space of the file system that holds `file`. `freeBytes` is what an unprivileged writer may use; `device` is the same
   * for two files of one file system.
   */
  space(file: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number; readonly device: number }>;
}

/** The machine's files. */
export const systemFiles: Files = {
  open: async (file, mode, permissions = 0o600) => {
    const handle = await named("open", file, () => fs.open(file, OPEN_FLAGS[mode], permissions));
    return new SystemFileHandle(file, handle);
  },
  readFile: (file) => named("read", file, () => fs.readFile(file)),
  openBlocking: (file) =>
    atOnce("open", file, () => {
      const stats = lstatSync(file, { throwIfNoEntry: false });
      if (stats === undefined || !stats.isFile()) return undefined;
      const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
      return {
        facts: factsOf(stats),
        read: (position, into) => atOnce("read", file, () => readEach(descriptor, position, into)),
        close: () => atOnce("close", file, () => closeSync(descriptor)),
      };
    }),
  makeFile: (file, { sizeBytes, permissions, owner }) =>
    named("make", file, async () => {
      const descriptor = openSync(file, OPEN_FLAGS.create, permissions);
      try {
        if (sizeBytes > 0) ftruncateSync(descriptor, sizeBytes);
        if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid);
      } finally {
        closeSync(descriptor);
      }
    }),
  writeParts: (file, parts) =>
    named("write", file, async () => {
      const descriptor = openSync(file, OPEN_FLAGS.update);
      try {
        writeEach(descriptor, parts);
      } finally {
        closeSync(descriptor);
      }
    }),
  stat: async (file) => {
    try {
      return factsOf(await fs.lstat(file));
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw fileError("look at", file, cause);
    }
  },
  list: (folder) => listFolder(folder, (at) => fs.readdir(at, { withFileTypes: true })),
  makeFolder: async (folder, permissions = 0o700) => {
    await named("make folder", folder, () => fs.mkdir(folder, { recursive: true, mode: permissions }));
  },
  rename: (from, to) => named("rename", from, () => fs.rename(from, to)),
  link: (from, to) => named("link", to, () => fs.link(from, to)),
  symlink: (target, at) => named("link", at, () => fs.symlink(target, at)),
  readLink: (file) => named("read link", file, () => fs.readlink(file)),
  remove: (file) => named("remove", file, () => fs.rm(file, { force: true })),
  removeTree: (folder) => named("remove", folder, () => fs.rm(folder, { recursive: true, force: true })),
  syncFolder: async (folder) => {
    const handle = await named("open", folder, () => fs.open(folder, constants.O_RDONLY | constants.O_DIRECTORY));
    try {
      await named("sync", folder, () => handle.sync());
    } finally {
      await handle.close();
    }
  },
  syncFileSystem: (folder) =>
    named("sync the file system of", folder, async () => {
      await run("sync", ["--file-system", "--", folder]);
    }),
  changeOwner: (file, owner) => named("change owner of", file, () => fs.lchown(file, owner.uid, owner.gid)),
  changeMode: (file, permissions) => named("change mode of", file, () => fs.chmod(file, permissions)),
  space: async (file) => {
    const facts: StatsFs = await named("ask the free space of", file, () => fs.statfs(file));
    const { dev: device } = await named("look at", file, () => fs.stat(file));
    return { freeBytes: facts.bavail * facts.bsize, totalBytes: facts.blocks * facts.bsize, device };
  },
};

const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  update: constants.O_RDWR,
};

/**
 * Writes all of `data` to a file that another thread of this process has open. Undefined when it is done, else the errno that
 * it failed with: whoever has it open knows the file's name, and says so with `fileErrorOf`.
 */
export function writeShared(descriptor: number, data: Uint8Array, position: number): string | undefined {
  try {
    const elsewhere = sharedWriteOf(descriptor);
    if (elsewhere === undefined) writeWhole(descriptor, data, position);
    else elsewhere(data, position);
    return undefined;
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === undefined) throw cause;
    return errno;
  }
}

class SystemFileHandle implements FileHandle {
  readonly #file: string;
  readonly #handle: fs.FileHandle;

  constructor(file: string, handle: fs.FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  async read(at: FileRange): Promise<Buffer> {
    assert(at.into === undefined || at.into.byteLength >= at.length, "what is read fits into the buffer given");
    const buffer = at.into ?? Buffer.allocUnsafeSlow(at.length);
    let filled = 0;
    while (filled < at.length) {
      const from = filled;
      const { bytesRead } = await named("read", this.#file, () =>
        this.#handle.read(buffer, from, at.length - from, at.position + from),
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async write(data: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < data.byteLength) {
      const from = done;
      done += await named("write", this.#file, async () => {
        const { bytesWritten } = await this.#handle.write(data, from, data.byteLength - from, position + from);
        return bytesWritten;
      });
    }
  }

  writeNow(data: Uint8Array, position: number): void {
    atOnce("write", this.#file, () => writeEach(this.#handle.fd, [{ data, position }]));
  }

  writeParts(parts: readonly FilePart[]): Promise<void> {
    return named("write", this.#file, async () => writeEach(this.#handle.fd, parts));
  }

  truncate(lengthBytes: number): Promise<void> {
    return named("truncate", this.#file, () => this.#handle.truncate(lengthBytes));
  }

  sync(): Promise<void> {
    return named("sync", this.#file, () => this.#handle.datasync());
  }

  writeBack(): Promise<void> {
    return named("write back", this.#file, () => this.#handle.datasync());
  }

  syncNow(): void {
    atOnce("sync", this.#file, () => fdatasyncSync(this.#handle.fd));
  }

  async stat(): Promise<FileFacts> {
    return factsOf(await named("look at", this.#file, () => this.#handle.stat()));
  }

  close(): Promise<void> {
    return named("close", this.#file, () => this.#handle.close());
  }
}

function writeEach(descriptor: number, parts: readonly FilePart[]): void {
  for (const { data, position } of parts) writeWhole(descriptor, data, position);
}

function writeWhole(descriptor: number, data: Uint8Array, position: number): void {
  let done = 0;
  while (done < data.byteLength) {
    done += writeSync(descriptor, data, done, data.byteLength - done, position + done);
  }
}

function readEach(descriptor: number, position: number, into: Uint8Array): number {
  let filled = 0;
  while (filled < into.byteLength) {
    const bytes = readSync(descriptor, into, filled, into.byteLength - filled, position + filled);
    if (bytes === 0) break;
    filled += bytes;
  }
  return filled;
}

function atOnce<T>(operation: string, file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw fileError(operation, file, cause);
  }
}

async function named<T>(operation: string, file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw fileError(operation, file, cause);
  }
}

/** The error of an operation that another thread failed at. */
export function fileErrorOf(operation: string, file: string, errno: string): LifeboatError {
  return fileError(operation, file, Object.assign(new Error(errno), { code: errno }));
}

/** The error of a failed file operation, with the code that its errno asks for. */
export function fileError(operation: string, file: string, cause: unknown): LifeboatError {
  const code = errnoOf(cause);
  const message = `cannot ${operation} ${file}: ${code ?? String(cause)}`;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new LifeboatError("platform.disk-full", {
      message,
      remedy: `Free space on the file system of ${path.dirname(file)}, then run the same command again.`,
      retryable: true,
      cause,
    });
  }
  if (code === "ENOENT") {
    return new LifeboatError("platform.file-missing", { message, remedy: "Check the path.", cause });
  }
  if (code === "EEXIST") {
    return new LifeboatError("platform.file-exists", { message, remedy: "Choose another name.", cause });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new LifeboatError("platform.file-denied", {
      message,
      remedy: "Run as the owner of this path, or give this user access to it.",
      cause,
    });
  }
  return new LifeboatError("platform.file-failed", {
    message,
    remedy: "Look at the disk and the kernel log, then run the same command again.",
    cause,
  });
}

/**
 * What is in a folder, by name. Where a file system leaves an entry's kind open (NFS, FUSE; proc for a process that just
 * ended), Node asks for each, and fails for one that is gone by then: it is asked here, and who is gone is left out.
 */
export async function listFolder(
  folder: string,
  readFolder: (folder: string) => Promise<readonly Dirent[]>,
): Promise<readonly FolderEntry[]> {
  let entries: readonly FolderEntry[];
  try {
    entries = (await readFolder(folder)).map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  } catch (cause) {
    if (!isMissing(cause) || pathOf(cause) === folder) throw fileError("list", folder, cause);
    entries = await listOneByOne(folder);
  }
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function listOneByOne(folder: string): Promise<readonly FolderEntry[]> {
  const entries: FolderEntry[] = [];
  for (const name of await named("list", folder, () => fs.readdir(folder))) {
    const facts = await systemFiles.stat(path.join(folder, name));
    if (facts !== undefined) entries.push({ name, kind: facts.kind });
  }
  return entries;
}

function pathOf(cause: unknown): unknown {
  return cause instanceof Error && "path" in cause ? cause.path : undefined;
}

function isMissing(cause: unknown): boolean {
  const code = errnoOf(cause);
  return code === "ENOENT" || code === "ENOTDIR";
}

function factsOf(stats: Stats): FileFacts {
  return {
    kind: kindOf(stats),
    sizeBytes: stats.size,
    modifiedMs: stats.mtimeMs,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    nameCount: stats.nlink,
  };
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): FileFacts["kind"] {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "folder";
  return entry.isSymbolicLink() ? "link" : "other";
}
