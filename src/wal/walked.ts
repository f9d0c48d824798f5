/**
 * What the receiver saw of changed settings and of databases copied by their files while WAL passed through it, so that a backup
 * need not fetch that WAL again.
 *
 * Nouns: a stretch is *walked* when each of its records was read, whole and linked to the one before, also over a restart of the
 * receiver.
 * Invariants: a segment that does not read on is told, for recovery ends there; only segments that the vault has are walked; `walked.json` says nothing that was not read; one that is lost,
 * old or unreadable costs time and no backup: whoever asks reads the WAL itself then. Never synced.
 * The format is specified in docs/formats/spool.md.
 */
import path from "node:path";
import { z } from "zod";
import { type Clock, formatInstant } from "../platform/clock.ts";
import { replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { turnOfOthers } from "../platform/timer.ts";
import {
  formatLsn,
  type Lsn,
  lsnAdd,
  parseSegmentName,
  type SystemId,
  segmentName,
  type Timeline,
} from "../postgres/lsn.ts";
import { decodeCopy } from "./records/copied-folders.ts";
import { RecordCursor, RMGR_XLOG, type WalEndReason } from "./records/cursor.ts";
import { decodeEvent, type WalEvent } from "./records/events.ts";
import { walkSegment } from "./records/reader.ts";
import type { UnreadableWal } from "./unreadable.ts";
import { lsnSchema, systemIdSchema, timelineSchema } from "./wal-json.ts";

/** A change of parameters that take a restart. */
export type WalkedChange = {
  readonly lsn: Lsn;
  /** Undefined where the record names a level that this program does not know. */
  readonly walLevel: string | undefined;
  readonly walLogHints: boolean;
};

/** A stretch that was walked. */
export type Walked = {
  readonly vaultId: string;
  readonly systemId: SystemId;
  /** Of the segments that were read. */
  readonly timeline: Timeline;
  /** The first byte of the first record. */
  readonly from: Lsn;
  /** The first byte of the first record that was not read, or not whole. */
  readonly to: Lsn;
  /** The first byte of the last record that was read: the one at `to` is linked to it. */
  readonly last: Lsn;
  /** Every change among the records from `from` to `to`. */
  readonly changes: readonly WalkedChange[];
  /** Where the records lie that copy databases by their files: all of those from `copiesFrom` to `to`. */
  readonly copies: readonly Lsn[];
  readonly copiesFrom: Lsn;
};

const FORMAT = "lifeboat-walked";
const VERSION = 3;
const WALKED_FILE = "walked.json";
/** So long a walk keeps the receiver from its other work, of which it syncs and confirms a commit in some 0.3. */
const TURN_MS = 0.2;
/** A server that is started so often is not one whose backups should hurry: what is older is forgotten. */
const CHANGES_MAX = 1000;
/** Some make a database for each run of their tests; of more the oldest are forgotten. A backup reads on from the first that it meets. */
const COPIES_MAX = 200;

const stretchKeys = {
  format: z.literal(FORMAT),
  vaultId: z.string().min(1),
  systemId: systemIdSchema,
  timeline: timelineSchema,
  from: lsnSchema,
  to: lsnSchema,
  last: lsnSchema,
  changes: z.array(z.strictObject({ lsn: lsnSchema, walLevel: z.string().nullable(), walLogHints: z.boolean() })),
};
const copyKeys = { copies: z.array(lsnSchema), copiesFrom: lsnSchema };

const walkedSchema = z.discriminatedUnion("version", [
  // Of before copies were noted.
  z.strictObject({ ...stretchKeys, version: z.literal(2) }),
  z.strictObject({ ...stretchKeys, ...copyKeys, version: z.literal(VERSION) }),
]);

/** What a spool's receiver has walked; undefined when it cannot be told. Never rejects. */
export async function readWalked(files: Files, spoolFolder: string): Promise<Walked | undefined> {
  try {
    const bytes = await files.readFile(path.join(spoolFolder, WALKED_FILE));
    const stored = walkedSchema.parse(JSON.parse(`${bytes}`));
    const changes = stored.changes.map((change) => ({ ...change, walLevel: change.walLevel ?? undefined }));
    const { vaultId, systemId, timeline, from, to, last } = stored;
    const { copies, copiesFrom } = stored.version === VERSION ? stored : { copies: [], copiesFrom: to };
    return { vaultId, systemId, timeline, from, to, last, changes, copies, copiesFrom };
  } catch {
    return undefined;
  }
}

async function writeWalked(
  tools: { readonly files: Files; readonly random: RandomSource },
  spoolFolder: string,
  walked: Walked,
): Promise<void> {
  const stored = {
    format: FORMAT,
    version: VERSION,
    ...walked,
    from: formatLsn(walked.from),
    to: formatLsn(walked.to),
    last: formatLsn(walked.last),
    changes: walked.changes.map(({ lsn, walLevel = null, walLogHints }) => ({
      lsn: formatLsn(lsn),
      walLevel,
      walLogHints,
    })),
    copies: walked.copies.map(formatLsn),
    copiesFrom: formatLsn(walked.copiesFrom),
  };
  await replaceVolatile(tools.files, {
    file: path.join(spoolFolder, WALKED_FILE),
    bytes: Buffer.from(`${JSON.stringify(stored)}\n`),
    unique: tools.random(8).toString("hex"),
  });
}

/** Where a walk is told, and what it needs to go on where an earlier receiver stopped. */
export type WalkTools = {
  readonly files: Files;
  readonly random: RandomSource;
  readonly clock: Clock;
  readonly spoolFolder: string;
  readonly vaultId: string;
  /** A segment of the vault; undefined when it is not there. */
  readonly segment: (name: { readonly systemId: SystemId; readonly segment: string }) => Promise<Buffer | undefined>;
  /** Told of WAL that does not read on, though it goes on. */
  readonly unreadable: (found: UnreadableWal) => Promise<void>;
};

/** A segment that the vault has. */
export type StoredSegment = { readonly systemId: SystemId; readonly segment: string; readonly bytes: Buffer };

type Walk = {
  readonly cursor: RecordCursor;
  /** Undefined until a first record was seen. */
  readonly walked: Walked | undefined;
};

/** The walk after one segment more, or where and why that one does not read as what comes next. */
type Step =
  | { readonly kind: "walk"; readonly walk: Walk }
  | { readonly kind: "unreadable"; readonly at: Lsn; readonly reason: WalEndReason };

type SegmentPlace = {
  readonly vaultId: string;
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly start: Lsn;
  readonly walSegmentBytes: number;
};

type Fed = { readonly of: SegmentPlace; readonly bytes: Buffer };

/** Walks what one receiver stores, segment by segment. */
export class Walker {
  readonly #tools: WalkTools;
  #walk: { readonly walk: Walk; readonly of: SegmentPlace } | undefined;
  #begun = false;

  constructor(tools: WalkTools) {
    this.#tools = tools;
  }

  /**
   * Walks a segment that was just stored and tells what is walked by then. Never rejects: where a segment cannot be read on, that is
   * told, the walk begins anew with the next one, and what was told of settings stays until then.
   */
  async stored({ systemId, segment, bytes }: StoredSegment): Promise<void> {
    const found = parseSegmentName(segment, bytes.byteLength);
    if (found === undefined) return;
    const of = { vaultId: this.#tools.vaultId, systemId, ...found, walSegmentBytes: bytes.byteLength };
    try {
      const step = await this.#step({ of, bytes });
      if (step.kind === "unreadable") return await this.#tools.unreadable(this.#stretch(of, step));
      this.#walk = { walk: step.walk, of };
      if (step.walk.walked !== undefined) await writeWalked(this.#tools, this.#tools.spoolFolder, step.walk.walked);
    } catch {
      this.#walk = undefined;
    }
  }

  async #step(fed: Fed): Promise<Step> {
    const { clock } = this.#tools;
    const isFirst = !this.#begun;
    const before = await this.#before(fed.of);
    this.#walk = undefined;
    const step = await walkOn(clock, before ?? begin(fed.of), fed);
    // What an earlier receiver walked was never synced and may be of another day: then the segment by itself says whether it reads.
    const isDoubtful = step.kind === "unreadable" && isFirst && before !== undefined;
    return isDoubtful ? await walkOn(clock, begin(fed.of), fed) : step;
  }

  /** A backup that begins behind the segment needs nothing of it. */
  #stretch(of: SegmentPlace, { at, reason }: Extract<Step, { kind: "unreadable" }>): UnreadableWal {
    const { systemId, timeline, start, walSegmentBytes } = of;
    const noticedAt = formatInstant(this.#tools.clock.now());
    return { systemId, timeline, from: at, to: lsnAdd(start, walSegmentBytes), reason, noticedAt };
  }

  /** The walk that this segment goes on with; undefined when none does. */
  async #before(of: SegmentPlace): Promise<Walk | undefined> {
    const before = this.#walk;
    const first = !this.#begun;
    this.#begun = true;
    if (before === undefined) return first ? await this.#resumed(of) : undefined;
    const { walk } = before;
    const same = before.of.systemId === of.systemId && before.of.timeline === of.timeline;
    const long = (walk.walked?.changes.length ?? 0) > CHANGES_MAX;
    return same && !long && walk.cursor.neededSegment === Number(of.start) ? walk : undefined;
  }

  /** What an earlier receiver walked, ready for this segment: a record may have begun in the one before. */
  async #resumed(of: SegmentPlace): Promise<Walk | undefined> {
    const walked = await readWalked(this.#tools.files, this.#tools.spoolFolder);
    if (walked === undefined || !isOf(walked, of)) return undefined;
    const { walSegmentBytes, timeline, systemId } = of;
    const cursor = new RecordCursor({ from: Number(walked.to), previous: Number(walked.last), walSegmentBytes });
    const lsn = BigInt(cursor.neededSegment) as Lsn;
    if (lsn === of.start) return { cursor, walked };
    if (Number(lsn) + walSegmentBytes !== Number(of.start)) return undefined;
    const segment = segmentName({ timeline, lsn, walSegmentBytes });
    const bytes = await this.#tools.segment({ systemId, segment });
    const step = bytes && (await walkOn(this.#tools.clock, { cursor, walked }, { of, bytes }));
    return step?.kind === "walk" ? step.walk : undefined;
  }
}

/** Whether what was walked is WAL of this vault, system and timeline. */
export function isOf(walked: Walked, of: Pick<Walked, "vaultId" | "systemId" | "timeline">): boolean {
  return walked.vaultId === of.vaultId && walked.systemId === of.systemId && walked.timeline === of.timeline;
}

function begin({ start, walSegmentBytes }: SegmentPlace): Walk {
  return { cursor: new RecordCursor({ from: Number(start), walSegmentBytes }), walked: undefined };
}

async function walkOn(clock: Clock, walk: Walk, { of, bytes }: Fed): Promise<Step> {
  const { cursor } = walk;
  let { from, last } = walk.walked ?? {};
  const changes = [...(walk.walked?.changes ?? [])];
  const copies = [...(walk.walked?.copies ?? [])];
  cursor.feed(bytes, of.timeline);
  const outcome = await walkSegment(
    cursor,
    () => {
      last = BigInt(cursor.lsn) as Lsn;
      from ??= last;
      const event = cursor.rmgr === RMGR_XLOG ? decodeEvent(cursor) : undefined;
      if (event?.kind === "parameter-change") changes.push(changeOf(event));
      if (decodeCopy(cursor) !== undefined) copies.push(last);
      return undefined;
    },
    { pause: turnsOf(clock) },
  );
  const to = BigInt(cursor.position) as Lsn;
  // The segment is whole: that no more bytes are there is no end of it.
  if (outcome !== "segment") return { kind: "unreadable", at: to, reason: cursor.endReason };
  if (from === undefined || last === undefined) return { kind: "walk", walk };
  const { vaultId, systemId, timeline } = of;
  const [forgotten] = copies.splice(0, copies.length - COPIES_MAX).slice(-1);
  const copiesFrom = forgotten === undefined ? (walk.walked?.copiesFrom ?? from) : ((forgotten + 1n) as Lsn);
  const walked = { vaultId, systemId, timeline, from, to, last, changes, copies, copiesFrom };
  return { kind: "walk", walk: { cursor, walked } };
}

function changeOf({ lsn, walLevel, walLogHints }: Extract<WalEvent, { kind: "parameter-change" }>): WalkedChange {
  return { lsn, walLevel, walLogHints };
}

/** Lets what arrived meanwhile be confirmed: commits wait for that, and nobody for the walk. */
function turnsOf(clock: Clock): () => Promise<void> {
  let since = clock.monotonic();
  return async () => {
    if (clock.monotonic() - since < TURN_MS) return;
    await turnOfOthers();
    since = clock.monotonic();
  };
}
