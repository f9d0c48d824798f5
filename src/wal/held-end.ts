/**
 * What a receiver holds when no session runs: how far its WAL reaches, and where the last whole record ends.
 *
 * Safety rule B8: a flushed position can lie inside a record, of which no server ever replays a part; what a failover
 * waits for is the end of the last record with a valid checksum.
 */
import { isLifeboatError } from "../errors/error.ts";
import {
  LSN_NONE,
  type Lsn,
  lsnAdd,
  lsnMax,
  parseSegmentName,
  type SystemId,
  segmentStart,
  type Timeline,
} from "../postgres/lsn.ts";
import type { Vault } from "../vault/vault.ts";
import { getSegment, listWal } from "../vault/wal-store.ts";
import { type LineagePart, lineageOf, parseHistory } from "./history.ts";
import { findEndOfWal, type WalSource } from "./records/reader.ts";
import type { Spool } from "./spool.ts";
import type { SpoolState } from "./spool-state.ts";

/** Where WAL lies. */
export type HeldSources = { readonly spool: Spool; readonly vault: Vault };

/** What is held. */
export type HeldWal = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  /** The timeline's history file; empty for timeline 1. */
  readonly history: string;
  readonly walSegmentBytes: number;
  /** Where the gap-free range begins that ends at `flushedLsn`; undefined when that is not known. */
  readonly rangeFrom: Lsn | undefined;
  /** Held without a gap up to here, all of it on stable storage: at or after every position that was ever confirmed. */
  readonly flushedLsn: Lsn;
  /** The end of the last whole record at or before that; undefined when none could be found. */
  readonly recordEndLsn: Lsn | undefined;
};

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * Looks at what is held of the timeline that was received last. No session may use the spool meanwhile. Undefined when
 * nothing was ever received. Rejects when the vault must be asked and does not answer: then nothing is known.
 */
export async function holdStill(sources: HeldSources, options: CallOptions): Promise<HeldWal | undefined> {
  const { spool } = sources;
  const { state } = spool;
  if (state === undefined) return undefined;
  const spooled = await settleSpool(spool);
  const { systemId, timeline, history, walSegmentBytes, rangeFrom } = state;
  const flushedLsn = await heldEnd(sources, { state, spooled }, options);
  const recordEndLsn = flushedLsn === LSN_NONE ? undefined : await recordEnd(sources, { state, flushedLsn }, options);
  return { systemId, timeline, history, walSegmentBytes, rangeFrom, flushedLsn, recordEndLsn };
}

/** The stretches of WAL that lead to the timeline of a spool. */
function lineageOfState({ timeline, history }: SpoolState): readonly LineagePart[] {
  return lineageOf(timeline, timeline === 1 ? [] : parseHistory(timeline, Buffer.from(history)));
}

/**
 * Brings what an earlier process left of the newest segment to stable storage, so that it counts as flushed. No session may
 * use the spool meanwhile. Returns where what is in the spool ends, of the timeline that was received last; else none.
 */
export async function settleSpool(spool: Spool): Promise<Lsn> {
  const { state } = spool;
  if (state === undefined) return LSN_NONE;
  const { timeline, walSegmentBytes } = state;
  const known = spool.flushedOn(timeline);
  await spool.completeFull();
  const own = (await spool.list()).filter((file) => file.timeline === timeline && file.kind !== "ended");
  const end = own.reduce((newest, file) => lsnMax(newest, file.end), known);
  const partial = own.some((file) => file.kind === "partial" && file.end === end);
  if (end !== LSN_NONE && (partial || end % BigInt(walSegmentBytes) === 0n)) {
    await spool.continueAt({ timeline, lsn: end });
    spool.trustBefore();
  }
  return end;
}

