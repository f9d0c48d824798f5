/**
 * What a spool knows of itself: whose WAL it holds, and which history it follows.
 *
 * Written durably when one of these changes, never per flush: how much WAL is held is read from the segment files.
 * The format is specified in docs/formats/spool.md.
 */
import path from "node:path";
import { z } from "zod";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { formatLsn, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { isSegmentSize } from "./records/page.ts";
import { lsnSchema, systemIdSchema, timelineSchema } from "./wal-json.ts";

/** WAL that was gone from the server before it was received. */
export type ReceivedGap = {
  readonly timeline: Timeline;
  readonly from: Lsn;
  readonly to: Lsn;
  /** When it was noticed, ISO 8601. */
  readonly noticedAt: string;
};

/** The identity of a spool. */
export type SpoolState = {
  /** The vault that registered the history and takes the segments. */
  readonly vaultId: string;
  readonly systemId: SystemId;
  readonly walSegmentBytes: number;
  /** The timeline that is received. */
  readonly timeline: Timeline;
  /** The timeline's history file; empty for timeline 1. */
  readonly history: string;
  readonly slot: string;
  /** The last position on stable storage when this was written. */
  readonly flushedLsn: Lsn;
  /** Where the gap-free range begins that reception goes on with; undefined while that is not known. */
  readonly rangeFrom: Lsn | undefined;
  /** Newest last, at most GAPS_MAX. */
  readonly gaps: readonly ReceivedGap[];
};

/** Gaps that are remembered: each is an alarm and a new backup, a hundred is no longer an exception. */
const GAPS_MAX = 100;
const STATE_FILE = "state.json";
const FORMAT = "lifeboat-spool";
const VERSION = 3;

const sharedSchema = {
  format: z.literal(FORMAT),
  vaultId: z.string().min(1),
  systemId: systemIdSchema,
  walSegmentBytes: z.int().refine(isSegmentSize),
  timeline: timelineSchema,
  history: z.string(),
  slot: z.string(),
  flushedLsn: lsnSchema,
  gaps: z.array(z.strictObject({ timeline: timelineSchema, from: lsnSchema, to: lsnSchema, noticedAt: z.string() })),
};

const stateSchema = z.discriminatedUnion("version", [
  // The first version kept room for what the mandate has become, and did not say where its range begins.
  z.strictObject({ ...sharedSchema, version: z.literal(1), epoch: z.literal(0), upstream: z.null() }),
  // In the second each sync of a partial wrote a mark: whoever knows no other must not count what this one has synced.
  z.strictObject({ ...sharedSchema, version: z.literal([2, VERSION]), rangeFrom: lsnSchema.nullable() }),
]);

/** The state of a spool; undefined when nothing was received into it yet. Throws `wal.spool-damaged`. */
export async function readSpoolState(files: Files, folder: string): Promise<SpoolState | undefined> {
  return (await readAnySpoolState(files, folder))?.state;
}

/** As `readSpoolState`, for who receives into it: a state of an earlier version is replaced before that. */
export async function takeSpoolState(
  tools: { readonly files: Files; readonly random: RandomSource },
  folder: string,
): Promise<SpoolState | undefined> {
  const found = await readAnySpoolState(tools.files, folder);
  if (found !== undefined && found.version !== VERSION) await writeSpoolState(tools, folder, found.state);
  return found?.state;
}

async function readAnySpoolState(
  files: Files,
  folder: string,
): Promise<{ readonly version: number; readonly state: SpoolState } | undefined> {
  const file = path.join(folder, STATE_FILE);
  let bytes: Buffer;
  try {
    bytes = await files.readFile(file);
  } catch (error) {
    if (isLifeboatError(error, "platform.file-missing")) return undefined;
    throw error;
  }
  try {
    const read = stateSchema.parse(JSON.parse(`${bytes}`));
    const { vaultId, systemId, walSegmentBytes, timeline, history, slot, flushedLsn, gaps } = read;
    const rangeFrom = read.version === 1 ? undefined : (read.rangeFrom ?? undefined);
    const state = { vaultId, systemId, walSegmentBytes, timeline, history, slot, flushedLsn, rangeFrom, gaps };
    return { version: read.version, state };
  } catch (cause) {
    throw spoolDamaged(file, "it is not a spool's state of a version this program reads", cause);
  }
}

/** Replaces the state of a spool; survives a power cut once this returns. */
export async function writeSpoolState(
  tools: { readonly files: Files; readonly random: RandomSource },
  folder: string,
  state: SpoolState,
): Promise<void> {
  const gaps = state.gaps.slice(-GAPS_MAX).map((gap) => ({ ...gap, from: formatLsn(gap.from), to: formatLsn(gap.to) }));
  const stored = {
    format: FORMAT,
    version: VERSION,
    ...state,
    flushedLsn: formatLsn(state.flushedLsn),
    rangeFrom: state.rangeFrom === undefined ? null : formatLsn(state.rangeFrom),
    gaps,
  };
  await writeDurable(tools.files, {
    file: path.join(folder, STATE_FILE),
    parts: [Buffer.from(`${JSON.stringify(stored, undefined, 2)}\n`)],
    over: "replace",
    unique: tools.random(8).toString("hex"),
  });
}

/** The error of a file in the spool that is not what was written there. */
export function spoolDamaged(file: string, why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("wal.spool-damaged", {
    message: `${file} is damaged: ${why}`,
    remedy:
      "Keep a copy of the spool, then give the receiver an empty one: what the vault and the server hold is received again.",
    cause,
  });
}
