/**
 * What a recovering server may have of the WAL that is held: what `restore_command` asks for.
 *
 * A server that follows a timeline asks for each segment by the name of that timeline first, and takes an ancestor's when there is
 * none: also what the ancestor wrote behind the position where it was left, which is another branch. PostgreSQL does not look
 * for the switch in it (XLogFileReadAnyTLI in its src/backend/access/transam/xlogrecovery.c). So a segment in which a switch lies is
 * not known, rather than absent or found, while the newer timeline's own copy of it is not held.
 */
import { LifeboatError } from "../errors/error.ts";
import {
  historyName,
  type Lsn,
  lsnAdd,
  parseSegmentName,
  type Timeline,
  timelineDigits,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { getHistory } from "../vault/wal-store.ts";
import { fetchWal, type WalAnswer, type WalSources } from "./get.ts";
import { leftAt, lineageOf, parseHistory } from "./history.ts";

/** Who asks: a restore must stop when the answer is not known; a standby must go on asking. */
export type WalGetMode = "restore" | "standby";

type Request = { readonly name: string; readonly mode: WalGetMode };
type CallOptions = { readonly signal?: AbortSignal | undefined };

/** As `fetchWal`, for a server that follows the newest timeline. */
export async function fetchForServer(
  sources: WalSources,
  { name, mode }: Request,
  options: CallOptions,
): Promise<WalAnswer> {
  const answer = await fetchWal(sources, name, options);
  if (!/^[0-9A-F]{24}$/.test(name)) return answer;
  const timeline = timelineOfSegment(name);
  if (answer.kind === "absent") return await unlessAncestorGoesOn(sources, { name, timeline }, options);
  // A restore that asks for it by this name has not asked for the newer one, or was told so.
  if (answer.kind === "unknown" || mode === "restore") return answer;
  return await unlessLeft(sources, { name, timeline, found: answer }, options);
}

/** Of a segment that is not held: unknown where an ancestor's copy goes on behind the switch. */
async function unlessAncestorGoesOn(
  sources: WalSources,
  { name, timeline }: { readonly name: string; readonly timeline: Timeline },
  options: CallOptions,
): Promise<WalAnswer> {
  const history = await fetchWal(sources, historyName(timeline), options);
  if (history.kind !== "found") return history;
  for (const { timeline: ancestor, to } of lineageOf(timeline, parseHistory(timeline, history.bytes)).toReversed()) {
    if (to === undefined) continue;
    const theirs = nameOn(ancestor, name);
    const answer = await fetchWal(sources, theirs, options);
    if (answer.kind === "unknown") return answer;
    if (answer.kind === "absent") continue;
    // The newest that is held is the one which the server takes.
    return goesBeyond(theirs, answer.bytes, to) ? notKnown(name, theirs) : { kind: "absent" };
  }
  return { kind: "absent" };
}

/** Of a segment that is held: unknown where a newer timeline left this one in it and has no copy of its own. */
async function unlessLeft(
  sources: WalSources,
  of: { readonly name: string; readonly timeline: Timeline; readonly found: Extract<WalAnswer, { kind: "found" }> },
  options: CallOptions,
): Promise<WalAnswer> {
  const { vault, systemId } = sources;
  // Timelines are numbered one after another: where one is not known, no newer one is.
  for (let newer = of.timeline + 1; ; newer += 1) {
    const timeline = newer as Timeline;
    const content = await getHistory(vault, { systemId, timeline }, options);
    if (content === undefined) return of.found;
    const history = parseHistory(timeline, content);
    // Left for this very timeline: whoever follows a later one has that one's copy of it.
    const left = leftAt(history, of.timeline);
    if (left === undefined || left !== history.at(-1)?.switchLsn || !goesBeyond(of.name, of.found.bytes, left))
      continue;
    const theirs = nameOn(timeline, of.name);
    const answer = await fetchWal(sources, theirs, options);
    if (answer.kind === "unknown") return answer;
    if (answer.kind === "absent") return notKnown(theirs, of.name);
  }
}

/** Whether a segment has bytes of its own behind a position that lies in it. */
function goesBeyond(name: string, bytes: Buffer, lsn: Lsn): boolean {
  const segment = parseSegmentName(name, bytes.byteLength);
  return segment !== undefined && segment.start <= lsn && lsn < lsnAdd(segment.start, bytes.byteLength);
}

function notKnown(missing: string, older: string): WalAnswer {
  return {
    kind: "unknown",
    error: new LifeboatError("wal.switch-not-held", {
      message: `${missing} is not held, and ${older} goes on behind the position where its timeline was left`,
      remedy:
        "Bring the spool of the receiver that has the newer timeline to this machine, or recover with `lifeboat restore`, which stops at that position.",
    }),
  };
}

function nameOn(timeline: Timeline, name: string): string {
  return `${timelineDigits(timeline)}${name.slice(8)}`;
}
