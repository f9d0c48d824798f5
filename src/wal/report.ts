/**
 * What a receiver says of itself, in `receiver.json` of its spool.
 *
 * Replaced once a second, and at once when it streams; never synced: it is for people and alarms, and for a backup, which begins
 * when it says `streaming`. Whether the receiver lives is told by the spool's lock and not by this file.
 */
import path from "node:path";
import { z } from "zod";
import { isLifeboatError } from "../errors/error.ts";
import { replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { Locks } from "../platform/lock.ts";
import type { RandomSource } from "../platform/random.ts";
import { spoolLock } from "./spool.ts";

const FORMAT = "lifeboat-receiver";
const VERSION = 2;
const REPORT_FILE = "receiver.json";

/**
 * What the receiver is doing. `starting`: takes its spool over. `connecting`: reaches for the server and agrees with it
 * on where to start. `streaming`: receives and confirms. `backing-off`: waits before it tries again, `lastError` says
 * why. `waiting-for-space`: the same, because spool or vault are full. `withdrawn`: has no mandate and is connected to
 * nobody. `stopped`: was told to. `failed`: met what no repetition mends; under a mandate it waits for the next one.
 */
export const RECEIVER_MODES = [
  "starting",
  "connecting",
  "streaming",
  "backing-off",
  "waiting-for-space",
  "withdrawn",
  "stopped",
  "failed",
] as const;

/** See RECEIVER_MODES. */
export type ReceiverMode = (typeof RECEIVER_MODES)[number];

const instant = z.iso.datetime();
const position = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);

const errorSchema = z.strictObject({
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  /** ISO 8601. */
  at: instant,
});

const alarmSchema = z.strictObject({
  /**
   * `not-streaming`: nothing is confirmed. `no-space`: and it is for lack of space. `stalled`: the server advances and
   * the confirmed position does not. `vault-failing`: segments do not get into the vault. `gap`: WAL is lost, take a
   * backup. `unreadable`: WAL is stored and does not read on, take a backup.
   */
  kind: z.enum(["not-streaming", "no-space", "stalled", "vault-failing", "gap", "unreadable"]),
  message: z.string(),
  /** ISO 8601. */
  since: instant,
});

/** The report as it is written. */
export const reportSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  pid: z.int().positive(),
  mode: z.enum(RECEIVER_MODES),
  startedAt: instant,
  updatedAt: instant,
  systemId: z.string().nullable(),
  timeline: z.int().nullable(),
  slot: z.string(),
  /** The greatest epoch it has seen; and the name of its connection, as synchronous_standby_names must list it. */
  epoch: z.int(),
  applicationName: z.string(),
  /** Positions as PostgreSQL prints them; 0/0 while unknown. */
  writtenLsn: position,
  flushedLsn: position,
  serverEndLsn: position,
  /** What the server has and we have not; null while either is unknown. */
  lagBytes: z.number().nullable(),
  segmentsWaiting: z.int(),
  spoolBytes: z.int(),
  spoolBytesMax: z.int(),
  lastError: errorSchema.nullable(),
  alarms: z.array(alarmSchema),
  gaps: z.array(z.strictObject({ timeline: z.int(), from: position, to: position, noticedAt: instant })),
});

/** The report. Times are ISO 8601, positions as PostgreSQL prints them. */
export type ReceiverReport = Readonly<z.infer<typeof reportSchema>>;

/** Something a person should look at. */
export type ReceiverAlarm = Readonly<z.infer<typeof alarmSchema>>;

/** A failure in a report. */
export type ReportedError = Readonly<z.infer<typeof errorSchema>>;

/** What is known of a spool's receiver. */
export type ReceiverStatus =
  | { readonly kind: "never-ran" }
  | { readonly kind: "running"; readonly report: ReceiverReport }
  /** Nobody holds the spool; the report is the last one, perhaps of a process that was killed. */
  | { readonly kind: "not-running"; readonly report: ReceiverReport };

/** The first two keys of every report. */
export const REPORT_HEAD = { format: FORMAT, version: VERSION } as const;

/** Replaces the report of a spool. */
export async function writeReport(
  tools: { readonly files: Files; readonly random: RandomSource },
  spool: string,
  report: ReceiverReport,
): Promise<void> {
  await replaceVolatile(tools.files, {
    file: path.join(spool, REPORT_FILE),
    bytes: Buffer.from(`${JSON.stringify(report, undefined, 2)}\n`),
    unique: tools.random(8).toString("hex"),
  });
}

/** What `lifeboat wal status` shows. A report that cannot be read counts as none. */
export async function readReceiverStatus(
  tools: { readonly files: Files; readonly locks: Locks },
  spool: string,
): Promise<ReceiverStatus> {
  const report = await readReport(tools.files, path.join(spool, REPORT_FILE));
  if (report === undefined) return { kind: "never-ran" };
  const lock = tools.locks.tryAcquire(spoolLock(spool));
  if (lock === undefined) return { kind: "running", report };
  lock.release();
  return { kind: "not-running", report };
}

async function readReport(files: Files, file: string): Promise<ReceiverReport | undefined> {
  let bytes: Buffer;
  try {
    bytes = await files.readFile(file);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
  try {
    return reportSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch {
    // A power cut may leave anything: the report was not synced, and the next one comes within a second.
    return undefined;
  }
}
