/**
 * Files that fail on command, to test what writes them.
 *
 * Nouns: an *effect* is one call that reaches the machine, counted from 1 in the order of the calls; closing a handle is
 * none. A *fault* says at which effect what goes wrong.
 * Invariants: without a fault nothing differs from the files beneath; a fault that never fired is an error to whoever
 * asks (`assertFired`), since the test that planned it tested nothing.
 */
import { assert, isLifeboatError } from "../errors/error.ts";
import { type FileHandle, type FilePart, type Files, fileError, writeShared } from "./files.ts";
import { shareFile, unshareFile } from "./shared-files.ts";

/** What goes wrong at one effect. */
type Failure = {
  readonly errno: "ENOSPC" | "EIO" | "EACCES" | "EROFS";
  /** `before`: nothing was done. `after`: it was done and reported as failed. `short`: half of a write was done. */
  readonly when: "before" | "after" | "short";
  /** Every later effect fails as well, before it does anything: the process is dead, what is on the disk stays. */
  readonly forever?: boolean;
};

/** A fault at the effect of this number, from 1. */
export type FileFault = Failure & { readonly at: number };

/** A fault at the first effect that this is true of. */
export type SoughtFileFault = Failure & { readonly at: (effect: FileEffect) => boolean };

/** One effect that was asked for. */
export type FileEffect = { readonly operation: string; readonly path: string };

/** Files with a fault, and an account of what was asked of them. */
export type FaultyFiles = {
  readonly files: Files;
  /** All effects so far, the failed ones too. */
  readonly effects: readonly FileEffect[];
  /** Raises `platform.assertion-failed` when the planned fault was not reached. */
  assertFired(): void;
};

/** Puts a fault in front of files. Without a fault it only keeps account. */
export function faultyFiles(files: Files, fault?: FileFault | SoughtFileFault): FaultyFiles {
  const effects: FileEffect[] = [];
  let struckAt: number | undefined;
  /** Counts an effect; returns what goes wrong at it. */
  const count = (operation: string, path: string): Planned | undefined => {
    effects.push({ operation, path });
    if (fault === undefined) return undefined;
    const number = effects.length;
    const due = typeof fault.at === "number" ? number === fault.at : fault.at({ operation, path });
    const first = struckAt === undefined && due;
    if (first) struckAt = number;
    if (struckAt === undefined || (!first && fault.forever !== true)) return undefined;
    const error = fileError(operation, path, errnoError(fault.errno));
    return { when: first ? fault.when : "before", error };
  };
  const effect: Effect = async (operation, path, work, extra) => {
    const planned = count(operation, path);
    if (planned === undefined) return work();
    if (planned.when === "after") {
      // What fails by itself fails as planned: a planned fault always shows.
      const result = await work().catch(() => undefined);
      if (result !== undefined) await extra?.discard?.(result);
    }
    if (planned.when === "short") await extra?.half?.();
    throw planned.error;
  };
  const effectNow: EffectNow = (operation, path, work, half) => {
    const planned = count(operation, path);
    if (planned === undefined) return work();
    if (planned.when === "after") work();
    if (planned.when === "short") half?.();
    throw planned.error;
  };
  return {
    files: wrapFiles(files, { effect, effectNow }),
    effects,
    assertFired: () =>
      assert(fault === undefined || struckAt !== undefined, `the fault at effect ${String(fault?.at)} fired`),
  };
}

/** `half` does half of the work; `discard` gives back a result that nobody will see. */
type Extra<T> = { readonly half?: () => Promise<void>; readonly discard?: (result: T) => Promise<void> };
type Effect = <T>(operation: string, path: string, work: () => Promise<T>, extra?: Extra<T>) => Promise<T>;
/** An effect that is done when the call returns. */
type EffectNow = (operation: string, path: string, work: () => void, half?: () => void) => void;
type Effects = { readonly effect: Effect; readonly effectNow: EffectNow };
type Planned = { readonly when: FileFault["when"]; readonly error: Error };

