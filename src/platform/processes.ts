/**
 * Processes of this machine, as a port.
 *
 * Nouns: to *run* a command is to wait for its end and take what it printed; to *start* one is to leave it running; an
 * *exit* is how a process ended; a *tree* is a process with everything it started, also what moved to a session of its own
 * (each PostgreSQL backend does, so that signalling a process group does not reach it).
 * Invariants: a child gets only the environment named here, never our secrets; a zombie counts as dead; output is bounded;
 * nothing outside this folder imports node:child_process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { type FileHandle as NodeFileHandle, open, readdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { assert, LifeboatError } from "../errors/error.ts";
import { errorText } from "../errors/error-text.ts";
import { abortedError, throwIfAborted } from "./clock.ts";
import { errnoOf } from "./errno.ts";
import { readStat } from "./proc-stat.ts";
import { type Seen, seeingProcesses } from "./seen-processes.ts";

/** The identity a child runs under. Supplementary groups are dropped. */
export type ProcessUser = { readonly name: string; readonly uid: number; readonly gid: number };

/** How a process ended. */
export type ProcessExit =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "signalled"; readonly signal: NodeJS.Signals };

/** What to execute. `environment` is added to the few variables that every child gets (see INHERITED). */
export type Command = {
  readonly command: string;
  readonly args: readonly string[];
  readonly folder?: string | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Only root may name a user other than its own. */
  readonly user?: ProcessUser | undefined;
};

/** A command to be run to its end. */
export type RunRequest = Command & {
  readonly input?: Uint8Array | string | undefined;
  /**
   * After this long the process is killed and the call rejects with `platform.process-timeout`. One that outlives its kill,
   * for it waits for a disk or is another user's, is left after KILL_TIMEOUT_MS, and the error says so; as with an abort.
   */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What is kept of each of stdout and stderr; the rest is read and dropped. Default RUN_OUTPUT_BYTES_MAX. */
  readonly outputBytesMax?: number | undefined;
  /**
   * Takes no input, and is killed with all that is left of its process group when it ends, or when this process does,
   * however that happens. A kill of ours takes its tree; what made a session of its own and lost its parent is in neither.
   */
  readonly endsWithUs?: boolean | undefined;
};

/** How a command ended and what it printed. A status other than 0 is an answer, not an error of the call. */
export type RunResult = {
  readonly exit: ProcessExit;
  readonly stdout: string;
  readonly stderr: string;
  /** True when some output was dropped. */
  readonly truncated: boolean;
};

/** A command to be left running. */
export type StartRequest = Command & {
  /** `file`: stdout and stderr are appended to it (made 0600, owned by the child's user unless it stays ours). */
  readonly output:
    | { readonly kind: "file"; readonly file: string; readonly staysOurs?: boolean | undefined }
    | { readonly kind: "pipe" }
    | { readonly kind: "none" };
  readonly input: "pipe" | "none";
  /** True: a session of its own, survives us, does not keep us alive. `kill` then reaches its process group. */
  readonly detached: boolean;
};

/** A process we started. */
export interface RunningProcess {
  readonly pid: number;
  /** Settles when it has ended; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Undefined unless the output is a pipe. Read it, or the child will stall. */
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  readonly stdin: Writable | undefined;
  /** Sends a signal to it, or to its process group when detached; false when it is gone. */
  kill(signal: NodeJS.Signals): boolean;
}

/** What the kernel says of a process. */
export type ProcessFacts = {
  readonly pid: number;
  readonly parentPid: number;
  /** The process that leads its session. */
  readonly sessionId: number;
  /** The name of the executable, at most 15 characters. */
  readonly name: string;
  readonly zombie: boolean;
  /** True when it was halted by SIGSTOP or the like. */
  readonly halted: boolean;
  /** When it started, in clock ticks since the machine's start: with the pid, an identity that is never reused. */
  readonly startTicks: string;
};

