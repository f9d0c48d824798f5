/** What the kernel tells of a process in one line. Source: proc(5), `/proc/[pid]/stat`. */
import { readFile } from "node:fs/promises";
import { LifeboatError } from "../errors/error.ts";
import { errnoOf } from "./errno.ts";

/** The line, taken apart. */
export type ProcStat = {
  readonly name: string;
  /** What stands behind the name: the state, the parent, the group, the session, and so on. */
  readonly fields: readonly string[];
};

/** Reads it; undefined when there is no such process. Rejects as `parseStat` throws. */
export async function readStat(pid: number | "self"): Promise<ProcStat | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch (cause) {
    // ESRCH: the process ended between the opening and the reading.
    if (errnoOf(cause) === "ENOENT" || errnoOf(cause) === "ESRCH") return undefined;
    throw cause;
  }
  return parseStat(text);
}

/** The name stands in parentheses and may hold anything itself; behind it are the state and numbers, of which we need twenty. */
const LINE = /^\d+ \((.*)\) ([A-Za-z](?: -?\d+){19,})\s*$/s;

/** Takes the line apart. Throws `platform.file-failed` for one that no kernel writes: nothing is known of the process then. */
export function parseStat(text: string): ProcStat {
  const [, name, fields] = LINE.exec(text) ?? [];
  if (name !== undefined && fields !== undefined) return { name, fields: fields.split(" ") };
  throw new LifeboatError("platform.file-failed", {
    message: `/proc tells of a process ${JSON.stringify(text.slice(0, SHOWN))}, which is not understood`,
    remedy: "Lifeboat needs the /proc of Linux: see what is mounted there.",
  });
}

const SHOWN = 200;
