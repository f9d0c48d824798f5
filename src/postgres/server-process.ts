/** Which process is a server of PostgreSQL. */
import { LifeboatError } from "../errors/error.ts";
import type { Processes } from "../platform/processes.ts";

/** What its processes are called: the second by a link that versions up to 15 have. */
const NAMES = ["postgres", "postmaster"];

/**
 * Whether the process that a data folder's postmaster.pid names is its server: the number may have been given to another one since,
 * and a postmaster works in its data folder. Where that cannot be seen, its command line tells. Rejects with `platform.file-denied`
 * when it may be one that we may not look into: a living server is not taken for none.
 */
export async function isServerOf(
  processes: Pick<Processes, "worksIn" | "facts" | "commandLine">,
  { pid, dataFolder }: { readonly pid: number; readonly dataFolder: string },
): Promise<boolean> {
  const seen = await processes.worksIn(pid, dataFolder);
  if (seen !== "unknown" || !(await mayBeServer(processes, pid))) return seen === "yes";
  const shown = await processes.commandLine(pid);
  if (shown.some((each, nth) => each === "-D" && shown[nth + 1] === dataFolder)) return true;
  throw new LifeboatError("platform.file-denied", {
    message: `cannot tell whether process ${pid} is the server of ${dataFolder}: this user may not see which folder it works in`,
    remedy: UNSEEN_REMEDY,
    details: { pid },
  });
}

/** By its name: many a process of the same user lets nobody look, such as the one of an SSH session. */
export async function mayBeServer(processes: Pick<Processes, "facts">, pid: number): Promise<boolean> {
  return NAMES.includes((await processes.facts(pid))?.name ?? "");
}

/** What to do about a server that we may not look into. */
export const UNSEEN_REMEDY =
  "Run as the server's user, or as root with CAP_SYS_PTRACE, or with CAP_SETUID and CAP_SETGID, as a container gives it by default; or stop that server first.";
