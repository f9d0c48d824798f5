/** How much of the processors a process claims where others want them too. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { getPriority, setPriority } from "node:os";
import { readStat } from "./proc-stat.ts";

/**
 * Lets this process stand back: `nice` steps (0 to 19) below the usual priority, for all threads that it has and those that
 * it starts later. It never raises a priority. Where the system does not let us, everything stays as it is: work that must
 * be done is not given up for its manners.
 *
 * With autogroups, which Debian turns on, a nice value counts only inside a session, and sessions share the processors by the
 * value of the session. It is lowered too where this process leads one, as a service does and a command at a terminal does not.
 * Source: setpriority(2) and sched(7, "The autogroup feature") of Linux; the nice value belongs to a thread and is inherited by
 * those it starts.
 */
export async function standBack(nice: number): Promise<void> {
  for (const thread of await threads()) lower(thread, nice);
  if (await leadsSession()) await lowerSession(nice);
}

const SESSION_PRIORITY = "/proc/self/autogroup";

async function lowerSession(nice: number): Promise<void> {
  try {
    const [, now] = /nice (-?\d+)/.exec(await readFile(SESSION_PRIORITY, "utf8")) ?? [];
    if (now !== undefined && Number(now) < nice) await writeFile(SESSION_PRIORITY, String(nice));
  } catch {
    // A kernel without autogroups, or one that lets only others do it.
  }
}

async function leadsSession(): Promise<boolean> {
  const stat = await readStat("self").catch(() => undefined);
  return Number(stat?.fields[3]) === process.pid;
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