function wrapFiles(files: Files, effects: Effects): Files {
  const { effect } = effects;
  return {
    open: (file, mode, permissions) =>
      effect("open", file, async () => wrapHandle(await files.open(file, mode, permissions), file, effects), {
        discard: (handle) => handle.close(),
      }),
    readFile: (file) => effect("read", file, () => files.readFile(file)),
    // Nothing is changed by it, and it ends before another effect begins.
    openBlocking: (file) => files.openBlocking(file),
    makeFile: (file, made) =>
      effect("make", file, () => files.makeFile(file, made), {
        half: () => files.makeFile(file, { ...made, sizeBytes: 0 }),
      }),
    writeParts: (file, parts) =>
      effect("write", file, () => files.writeParts(file, parts), {
        half: () => files.writeParts(file, halfOf(parts)),
      }),
    stat: (file) => effect("look at", file, () => files.stat(file)),
    list: (folder) => effect("list", folder, () => files.list(folder)),
    makeFolder: (folder, permissions) => effect("make folder", folder, () => files.makeFolder(folder, permissions)),
    rename: (from, to) => effect("rename", from, () => files.rename(from, to)),
    link: (from, to) => effect("link", to, () => files.link(from, to)),
    symlink: (target, at) => effect("link", at, () => files.symlink(target, at)),
    readLink: (file) => effect("read link", file, () => files.readLink(file)),
    remove: (file) => effect("remove", file, () => files.remove(file)),
    removeTree: (folder) => effect("remove", folder, () => files.removeTree(folder)),
    syncFolder: (folder) => effect("sync", folder, () => files.syncFolder(folder)),
    syncFileSystem: (folder) => effect("sync", folder, () => files.syncFileSystem(folder)),
    changeOwner: (file, owner) => effect("change owner of", file, () => files.changeOwner(file, owner)),
    changeMode: (file, permissions) => effect("change mode of", file, () => files.changeMode(file, permissions)),
    space: (file) => effect("ask the free space of", file, () => files.space(file)),
  };
}

function wrapHandle(handle: FileHandle, file: string, { effect, effectNow }: Effects): FileHandle {
  let lent: number | undefined;
  return {
    get descriptor() {
      const { descriptor } = handle;
      if (descriptor === undefined) return undefined;
      lent ??= shareFile((data, position) => writeLent({ descriptor, file, effectNow }, data, position));
      return lent;
    },
    read: (at) => effect("read", file, () => handle.read(at)),
    write: (data, position) =>
      effect("write", file, () => handle.write(data, position), {
        half: () => handle.write(data.subarray(0, data.byteLength >> 1), position),
      }),
    writeNow: (data, position) =>
      effectNow(
        "write",
        file,
        () => handle.writeNow(data, position),
        () => handle.writeNow(data.subarray(0, data.byteLength >> 1), position),
      ),
    writeParts: (parts) =>
      effect("write", file, () => handle.writeParts(parts), { half: () => handle.writeParts(halfOf(parts)) }),
    truncate: (lengthBytes) => effect("truncate", file, () => handle.truncate(lengthBytes)),
    sync: () => effect("sync", file, () => handle.sync()),
    writeBack: () => effect("write back", file, () => handle.writeBack()),
    syncNow: () => effectNow("sync", file, () => handle.syncNow()),
    stat: () => effect("look at", file, () => handle.stat()),
    close: () => {
      unshareFile(lent);
      return handle.close();
    },
  };
}

/** A write by descriptor, which fails as the machine's does: with an errno. */
function writeLent(
  { descriptor, file, effectNow }: Pick<Effects, "effectNow"> & { readonly descriptor: number; readonly file: string },
  data: Uint8Array,
  position: number,
): void {
  const write = (lengthBytes: number): void => {
    const errno = writeShared(descriptor, data.subarray(0, lengthBytes), position);
    if (errno !== undefined) throw errnoError(errno);
  };
  try {
    effectNow(
      "write",
      file,
      () => write(data.byteLength),
      () => write(data.byteLength >> 1),
    );
  } catch (error) {
    throw isLifeboatError(error) ? error.cause : error;
  }
}

/** All but the last, and half of that. */
function halfOf(parts: readonly FilePart[]): readonly FilePart[] {
  return parts.map(({ data, position }, index) => {
    return { data: index < parts.length - 1 ? data : data.subarray(0, data.byteLength >> 1), position };
  });
}

function errnoError(errno: string): Error {
  return Object.assign(new Error(`${errno}, as planned`), { code: errno });
}
