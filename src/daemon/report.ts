/**
 * What an event came to: the outage in its parts, what was decided on, what was refused. Made of what the journal was told.
 *
 * Nouns: a *part* of an outage ends where the next begins: detect (from the first look that failed to the decision), decide,
 * fence (the old primary can acknowledge nothing more), promote, route (clients go on), prove (a write is acknowledged).
 * docs/formats/daemon.md lists the fields.
 */
import { type Cost, sentenceOf } from "../failover/costs.ts";
import type { JournalEntry } from "../failover/ports.ts";
import { formatInstant, type Instant, type Monotonic } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";
import { describeDuration } from "../units/duration.ts";
import { plainOf } from "./plain-json.ts";
import { type ReportedClients, renderClients } from "./report-clients.ts";
import {
  gapOf,
  lossAtFirst,
  type ReportedGap,
  type ReportedLoss,
  type ReportedPosition,
  renderLoss,
  reportedPositions,
} from "./report-loss.ts";

/** What it cost beside writes. `seenAgoMs`: how old the older word is that this is reckoned from; null where one was never had. */
export type ReportedCosts = { readonly seenAgoMs: number | null; readonly found: readonly Cost[] };

/** An entry with when it was made. */
export type TimedEntry = { readonly entry: JournalEntry; readonly at: Instant; readonly monotonic: Monotonic };

/** The parts of an outage, in their order. */
export const PARTS = ["detect", "decide", "fence", "promote", "route", "prove"] as const;

/** One of them. */
export type Part = (typeof PARTS)[number];

/** Of what is written. 1 had no gap and no loss, and its positions were empty; 2 had no clients, 3 no costs. */
export const REPORT_VERSION = 4;

/** A report. Times in ms; null where a part did not occur. */
export type EventReport = {
  readonly format: "lifeboat-event-report";
  readonly version: typeof REPORT_VERSION;
  readonly stack: string;
  readonly kind: string;
  readonly epoch: number | null;
  readonly from: string;
  readonly to: string;
  readonly beganAt: string;
  readonly endedAt: string;
  readonly parts: Readonly<Record<Part, number | null>>;
  /** From the first look that failed, or from the beginning of a switchover, until clients could write again. */
  readonly outageMs: number;
  /** What the decision was made of, as it was journaled. */
  readonly decision: unknown;
  /** How far everybody's WAL went when it was decided, as far as it was known. */
  readonly positions: readonly ReportedPosition[];
  readonly gap: ReportedGap | null;
  readonly lost: ReportedLoss;
  /** What clients of the poolers were told; null where that cannot be known. */
  readonly clients: ReportedClients | null;
  /** What it cost beside writes; null where the role did not move. */
  readonly costs: ReportedCosts | null;
  readonly steps: readonly { readonly step: string; readonly ms: number; readonly failed: string | null }[];
  readonly shortcomings: readonly string[];
  /** The journal's last hash when this was written: compare it to find out what was cut off since. */
  readonly journalHead: string;
};

/** Which part each step ends. */
const PART_OF: Readonly<Record<string, Part>> = {
  "pause-poolers": "fence",
  "note-action": "fence",
  "stop-primary": "fence",
  "withdraw-witness": "fence",
  "stop-receiving": "fence",
  fence: "fence",
  "outwait-grant": "fence",
  "see-receivers-gone": "fence",
  "fill-gap": "promote",
  "await-replay": "promote",
  "prepare-candidate": "promote",
  "note-promotion": "promote",
  promote: "promote",
  "see-promoted": "promote",
  "note-primary": "route",
  "name-confirmers": "route",
  "witness-follows": "route",
  "receive-from": "route",
  "repoint-poolers": "route",
  "drop-dead": "route",
  "resume-poolers": "route",
  "prove-writes": "prove",
};

/** Makes the report of the plan that has just ended well. Undefined for entries of which none tells of a plan. Pure. */
export function reportOf(
  entries: readonly TimedEntry[],
  of: { readonly stack: string; readonly journalHead: string },
): EventReport | undefined {
  const outcome = entries.at(-1);
  const began = entries.findLast(
    ({ entry }) => entry.kind === "intent" && entry.name === outcome?.entry.name && entry.epoch === outcome.entry.epoch,
  );
  if (outcome === undefined || began === undefined) return undefined;
  const decided = decidedBefore(entries, began);
  const suspected = decided === undefined ? undefined : suspectedAt(entries, decided);
  const start = suspected ?? began.monotonic;
  const marks = new Map<Part, Monotonic>();
  if (decided !== undefined) marks.set("detect", decided.monotonic);
  marks.set("decide", began.monotonic);
  const steps: EventReport["steps"][number][] = [];
  const own = entries.filter(
    ({ entry, monotonic }) => entry.epoch === outcome.entry.epoch && monotonic >= began.monotonic,
  );
  for (const { entry, monotonic } of own) {
    if (entry.kind !== "outcome" || PART_OF[entry.name] === undefined) continue;
    const part = PART_OF[entry.name] ?? "route";
    marks.set(part, monotonic);
    const intent = own.findLast((each) => each.entry.kind === "intent" && each.entry.name === entry.name);
    const { failed } = entry.facts;
    steps.push({
      step: entry.name,
      ms: round(monotonic - (intent?.monotonic ?? monotonic)),
      failed: typeof failed === "string" ? failed : null,
    });
  }
  const { parts, end } = partsOf(marks, start);
  const { shortcomings } = outcome.entry.facts;
  const decision = decided === undefined ? null : plainOf(decided.entry.facts);
  // A switchover is no decision of the controller's, and has positions all the same.
  const looked = entries.findLast(({ entry, monotonic }) => isLooked(entry) && monotonic <= began.monotonic);
  const positions = reportedPositions(plainOf(looked?.entry.facts));
  return {
    format: "lifeboat-event-report",
    version: REPORT_VERSION,
    stack: of.stack,
    kind: outcome.entry.name,
    epoch: outcome.entry.epoch ?? null,
    from: String(began.entry.facts["from"] ?? ""),
    to: String(began.entry.facts["to"] ?? ""),
    beganAt: formatInstant((began.at - (began.monotonic - start)) as Instant),
    endedAt: formatInstant(outcome.at),
    parts,
    outageMs: round((marks.get("route") ?? end) - start),
    decision,
    positions,
    gap: null,
    lost: lossAtFirst(outcome.entry.name, decision),
    clients: null,
    costs: null,
    steps,
    shortcomings: Array.isArray(shortcomings) ? shortcomings.map(String) : [],
    journalHead: of.journalHead,
  };
}

