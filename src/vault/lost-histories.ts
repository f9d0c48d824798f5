/**
 * Timelines of which WAL or a backup lies in a vault, and whose history does not. Pure.
 *
 * A history is stored before the first segment of its timeline, and nothing removes one: where it is not there it was lost, and nobody can
 * tell from where the timeline grew. Of one that a later history names, that tells it: its own may never have been had, since a
 * server forgets the histories of its ancestors. A backup that was taken on it stored its own: it was had, and was lost.
 */
import { LifeboatError } from "../errors/error.ts";
import { historyName, type Timeline, timelineOfSegment } from "../postgres/lsn.ts";
import { historyKey, parseWalKey, timelinePrefix } from "./names.ts";

/** A history that ought to be there, and why that is known. */
export type LostHistory = { readonly object: string; readonly reason: LifeboatError };

type Of = Parameters<typeof historyKey>[0];

/**
 * Finds them among the names of objects, and of the timelines on which `backups` were taken. `ancestors` are the names of the histories of
 * all timelines that some history names.
 */
export function lostHistories(held: {
  readonly names: Iterable<string>;
  readonly backups: Iterable<Of>;
  readonly ancestors: ReadonlySet<string>;
}): readonly LostHistory[] {
  const there = new Set<string>();
  const lost = new Map<string, LostHistory>();
  const want = (at: Of, what: "WAL" | "a backup"): void => {
    const object = historyKey(at);
    if (at.timeline > 1 && !lost.has(object)) lost.set(object, { object, reason: historyLost(at, what) });
  };
  for (const name of held.names) {
    const named = parseWalKey(name);
    if (named?.kind === "history") there.add(name);
    if (named?.kind !== "segment") continue;
    const at = { systemId: named.systemId, timeline: timelineOfSegment(named.segment) };
    if (!held.ancestors.has(historyKey(at))) want(at, "WAL");
  }
  for (const at of held.backups) want(at, "a backup");
  return [...lost.values()].filter(({ object }) => !there.has(object));
}

/** The names of the histories of a history's ancestors. What is no line of one names none. */
export function ancestorKeys(of: Of, history: Buffer | readonly { readonly timeline: Timeline }[]): readonly string[] {
  const timelines = Buffer.isBuffer(history)
    ? [...history.toString("utf8").matchAll(/^\s*(\d{1,10})\s+[0-9A-F]{1,8}\/[0-9A-F]{1,8}(?:\s|$)/gim)].map(
        ([, digits]) => Number(digits) as Timeline,
      )
    : history.map(({ timeline }) => timeline);
  return timelines.map((timeline) => historyKey({ ...of, timeline }));
}

function historyLost(at: Of, what: "WAL" | "a backup"): LifeboatError {
  const object = historyKey(at);
  const { timeline } = at;
  const repair =
    what === "WAL"
      ? "Run `lifeboat vault repair` where the receiver's spool lies, or"
      : "Run `lifeboat vault repair`: a backup of that timeline has it in its manifest. Or run it";
  return new LifeboatError("vault.object-missing", {
    message: `object ${object} is not there, though ${what} of timeline ${timeline} is: without the history of that timeline none of its WAL can be restored`,
    remedy: `${repair} with --history and ${historyName(timeline)} from pg_wal of a server of that timeline, or copy this object back from another copy of the vault; a backup of a server on timeline ${timeline} stores it, too. If nobody needs that timeline any more, delete ${timelinePrefix(at)} from the vault by hand.`,
    details: { object },
  });
}
