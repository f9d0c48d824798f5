/**
 * Timelines of which WAL lies in a vault, and whose history does not. Pure.
 *
 * A history is stored before the first segment of its timeline, and nothing removes one: where it is not there it was lost, and nobody can
 * tell from where the timeline grew. Of one that a later history names, that tells it: its own may never have been had, since a
 * server forgets the histories of its ancestors.
 */
import { LifeboatError } from "../errors/error.ts";
import { historyName, type Timeline, timelineOfSegment } from "../postgres/lsn.ts";
import { historyKey, parseWalKey, timelinePrefix } from "./names.ts";

/** A history that ought to be there, and why that is known. */
export type LostHistory = { readonly object: string; readonly reason: LifeboatError };

/** Finds them among the names of objects. `ancestors` are the names of the histories of all timelines that some history names. */
export function lostHistories(held: {
  readonly names: Iterable<string>;
  readonly ancestors: ReadonlySet<string>;
}): readonly LostHistory[] {
  const known = new Set(held.ancestors);
  const wanted = new Map<string, LostHistory>();
  for (const name of held.names) {
    const named = parseWalKey(name);
    if (named?.kind === "history") known.add(name);
    if (named?.kind !== "segment") continue;
    const timeline = timelineOfSegment(named.segment);
    const at = { systemId: named.systemId, timeline };
    const object = historyKey(at);
    if (timeline > 1 && !wanted.has(object)) wanted.set(object, { object, reason: historyLost(at) });
  }
  return [...wanted.values()].filter(({ object }) => !known.has(object));
}

/** The names of the histories of a history's ancestors. What is no line of one names none. */
export function ancestorKeys(
  of: Parameters<typeof historyKey>[0],
  history: Buffer | readonly { readonly timeline: Timeline }[],
): readonly string[] {
  const timelines = Buffer.isBuffer(history)
    ? [...history.toString("utf8").matchAll(/^\s*(\d{1,10})\s+[0-9A-F]{1,8}\/[0-9A-F]{1,8}(?:\s|$)/gim)].map(
        ([, digits]) => Number(digits) as Timeline,
      )
    : history.map(({ timeline }) => timeline);
  return timelines.map((timeline) => historyKey({ ...of, timeline }));
}

function historyLost(at: Parameters<typeof historyKey>[0]): LifeboatError {
  const object = historyKey(at);
  const { timeline } = at;
  return new LifeboatError("vault.object-missing", {
    message: `object ${object} is not there, though WAL of timeline ${timeline} is: without the history of that timeline none of it can be restored`,
    remedy: `Run \`lifeboat vault repair\` where the receiver's spool lies, or with --history and ${historyName(timeline)} from pg_wal of a server of that timeline, or copy this object back from another copy of the vault; a backup of a server on timeline ${timeline} stores it, too. If nobody needs that timeline any more, delete ${timelinePrefix(at)} from the vault by hand.`,
    details: { object },
  });
}
