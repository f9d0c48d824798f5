/**
 * Timeline histories: how the branches of a cluster's WAL hang together.
 *
 * Nouns: a *history* lists the ancestors of a timeline, each with the position at which it was left; a *lineage* is the
 * same as stretches of WAL, oldest first, the timeline itself last and open.
 * The positions of a history may go back: a server that was told to follow timeline 2, and stopped before the position where
 * that began, names 2 as its parent all the same. What counts of an ancestor ends where the first of its descendants began.
 * Source: PostgreSQL's src/backend/access/transam/timeline.c.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { type Lsn, lsnMin, parseLsn, type Timeline } from "../postgres/lsn.ts";

/** An ancestor, and where its descendants left it. */
export type TimelineSwitch = { readonly timeline: Timeline; readonly switchLsn: Lsn };

/** The ancestors of a timeline, oldest first; empty for timeline 1. */
export type TimelineHistory = readonly TimelineSwitch[];

/**
 * One stretch of a lineage. `to` is undefined for the last one, which has not ended. Of an ancestor that was passed over it is
 * empty, and lies where the descendant began.
 */
export type LineagePart = { readonly timeline: Timeline; readonly from: Lsn; readonly to: Lsn | undefined };

/** Longest history file: 100,000 promotions, and far below what would hurt. */
const HISTORY_BYTES_MAX = 8 * 1024 * 1024;

/** Reads the history file of `timeline`. Throws `wal.history-damaged`. */
export function parseHistory(timeline: Timeline, content: Buffer): TimelineHistory {
  if (content.byteLength > HISTORY_BYTES_MAX) throw damaged(timeline, `it has ${content.byteLength} bytes`);
  const history: TimelineSwitch[] = [];
  for (const line of content.toString("utf8").split("\n")) {
    if (/^\s*(#|$)/.test(line)) continue;
    const match = /^\s*(\d{1,10})\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(\s|$)/.exec(line);
    if (match === null) throw damaged(timeline, `the line "${line}" names no timeline and position`);
    const ancestor = Number(match[1]) as Timeline;
    const switchLsn = parseLsn(match[2] ?? "");
    const before = history.at(-1);
    if (ancestor < 1 || ancestor >= timeline || ancestor <= (before?.timeline ?? 0)) {
      throw damaged(timeline, `timeline ${ancestor} cannot follow ${before?.timeline ?? "nothing"} in it`);
    }
    history.push({ timeline: ancestor, switchLsn });
  }
  if (history.length === 0) throw damaged(timeline, "it names no ancestor");
  return history;
}

/** Whether `content` is a history of `timeline`; an empty file and a comment that keeps its name are none. */
export function namesAncestors(timeline: Timeline, content: Buffer): boolean {
  try {
    parseHistory(timeline, content);
    return true;
  } catch (error) {
    if (!isLifeboatError(error, "wal.history-damaged")) throw error;
    return false;
  }
}

/** The stretches of WAL that lead to `timeline`: each begins where the one before it ends, whatever order the positions have. */
export function lineageOf(timeline: Timeline, history: TimelineHistory): readonly LineagePart[] {
  const ends = endsOf(history);
  let from = 0n as Lsn;
  const parts: LineagePart[] = [];
  for (const [index, ancestor] of history.entries()) {
    const to = ends[index] ?? ancestor.switchLsn;
    parts.push({ timeline: ancestor.timeline, from, to });
    from = to;
  }
  return [...parts, { timeline, from, to: undefined }];
}

/** Where what counts of `ancestor` ends; undefined when it is none. */
export function leftAt(history: TimelineHistory, ancestor: Timeline): Lsn | undefined {
  const index = history.findIndex(({ timeline }) => timeline === ancestor);
  return index < 0 ? undefined : endsOf(history)[index];
}

/** Of each ancestor the least position at which it or a later one was left, as PostgreSQL's tliOfPointInHistory has it. */
function endsOf(history: TimelineHistory): readonly Lsn[] {
  const ends: Lsn[] = [];
  for (const { switchLsn } of history.toReversed()) ends.push(lsnMin(ends.at(-1) ?? switchLsn, switchLsn));
  return ends.reverse();
}

/** The stretch of a lineage on which the byte at `lsn` lies. */
export function partAt(lineage: readonly LineagePart[], lsn: Lsn): LineagePart {
  const part = lineage.find(({ to }) => to === undefined || lsn < to) ?? lineage.at(-1);
  if (part === undefined) throw damaged(0, "a lineage has no part");
  return part;
}

function damaged(timeline: number, why: string): LifeboatError {
  return new LifeboatError("wal.history-damaged", {
    message: `the history of timeline ${timeline} is damaged: ${why}`,
    remedy: "Copy the history file from pg_wal of a server of this timeline, or from another copy of the vault.",
  });
}
