/**
 * Commits that only a data directory has: on its own timeline, behind everything that a restore from the vault reaches of that. WAL that the
 * vault holds behind a hole, or of a timeline whose history is lost, is reached by none.
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
import type { BackupRecord } from "../vault/backups.ts";
import { lineageOf, namesAncestors, parseHistory, type TimelineHistory } from "../wal/history.ts";
import { heldTimelines, isHistoryHeld, type WalHoldings } from "../wal/ranges.ts";
import type { RecordCursor } from "../wal/records/cursor.ts";
import { decodeEvent, formatWalTime, type WalTime } from "../wal/records/events.ts";
import { scanRecords, type WalSource } from "../wal/records/reader.ts";
import { recoveryPoints } from "../wal/recovery-points.ts";
import { WAL_FOLDER } from "./layout.ts";

/** What the directory's timeline is to the vault. */
export type Standing =
  /** The newest that the vault holds, with the same history. */
  | { readonly kind: "newest" }
  /** The vault holds a newer one. */
  | { readonly kind: "left"; readonly newest: Timeline }
  /** The vault's of this number is another branch, which parted from this one here. */
  | { readonly kind: "parted"; readonly at: Lsn }
  /** The vault holds WAL of it, and its history not: the directory has that. */
  | { readonly kind: "history-lost" }
  /** Nothing of it is held, or one of the two histories is not there to compare. */
  | { readonly kind: "unknown" };

/** What is nowhere else. */
export type OnlyHere = Found | { readonly kind: "untold"; readonly why: string };

type Found = {
  readonly kind: "found";
  readonly timeline: Timeline;
  readonly standing: Standing;
  /** To where restores from the vault reach in its lineage; undefined: none does. */
  readonly heldTo: Lsn | undefined;
  /** The end of what the directory has, as far as it was seen. */
  readonly to: Lsn;
  /** Its WAL is there that a server needs to start on it. */
  readonly couldStart: boolean;
  /** Undefined: what lies between is not in its WAL any more, and its pages have it. */
  readonly commits: { readonly count: number; readonly last: WalTime } | undefined;
};

type Place = { readonly folder: string; readonly walFolder: string | undefined; readonly control: ControlFile };

/** A timeline by itself; `history` is undefined where neither the directory nor the vault has it. */
type OwnTimeline = { readonly timeline: Timeline; readonly history: TimelineHistory | undefined };

/** What the vault and the receiver's spool have of the system. */
type Held = { readonly holdings: WalHoldings; readonly backups: readonly BackupRecord[] };

