/**
 * Commits that only a data directory has: in WAL of its own behind what is held of its timeline.
 *
 * Nouns: the *standing* of the directory's timeline says what a start of the server there would do with them. Of the vault's newest timeline
 * the receiver would take them up; of one that was left nobody would, and there would be two servers that take writes.
 * Invariants: changes nothing; that it cannot tell ends no restore, since what it reads is what a restore in place mends.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import type { ControlFile } from "../postgres/control-file.ts";
import {
  formatLsn,
  historyName,
  type Lsn,
  lsnMax,
  lsnMin,
  parseSegmentName,
  segmentStart,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { lineageOf, parseHistory, type TimelineHistory } from "../wal/history.ts";
import { heldTimelines, type WalHoldings, walLineages } from "../wal/ranges.ts";
import type { RecordCursor } from "../wal/records/cursor.ts";
import { decodeEvent, formatWalTime, type WalTime } from "../wal/records/events.ts";
import { scanRecords, type WalSource } from "../wal/records/reader.ts";
import { WAL_FOLDER } from "./layout.ts";

/** What the directory's timeline is to the vault. */
export type Standing =
  /** The newest that the vault holds, with the same history. */
  | { readonly kind: "newest" }
  /** The vault holds a newer one. */
  | { readonly kind: "left"; readonly newest: Timeline }
  /** The vault's of this number is another branch, which parted from this one here. */
  | { readonly kind: "parted"; readonly at: Lsn }
  /** Nothing of it is held, or one of the two histories is not there to compare. */
  | { readonly kind: "unknown" };

/** What is nowhere else. */
export type OnlyHere = Found | { readonly kind: "untold"; readonly why: string };

type Found = {
  readonly kind: "found";
  readonly timeline: Timeline;
  readonly standing: Standing;
  /** To where its lineage is held elsewhere; undefined: nothing of it is. */
  readonly heldTo: Lsn | undefined;
  /** The end of what the directory has, as far as it was seen. */
  readonly to: Lsn;
  /** Undefined: what lies between is not in its WAL any more, and its pages have it. */
  readonly commits: { readonly count: number; readonly last: WalTime } | undefined;
};

type Place = { readonly folder: string; readonly walFolder: string | undefined; readonly control: ControlFile };

/** A timeline by itself; `history` is undefined where neither the directory nor the vault has it. */
type OwnTimeline = { readonly timeline: Timeline; readonly history: TimelineHistory | undefined };

