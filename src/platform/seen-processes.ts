/**
 * Where processes work and what they have open, also those of others.
 *
 * Root may not look into them where it has no CAP_SYS_PTRACE, as in a container by default: it asks as their user, who may.
 * Source: ptrace(2), "Ptrace access mode checking".
 */
import type { Stats } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import { errnoOf } from "./errno.ts";
import { readStat } from "./proc-stat.ts";
import type { Processes, ProcessUser } from "./processes.ts";

/**
 * What was seen of a process. `unknown`: we may not look into it, and it runs as the owner of the folder that was asked about. Of
 * another user's that we may not look into, `no` is said: it is no server of that folder, PostgreSQL wants to own what it uses.
 */
export type Seen = "yes" | "no" | "unknown";

/** One question about processes. */
type Question = {
  readonly folder: string;
  /** Rejects with EACCES where we may not look, with another error where the process is gone. */
  readonly look: (pid: number, wanted: Stats) => Promise<boolean>;
  /** Those of them that were seen, and what of them. */
  readonly ask: (run: Ask, pids: readonly number[], wanted: Stats) => Promise<ReadonlyMap<number, boolean>>;
};

/** Undefined when it did not succeed: what was printed then may lack something. */
type Ask = (command: string, args: readonly string[]) => Promise<{ readonly stdout: string; readonly done: boolean }>;

/** It reads a few links. */
const ASK_TIMEOUT_MS = 5_000;

/**
 * A first line says that one may look: nothing printed means that one may not. A link that its user may not follow leads no server of
 * that user anywhere.
 */
const LINKED =
  'cd "/proc/$0/cwd" || exit 1; echo; cd "./$1" || exit 0; stat -L -c "%d %i" .; for each in ./*; do [ ! -L "$each" ] || stat -L -c "%d %i" "$each"; done';

/** Looks at processes, and runs a command where it has to ask. */
export function seeingProcesses(run: Processes["run"]) {
  const see = (pids: readonly number[], question: Question) => seen(run, pids, question);
  const seeOne = async (pid: number, question: Question): Promise<Seen> =>
    (await see([pid], question)).get(pid) ?? "no";
  return {
    workingIn: (pids: readonly number[], folder: string) => see(pids, working(folder)),
    worksIn: (pid: number, folder: string) => seeOne(pid, working(folder)),
    hasOpenIn: (pid: number, folder: string, name: RegExp) =>
      seeOne(
        pid,
        opened(folder, name, (at) => [path.dirname(at)]),
      ),
    hasOpenBelow: (pid: number, folder: string, name: RegExp) => seeOne(pid, opened(folder, name, foldersAbove)),
    leadsTo: (pid: number, folder: string, at: string) => seeOne(pid, leading(folder, at)),
  };
}

async function seen(
  run: Processes["run"],
  pids: readonly number[],
  { folder, look, ask }: Question,
): Promise<ReadonlyMap<number, Seen>> {
  const wanted = await statIfThere(folder);
  if (wanted === undefined) return new Map(pids.map((pid) => [pid, "no"]));
  const answers = new Map<number, Seen>();
  const hidden = new Map<string, { readonly user: ProcessUser; readonly pids: number[] }>();
  await Promise.all(
    pids.map(async (pid) => {
      try {
        answers.set(pid, (await look(pid, wanted)) ? "yes" : "no");
      } catch (error) {
        const user = errnoOf(error) === "EACCES" || errnoOf(error) === "EPERM" ? await userOf(pid) : undefined;
        answers.set(pid, user?.uid === wanted.uid ? "unknown" : "no");
        if (user === undefined || user.uid === 0 || process.getuid?.() !== 0) return;
        const key = `${user.uid} ${user.gid}`;
        hidden.set(key, { user, pids: [...(hidden.get(key)?.pids ?? []), pid] });
      }
    }),
  );
  for (const { user, pids: ofUser } of hidden.values()) {
    const told = await ask((command, args) => runAs(run, user, { command, args }), ofUser, wanted);
    for (const [pid, answer] of told) answers.set(pid, answer ? "yes" : "no");
  }
  return answers;
}

function working(folder: string): Question {
  return {
    folder,
    look: async (pid, wanted) => isSame(await stat(`/proc/${pid}/cwd`), wanted),
    // Whether the user may reach the folder does not matter: numbers are compared.
    ask: async (run, pids, wanted) => {
      const { stdout } = await run("stat", ["-L", "-c", "%n %d %i", ...pids.map((pid) => `/proc/${pid}/cwd`)]);
      const lines = stdout.split("\n").map((line) => /^\/proc\/(\d+)\/cwd (\d+ \d+)$/.exec(line));
      return new Map(lines.filter((line) => line !== null).map(([, pid, at]) => [Number(pid), at === inodeOf(wanted)]));
    },
  };
}

