/** What the kernel tells of a process in one line. Source: proc(5), `/proc/[pid]/stat`. */
import { readFile } from "node:fs/promises";
import { errnoOf } from "./errno.ts";

/** The line, taken apart. */
export type ProcStat = {
  readonly name: string;
  /** What stands behind the name: the state, the parent, the group, the session, and so on. */
  readonly fields: readonly string[];
};

/** Reads it; undefined when there is no such process. */
export async function readStat(pid: number | "self"): Promise<ProcStat | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch (cause) {
    // ESRCH: the process ended between the opening and the reading.
    if (errnoOf(cause) === "ENOENT" || errnoOf(cause) === "ESRCH") return undefined;
    throw cause;
  }
  // The name stands in parentheses and may hold spaces and parentheses itself.
  const nameEnd = text.lastIndexOf(")");
  return { name: text.slice(text.indexOf("(") + 1, nameEnd), fields: text.slice(nameEnd + 2).split(" ") };
}
