/**
 * What a program without a terminal says: lines for whoever reads its log.
 *
 * Its output is a file most of the time, and a disk may be full. A line that cannot be written is lost, and nothing else: through
 * `console` it would end the program, which could do its work without saying so.
 */
import { writeSync } from "node:fs";
import { isLifeboatError } from "../errors/error.ts";

const DESCRIPTORS = { out: 1, err: 2 } as const;

/** Writes a line, if that can be done. Never throws. */
export function say(line: string, to: keyof typeof DESCRIPTORS = "out"): void {
  try {
    writeSync(DESCRIPTORS[to], `${line}\n`);
  } catch {
    // Nobody is there to be told.
  }
}

/** A failure as lines: what the world did without a stack, a bug with it. */
export function failureLines(error: unknown): string {
  if (isLifeboatError(error) && error.kind !== "bug") {
    return `error: ${error.message}\nremedy: ${error.remedy}\ncode: ${error.code}`;
  }
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  // What a server or the system refused has a code, and where in our program we asked does not matter.
  if ("code" in error && typeof error.code === "string" && !isLifeboatError(error)) {
    return `error: ${error.message} (${error.code})`;
  }
  return `error: ${error.stack ?? error.message}`;
}

/** What a program's beginning resolves to; when it rejects, says why and ends the program with status 1. */
export async function orSayWhy<T>(begin: () => Promise<T>): Promise<T> {
  try {
    return await begin();
  } catch (error) {
    say(failureLines(error), "err");
    process.exit(1);
  }
}
