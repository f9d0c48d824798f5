/**
 * Commits that only a data directory has: in WAL of its own behind what is held of its timeline.
 *
 * A start of the server there would replay them, and its receiver take them up; a restore in its place removes that WAL. Changes nothing.
 */
import path from "node:path";
import { LifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { readIfThere } from "../platform/read-if-there.ts";
import type { ControlFile } from "../postgres/control-file.ts";
import {
  formatLsn,
  historyName,
  type Lsn,
  parseSegmentName,
  segmentStart,
  type Timeline,
  timelineOfSegment,
} from "../postgres/lsn.ts";
import { lineageOf, parseHistory, type TimelineHistory } from "../wal/history.ts";
import { type WalHoldings, walLineage } from "../wal/ranges.ts";
import type { RecordCursor } from "../wal/records/cursor.ts";
import { decodeEvent, formatWalTime, type WalTime } from "../wal/records/events.ts";
import { scanRecords, type WalSource } from "../wal/records/reader.ts";
import { WAL_FOLDER } from "./layout.ts";

/** What is nowhere else. */
export type OnlyHere = {
  readonly timeline: Timeline;
  /** To where its timeline is held elsewhere; undefined: nothing of it is. */
  readonly heldTo: Lsn | undefined;
  /** The end of what the directory has, as far as it was seen. */
  readonly to: Lsn;
  /** Undefined: what lies between is not in its WAL any more, and its pages have it. */
  readonly commits: { readonly count: number; readonly last: WalTime } | undefined;
};

type Place = { readonly folder: string; readonly walFolder: string | undefined; readonly control: ControlFile };

/** Looks; undefined where nothing that was committed there is missing elsewhere. Rejects as reading files does. */
export async function findOnlyHere(
  files: Files,
  { folder, walFolder = path.join(folder, WAL_FOLDER), control }: Place,
  holdings: WalHoldings,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<OnlyHere | undefined> {
  const { walSegmentBytes, checkpoint } = control;
  const { timeline, history } = await timelineIn(files, walFolder, control, holdings);
  const histories = new Map(holdings.histories).set(timeline, history);
  const unknown = { timeline, to: checkpoint.lsn, commits: undefined };
  // Behind a hole too: whatever was committed in that is in the backups that were taken later.
  const heldTo = walLineage({ ...holdings, histories }, timeline).ranges.at(-1)?.to;
  if (heldTo === undefined) return { ...unknown, heldTo };
  const parts = lineageOf(timeline, history).toReversed();
  const source: WalSource = {
    walSegmentBytes,
    timelineAt: (start) => parts.find(({ from }) => segmentStart(from, walSegmentBytes) <= start)?.timeline ?? timeline,
    readSegment: (name) => readIfThere(files, path.join(walFolder, name)),
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
  if (to < checkpoint.redoLsn) return heldTo < checkpoint.redoLsn ? { ...unknown, heldTo } : undefined;
  return last === undefined ? undefined : { timeline, heldTo, to, commits: { count, last } };
}

/** A promotion does not wait for the checkpoint that the control file tells of: a history and WAL are there before. */
async function timelineIn(
  files: Files,
  walFolder: string,
  { checkpoint, walSegmentBytes }: ControlFile,
  { histories }: WalHoldings,
): Promise<{ readonly timeline: Timeline; readonly history: TimelineHistory }> {
  const names = (await files.list(walFolder)).map(({ name }) => name);
  const begun = names
    .filter((name) => parseSegmentName(name, walSegmentBytes) !== undefined)
    .map(timelineOfSegment)
    .filter((each) => names.includes(historyName(each)));
  const timeline = Math.max(checkpoint.timeline, ...begun) as Timeline;
  const content = await readIfThere(files, path.join(walFolder, historyName(timeline)));
  const history = content === undefined ? histories.get(timeline) : parseHistory(timeline, content);
  return { timeline, history: history ?? [] };
}

/** What is nowhere else, in words. */
export function describeOnlyHere(folder: string, { timeline, heldTo, to, commits }: OnlyHere): string {
  const held = heldTo === undefined ? "not at all" : `to ${formatLsn(heldTo)}`;
  const what =
    commits === undefined
      ? "what was committed between"
      : `${commits.count === 1 ? "a commit" : `${commits.count} commits`} behind that (the last of ${formatWalTime(commits.last)})`;
  return `${folder} goes on to ${formatLsn(to)} on timeline ${timeline}, which the vault has ${held}: ${what} would be lost`;
}

/** Throws where what is nowhere else would be lost by who wants the newest, and does not know. */
export function refuseOnlyHere(folder: string, found: OnlyHere): never {
  throw new LifeboatError("restore.only-copy", {
    message: describeOnlyHere(folder, found),
    remedy:
      "Start the server there and wait until the receiver has caught up (lifeboat wal status), then stop it and restore; or copy the folder away first. --accept-gap gives it up.",
    details: { timeline: found.timeline, to: formatLsn(found.to) },
  });
}