/** The processes port. */
export interface Processes {
  run(request: RunRequest): Promise<RunResult>;
  /** Resolves when the process runs; rejects with `platform.process-not-started` when it cannot. */
  start(request: StartRequest): Promise<RunningProcess>;
  /** True for a process that runs or is halted; false for none and for a zombie. */
  isAlive(pid: number): Promise<boolean>;
  /** The process ids of the machine, as far as this user may see them, in no order. */
  all(): Promise<readonly number[]>;
  /** Those of them of this name, as the kernel has it: of a thousand processes in ten milliseconds, in which nothing else happens. */
  named(name: string): readonly number[];
  /** Undefined when there is no such process. */
  facts(pid: number): Promise<ProcessFacts | undefined>;
  /** The program's name and its arguments, or what it shows in their place; of any user's process. Empty when there is none. */
  commandLine(pid: number): Promise<readonly string[]>;
  /** Whether the process's current folder is `folder`, whatever links lead there. */
  worksIn(pid: number, folder: string): Promise<Seen>;
  /** As `worksIn`, of many at once. */
  workingIn(pids: readonly number[], folder: string): Promise<ReadonlyMap<number, Seen>>;
  /** Whether the process has a file of such a name open in `folder`, whatever links lead there. */
  hasOpenIn(pid: number, folder: string, name: RegExp): Promise<Seen>;
  /** As `hasOpenIn`, and in whatever lies in the folder. */
  hasOpenBelow(pid: number, folder: string, name: RegExp): Promise<Seen>;
  /** Whether `at` in the process's current folder, or a link that lies in there, leads to `folder`. */
  leadsTo(pid: number, folder: string, at: string): Promise<Seen>;
  /** Signals one process; false when there is none. Rejects with `platform.file-denied` when we may not. */
  signal(pid: number, signal: NodeJS.Signals): boolean;
  /**
   * The process and all its descendants, parents first; empty when it is gone. This process is not among them, and what it started
   * neither: a supervisor that was brought up by one of its components ends or halts that one, not itself and all others.
   */
  tree(pid: number): Promise<readonly number[]>;
  /**
   * Kills a process and all its descendants at once, as a power cut would: the root is halted first so that it can start
   * nothing new. Returns the pids that were signalled.
   */
  killTree(pid: number): Promise<readonly number[]>;
}

/** 1 MiB of each stream: more than any tool we run prints when it does what it should. */
export const RUN_OUTPUT_BYTES_MAX = 1024 * 1024;

// Waits beside the command for the end of its own input, which only our process holds open. The command is run in its place:
// its exit is the command's.
const LIFELINE = 'exec 3<&0 </dev/null; (read -r gone <&3; kill -KILL 0) >/dev/null 2>&1 & exec "$0" "$@" 3<&-';

// A killed process whose pipes are held open by a grandchild would otherwise keep us waiting.
const PIPE_GRACE_MS = 1000;

/** SIGKILL takes effect at once, except for a process that waits for a disk. */
const KILL_TIMEOUT_MS = 20_000;

// Where to find programs, where to put temporary files, and how to write the time: nothing that can be a secret.
const INHERITED = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "NODE_COMPILE_CACHE"] as const;

// The kernel keeps so many characters of a name.
const NAME_LENGTH_MAX = 15;

const PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The machine's processes. Needs Linux: it reads /proc. */
export const systemProcesses: Processes = {
  run: runToEnd,
  start: startProcess,
  isAlive: async (pid) => {
    const facts = await factsOf(pid);
    return facts !== undefined && !facts.zombie;
  },
  all: allPids,
  named: pidsNamed,
  facts: factsOf,
  commandLine: commandLineOf,
  ...seeingProcesses(runToEnd),
  signal: (pid, signal) => sendSignal(pid, signal),
  tree: treeOf,
  killTree: async (pid) => {
    signalEach([pid], "SIGSTOP");
    const pids = await treeOf(pid);
    // Children first: a postmaster that outlives them for a moment is halted and cannot react.
    signalEach(pids.toReversed(), "SIGKILL");
    return pids;
  },
};

async function runToEnd(request: RunRequest): Promise<RunResult> {
  const what = request.command;
  throwIfAborted(request.signal, `running ${what}`);
  const command = request.endsWithUs === true ? onLifeline(request) : request;
  const child = await spawned(command, {
    stdio: [request.input === undefined && command === request ? "ignore" : "pipe", "pipe", "pipe"],
    detached: true,
  });
  const limit = request.outputBytesMax ?? RUN_OUTPUT_BYTES_MAX;
  const stdout = gather(child.stdout, limit);
  const stderr = gather(child.stderr, limit);
  if (request.input !== undefined) feed(child, request.input);
  let stopped: "timeout" | "aborted" | undefined;
  let killed: Promise<void> = Promise.resolve();
  let giveUp: NodeJS.Timeout | undefined;
  const left = Promise.withResolvers<"left">();
  const stop = (reason: "timeout" | "aborted") => {
    if (stopped !== undefined) return;
    stopped = reason;
    killed = killRun(child, request.endsWithUs === true);
    giveUp = setTimeout(() => left.resolve("left"), KILL_TIMEOUT_MS);
  };
  const onAbort = () => stop("aborted");
  request.signal?.addEventListener("abort", onAbort, { once: true });
  // It may have come while the process was being started.
  if (request.signal?.aborted === true) onAbort();
  const timer = setTimeout(() => stop("timeout"), request.timeoutMs);
  try {
    const exit = await Promise.race([left.promise, closed(child).then((how) => killed.then(() => how))]);
    const after = exit === "left" ? leave(child) : "";
    if (stopped === "aborted") throw abortedError(`running ${what}${after}`, request.signal?.reason);
    if (stopped === "timeout") throw timeoutError(request, stderr.text(), after);
    assert(exit !== "left", "only what was killed is left");
    return { exit, stdout: stdout.text(), stderr: stderr.text(), truncated: stdout.truncated() || stderr.truncated() };
  } finally {
    clearTimeout(timer);
    clearTimeout(giveUp);
    request.signal?.removeEventListener("abort", onAbort);
  }
}