/** The same with its gap: `promotedAt` is where the new primary's timeline begins; undefined where that is not known, or none is new. */
export function withGap(report: EventReport, promotedAt: Lsn | undefined): EventReport {
  return { ...report, gap: gapOf(report.positions, promotedAt) };
}

/** Decisions that may lie between a decisive one and its plan: the primary does no better in them. */
const STILL_OUT: ReadonlySet<string> = new Set(["suspect", "hold", "unknown"]);

/** What the plan was decided on. Undefined where all was well in between, or a person decided: a trouble that passed is none of it. */
function decidedBefore(entries: readonly TimedEntry[], began: TimedEntry): TimedEntry | undefined {
  const decided = entries.findLast(
    ({ entry, monotonic }) => entry.kind === "decision" && monotonic <= began.monotonic && !STILL_OUT.has(entry.name),
  );
  return decided !== undefined && isDecisive(decided.entry.name) ? decided : undefined;
}

function isDecisive(name: string): boolean {
  return name === "promotable" || name === "blocked";
}

function isLooked({ kind, name }: JournalEntry): boolean {
  return kind === "decision" && (isDecisive(name) || name === "switchover");
}

/** When the look was sent that failed first. A person may have decided long after the controller could not. */
function suspectedAt(entries: readonly TimedEntry[], decided: TimedEntry): Monotonic {
  const before = entries.slice(0, entries.indexOf(decided)).filter(({ entry }) => entry.kind === "decision");
  // Where nobody answers it does no better either.
  const isOut = (name: string): boolean => name === "suspect" || name === "unknown" || isDecisive(name);
  const other = before.findLastIndex(({ entry }) => !isOut(entry.name));
  const suspect = before.slice(other + 1).find(({ entry }) => entry.name === "suspect");
  const since = suspect?.entry.facts["since"];
  return typeof since === "number" ? (since as Monotonic) : decided.monotonic;
}

function partsOf(
  marks: ReadonlyMap<Part, Monotonic>,
  start: Monotonic,
): { readonly parts: Record<Part, number | null>; readonly end: Monotonic } {
  const parts: Record<Part, number | null> = {
    detect: null,
    decide: null,
    fence: null,
    promote: null,
    route: null,
    prove: null,
  };
  let end = start;
  for (const part of PARTS) {
    const mark = marks.get(part);
    if (mark === undefined) continue;
    parts[part] = round(Math.max(0, mark - end));
    end = Math.max(end, mark) as Monotonic;
  }
  return { parts, end };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** A report for people. */
export function renderReport(report: EventReport): string {
  const lines = [
    `${report.kind} of stack ${report.stack}: ${report.from} -> ${report.to}, epoch ${report.epoch ?? "unknown"}`,
    `began ${report.beganAt}, ended ${report.endedAt}; clients could not write for ${describeDuration(report.outageMs)}`,
    "",
    ...PARTS.map((part) => `  ${part.padEnd(8)} ${report.parts[part] === null ? "-" : `${report.parts[part]} ms`}`),
    "",
    ...report.steps.map(
      ({ step, ms, failed }) =>
        `  ${step.padEnd(20)} ${`${ms}`.padStart(8)} ms${failed === null ? "" : `  failed: ${failed}`}`,
    ),
  ];
  lines.push("", ...renderClients(report.clients), "", ...renderLoss(report.gap, report.lost));
  for (const { of, timeline, flushed, whole, seenAgoMs } of report.positions) {
    const end = whole === null ? "" : `, whole to ${whole}`;
    lines.push(`  ${of.padEnd(12)} timeline ${timeline}, synced to ${flushed}${end}, seen ${seenAgoMs} ms before`);
  }
  const costs = report.costs?.found ?? [];
  if (costs.length > 0) lines.push("", "What it cost beside writes:", ...costs.map((cost) => `  ${sentenceOf(cost)}`));
  if (report.shortcomings.length > 0)
    lines.push("", "What did not work out:", ...report.shortcomings.map((each) => `  ${each}`));
  if (report.decision !== null) lines.push("", "Decided on:", `  ${JSON.stringify(report.decision)}`);
  return `${[...lines, "", `journal ${report.journalHead}`].join("\n")}\n`;
}
