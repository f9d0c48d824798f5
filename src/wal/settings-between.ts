/**
 * Whether a stretch of WAL shows that a setting was changed on which delta backups depend.
 *
 * The control file only tells what holds now: a server that ran for an hour without wal_log_hints says nothing of it
 * afterwards, but the WAL does (safety rules A1 and A4). A stretch that is not held, or does not read to its end, is
 * `missing` or `unreadable`: nothing is concluded from it. Neither is an error, or one damaged segment would end every backup that could
 * keep pages of an earlier one, for ever.
 */
import { isLifeboatError, type LifeboatError } from "../errors/error.ts";
import { type Lsn, lsnMax, lsnMin, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { tellsLoss } from "../vault/unopened.ts";
import { tellingUnread } from "../vault/unread.ts";
import { unsoundCopyIn } from "./copies-between.ts";
import type { WalSources } from "./get.ts";
import { type LineagePart, lineageOf } from "./history.ts";
import { readHoldingsOf } from "./holdings.ts";
import { coversRange } from "./ranges.ts";
import { RMGR_XLOG } from "./records/cursor.ts";
import { decodeEvent, type WalEvent } from "./records/events.ts";
import { scanRecords, type WalSource } from "./records/reader.ts";
import { type Stretch, stretchSource, walkedOf } from "./stretch.ts";
import { readUnreadable } from "./unreadable.ts";
import type { WalkedChange } from "./walked.ts";

/** The stretch, and the settings that should hold all along it. */
export type SettingsQuestion = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly from: Lsn;
  readonly to: Lsn;
  readonly walLevel: string;
  readonly walLogHints: boolean;
};

const ENDS_OF_BYTES: ReadonlySet<string> = new Set(["no-segment", "no-more-bytes"]);

/** What a stretch shows. */
export type SettingsAnswer =
  /** No change up to `reached`: the end of the stretch, or of the last whole record that is held of it. */
  | { readonly kind: "same"; readonly reached: Lsn }
  | { readonly kind: "changed" }
  /** There is a hole in what is held. */
  | { readonly kind: "missing" }
  /** It is held, and part of it does not open, of which `damage` tells, or does not read as WAL. */
  | { readonly kind: "unreadable"; readonly damage?: LifeboatError };

/** What is known of a stretch before it is read. */
export type HeldStretch =
  | "held"
  | "missing"
  /** A receiver met a part of it that does not open or read on, and that nobody walked since. */
  | "unreadable";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Asks what the receiver has walked, and reads the rest. Rejects when the store cannot answer. */
async function settingsBetween(
  sources: WalSources,
  walSegmentBytes: number,
  question: SettingsQuestion,
  options: CallOptions,
): Promise<SettingsAnswer> {
  const holdings = await readHoldingsOf(sources, walSegmentBytes, question.timeline, options);
  if (coversRange(holdings, question).kind === "missing") return { kind: "missing" };
  const lineage = lineageOf(question.timeline, holdings.histories.get(question.timeline) ?? []);
  const read = (stretch: { readonly from: Lsn; readonly to: Lsn }): Promise<SettingsAnswer> =>
    readStretch(sources, { lineage, walSegmentBytes, question: { ...question, ...stretch } }, options);
  const walked = await walkedOf(sources, question);
  if (walked === undefined) return await read(question);
  const { from, to } = question;
  if (from < walked.from) {
    const before = await read({ from, to: walked.from });
    if (before.kind !== "same" || before.reached < walked.from) return before;
  }
  const within = walked.changes.filter(({ lsn }) => lsn >= from && lsn < to);
  if (within.some((change) => isOther(change, question))) return { kind: "changed" };
  return walked.to < to ? await read({ from: walked.to, to }) : { kind: "same", reached: to };
}

