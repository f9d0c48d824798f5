/**
 * Keeps two restores out of one folder.
 *
 * Invariant: whoever holds the locks of all roots is the only restore of this machine that writes into, or clears, any of
 * them; the second one is refused at once. The locks end with the process.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { Lock, Locks } from "../platform/lock.ts";
import { LOCK_NAMES, RESTORE_LOCK } from "./target-guard.ts";

/**
 * Runs `work` with the locks of all roots, each made by `makeRoot` where it is not there. Throws `restore.target-in-use`
 * when another restore has one. A root into which nothing was written is left as it was found.
 */
export async function withTargetLocks<T>(
  tools: { readonly files: Files; readonly locks: Locks; readonly makeRoot: (folder: string) => Promise<void> },
  roots: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const held: { readonly folder: string; readonly made: boolean; readonly lock: Lock }[] = [];
  try {
    for (const folder of roots) {
      const made = (await tools.files.stat(folder)) === undefined;
      if (made) await tools.makeRoot(folder);
      const lock = tools.locks.tryAcquire(path.join(folder, RESTORE_LOCK));
      if (lock === undefined) throw inUse(folder);
      held.push({ folder, made, lock });
    }
    return await work();
  } catch (error) {
    for (const root of held) await leaveAsFound(tools.files, root);
    throw error;
  } finally {
    for (const { lock } of held) lock.release();
  }
}

async function leaveAsFound(
  files: Files,
  { folder, made }: { readonly folder: string; readonly made: boolean },
): Promise<void> {
  try {
    if ((await files.list(folder)).some(({ name }) => !LOCK_NAMES.includes(name))) return;
    if (made) await files.removeTree(folder);
    else for (const name of LOCK_NAMES) await files.remove(path.join(folder, name));
  } catch {
    // The failure that brought us here is the one to report; the next restore knows the lock for what it is.
  }
}

function inUse(folder: string): LifeboatError {
  return new LifeboatError("restore.target-in-use", {
    message: `another restore is writing into ${folder}`,
    remedy: "Wait for it, or stop it first; or restore into another folder.",
  });
}
