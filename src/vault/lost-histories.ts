/**
 * Timelines of which WAL or a backup lies in a vault, and whose history does not. Pure.
 *
 * A history is stored before the first segment of its timeline, and nothing removes one: where it is not there it was lost, and nobody can
 * tell from where the timeline grew. Of what lies before the place where a later one left it, that one's history tells: its own may never have been had,
 * since a server forgets the histories of its ancestors. Behind that place lies what a server of that very timeline sent, and a backup that was taken on it stored
 * its own: there it was had, and was lost.
 */
import { LifeboatError } from "../errors/error.ts";
import {
  formatLsn,
  historyName,
  type Lsn,
  lsnAdd,
  lsnMax,
  parseLsn,
  parseSegmentName,
  type SystemId,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { historyKey, parseWalKey, timelinePrefix } from "./names.ts";

/** A history that ought to be there, and why that is known. */
export type LostHistory = { readonly object: string; readonly reason: LifeboatError };

type Of = Parameters<typeof historyKey>[0];

/** By the name of its history: where each timeline was left by the last of those that name it. */
export type TimelinesLeft = ReadonlyMap<string, Lsn>;

/** Finds them among the names of objects, and of the timelines on which `backups` were taken. */
export function lostHistories(held: {
  readonly names: Iterable<string>;
  readonly backups: Iterable<Of>;
  readonly left: TimelinesLeft;
  /** Without it nothing is said of where a segment ends. A system of which there is no backup has none. */
  readonly walSegmentBytes: ReadonlyMap<SystemId, number>;
}): readonly LostHistory[] {
  const there = new Set<string>();
  const lost = new Map<string, LostHistory>();
  const want = (at: Of, what: keyof typeof LOSSES, left?: Lsn): void => {
    const object = historyKey(at);
    if (at.timeline > 1 && !lost.has(object)) lost.set(object, { object, reason: historyLost(at, what, left) });
  };
  for (const at of held.backups) want(at, "a backup");
  for (const name of held.names) {
    const named = parseWalKey(name);
    if (named?.kind === "history") there.add(name);
    if (named?.kind !== "segment") continue;
    const at = { systemId: named.systemId, timeline: timelineOfSegment(named.segment) };
    const left = held.left.get(historyKey(at));
    if (left === undefined) want(at, "WAL");
    else if (endOf(named, held.walSegmentBytes) > left) want(at, "WAL behind", left);
  }
  return [...lost.values()].filter(({ object }) => !there.has(object));
}

function endOf(
  { systemId, segment }: { readonly systemId: SystemId; readonly segment: string },
  sizes: ReadonlyMap<SystemId, number>,
): Lsn {
  const bytes = sizes.get(systemId);
  const start = bytes === undefined ? undefined : parseSegmentName(segment, bytes)?.start;
  return start === undefined || bytes === undefined ? (0n as Lsn) : lsnAdd(start, bytes);
}

/** Notes where a history says that its ancestors were left. What is no line of one says nothing. */
export function noteLeft(
  left: Map<string, Lsn>,
  of: Of,
  history: Buffer | readonly { readonly timeline: Timeline; readonly switchLsn: Lsn }[],
): void {
  const switches = Buffer.isBuffer(history) ? switchesIn(history) : history;
  for (const { timeline, switchLsn } of switches) {
    const key = historyKey({ ...of, timeline });
    left.set(key, lsnMax(left.get(key) ?? switchLsn, switchLsn));
  }
}

function switchesIn(history: Buffer): readonly { readonly timeline: Timeline; readonly switchLsn: Lsn }[] {
  const lines = history.toString("utf8").matchAll(/^\s*(\d{1,10})\s+([0-9A-F]{1,8}\/[0-9A-F]{1,8})(?:\s|$)/gim);
  return [...lines].map(([, digits, at = ""]) => ({ timeline: Number(digits) as Timeline, switchLsn: parseLsn(at) }));
}

const LOSSES = {
  WAL: {
    means: "without the history of that timeline none of it can be restored",
    repair: "Run `lifeboat vault repair` where the receiver's spool lies, or",
  },
  "a backup": {
    means: "until it is stored again restores go by what that backup's manifest has of it, and a prune deletes nothing",
    repair:
      "Run `lifeboat vault repair`: the manifest of a backup of that timeline keeps it, where that opens. Or run it",
  },
  "WAL behind": {
    means: "until it is stored again restores go by what a later history repeats of it, and a prune deletes nothing",
    repair: "Run `lifeboat vault repair`: the history of a later timeline repeats it. Or run it",
  },
} as const;

function historyLost(at: Of, what: keyof typeof LOSSES, left: Lsn | undefined): LifeboatError {
  const object = historyKey(at);
  const { timeline } = at;
  const { means, repair } = LOSSES[what];
  const held = left === undefined ? what : `${what} ${formatLsn(left)}`;
  return new LifeboatError("vault.object-missing", {
    message: `object ${object} is not there, though ${held} of timeline ${timeline} is: ${means}`,
    remedy: `${repair} with --history and ${historyName(timeline)} from pg_wal of a server of that timeline, or copy this object back from another copy of the vault; a backup of a server on timeline ${timeline} stores it, too. If nobody needs that timeline any more, delete ${timelinePrefix(at)} from the vault by hand.`,
    details: { object },
  });
}
