/**
 * The machine as the engines of the verbs use it.
 */
import { systemFiles } from "../platform/files.ts";
import { systemLocks } from "../platform/lock.ts";
import { systemProcesses } from "../platform/processes.ts";
import { systemRandom } from "../platform/random.ts";
import { currentUid, findServerUser } from "../platform/run-as.ts";

export const MACHINE = {
  files: systemFiles,
  processes: systemProcesses,
  locks: systemLocks,
  random: systemRandom,
} as const;

/** The user that servers run as; undefined when that is ourselves. */
export function serverUserOf(name: string | undefined, signal: AbortSignal) {
  return findServerUser(systemProcesses, { uid: currentUid(), name, signal });
}

/** Makes temporary names unique among processes. */
export function uniqueName(): string {
  return systemRandom(8).toString("hex");
}