/** The end of all that is held of the timeline, and of its parent up to the switch. */
async function heldEnd(
  { spool, vault }: HeldSources,
  of: { readonly state: SpoolState; readonly spooled: Lsn },
  options: CallOptions,
): Promise<Lsn> {
  const { state, spooled } = of;
  let end = spooled;
  if (end === LSN_NONE) {
    end = await storedEnd(vault, state, options);
    await spool.continueAt({ timeline: state.timeline, lsn: end });
    spool.trustBefore();
  }
  // A timeline that is being followed repeats its parent up to the switch, and that is held.
  const lineage = lineageOfState(state);
  const switchLsn = lineage.at(-1)?.from ?? LSN_NONE;
  const parents = lineage.filter(({ to }) => to === switchLsn).map(({ timeline }) => timeline);
  const parentHeld = (await spool.list()).some(
    (file) => parents.includes(file.timeline) && file.start <= switchLsn && file.end >= switchLsn,
  );
  return parentHeld ? lsnMax(end, switchLsn) : end;
}

async function storedEnd(vault: Vault, state: SpoolState, options: CallOptions): Promise<Lsn> {
  const { systemId, timeline, walSegmentBytes } = state;
  const { segments } = await listWal(vault, { systemId, timeline }, options);
  const newest = parseSegmentName(segments.at(-1) ?? "", walSegmentBytes);
  return newest === undefined ? LSN_NONE : lsnAdd(newest.start, walSegmentBytes);
}

/** Nearly every record ends within so much of the end; to read a whole segment takes time that a failover waits for. */
const NEAR_BYTES = 256 * 1024;

/** A record is rarely longer than a segment; one of 1 GiB, the longest, has 64 of them. */
const SEGMENTS_BACK = [0, 1, 2, 4, 8, 16, 32, 64];

async function recordEnd(
  sources: HeldSources,
  of: { readonly state: SpoolState; readonly flushedLsn: Lsn },
  options: CallOptions,
): Promise<Lsn | undefined> {
  const { state, flushedLsn } = of;
  const { walSegmentBytes } = state;
  // Where a timeline begins, a record has ended.
  if (flushedLsn === lineageOfState(state).at(-1)?.from) return flushedLsn;
  const source = walSource(sources, state);
  const newest = segmentStart(lsnAdd(flushedLsn, -1), walSegmentBytes);
  const near = lsnMax(newest, lsnAdd(flushedLsn, -NEAR_BYTES));
  const begins = SEGMENTS_BACK.map((back) => lsnAdd(newest, -back * walSegmentBytes));
  for (const from of [near, ...begins]) {
    if (from <= 0n) return undefined;
    try {
      const { last } = await findEndOfWal(source, { from, limit: flushedLsn }, options);
      if (last !== undefined) return last.end;
    } catch (error) {
      // The vault does not answer: not to know the end of a record is an answer, and a failover must not wait for a store.
      if (!isLifeboatError(error) || error.kind === "bug" || error.code === "platform.aborted") throw error;
      return undefined;
    }
  }
  return undefined;
}

function walSource(sources: HeldSources, state: SpoolState): WalSource {
  const { walSegmentBytes } = state;
  const lineage = lineageOfState(state);
  return {
    walSegmentBytes,
    // Where a timeline begins inside a segment, its own file repeats what came before.
    timelineAt: (start) =>
      lineage.findLast(({ from }) => segmentStart(from, walSegmentBytes) <= start)?.timeline ?? state.timeline,
    readSegment: (name, options) => readHeldSegment(sources, { state, name }, options),
  };
}

/** The held bytes of a segment, from the spool or else the vault; undefined when neither has any. */
async function readHeldSegment(
  { spool, vault }: HeldSources,
  wanted: { readonly state: SpoolState; readonly name: string },
  options: CallOptions,
): Promise<Buffer | undefined> {
  const { state, name } = wanted;
  const file = (await spool.list()).find((each) => each.segment === name && each.kind !== "ended");
  if (file !== undefined) {
    try {
      const bytes = await spool.readFile(file);
      if (bytes.byteLength > 0) return bytes;
    } catch (error) {
      // Stored and removed since we looked.
      if (!isLifeboatError(error, "platform.file-missing")) throw error;
    }
  }
  return await getSegment(vault, { systemId: state.systemId, segment: name }, options);
}
