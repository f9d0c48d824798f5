/**
 * Runs pgbench and reads what it logged of every transaction.
 */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { must } from "./machine.ts";
import { type Base, BIN_FOLDER, clientArguments } from "./workload.ts";

/** Connecting, and the last transaction of each client. */
const GRACE_MS = 60_000;

/** A transaction of a load. */
export type Transaction = {
  /** When it was meant to begin, of a load at a given rate; when it began, of another. Milliseconds since 1970. */
  readonly beganAtMs: number;
  /** From then on until it was answered. */
  readonly latencyMs: number;
};

/** Runs a load to its end; `args` say which. Throws `Stop` with what pgbench said when it fails. */
export async function pgbench(
  base: Base,
  load: {
    /** For its logs; made anew. */
    readonly folder: string;
    readonly seconds: number;
    readonly database: string;
    readonly args: readonly string[];
  },
  call: { readonly signal: AbortSignal },
): Promise<readonly Transaction[]> {
  const { folder, seconds } = load;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const command = path.join(BIN_FOLDER, "pgbench");
  const options = ["-n", "-M", "prepared", "-T", String(seconds), "--log", `--log-prefix=${path.join(folder, "log")}`];
  const args = [...clientArguments(base.server), ...options, ...load.args, load.database];
  await must({ command, args, timeoutMs: seconds * 1000 + GRACE_MS }, call);
  const logs = await Promise.all((await readdir(folder)).map((name) => readFile(path.join(folder, name), "utf8")));
  return logs.flatMap((log) =>
    log
      .split("\n")
      .filter((line) => line !== "")
      .map(readTransaction),
  );
}

/**
 * Reads a line of a log: `client transaction elapsed_us script epoch_s epoch_us [lag_us]`. The time is that of the end, and
 * what elapsed counts from the intended begin. Source: "Per-Transaction Logging" and `--rate` of the pgbench manual.
 */
export function readTransaction(line: string): Transaction {
  const [, , elapsedUs = Number.NaN, , epochS = 0, epochUs = 0] = line.split(" ").map(Number);
  const latencyMs = elapsedUs / 1000;
  return { latencyMs, beganAtMs: epochS * 1000 + epochUs / 1000 - latencyMs };
}
