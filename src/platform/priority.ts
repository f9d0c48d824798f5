/** How much of the processors a process claims where others want them too. */
import { readdir } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";

/**
 * Lets this process stand back: `nice` steps (0 to 19) below the usual priority, for all threads that it has and those that
 * it starts later. It never raises a priority. Where the system does not let us, everything stays as it is: work that must
 * be done is not given up for its manners.
 * Source: setpriority(2) of Linux, where the nice value belongs to a thread and is inherited by those it starts.
 */
export async function standBack(nice: number): Promise<void> {
  for (const thread of await readdir("/proc/self/task").catch((): string[] => [])) {
    try {
      if (getPriority(Number(thread)) < nice) setPriority(Number(thread), nice);
    } catch {
      // It ended between the look and the word.
    }
  }
}
