/**
 * Runs a command and counts what it takes.
 *
 * Nouns: the *usage* of a command is that of all its processes.
 * Invariants: CPU time is what the kernel counted for every process that was waited for, to 10 ms; peak memory is the
 * kernel's own high-water mark of the largest process, looked at every SAMPLE_MS, so that only what a process still grows
 * in its last moment is missed; a command that is stopped has no process left.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../src/platform/clock.ts";
import { type Command, type ProcessExit, type RunningProcess, systemProcesses } from "../src/platform/processes.ts";
import { busyMs, Stop, treeCpuMs } from "./machine.ts";

/** What a command took. */
export type Usage = {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
};

/** A usage with what the machine did meanwhile. */
export type Measured = Usage & {
  /** CPU time of the server that it worked with. */
  readonly serverCpuMs: number;
  /** CPU time of the companion; 0 without one. */
  readonly companionCpuMs: number;
  /** CPU time that went elsewhere: other processes, the kernel's own threads, the host. */
  readonly noiseMs: number;
};

const SAMPLE_MS = 100;
/** Finding all processes takes 10 ms of CPU. The tools start theirs at the beginning: looks are dense there. */
const SAMPLES_PER_LOOK = 16;
/** A tool that was asked to end cleans up; then it is killed. */
const STOP_TIMEOUT_MS = 10_000;
const LOG_TAIL_CHARACTERS = 4000;

// The shell waits for the command even when both are told to end, and its last words are what its children took.
const SCRIPT = 'trap : INT TERM; "$@"; status=$?; echo; times; exit $status';

/** A command under measurement. */
export type Measurement = {
  /** The process that waits for the command. */
  readonly pid: number;
  /** Settles when it has ended; rejects with `Stop` and the end of its log when that was not with status 0. */
  readonly usage: Promise<Usage>;
  /** Asks it to end (default SIGTERM), kills it when it does not, and resolves when it has ended, however. */
  stop(signal?: NodeJS.Signals): Promise<void>;
};

/** Starts a command; what it prints goes to `logFile`. */
export async function startMeasured(command: Command, logFile: string): Promise<Measurement> {
  const begun = performance.now();
  const process = await systemProcesses.start({
    ...command,
    command: "sh",
    args: ["-c", SCRIPT, "sh", command.command, ...command.args],
    output: { kind: "file", file: logFile },
    input: "none",
    detached: true,
  });
  const peak = watchMemory(process);
  const ended = process.exited.then(async (exit) => {
    const wallMs = performance.now() - begun;
    return { exit, wallMs, peakRssBytes: await peak };
  });
  const usage = ended.then(async ({ exit, wallMs, peakRssBytes }): Promise<Usage> => {
    const log = await readFile(logFile, "utf8");
    if (exit.kind !== "exited" || exit.status !== 0) throw failed(command, exit, log);
    return { wallMs, cpuMs: cpuOf(log), peakRssBytes };
  });
  // Whoever stops it need not listen.
  usage.catch(() => undefined);
  return { pid: process.pid, usage, stop: (signal) => stopProcess(process, signal ?? "SIGTERM") };
}

/**
 * Runs a command to its end beside the server `postmasterPid` and, where the tool has one, a process of its own, the
 * companion. Throws `Stop` when the command fails; aborting ends it.
 */
export async function measure(
  command: Command,
  around: {
    readonly logFile: string;
    readonly postmasterPid: number | undefined;
    readonly companionPid?: number | undefined;
    readonly signal: AbortSignal;
  },
): Promise<Measured> {
  const { signal } = around;
  throwIfAborted(signal, "measuring");
  const cpuMsOf = (pid: number | undefined) => (pid === undefined ? 0 : treeCpuMs(pid));
  const others = () => Promise.all([busyMs(), cpuMsOf(around.postmasterPid), cpuMsOf(around.companionPid)]);
  const own = process.cpuUsage();
  const [busyBefore, serverBefore, companionBefore] = await others();
  const measurement = await startMeasured(command, around.logFile);
  const onAbort = () => void measurement.stop();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const usage = await measurement.usage;
    const [busyAfter, serverAfter, companionAfter] = await others();
    const { user, system } = process.cpuUsage(own);
    const serverCpuMs = serverAfter - serverBefore;
    const companionCpuMs = companionAfter - companionBefore;
    const noiseMs = busyAfter - busyBefore - usage.cpuMs - serverCpuMs - companionCpuMs - (user + system) / 1000;
    return { ...usage, serverCpuMs, companionCpuMs, noiseMs: Math.max(0, noiseMs) };
  } catch (error) {
    throwIfAborted(signal, "measuring");
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    await measurement.stop();
  }
}

async function watchMemory(process: RunningProcess): Promise<number> {
  let running = true;
  const ended = process.exited.then(() => {
    running = false;
  });
  let peakBytes = 0;
  let pids: readonly number[] = [];
  for (let sample = 0; running; sample += 1) {
    if (isLook(sample)) pids = await systemProcesses.tree(process.pid);
    for (const pid of pids) peakBytes = Math.max(peakBytes, await peakRssOf(pid));
    await Promise.race([ended, sleep(SAMPLE_MS)]);
  }
  return peakBytes;
}

function isLook(sample: number): boolean {
  return sample < SAMPLES_PER_LOOK ? Number.isInteger(Math.log2(sample + 1)) : sample % SAMPLES_PER_LOOK === 0;
}

async function peakRssOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** The children's line of `times`, the last of the log: `1m2.34s 0m0.56s`. */
function cpuOf(log: string): number {
  const match = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\s*$/.exec(log);
  if (match === null) throw new Error(`no times at the end of the log: ${log.slice(-LOG_TAIL_CHARACTERS)}`);
  const [userMin = 0, user = 0, systemMin = 0, system = 0] = match.slice(1).map(Number);
  return ((userMin + systemMin) * 60 + user + system) * 1000;
}

async function stopProcess(process: RunningProcess, signal: NodeJS.Signals): Promise<void> {
  if (process.kill(signal)) {
    const late = new AbortController();
    await Promise.race([process.exited, sleep(STOP_TIMEOUT_MS, undefined, { signal: late.signal })]).finally(() =>
      late.abort(),
    );
  }
  // The whole group, also what outlived the shell.
  systemProcesses.signal(-process.pid, "SIGKILL");
  await process.exited;
}

function failed(command: Command, exit: ProcessExit, log: string): Stop {
  const how = exit.kind === "exited" ? `status ${exit.status}` : exit.signal;
  const tail = log.slice(-LOG_TAIL_CHARACTERS).trim();
  return new Stop(`${command.command} ${command.args.join(" ")} ended with ${how}:\n${tail}`);
}
