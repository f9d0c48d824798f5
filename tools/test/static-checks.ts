/**
 * The checks that look at the sources and run nothing: types, format, lint, dead code.
 */
import { spawn } from "node:child_process";
import path from "node:path";

/** A check: a program of node_modules/.bin and its arguments. */
export type StaticCheck = { readonly name: string; readonly command: readonly [string, ...string[]] };

/** All of them. Warnings fail as errors do: what may be ignored is ignored by everybody. */
export const STATIC_CHECKS: readonly StaticCheck[] = [
  { name: "types", command: ["tsc", "-p", "."] },
  { name: "format", command: ["biome", "ci", "--colors=off", "--error-on-warnings", "--max-diagnostics=50", "."] },
  { name: "lint", command: ["oxlint", "--type-aware", "--deny-warnings", "."] },
  { name: "dead code", command: ["knip", "--no-progress"] },
];

/** What a check said. */
export type StaticOutcome = {
  readonly name: string;
  readonly passed: boolean;
  readonly output: string;
  readonly durationMs: number;
};

/** Runs one check in the root folder. The signal kills it. */
export async function runStaticCheck(root: string, check: StaticCheck, signal: AbortSignal): Promise<StaticOutcome> {
  const started = performance.now();
  const [program, ...options] = check.command;
  const child = spawn(path.join(root, "node_modules/.bin", program), options, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const exit = await new Promise<number | null>((resolve) => {
    child.once("close", resolve);
    child.once("error", (error) => {
      output += String(error);
      resolve(null);
    });
  });
  return { name: check.name, passed: exit === 0, output, durationMs: performance.now() - started };
}
