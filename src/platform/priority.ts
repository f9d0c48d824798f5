/** How much of the processors a process claims where others want them too. */
import { readdir, readFile } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";

/**
 * Lets this process stand back: `nice` steps (0 to 19) below the usual priority, for all threads that it has and those that
 * it starts later. It never raises a priority. Where the system does not let us, everything stays as it is: work that must
 * be done is not given up for its manners.
 * Source: setpriority(2) of Linux, where the nice value belongs to a thread and is inherited by those it starts.
 */
export async function standBack(nice: number): Promise<void> {
  for (const thread of await threads()) lower(thread, nice);
}

/** What libuv calls the threads of the pool that files, compression and name look-ups are worked on. */
const POOL_THREAD = "libuv-worker";

/** As `standBack`, for the pool of threads alone: what this process does at once keeps its priority. */
export async function poolStandsBack(nice: number): Promise<void> {
  for (const thread of await threads()) {
    const name = await readFile(`/proc/self/task/${thread}/comm`, "utf8").catch(() => "");
    if (name.trim() === POOL_THREAD) lower(thread, nice);
  }
}

/**
 * Asks that the thread which calls this comes before others of the usual priority: `nice` from -20 to -1. Other threads that there
 * are stay as they are. Only root, or who was given CAP_SYS_NICE, gets it; for everybody else everything stays as it is.
 */
export function comeForward(nice: number): void {
  try {
    // The process id is that of its first thread.
    if (getPriority(process.pid) > nice) setPriority(process.pid, nice);
  } catch {
    // Not permitted.
  }
}

async function threads(): Promise<readonly number[]> {
  return (await readdir("/proc/self/task").catch((): string[] => [])).map(Number);
}

function lower(thread: number, nice: number): void {
  try {
    if (getPriority(thread) < nice) setPriority(thread, nice);
  } catch {
    // It ended between the look and the word.
  }
}