/** Looks; undefined where nothing that was committed there is missing elsewhere. Rejects with `platform.aborted` only. */
export async function findOnlyHere(
  files: Files,
  { folder, walFolder = path.join(folder, WAL_FOLDER), control }: Place,
  holdings: WalHoldings,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<OnlyHere | undefined> {
  try {
    const isThere = (await files.stat(walFolder)) !== undefined;
    const found = await look(files, { walFolder: isThere ? walFolder : undefined, control }, holdings, options);
    return found ?? (isThere ? undefined : { kind: "untold", why: `${walFolder} is not there` });
  } catch (error) {
    if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
    return { kind: "untold", why: error.message };
  }
}

async function look(
  files: Files,
  { walFolder, control }: Omit<Place, "folder">,
  holdings: WalHoldings,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<OnlyHere | undefined> {
  const { walSegmentBytes, checkpoint } = control;
  const own = await timelineIn(files, walFolder, control);
  const { timeline } = own;
  const history = own.history ?? holdings.histories.get(timeline) ?? [];
  const base = { kind: "found", timeline, standing: standingOf(own, holdings) } as const;
  const inPages = { ...base, to: checkpoint.lsn, commits: undefined };
  const heldTo = heldOf({ timeline, history }, holdings);
  if (heldTo === undefined) return { ...inPages, heldTo };
  const parts = lineageOf(timeline, history).toReversed();
  const source: WalSource = {
    walSegmentBytes,
    timelineAt: (start) => parts.find(({ from }) => segmentStart(from, walSegmentBytes) <= start)?.timeline ?? timeline,
    readSegment: async (name) =>
      walFolder === undefined ? undefined : await readIfThere(files, path.join(walFolder, name)),
  };
  let count = 0;
  let last: WalTime | undefined;
  const visit = (cursor: RecordCursor): undefined => {
    const event = decodeEvent(cursor);
    // Of a record that is held in part nothing is replayed.
    if (event?.kind !== "commit" || event.end <= heldTo) return;
    count += 1;
    last = event.time;
  };
  const end = await scanRecords(source, { from: segmentStart(heldTo, walSegmentBytes) }, visit, options);
  const to = end.last?.end ?? heldTo;
  if (to < checkpoint.redoLsn) return heldTo < checkpoint.redoLsn ? { ...inPages, heldTo } : undefined;
  return last === undefined ? undefined : { ...base, heldTo, to, commits: { count, last } };
}

/**
 * To where what the directory's timeline and its ancestors wrote is in the vault, on whatever timeline of it. Behind a hole too, and where WAL
 * was pruned: whatever was committed in that is in the backups that were taken later.
 */
function heldOf(
  { timeline, history }: { readonly timeline: Timeline; readonly history: TimelineHistory },
  holdings: WalHoldings,
): Lsn | undefined {
  // Without a history of the vault's own its WAL of the number is taken to be of this branch.
  const histories = new Map(holdings.histories);
  if (timeline !== 1 && !histories.has(timeline) && history.length > 0) histories.set(timeline, history);
  let heldTo = 0n as Lsn;
  for (const { timeline: each, ranges } of walLineages({ ...holdings, histories })) {
    const to = ranges.at(-1)?.to;
    if (to === undefined) continue;
    const other = { timeline: each, history: histories.get(each) ?? [] };
    const parted = partingOf({ timeline, history }, other);
    heldTo = lsnMax(heldTo, parted === undefined ? to : lsnMin(parted, to));
  }
  return heldTo === 0n ? undefined : heldTo;
}

type Branch = { readonly timeline: Timeline; readonly history: TimelineHistory };

/** The first position that two lineages do not share; undefined when they are the same. */
function partingOf(one: Branch, other: Branch): Lsn | undefined {
  const others = lineageOf(other.timeline, other.history);
  for (const [index, part] of lineageOf(one.timeline, one.history).entries()) {
    const against = others[index];
    if (against === undefined || against.timeline !== part.timeline) return part.from;
    if (part.to === against.to) continue;
    if (part.to === undefined || against.to === undefined) return part.to ?? against.to;
    return lsnMin(part.to, against.to);
  }
  return undefined;
}

function standingOf({ timeline, history }: OwnTimeline, holdings: WalHoldings): Standing {
  const newest = [...heldTimelines(holdings)].reduce((most, each) => (each > most ? each : most), 0 as Timeline);
  if (timeline < newest) return { kind: "left", newest };
  const other = timeline === 1 ? [] : holdings.histories.get(timeline);
  if (history === undefined || other === undefined) return { kind: "unknown" };
  const at = partingOf({ timeline, history }, { timeline, history: other });
  return at === undefined ? { kind: "newest" } : { kind: "parted", at };
}

/** A promotion does not wait for the checkpoint that the control file tells of: a history and WAL are there before. */
async function timelineIn(
  files: Files,
  walFolder: string | undefined,
  { checkpoint, walSegmentBytes }: ControlFile,
): Promise<OwnTimeline> {
  const names = walFolder === undefined ? [] : (await files.list(walFolder)).map(({ name }) => name);
  const begun = names
    .filter((name) => parseSegmentName(name, walSegmentBytes) !== undefined)
    .map(timelineOfSegment)
    .filter((each) => names.includes(historyName(each)));
  const timeline = Math.max(checkpoint.timeline, ...begun) as Timeline;
  if (timeline === 1) return { timeline, history: [] };
  if (walFolder === undefined) return { timeline, history: undefined };
  const content = await readIfThere(files, path.join(walFolder, historyName(timeline)));
  return { timeline, history: content === undefined ? undefined : parseHistory(timeline, content) };
}

/**
 * Whether a start of the server there could bring its commits into the vault: then who wants the newest would lose what is his to have. In every
 * other case the vault's newest is what it is, and the folder is told of.
 */
export function isOnlyCopy(found: OnlyHere): found is Found {
  return found.kind === "found" && found.standing.kind === "newest" && found.commits !== undefined;
}

/** What is nowhere else, in words. */
export function describeOnlyHere(folder: string, found: OnlyHere): string {
  if (found.kind === "untold") {
    return `whether ${folder} has commits that the vault lacks could not be told: ${found.why}`;
  }
  const { timeline, heldTo, to, commits, standing } = found;
  const held = heldTo === undefined ? "not at all" : `to ${formatLsn(heldTo)}`;
  const what =
    commits === undefined
      ? "what was committed between"
      : `${commits.count === 1 ? "a commit" : `${commits.count} commits`} behind that (the last of ${formatWalTime(commits.last)})`;
  const lost = `${folder} goes on to ${formatLsn(to)} on timeline ${timeline}, which the vault has ${held}: ${what} would be lost`;
  return `${lost}${describeStanding(standing, timeline)}`;
}

function describeStanding(standing: Standing, timeline: Timeline): string {
  switch (standing.kind) {
    case "newest":
      return "";
    case "left":
      return `. The vault goes on with timeline ${standing.newest}: copy the folder away first to keep it, and let no server write there`;
    case "parted":
      return `. The vault's timeline ${timeline} is another branch, which parted from this one at ${formatLsn(standing.at)}: copy the folder away first to keep it, and let no server write there`;
    case "unknown":
      return ". That this timeline is the vault's own is not known (a restored copy has one of its own): copy the folder away first to keep it";
    default:
      return standing satisfies never;
  }
}

/** Throws what tells who wants the newest, and does not know. */
export function refuseOnlyHere(folder: string, found: Found): never {
  throw new LifeboatError("restore.only-copy", {
    message: describeOnlyHere(folder, found),
    remedy:
      "Where no other server took its place, start it there and wait until the receiver has caught up (lifeboat wal status), then stop it and restore; or copy the folder away first. --give-up-commits gives them up.",
    details: { timeline: found.timeline, to: formatLsn(found.to) },
  });
}