/** Never rejects: whether it helped, the end of the child tells. */
async function killRun(child: ChildProcess, withTree: boolean): Promise<void> {
  try {
    if (withTree) await systemProcesses.killTree(pidOf(child));
    else killGroup(child, "SIGKILL");
  } catch {
    // No file could be opened to look at /proc, or one of them is another user's. The others of the group can be reached.
    try {
      killGroup(child, "SIGKILL");
    } catch {
      // None can.
    }
  }
}

/** Has nothing of ours wait for a child any more, and says that it is there. */
function leave(child: ChildProcess): string {
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
  return `; process ${pidOf(child)} is still there ${KILL_TIMEOUT_MS} ms after SIGKILL`;
}

function onLifeline(request: RunRequest): Command {
  assert(request.input === undefined, "a command that ends with us takes no input");
  return { ...request, command: "/bin/sh", args: ["-c", LIFELINE, request.command, ...request.args] };
}

async function startProcess(request: StartRequest): Promise<RunningProcess> {
  const { output } = request;
  const owner = output.kind === "file" && output.staysOurs === true ? undefined : request.user;
  const log = output.kind === "file" ? await openLog(output.file, owner) : undefined;
  try {
    const out = log?.fd ?? (output.kind === "pipe" ? "pipe" : "ignore");
    const child = await spawned(request, {
      stdio: [request.input === "pipe" ? "pipe" : "ignore", out, out],
      detached: request.detached,
    });
    const exited = ended(child);
    if (request.detached) child.unref();
    return {
      pid: pidOf(child),
      exited,
      stdout: child.stdout ?? undefined,
      stderr: child.stderr ?? undefined,
      stdin: child.stdin ?? undefined,
      kill: (signal) => (request.detached ? killGroup(child, signal) : child.kill(signal)),
    };
  } finally {
    await log?.close();
  }
}

async function openLog(file: string, user: ProcessUser | undefined): Promise<NodeFileHandle> {
  try {
    const handle = await open(file, "a", 0o600);
    if (user !== undefined) await handle.chown(user.uid, user.gid);
    return handle;
  } catch (cause) {
    throw new LifeboatError("platform.file-failed", {
      message: `cannot open the log ${file}: ${errorText(cause)}`,
      remedy: "Make the folder of the log and give this user access to it.",
      cause,
    });
  }
}

type SpawnShape = { readonly stdio: ("ignore" | "pipe" | number)[]; readonly detached: boolean };

function spawned(request: Command, shape: SpawnShape): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(notStartedError(request, cause));
    try {
      const child = spawn(request.command, request.args, {
        stdio: shape.stdio,
        detached: shape.detached,
        env: environmentOf(request),
        // Our own folder may be one that another user cannot enter.
        cwd: request.folder ?? (request.user === undefined ? process.cwd() : "/"),
        ...(request.user === undefined ? {} : { uid: request.user.uid, gid: request.user.gid }),
      });
      child.once("error", fail);
      child.once("spawn", () => {
        child.removeListener("error", fail);
        // A later failure to signal is reported by the return value of kill; unheard it would end our process.
        child.on("error", () => {});
        resolve(child);
      });
    } catch (cause) {
      fail(cause);
    }
  });
}

function environmentOf(request: Command): Record<string, string> {
  const environment: Record<string, string> = { PATH: PATH_DEFAULT };
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  // Another user's home would be ours: programs would look for, and write, files they may not touch.
  if (request.user !== undefined) delete environment["HOME"];
  return { ...environment, ...request.environment };
}

function feed(child: ChildProcess, input: Uint8Array | string): void {
  // A command may end without reading all of its input; that is its business, and its exit status tells.
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
}

function gather(stream: Readable | null, limitBytes: number) {
  const chunks: Buffer[] = [];
  let keptBytes = 0;
  let dropped = false;
  stream?.on("data", (chunk: Buffer) => {
    const kept = chunk.subarray(0, Math.max(0, limitBytes - keptBytes));
    if (kept.length < chunk.length) dropped = true;
    if (kept.length > 0) chunks.push(kept);
    keptBytes += kept.length;
  });
  return { text: () => Buffer.concat(chunks).toString("utf8"), truncated: () => dropped };
}

