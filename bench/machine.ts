/**
 * The machine under a benchmark: what it is, what it does besides us, and commands run on it.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { readStat } from "../src/platform/proc-stat.ts";
import { type Command, systemProcesses } from "../src/platform/processes.ts";

/** A benchmark that cannot go on for a reason that a person can mend; the message says how. */
export class Stop extends Error {}

/** Clock ticks of /proc in a second: the kernel's interface has 100 on every machine that Node.js runs on. proc(5). */
const TICKS_PER_SECOND = 100;

/** A command that is not measured: setting up, looking. */
const COMMAND_TIMEOUT_MS = 600_000;

/** What a run was measured on. */
export type MachineFacts = {
  readonly cores: number;
  readonly processor: string;
  readonly memoryMib: number;
  readonly kernel: string;
  readonly node: string;
};

/** What the machine is. */
export function machineFacts(): MachineFacts {
  return {
    cores: os.availableParallelism(),
    processor: (os.cpus()[0]?.model ?? "unknown").trim(),
    memoryMib: Math.round(os.totalmem() / 1024 ** 2),
    kernel: os.release(),
    node: process.versions.node,
  };
}

/** How many processes wanted a core during the last minute. */
export function loadAverage(): number {
  return os.loadavg()[0] ?? 0;
}

/** Runs a command that must succeed and returns what it printed. Throws `Stop` with what it said. */
export async function must(
  command: Command & { readonly input?: string; readonly timeoutMs?: number },
  options: { readonly signal?: AbortSignal | undefined },
): Promise<string> {
  const done = await systemProcesses.run({ timeoutMs: COMMAND_TIMEOUT_MS, ...command, signal: options.signal });
  if (done.exit.kind === "exited" && done.exit.status === 0) return done.stdout;
  const how = done.exit.kind === "exited" ? `status ${done.exit.status}` : done.exit.signal;
  throw new Stop(
    `${command.command} ${command.args.join(" ")} ended with ${how}:\n${done.stdout}${done.stderr}`.trim(),
  );
}

/** Writes out what the kernel holds back and reads the folder into the page cache: every run starts alike. */
export async function settle(folder: string, options: { readonly signal: AbortSignal }): Promise<void> {
  await must({ command: "sync", args: [] }, options);
  // A server or a receiver at work removes files meanwhile.
  const read = 'find "$0" -path "$0/pg_wal" -prune -o -type f -print0 2>/dev/null | xargs -0 cat >/dev/null 2>&1; true';
  await must({ command: "sh", args: ["-c", read, folder] }, options);
}

/** Bytes of all files in a folder; 0 when there is none. Files that go away meanwhile do not count. */
export async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(path.join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** CPU time that all cores spent on anything, time taken by the host of a virtual machine included. Milliseconds. */
export async function busyMs(): Promise<number> {
  const line = (await readFile("/proc/stat", "utf8")).split("\n")[0] ?? "";
  // user nice system idle iowait irq softirq steal; what follows is contained in user and nice.
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return ticksToMs(user + nice + system + irq + soft + steal);
}

/** CPU time of a process and all its descendants, those that have ended included. Milliseconds; 0 when it is gone. */
export async function treeCpuMs(pid: number): Promise<number> {
  let ticks = 0;
  for (const each of await systemProcesses.tree(pid)) {
    const found = await readStat(each).catch(() => undefined);
    // utime, stime, and both of the children that were waited for: fields 14 to 17 of proc(5).
    for (const field of found?.fields.slice(11, 15) ?? []) ticks += Number(field);
  }
  return ticksToMs(ticks);
}

function ticksToMs(ticks: number): number {
  return (ticks * 1000) / TICKS_PER_SECOND;
}
