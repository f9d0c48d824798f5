/**
 * Where to receive from: a decision on facts.
 *
 * Nouns: *held* is, per timeline, the position after the newest byte in spool and vault; a position is *gone* when the
 * server said that it no longer has the WAL there.
 * Invariants: reception goes on exactly behind what is held of the newest timeline of the server's lineage of which
 * anything is held; a timeline that is held to its end is followed into the next one from the first byte of the segment
 * in which that begins, since PostgreSQL copies what came before; whatever is skipped is a named gap.
 */
import { type Lsn, lsnAdd, lsnMax, type SystemId, segmentStart, type Timeline } from "../postgres/lsn.ts";
import { type LineagePart, partAt } from "./history.ts";
import { WAL_PAGE_BYTES } from "./records/page.ts";

/** What is known before reception starts. */
export type StartFacts = {
  readonly server: { readonly systemId: SystemId; readonly timeline: Timeline; readonly flushedLsn: Lsn };
  /** The server's timeline and its ancestors. */
  readonly lineage: readonly LineagePart[];
  readonly slotRestartLsn: Lsn | undefined;
  readonly held: ReadonlyMap<Timeline, Lsn>;
  readonly walSegmentBytes: number;
  /** What the last attempt wanted and the server no longer had. */
  readonly gone: Gone | undefined;
};

/** What a server did not have: the last pages held, the WAL behind them, or also not a later timeline's copy of that. */
export type Gone = "comparison" | "wal" | "copies";

/** A stretch that will not be received. */
export type SkippedWal = { readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn };

/** Where to start, and what to compare before anything is confirmed. */
export type StartDecision =
  /** Append at `at`. `compareFrom` is the beginning of the last pages held: the stream starts there, or earlier in that segment. */
  | {
      readonly kind: "continue";
      readonly timeline: Timeline;
      readonly at: Lsn;
      readonly compareFrom: Lsn | undefined;
    }
  /**
   * Begin a timeline that an ancestor led to. Its first bytes are the ancestor's and those of others between, up to `switchLsn`; of
   * the ancestor's they are held up to `sharedTo`, which is that or before.
   */
  | {
      readonly kind: "follow";
      readonly timeline: Timeline;
      readonly at: Lsn;
      readonly ancestor: Timeline;
      readonly sharedTo: Lsn;
      readonly switchLsn: Lsn;
    }
  /** Begin where the server can: nothing before is held, or what lies between is gone. */
  | {
      readonly kind: "begin";
      readonly timeline: Timeline;
      readonly at: Lsn;
      readonly skipped: SkippedWal | undefined;
    }
  /** The server has less than what was received from this timeline. */
  | { readonly kind: "server-behind"; readonly timeline: Timeline; readonly heldLsn: Lsn }
  /** The server neither has the WAL that is needed nor any later. */
  | { readonly kind: "gone"; readonly at: Lsn };

/** Decides where to receive from. */
export function decideStart(facts: StartFacts): StartDecision {
  const next = afterHeld(facts);
  if (next === undefined) return { kind: "begin", ...earliest(facts), skipped: undefined };
  if (next.kind !== "continue") return next;
  const { timeline, at } = next;
  if (timeline === facts.server.timeline && at > facts.server.flushedLsn) {
    return { kind: "server-behind", timeline, heldLsn: at };
  }
  if (isGone(facts))
    return laterCopy(facts, { ancestor: timeline, asked: timeline, at }) ?? afterGap(facts, { timeline, at });
  if (facts.gone === "comparison" && at % BigInt(facts.walSegmentBytes) === 0n) {
    return { ...next, compareFrom: undefined };
  }
  return next;
}

function afterHeld(
  facts: StartFacts,
): Extract<StartDecision, { kind: "continue" | "follow" | "begin" | "gone" }> | undefined {
  const { lineage, held, walSegmentBytes } = facts;
  for (let index = lineage.length - 1; index >= 0; index -= 1) {
    const part = lineage[index];
    const end = part === undefined ? undefined : held.get(part.timeline);
    if (part === undefined || end === undefined || end <= segmentStart(part.from, walSegmentBytes)) continue;
    if (part.to === undefined || end < part.to) {
      return { kind: "continue", timeline: part.timeline, at: end, compareFrom: lastPages(end, walSegmentBytes) };
    }
    // Of a timeline that was passed over there is nothing to follow.
    const next = lineage.slice(index + 1).find(({ from, to }) => to === undefined || from < to);
    if (next === undefined) continue;
    const at = segmentStart(next.from, walSegmentBytes);
    const ancestor = part.timeline;
    if (isGone(facts)) {
      const lost = { timeline: next.timeline, at: next.from };
      return laterCopy(facts, { ancestor, asked: next.timeline, at: part.to }) ?? afterGap(facts, lost);
    }
    return { kind: "follow", timeline: next.timeline, at, ancestor, sharedTo: part.to, switchLsn: part.to };
  }
  return undefined;
}

function isGone({ gone }: StartFacts): boolean {
  return gone === "wal" || gone === "copies";
}

/**
 * The newest timeline that begins in the segment, once. A server sends what it has left of a timeline's last segment from the next
 * one's copy, and where it archives it renames that when the next one ends too. The newest copy has all that came before.
 */
function laterCopy(
  { gone, lineage, walSegmentBytes }: StartFacts,
  { ancestor, asked, at }: { readonly ancestor: Timeline; readonly asked: Timeline; readonly at: Lsn },
): Extract<StartDecision, { kind: "follow" }> | undefined {
  const start = segmentStart(at, walSegmentBytes);
  const index = lineage.findIndex(({ timeline }) => timeline === asked);
  const later = lineage.slice(index + 1).filter(({ from }) => segmentStart(from, walSegmentBytes) === start);
  const copy = later.findLast(({ from, to }) => to === undefined || from < to);
  if (gone !== "wal" || copy === undefined) return undefined;
  return { kind: "follow", timeline: copy.timeline, at: start, ancestor, sharedTo: at, switchLsn: copy.from };
}

function afterGap(
  facts: StartFacts,
  lost: { readonly timeline: Timeline; readonly at: Lsn },
): Extract<StartDecision, { kind: "begin" | "gone" }> {
  const candidates = [earliest(facts), current(facts)];
  const start = candidates.find(({ at }) => at > lost.at);
  if (start === undefined) return { kind: "gone", at: lost.at };
  return { kind: "begin", ...start, skipped: { timeline: lost.timeline, from: lost.at, to: start.at } };
}

/** The earliest segment that the server keeps for us. */
function earliest(facts: StartFacts): { readonly timeline: Timeline; readonly at: Lsn } {
  return facts.slotRestartLsn === undefined ? current(facts) : segmentAt(facts, facts.slotRestartLsn);
}

function current(facts: StartFacts): { readonly timeline: Timeline; readonly at: Lsn } {
  return segmentAt(facts, facts.server.flushedLsn);
}

function segmentAt(facts: StartFacts, lsn: Lsn): { readonly timeline: Timeline; readonly at: Lsn } {
  return { timeline: partAt(facts.lineage, lsn).timeline, at: segmentStart(lsn, facts.walSegmentBytes) };
}

/**
 * The first byte of the last two pages before `end`, as far as they lie in one segment: what is compared before anything is received
 * behind it. Two, since the last one may hold the last bytes of a record and no more.
 */
export function lastPages(end: Lsn, walSegmentBytes: number): Lsn {
  const last = lsnAdd(end, -1);
  return lsnMax(segmentStart(last, walSegmentBytes), lsnAdd(segmentStart(last, WAL_PAGE_BYTES), -WAL_PAGE_BYTES));
}