/** Looks; undefined where nothing that was committed there is missing elsewhere. Rejects with `platform.aborted` only. */
export async function findOnlyHere(
  files: Files,
  { folder, walFolder = path.join(folder, WAL_FOLDER), control }: Place,
  held: Held,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<OnlyHere | undefined> {
  try {
    const isThere = (await files.stat(walFolder)) !== undefined;
    const found = await look(files, { walFolder: isThere ? walFolder : undefined, control }, held, options);
    return found ?? (isThere ? undefined : { kind: "untold", why: `${walFolder} is not there` });
  } catch (error) {
    if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
    return { kind: "untold", why: error.message };
  }
}

async function look(
  files: Files,
  { walFolder, control }: Omit<Place, "folder">,
  held: Held,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<OnlyHere | undefined> {
  const { walSegmentBytes, checkpoint } = control;
  const own = await timelineIn(files, walFolder, control);
  const { timeline } = own;
  const history = own.history ?? held.holdings.histories.get(timeline) ?? [];
  const heldTo = heldOf({ timeline, history }, held);
  const base = { kind: "found", timeline, standing: standingOf(own, held.holdings), heldTo } as const;
  const parts = lineageOf(timeline, history).toReversed();
  const source: WalSource = {
    walSegmentBytes,
    timelineAt: (start) => parts.find(({ from }) => segmentStart(from, walSegmentBytes) <= start)?.timeline ?? timeline,
    readSegment: async (name) =>
      walFolder === undefined ? undefined : await readIfThere(files, path.join(walFolder, name)),
  };
  const scan = async (from: Lsn) => {
    let commits: { count: number; last: WalTime } | undefined;
    const visit = (cursor: RecordCursor): undefined => {
      const event = decodeEvent(cursor);
      // Of a record that is held in part nothing is replayed.
      if (event?.kind === "commit" && event.end > from)
        commits = { count: (commits?.count ?? 0) + 1, last: event.time };
    };
    const end = await scanRecords(source, { from: segmentStart(from, walSegmentBytes) }, visit, options);
    return { to: end.last?.end ?? from, commits };
  };
  if (heldTo !== undefined) {
    const { to, commits } = await scan(heldTo);
    if (to >= checkpoint.redoLsn) return commits === undefined ? undefined : { ...base, to, commits, couldStart: true };
  }
  // Its WAL does not go back to what is held: what was committed between is in its pages.
  const { to } = await scan(checkpoint.redoLsn);
  return { ...base, to: lsnMax(to, checkpoint.lsn), commits: undefined, couldStart: to > checkpoint.redoLsn };
}

/**
 * To where restores from the vault reach in what the directory's timeline and its ancestors wrote, on whatever timeline of it. Behind a hole
 * too, and where WAL was pruned, if a backup begins there: it has whatever was committed before.
 */
function heldOf({ timeline, history }: Branch, { holdings, backups }: Held): Lsn | undefined {
  const { ranges, leftBehind } = recoveryPoints(backups, holdings);
  let heldTo: Lsn | undefined;
  for (const { timeline: each, to } of [...ranges, ...leftBehind]) {
    const parted = partingOf({ timeline, history }, { timeline: each, history: holdings.histories.get(each) ?? [] });
    const shared = parted === undefined ? to : lsnMin(parted, to);
    if (shared > 0n) heldTo = lsnMax(heldTo ?? shared, shared);
  }
  return heldTo;
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
  const held = heldTimelines(holdings);
  const newest = [...held].reduce((most, each) => (each > most ? each : most), 0 as Timeline);
  if (timeline < newest) return { kind: "left", newest };
  const other = timeline === 1 ? [] : holdings.histories.get(timeline);
  if (history !== undefined && other === undefined && held.has(timeline)) return { kind: "history-lost" };
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
 * The histories in pg_wal without which WAL of the vault is of no use: it holds WAL of their timelines, and lacks them or cannot open them. A restore
 * in place removes them. What cannot be read is none.
 */
export async function onlyHistories(
  files: Files,
  { folder, walFolder = path.join(folder, WAL_FOLDER) }: Omit<Place, "control">,
  holdings: WalHoldings,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const timeline of heldTimelines(holdings)) {
    if (isHistoryHeld(holdings, timeline)) continue;
    const file = path.join(walFolder, historyName(timeline));
    const content = await readIfThere(files, file).catch(() => undefined);
    if (content !== undefined && namesAncestors(timeline, content)) found.push(file);
  }
  return found;
}

/** Which histories go, in words. */
export function describeOnlyHistories(found: readonly string[]): readonly string[] {
  return found.map(
    (file) =>
      `${file} is removed, and the vault lacks this history, or cannot open it, and holds WAL of its timeline: \`lifeboat vault repair --history ${file}\` stores it first`,
  );
}

/**
 * Whether the directory could still give its commits: a start of the server there, or the history it has. Then who wants the newest would lose what is
 * his to have. In every other case the vault's newest is what it is, and the folder is told of.
 */
export function isOnlyCopy(found: OnlyHere): found is Found {
  if (found.kind !== "found") return false;
  return found.couldStart && (found.standing.kind === "newest" || found.standing.kind === "history-lost");
}

/** What is nowhere else, in words. */
export function describeOnlyHere(folder: string, found: OnlyHere): string {
  if (found.kind === "untold") {
    return `whether ${folder} has commits that the vault lacks could not be told: ${found.why}`;
  }
  const { timeline, heldTo, to, commits, standing } = found;
  const held = heldTo === undefined ? "nothing" : `what comes before ${formatLsn(heldTo)}`;
  const what =
    commits === undefined
      ? "what was committed between"
      : `${commits.count === 1 ? "a commit" : `${commits.count} commits`} behind that (the last of ${formatWalTime(commits.last)})`;
  const lost = `${folder} goes on to ${formatLsn(to)} on timeline ${timeline}, of which a restore from the vault brings ${held}: ${what} would be lost`;
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
    case "history-lost":
      return ". The vault has WAL of this timeline, and not its history, which the folder has";
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
    remedy: `${found.standing.kind === "history-lost" ? historyFirst(folder, found) : START_FIRST}; or copy the folder away first. --give-up-commits gives them up.`,
    details: { timeline: found.timeline, to: formatLsn(found.to) },
  });
}

const START_FIRST =
  "Where no other server took its place, start it there and wait until the receiver has caught up (lifeboat wal status); where WAL is missing in between, take a backup, too. Then stop it and restore";

function historyFirst(folder: string, { timeline }: Found): string {
  const file = path.join(folder, WAL_FOLDER, historyName(timeline));
  return `Where the folder is of the server that the vault has this WAL of, store the history first (lifeboat vault repair --history ${file}), then restore without --timeline`;
}