function leading(folder: string, at: string): Question {
  return {
    folder,
    look: async (pid, wanted) => {
      const from = `/proc/${pid}/cwd/${at}`;
      if (isSame(await stat(from), wanted)) return true;
      for (const entry of await readdir(from, { withFileTypes: true })) {
        if (entry.isSymbolicLink() && isSame(await statIfThere(path.join(from, entry.name)), wanted)) return true;
      }
      return false;
    },
    ask: async (run, pids, wanted) => {
      const answers = new Map<number, boolean>();
      for (const pid of pids) {
        const { stdout } = await run("/bin/sh", ["-c", LINKED, String(pid), at]);
        if (stdout !== "") answers.set(pid, stdout.split("\n").includes(inodeOf(wanted)));
      }
      return answers;
    },
  };
}

/** Whether a process has a file of such a name open of which one of these folders is that one. */
function opened(folder: string, name: RegExp, foldersOf: (file: string) => readonly string[]): Question {
  const isAmong = async (files: AsyncIterable<string> | Iterable<string>, wanted: Stats): Promise<boolean> => {
    // A server has a thousand files open, in a few folders.
    const others = new Set<string>();
    for await (const file of files) {
      if (!path.isAbsolute(file) || !name.test(path.basename(file))) continue;
      for (const at of foldersOf(file)) {
        if (others.has(at)) continue;
        if (isSame(await statIfThere(at), wanted)) return true;
        others.add(at);
      }
    }
    return false;
  };
  return {
    folder,
    look: (pid, wanted) => isAmong(filesOf(pid), wanted),
    ask: async (run, pids, wanted) => {
      const answers = new Map<number, boolean>();
      for (const pid of pids) {
        const { stdout, done } = await run("ls", ["-ln", `/proc/${pid}/fd`]);
        const files = stdout.split("\n").flatMap((line) => line.split(" -> ").slice(1, 2));
        if (done || files.length > 0) answers.set(pid, await isAmong(files, wanted));
      }
      return answers;
    },
  };
}

/** What it has open. */
async function* filesOf(pid: number): AsyncGenerator<string> {
  for (const each of await readdir(`/proc/${pid}/fd`)) {
    try {
      yield await readlink(`/proc/${pid}/fd/${each}`);
    } catch (error) {
      // Else it was closed meanwhile.
      if (errnoOf(error) === "EACCES") throw error;
    }
  }
}

/** Never rejects: who cannot be asked does not tell. */
async function runAs(
  run: Processes["run"],
  user: ProcessUser,
  command: { readonly command: string; readonly args: readonly string[] },
): Promise<{ readonly stdout: string; readonly done: boolean }> {
  try {
    const { exit, stdout, truncated } = await run({ ...command, user, timeoutMs: ASK_TIMEOUT_MS });
    const done = exit.kind === "exited" && exit.status === 0;
    return truncated ? { stdout: "", done: false } : { stdout, done };
  } catch (error) {
    if (isLifeboatError(error)) return { stdout: "", done: false };
    throw error;
  }
}

/** Whom a living process runs as. Who changes between two users is looked into by neither. */
async function userOf(pid: number): Promise<ProcessUser | undefined> {
  const found = await readStat(pid);
  if (found === undefined || found.fields[0] === "Z" || found.fields[0] === "X") return undefined;
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const [, uid] = /^Uid:\t\d+\t(\d+)/m.exec(status) ?? [];
  const [, gid] = /^Gid:\t\d+\t(\d+)/m.exec(status) ?? [];
  return uid === undefined || gid === undefined ? undefined : { name: uid, uid: Number(uid), gid: Number(gid) };
}

function foldersAbove(file: string): readonly string[] {
  const above: string[] = [];
  for (let at = path.dirname(file); at !== "/"; at = path.dirname(at)) above.push(at);
  return above;
}

/** Undefined where there is nothing, as when the folder of an open file was removed. */
async function statIfThere(at: string): Promise<Stats | undefined> {
  return await stat(at).catch(() => undefined);
}

function isSame(found: Stats | undefined, wanted: Stats): boolean {
  return found?.dev === wanted.dev && found.ino === wanted.ino;
}

function inodeOf({ dev, ino }: Stats): string {
  return `${dev} ${ino}`;
}
