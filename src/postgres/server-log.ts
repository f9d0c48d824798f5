/**
 * Reads a server's log to say why a start failed.
 *
 * The words of the log may be translated or change between versions, so they only choose the advice and two codes that a
 * caller can act on (a busy port, a full disk); the words themselves always go into the message.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import type { ProcessExit } from "../platform/processes.ts";

/** What is shown of a log: enough for the reason and what led to it, little enough for a message. */
export const LOG_TAIL_BYTES = 4096;

/** The last whole lines of a log from `fromByte` on, at most LOG_TAIL_BYTES; empty when there are none. */
export async function readLogTail(
  files: Files,
  log: { readonly file: string; readonly fromByte: number },
): Promise<string> {
  try {
    const handle = await files.open(log.file, "read");
    try {
      const { sizeBytes } = await handle.stat();
      const position = Math.max(log.fromByte, sizeBytes - LOG_TAIL_BYTES);
      const text = (await handle.read({ position, length: Math.max(0, sizeBytes - position) })).toString("utf8");
      return (position > log.fromByte ? text.slice(text.indexOf("\n") + 1) : text).trimEnd();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return "";
    throw error;
  }
}

/** What the log may say, and what to do about it. The first that matches is taken. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /has wrong ownership|could not open (configuration )?file .*Permission denied/i,
    "Give the data folder and all in it to the user that runs the server.",
  ],
  [/has (group or world access|invalid permissions)/i, "Set the mode of the data folder to 0700."],
  [
    /pre-existing shared memory block/i,
    "A process of an earlier server still runs on this data folder: end it, then start again.",
  ],
  [
    /unrecognized configuration parameter|invalid value for parameter|configuration file .* contains errors/i,
    "Correct the setting that the log names.",
  ],
  [
    /could not access file|could not load library/i,
    "Install the extension library that the log names, or take it out of shared_preload_libraries.",
  ],
  [
    /recovery ended before configured recovery target/i,
    "The WAL ends before the target: choose an earlier target, or provide the missing WAL.",
  ],
  [/before consistent recovery point/i, "Choose a target after the end of the backup."],
  [
    /could not locate (required|a valid) checkpoint record|could not locate required/i,
    "The WAL that this data folder needs is missing: restore it again from a backup.",
  ],
  [
    /insufficient parameter settings/i,
    "Raise the setting that the log names to the value of the server that the backup was made of.",
  ],
  [
    /database files are incompatible|initialized by PostgreSQL version/i,
    "Use the PostgreSQL programs of the version that made this data folder.",
  ],
  [
    /could not (map|create|resize) .*shared memory|Cannot allocate memory/i,
    "Lower shared_buffers, or free memory on this machine.",
  ],
];

/** Lines of the log that are told before a serious one. */
const LEADING_LINES_MAX = 3;

/** The error of a server that ended instead of starting. */
export function startError(
  setup: { readonly dataFolder: string; readonly port: number; readonly logFile: string },
  exit: ProcessExit,
  logTail: string,
): LifeboatError {
  const how = exit.kind === "exited" ? `ended with status ${exit.status}` : `was ended by ${exit.signal}`;
  const message = `the server in ${setup.dataFolder} ${how} while starting: ${telling(logTail)}`;
  const details = { logTail };
  if (
    /Address already in use|could not create any TCP\/IP sockets|\.s\.PGSQL\.\d+\.lock" already exists/i.test(logTail)
  ) {
    return new LifeboatError("postgres.port-busy", {
      message: `port ${setup.port} is in use: ${message}`,
      remedy: "Choose another port, or stop what listens there.",
      retryable: true,
      details,
    });
  }
  if (/No space left on device/i.test(logTail)) {
    return new LifeboatError("platform.disk-full", {
      message,
      remedy: `Free space on the file system of ${setup.dataFolder}, then start again.`,
      retryable: true,
      details,
    });
  }
  const advice = ADVICE.find(([pattern]) => pattern.test(logTail))?.[1];
  return new LifeboatError("postgres.start-failed", {
    message,
    remedy: advice ?? `Look at ${setup.logFile} for what led to this.`,
    details,
  });
}

function telling(logTail: string): string {
  const lines = logTail.split("\n").map((line) => line.trim());
  // What matters may stand in the detail (which setting is too low, which file is missing) or just before (what is wrong in
  // a configuration file, which address is in use).
  const isSerious = (at: number): boolean => /\b(FATAL|PANIC):/.test(lines[at] ?? "");
  const leadsTo = (at: number): boolean => {
    for (let next = at; next < at + LEADING_LINES_MAX && /\bLOG:/.test(lines[next] ?? ""); next += 1)
      if (isSerious(next + 1)) return true;
    return false;
  };
  const serious = lines.filter(
    (line, at) => isSerious(at) || (/\bDETAIL:/.test(line) && isSerious(at - 1)) || leadsTo(at),
  );
  return (serious.length > 0 ? serious : lines.slice(-3)).join("; ") || "its log is empty";
}
