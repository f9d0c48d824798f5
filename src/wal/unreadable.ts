/**
 * WAL that the vault has and that does not read on: recovery along it ends there, so that it is lost as WAL in a gap is.
 *
 * Nouns: a *stretch* reaches from the first byte of the record that does not read to the end of the segment in which that showed.
 * Invariants: a stretch stands until a backup begins behind it, whichever receiver noticed it; one on a branch that was left is
 * nobody's loss; a receiver that cannot record one tells of it all the same, for as long as it runs.
 * The format is specified in docs/formats/spool.md.
 */
import path from "node:path";
import { z } from "zod";
import type { Clock } from "../platform/clock.ts";
import { writeDurable } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { formatLsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import type { ReceivedGap, SpoolState } from "./spool-state.ts";
import { standingGaps } from "./standing-gaps.ts";
import { lsnSchema, systemIdSchema, timelineSchema } from "./wal-json.ts";

/** A stretch, as a gap is told: of which system, and why it does not read. */
export type UnreadableWal = ReceivedGap & { readonly systemId: SystemId; readonly reason: string };

const FORMAT = "lifeboat-unreadable";
const VERSION = 1;
const UNREADABLE_FILE = "unreadable.json";
/** As of gaps: each is an alarm and a new backup. */
const STRETCHES_MAX = 100;
/** How often the vault is asked, while a stretch stands, whether a backup has answered it: a few small reads. */
const ASK_INTERVAL_MS = 60_000;

const unreadableSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  stretches: z.array(
    z.strictObject({
      systemId: systemIdSchema,
      timeline: timelineSchema,
      from: lsnSchema,
      to: lsnSchema,
      reason: z.string(),
      noticedAt: z.string(),
    }),
  ),
});

/** What a spool's receivers noticed, newest last. None where the file cannot be told: it is there to tell, and nothing rests on it. */
export async function readUnreadable(files: Files, spoolFolder: string): Promise<readonly UnreadableWal[]> {
  try {
    const bytes = await files.readFile(path.join(spoolFolder, UNREADABLE_FILE));
    return unreadableSchema.parse(JSON.parse(`${bytes}`)).stretches;
  } catch {
    return [];
  }
}

/** What the stretches of one receiver need. */
export type UnreadableTools = {
  readonly files: Files;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly spoolFolder: string;
  /** Undefined while nothing was received. */
  readonly state: () => SpoolState | undefined;
  /** The backups that the vault has of a system. */
  readonly backups: (
    systemId: SystemId,
    options: { readonly signal: AbortSignal },
  ) => Promise<readonly { readonly timeline: Timeline; readonly startLsn: string }[]>;
};

/** The stretches that one receiver tells of. */
export class UnreadableStretches {
  readonly #tools: UnreadableTools;
  #standing: readonly UnreadableWal[] = [];

  constructor(tools: UnreadableTools) {
    this.#tools = tools;
  }

  /** Behind which no backup begins yet. */
  get standing(): readonly UnreadableWal[] {
    return this.#standing;
  }

  /** Recalls what earlier receivers noticed, then asks now and then what still stands. Never rejects; ends with the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const recalled = await readUnreadable(this.#tools.files, this.#tools.spoolFolder);
    const standing = await this.#asked(recalled, signal);
    this.#standing = [...standing, ...this.#standing];
    while (!signal.aborted) {
      await Promise.allSettled([this.#tools.clock.sleep(ASK_INTERVAL_MS, { signal })]);
      const asked = this.#standing;
      const still = await this.#asked(asked, signal);
      if (this.#standing === asked) this.#standing = still;
    }
  }

  /** Those of them that still stand; where the vault cannot tell, each does. */
  async #asked(stretches: readonly UnreadableWal[], signal: AbortSignal): Promise<readonly UnreadableWal[]> {
    const state = this.#tools.state();
    const own = stretches.filter(({ systemId }) => systemId === state?.systemId);
    if (state === undefined || own.length === 0) return own;
    const backups = await this.#tools.backups(state.systemId, { signal }).catch(() => []);
    const standing = new Set<ReceivedGap>(standingGaps({ ...state, gaps: own }, backups));
    return own.filter((each) => standing.has(each));
  }

  /** Tells of a stretch from now on; resolves when it is recorded, or could not be. */
  async note(found: UnreadableWal): Promise<void> {
    this.#standing = joined(this.#standing, found);
    const { files, random, spoolFolder } = this.#tools;
    const stretches = joined(await readUnreadable(files, spoolFolder), found).slice(-STRETCHES_MAX);
    const stored = {
      format: FORMAT,
      version: VERSION,
      stretches: stretches.map((each) => ({ ...each, from: formatLsn(each.from), to: formatLsn(each.to) })),
    };
    const writing = writeDurable(files, {
      file: path.join(spoolFolder, UNREADABLE_FILE),
      parts: [Buffer.from(`${JSON.stringify(stored, undefined, 2)}\n`)],
      over: "replace",
      unique: random(8).toString("hex"),
    });
    // It is told for as long as this receiver runs; a spool whose disk is full has an alarm of its own.
    await Promise.allSettled([writing]);
  }
}

/** One after another are one: it is one backup that answers them. */
function joined(stretches: readonly UnreadableWal[], found: UnreadableWal): readonly UnreadableWal[] {
  const last = stretches.at(-1);
  const goesOn =
    last?.systemId === found.systemId &&
    last.timeline === found.timeline &&
    last.from <= found.from &&
    last.to >= found.from;
  return goesOn ? [...stretches.slice(0, -1), { ...last, to: found.to }] : [...stretches, found];
}
