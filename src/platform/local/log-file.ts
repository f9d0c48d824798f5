/** The logs of components: their last lines, and what keeps them from growing for ever. */
import { isLifeboatError } from "../../errors/error.ts";
import type { FileHandle, Files } from "../files.ts";

/** A log of this size is set aside; with the one before it, a component has at most twice as much. */
export const LOG_BYTES_MAX = 32 * 1024 * 1024;
const COPY_BYTES = 1024 * 1024;
/** Enough for hundreds of lines. */
const TAIL_BYTES = 256 * 1024;

/** Where a log that was set aside lies. */
export function asideOf(file: string): string {
  return `${file}.1`;
}

/**
 * Sets a log that has grown too long aside and begins it anew. The program keeps its open file, which appends: what it
 * writes between the copy and the cut is lost.
 */
export async function trimLog(files: Files, file: string): Promise<void> {
  const facts = await files.stat(file);
  if (facts === undefined || facts.sizeBytes < LOG_BYTES_MAX) return;
  await files.remove(asideOf(file));
  const [from, to] = [await files.open(file, "update"), await files.open(asideOf(file), "create")];
  try {
    for (let at = 0; ; ) {
      const part = await from.read({ position: at, length: COPY_BYTES });
      if (part.byteLength === 0) break;
      await to.write(part, at);
      at += part.byteLength;
    }
    await from.truncate(0);
  } finally {
    await from.close();
    await to.close();
  }
}

/** The last lines of a log, whole ones only; empty when there is none. */
export async function lastLinesOf(files: Files, file: string, count: number): Promise<readonly string[]> {
  return reading(files, file, [], async (handle) => {
    const { sizeBytes } = await handle.stat();
    const from = Math.max(0, sizeBytes - TAIL_BYTES);
    const text = (await handle.read({ position: from, length: sizeBytes - from })).toString("utf8");
    const lines = text.split("\n");
    if (from > 0) lines.shift();
    // Behind the last newline nothing is whole yet.
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(-count);
  });
}

/** How far somebody has read in a log. */
export type LogPosition = { readonly at: number; readonly rest: string };

/** The end of a log as it is now: what is read from there on is new. */
export async function endOfLog(files: Files, file: string): Promise<LogPosition> {
  return { at: (await files.stat(file))?.sizeBytes ?? 0, rest: "" };
}

/** The lines that came since, and where to go on. A log that was set aside meanwhile is read from its beginning. */
export async function newLinesOf(
  files: Files,
  file: string,
  position: LogPosition,
): Promise<{ readonly lines: readonly string[]; readonly next: LogPosition }> {
  return reading(files, file, { lines: [], next: position }, async (handle) => {
    const { sizeBytes } = await handle.stat();
    const begun = sizeBytes < position.at ? { at: 0, rest: "" } : position;
    const part = await handle.read({ position: begun.at, length: Math.min(TAIL_BYTES, sizeBytes - begun.at) });
    const lines = `${begun.rest}${part.toString("utf8")}`.split("\n");
    const rest = lines.pop() ?? "";
    return { lines, next: { at: begun.at + part.byteLength, rest } };
  });
}

async function reading<T>(
  files: Files,
  file: string,
  otherwise: T,
  work: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  let handle: FileHandle;
  try {
    handle = await files.open(file, "read");
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return otherwise;
    throw error;
  }
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}
