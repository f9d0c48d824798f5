/**
 * Whether a stretch of WAL shows that a setting was changed on which delta backups depend.
 *
 * The control file only tells what holds now: a server that ran for an hour without wal_log_hints says nothing of it
 * afterwards, but the WAL does (safety rules A1 and A4). A stretch that is not held, or does not read to its end, is
 * `missing`: nothing is concluded from it.
 */
import { type Lsn, lsnMax, lsnMin, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { unsoundCopyIn } from "./copies-between.ts";
import type { WalSources } from "./get.ts";
import { type LineagePart, lineageOf } from "./history.ts";
import { readHoldingsOf } from "./holdings.ts";
import { coversRange } from "./ranges.ts";
import { RMGR_XLOG } from "./records/cursor.ts";
import { decodeEvent, type WalEvent } from "./records/events.ts";
import { scanRecords } from "./records/reader.ts";
import { stretchSource, walkedOf } from "./stretch.ts";
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
  /** There is a hole in what is held, or it does not read as WAL. */
  | { readonly kind: "missing" };

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
  const { at, reason } = await scanRecords(
    source,
    { from, limit: to },
    (cursor) => (cursor.rmgr === RMGR_XLOG && isChange(decodeEvent(cursor), question) ? "stop" : undefined),
    options,
  );
  if (reason === "stopped") return { kind: "changed" };
  // A record may cross the end of the stretch, or of what is held; whoever asks on, asks from its beginning.
  const ended = at >= to || reason === "limit" || ENDS_OF_BYTES.has(reason);
  return ended ? { kind: "same", reached: lsnMin(to, lsnMax(from, at)) } : { kind: "missing" };
}

function isChange(event: WalEvent | undefined, question: SettingsQuestion): boolean {
  return event?.kind === "parameter-change" && isOther(event, question);
}

function isOther(change: Omit<WalkedChange, "lsn">, { walLevel, walLogHints }: SettingsQuestion): boolean {
  return change.walLevel !== walLevel || change.walLogHints !== walLogHints;
}

/** Answers questions about the WAL between backups. */
export function walBetween(sources: Omit<WalSources, "systemId">, walSegmentBytes: number) {
  type Stretch = Omit<SettingsQuestion, "walLevel" | "walLogHints">;
  const of = (systemId: SystemId): WalSources => ({ ...sources, systemId });
  return {
    holds: async (stretch: Stretch, options: CallOptions): Promise<boolean> => {
      const holdings = await readHoldingsOf(of(stretch.systemId), walSegmentBytes, stretch.timeline, options);
      return coversRange(holdings, stretch).kind === "covered";
    },
    settings: (question: SettingsQuestion, options: CallOptions) =>
      settingsBetween(of(question.systemId), walSegmentBytes, question, options),
    unsoundCopy: (stretch: Stretch, options: CallOptions) =>
      unsoundCopyIn(of(stretch.systemId), walSegmentBytes, stretch, options),
  };
}
