/**
 * Room that is kept on a disk for what has to be written also when it is full.
 *
 * A folder has one reserve: a file that holds nothing, and is removed when its room is needed.
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "./files.ts";

const RESERVE_FILE = "reserve";

/** Keeps so much room in a folder. On a disk that is full already there is none; it is tried again. */
export async function keepReserve(files: Files, folder: string, sizeBytes: number): Promise<void> {
  const file = path.join(folder, RESERVE_FILE);
  if ((await files.stat(file)) !== undefined) return;
  try {
    const handle = await files.open(file, "create", 0o600);
    try {
      // Not empty: some file systems keep no blocks for zeros.
      await handle.write(Buffer.alloc(sizeBytes, 1), 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!isLifeboatError(error, "platform.disk-full")) throw error;
    await files.remove(file);
  }
}

/** Writes, on a full disk with the room that was kept. `write` is called again after it was refused for want of space. */
export async function withReserve(files: Files, folder: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const reserve = path.join(folder, RESERVE_FILE);
    if (!isLifeboatError(error, "platform.disk-full") || (await files.stat(reserve)) === undefined) throw error;
    await files.remove(reserve);
    await write();
  }
}

/** Gives the room back. Whoever calls it syncs the folder. */
export async function removeReserve(files: Files, folder: string): Promise<void> {
  await files.remove(path.join(folder, RESERVE_FILE));
}
