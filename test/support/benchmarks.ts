/** Benchmarks as a user runs them, in folders that are gone afterwards. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemProcesses } from "../../src/platform/processes.ts";

const MAIN = path.resolve(import.meta.dirname, "../../bench/main.ts");

/** How a benchmark ended, and what it said. */
export type Ended = { readonly status: number | null; readonly output: string };

/** Runs the benchmarks in a folder that other users may enter. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "bench-"));
  await chmod(folder, 0o755);
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a benchmark to its end; `onText` sees what it says as it says it, lines that are not finished included. */
export async function bench(
  args: readonly string[],
  onText: (text: string, pid: number) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      onText(text, child.pid ?? 0);
    });
  }
  const [status] = await once(child, "close");
  return { status, output };
}

/** Command lines of processes that have to do with a folder: servers, receivers, commands under measurement. */
export async function leftRunning(folder: string): Promise<readonly string[]> {
  const pids = (await systemProcesses.all()).filter((pid) => pid !== process.pid);
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.includes(folder)).map((line) => line.replaceAll("\0", " "));
}
