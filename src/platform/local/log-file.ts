/** The logs of components: their last lines, and what keeps them from growing for ever. */
import { isLifeboatError } from "../../errors/error.ts";
import type { FileHandle, Files } from "../files.ts";

/** A log of this size is set aside; with the one before it, a component has at most twice as much. */
export const LOG_BYTES_MAX = 32 * 1024 * 1024;
const COPY_BYTES = 1024 * 1024;
/** Enough for hundreds of lines. */
const PART_BYTES = 256 * 1024;
/** More is not read back, however many lines are asked for. */
const TAIL_BYTES_MAX = LOG_BYTES_MAX;
const NEWLINE = 0x0a;

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

/** How far somebody has read in a log: bytes from its beginning, behind a newline. */
export type LogPosition = number;

/** Lines, and where to go on reading. */
export type LogPart = { readonly lines: readonly string[]; readonly next: LogPosition };

/** The last lines of a log; empty when there is none. What stands behind the last newline counts as one. */
export async function lastLinesOf(files: Files, file: string, count: number): Promise<readonly string[]> {
  const { lines, rest } = await endOf(files, file, count);
  return rest === "" ? lines : [...lines, rest].slice(-count);
}

/** The same of whole lines, to go on from there with `newLinesOf`. */
export async function tailOf(files: Files, file: string, count: number): Promise<LogPart> {
  const { lines, next } = await endOf(files, file, count);
  return { lines, next };
}

/** The whole lines that came since. A log that was set aside meanwhile is read from its beginning. */
export async function newLinesOf(files: Files, file: string, position: LogPosition): Promise<LogPart> {
  return reading(files, file, { lines: [], next: position }, async (handle) => {
    const { sizeBytes } = await handle.stat();
    const from = sizeBytes < position ? 0 : position;
    const part = await handle.read({ position: from, length: Math.min(PART_BYTES, sizeBytes - from) });
    // A line that does not end within a part is cut there.
    const end = part.byteLength < PART_BYTES ? part.lastIndexOf(NEWLINE) + 1 : part.byteLength;
    const text = part.subarray(0, end).toString("utf8");
    return { lines: text === "" ? [] : text.replace(/\n$/, "").split("\n"), next: from + end };
  });
}

type End = LogPart & { readonly rest: string };

async function endOf(files: Files, file: string, count: number): Promise<End> {
  return reading(files, file, { lines: [], next: 0, rest: "" }, async (handle) => {
    const { sizeBytes } = await handle.stat();
    for (let length = Math.min(PART_BYTES, sizeBytes); ; length = Math.min(2 * length, sizeBytes)) {
      const from = sizeBytes - length;
      const part = await handle.read({ position: from, length });
      const end = part.lastIndexOf(NEWLINE) + 1;
      const lines = part.subarray(0, end).toString("utf8").split("\n").slice(0, -1);
      // The first of them may have begun before.
      if (from > 0) lines.shift();
      if (lines.length < count && from > 0 && length < TAIL_BYTES_MAX) continue;
      return {
        lines: count === 0 ? [] : lines.slice(-count),
        next: from + end,
        rest: part.subarray(end).toString("utf8"),
      };
    }
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
