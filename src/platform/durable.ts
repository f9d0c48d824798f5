/**
 * The one function that makes a file durable: temporary name, write, sync, give it its name, sync the folder.
 *
 * Invariant: after a power cut at any moment the name holds either nothing (or the old bytes) or all the new bytes.
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "./clock.ts";
import type { FileHandle, Files } from "./files.ts";

/** What to write. Parts are written one after another. */
export type DurableWrite = {
  readonly file: string;
  readonly parts: readonly Uint8Array[];
  /** `new` fails with `platform.file-exists` when the name is taken, atomically; `replace` takes its place. */
  readonly over: "new" | "replace";
  readonly permissions?: number;
  /** Where the temporary file lies; the same file system as `file`. Default: beside it. */
  readonly temporaryFolder?: string;
  /** Makes the temporary name unique among writers of this folder. */
  readonly unique: string;
  /** Heeded before every part and before the file gets its name, never after. */
  readonly signal?: AbortSignal | undefined;
  /** Awaited between pieces, which are small then: for a disk whose syncs others wait for. */
  readonly between?: (() => Promise<void>) | undefined;
};

/** Writes a file so that it survives a power cut once this returns. Nothing of it remains when it rejects, but perhaps the temporary file. */
export async function writeDurable(files: Files, write: DurableWrite): Promise<void> {
  const folder = path.dirname(write.file);
  const temporary = path.join(write.temporaryFolder ?? folder, `.${path.basename(write.file)}.${write.unique}.tmp`);
  try {
    await writeAndSync(files, temporary, write);
    throwIfAborted(write.signal, `writing ${write.file}`);
    if (write.over === "replace") await files.rename(temporary, write.file);
    else await files.link(temporary, write.file);
  } finally {
    // Renamed away or not: what is left under the temporary name is of no use to anybody.
    await files.remove(temporary);
  }
  await files.syncFolder(folder);
}

/**
 * Gives a file that is already on stable storage another name on its file system; the new name survives a power cut. Where it
 * lies in another folder the old name may survive as well.
 */
export async function renameDurable(
  files: Files,
  names: { readonly from: string; readonly to: string },
): Promise<void> {
  await files.rename(names.from, names.to);
  await files.syncFolder(path.dirname(names.to));
}

/**
 * Replaces a file so that readers see the old bytes or the new, without the cost of a sync: a power cut may leave either,
 * or nothing. For reports that are out of date in a second, never for what must be kept.
 */
export async function replaceVolatile(
  files: Files,
  write: {
    readonly file: string;
    readonly bytes: Uint8Array;
    readonly unique: string;
    /** Default 0644: reports are for everybody. */
    readonly permissions?: number;
    /** Who the file is given to before it gets its name. */
    readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  },
): Promise<void> {
  const temporary = path.join(path.dirname(write.file), `.${path.basename(write.file)}.${write.unique}.tmp`);
  try {
    const handle = await createAnew(files, temporary, write.permissions ?? 0o644);
    try {
      await handle.write(write.bytes, 0);
    } finally {
      await handle.close();
    }
    if (write.owner !== undefined) await files.changeOwner(temporary, write.owner);
    await files.rename(temporary, write.file);
  } catch (error) {
    await files.remove(temporary);
    throw error;
  }
}

/**
 * Makes a folder whose name, and the names of the parents it had to make, survive a power cut. So does the name of one that
 * is there: whoever made it may have been killed before its sync.
 */
export async function makeFolderDurable(files: Files, folder: string, permissions = 0o700): Promise<void> {
  const parent = path.dirname(folder);
  if ((await files.stat(folder)) !== undefined) return syncNameFound(files, parent);
  if (parent !== folder) await makeFolderDurable(files, parent, permissions);
  await files.makeFolder(folder, permissions);
  await files.syncFolder(parent);
}

async function syncNameFound(files: Files, parent: string): Promise<void> {
  try {
    await files.syncFolder(parent);
  } catch (error) {
    // Whoever made a folder of ours could write beside it: in a folder that we may not even read, it was somebody else.
    if (!isLifeboatError(error, "platform.file-denied")) throw error;
  }
}

/** Makes a temporary file, also where a process that died has left one of that name: nobody else writes under it. */
async function createAnew(files: Files, temporary: string, permissions: number): Promise<FileHandle> {
  try {
    return await files.open(temporary, "create", permissions);
  } catch (error) {
    if (!isLifeboatError(error, "platform.file-exists")) throw error;
    await files.remove(temporary);
    return files.open(temporary, "create", permissions);
  }
}

/** Of a large file, so much at a time: the disk serves others in between, and is as quick as with all at once. */
const WRITE_BACK_BYTES = 1024 * 1024;
/** A sync of somebody else that comes upon one of these waits for less. */
const SMALL_PIECE_BYTES = 256 * 1024;

async function writeAndSync(files: Files, temporary: string, write: DurableWrite): Promise<void> {
  const handle = await createAnew(files, temporary, write.permissions ?? 0o600);
  const pieceBytes = write.between === undefined ? WRITE_BACK_BYTES : SMALL_PIECE_BYTES;
  try {
    let position = 0;
    let heapedBytes = 0;
    for (const part of write.parts) {
      for (let from = 0; from < part.byteLength; from += pieceBytes) {
        throwIfAborted(write.signal, `writing ${write.file}`);
        if (heapedBytes >= pieceBytes) {
          await handle.writeBack();
          await write.between?.();
          heapedBytes = 0;
        }
        const piece = part.subarray(from, from + pieceBytes);
        await handle.write(piece, position);
        position += piece.byteLength;
        heapedBytes += piece.byteLength;
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}