/** The exit, once the output is complete; a grandchild that holds the pipes open delays it only for a moment. */
function closed(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    let grace: NodeJS.Timeout | undefined;
    const finish = (status: number | null, signal: NodeJS.Signals | null) => {
      clearTimeout(grace);
      resolve(exitOf(status, signal));
    };
    child.once("close", finish);
    child.once("exit", (status, signal) => {
      grace = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        finish(status, signal);
      }, PIPE_GRACE_MS);
    });
  });
}

function ended(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once("exit", (status, signal) => resolve(exitOf(status, signal)));
  });
}

function exitOf(status: number | null, signal: NodeJS.Signals | null): ProcessExit {
  return signal === null ? { kind: "exited", status: status ?? 0 } : { kind: "signalled", signal };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): boolean {
  if (child.exitCode !== null || child.signalCode !== null) return false;
  return sendSignal(-pidOf(child), signal);
}

/** The number of a signal on this machine. */
export function signalNumber(signal: NodeJS.Signals): number {
  return constants.signals[signal];
}

function pidOf(child: ChildProcess): number {
  return child.pid ?? 0;
}

/** Signals each of them, whatever becomes of the others; throws the first failure then. */
export function signalEach(pids: readonly number[], signal: NodeJS.Signals, send = sendSignal): void {
  const failures: unknown[] = [];
  for (const pid of pids) {
    try {
      send(pid, signal);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (cause) {
    if (errnoOf(cause) === "ESRCH") return false;
    throw new LifeboatError("platform.file-denied", {
      message: `cannot send ${signal} to process ${Math.abs(pid)}: ${errnoOf(cause) ?? String(cause)}`,
      remedy: "Run as the user that started this process.",
      cause,
    });
  }
}

async function factsOf(pid: number): Promise<ProcessFacts | undefined> {
  const found = await readStat(pid);
  if (found === undefined) return undefined;
  const { name, fields } = found;
  const state = fields[0] ?? "";
  return {
    pid,
    parentPid: Number(fields[1]),
    sessionId: Number(fields[3]),
    name,
    zombie: state === "Z" || state === "X",
    halted: state === "T" || state === "t",
    startTicks: fields[19] ?? "",
  };
}

async function commandLineOf(pid: number): Promise<readonly string[]> {
  try {
    const text = await readFile(`/proc/${pid}/cmdline`, "utf8");
    // What shows a title fills up with zeros behind it.
    const shown = text.replace(/\0+$/, "");
    return shown === "" ? [] : shown.split("\0");
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT" || errnoOf(cause) === "ESRCH") return [];
    throw cause;
  }
}

async function allPids(): Promise<readonly number[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}

function pidsNamed(name: string): readonly number[] {
  const line = `${name.slice(0, NAME_LENGTH_MAX)}\n`;
  const isNamed = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8") === line;
    } catch {
      // Gone.
      return false;
    }
  };
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter(isNamed);
}

async function treeOf(pid: number): Promise<readonly number[]> {
  const all = await Promise.all((await allPids()).map(factsOf));
  const childrenOf = new Map<number, number[]>();
  let found = false;
  for (const facts of all) {
    if (facts === undefined || facts.zombie) continue;
    if (facts.pid === pid) found = true;
    else if (facts.pid === process.pid) continue;
    const siblings = childrenOf.get(facts.parentPid);
    if (siblings === undefined) childrenOf.set(facts.parentPid, [facts.pid]);
    else siblings.push(facts.pid);
  }
  const tree = found ? [pid] : [];
  for (const parent of tree) tree.push(...(childrenOf.get(parent) ?? []));
  return tree;
}

function notStartedError(request: Command, cause: unknown): LifeboatError {
  return new LifeboatError("platform.process-not-started", {
    message: `cannot start ${request.command}${asUser(request)}: ${errnoOf(cause) ?? String(cause)}`,
    remedy: "Check that the program is installed and that this user may execute it.",
    cause,
    details: { command: request.command, errno: errnoOf(cause) ?? "" },
  });
}

function timeoutError(request: RunRequest, stderr: string, after: string): LifeboatError {
  return new LifeboatError("platform.process-timeout", {
    message: `${request.command}${asUser(request)} did not end within ${request.timeoutMs} ms and was killed${after}; it last said: ${lastLine(stderr)}`,
    remedy: "Look at the load of this machine, then run the same command again.",
    retryable: true,
  });
}

function asUser(request: Command): string {
  return request.user === undefined ? "" : ` as ${request.user.name}`;
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) || "nothing";
}