async function readStretch(
  sources: WalSources,
  of: {
    readonly lineage: readonly LineagePart[];
    readonly walSegmentBytes: number;
    readonly question: SettingsQuestion;
  },
  options: CallOptions,
): Promise<SettingsAnswer> {
  const { lineage, walSegmentBytes, question } = of;
  const { from, to } = question;
  const source = stretchSource(sources, { lineage, walSegmentBytes }, options);
  const telling = stretchSource(
    { ...sources, vault: tellingUnread(sources.vault) },
    { lineage, walSegmentBytes },
    options,
  );
  // A bad sector in a vault that answers otherwise costs the saving, not the backup; what failed once may not be one.
  const readSegment: WalSource["readSegment"] = (name, call) =>
    source.readSegment(name, call).catch((error: unknown) => {
      if (!isLifeboatError(error, "store.failed")) throw error;
      return telling.readSegment(name, call);
    });
  const scanned = await scanRecords(
    { ...source, readSegment },
    { from, limit: to },
    (cursor) => (cursor.rmgr === RMGR_XLOG && isChange(decodeEvent(cursor), question) ? "stop" : undefined),
    options,
  ).catch((damage: unknown) => {
    if (!tellsLoss(damage)) throw damage;
    return damage;
  });
  if (scanned instanceof Error) return { kind: "unreadable", damage: scanned };
  const { at, reason } = scanned;
  if (reason === "stopped") return { kind: "changed" };
  // A record may cross the end of the stretch, or of what is held; whoever asks on, asks from its beginning.
  const ended = at >= to || reason === "limit" || ENDS_OF_BYTES.has(reason);
  return ended ? { kind: "same", reached: lsnMin(to, lsnMax(from, at)) } : { kind: "unreadable" };
}

/** Whether a receiver noted that some of a stretch does not open or read on; what was walked was read all the same. */
async function isNotedUnreadable(
  sources: WalSources,
  lineage: readonly LineagePart[],
  stretch: Stretch,
): Promise<boolean> {
  const { files, spoolFolder, systemId } = sources;
  if (spoolFolder === undefined) return false;
  const { from, to } = stretch;
  const walked = await walkedOf(sources, stretch);
  const unwalked =
    walked === undefined
      ? [stretch]
      : [
          { from, to: walked.from },
          { from: walked.to, to },
        ];
  const noted = (await readUnreadable(files, spoolFolder)).filter((each) => each.systemId === systemId);
  return lineage.some((part) =>
    noted
      .filter(({ timeline }) => timeline === part.timeline)
      .map((each) => ({ from: lsnMax(each.from, part.from), to: lsnMin(each.to, part.to ?? each.to) }))
      .some((each) => unwalked.some((asked) => lsnMax(each.from, asked.from) < lsnMin(each.to, asked.to))),
  );
}

function isChange(event: WalEvent | undefined, question: SettingsQuestion): boolean {
  return event?.kind === "parameter-change" && isOther(event, question);
}

function isOther(change: Omit<WalkedChange, "lsn">, { walLevel, walLogHints }: SettingsQuestion): boolean {
  return change.walLevel !== walLevel || change.walLogHints !== walLogHints;
}

/** Answers questions about the WAL between backups. */
export function walBetween(sources: Omit<WalSources, "systemId">, walSegmentBytes: number) {
  const of = (systemId: SystemId): WalSources => ({ ...sources, systemId });
  return {
    holds: async (stretch: Stretch, options: CallOptions): Promise<HeldStretch> => {
      const { systemId, timeline } = stretch;
      const holdings = await readHoldingsOf(of(systemId), walSegmentBytes, timeline, options);
      if (coversRange(holdings, stretch).kind === "missing") return "missing";
      const lineage = lineageOf(timeline, holdings.histories.get(timeline) ?? []);
      return (await isNotedUnreadable(of(systemId), lineage, stretch)) ? "unreadable" : "held";
    },
    settings: (question: SettingsQuestion, options: CallOptions) =>
      settingsBetween(of(question.systemId), walSegmentBytes, question, options),
    unsoundCopy: (stretch: Stretch, options: CallOptions) =>
      unsoundCopyIn(of(stretch.systemId), walSegmentBytes, stretch, options),
  };
}
