/** `lifeboat status`: what can be recovered now, and what is wrong, on one screen. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { type Fault, faultsOf, type StatusFacts, type StatusProof, type StatusRange } from "../status/decide.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { describeDuration } from "../units/duration.ts";
import { confirmedOrHeld, whyFailed, whyStale } from "../wal/report-age.ts";
import { printable, type Style } from "./style.ts";
import { type Cell, renderFacts } from "./table.ts";
import { defineVerb, type Session, type Verb } from "./verb.ts";

/** Looks at vault, receiver and server. */
export type LookAtStatus = (call: { readonly config: Config; readonly session: Session }) => Promise<StatusFacts>;

/** One screen holds so many ranges, the newest of them. */
const RANGES_SHOWN_MAX = 4;
const FAULTS_SHOWN_MAX = 10;

/** `status`. */
export function statusVerb(look: LookAtStatus): Verb {
  return defineVerb({
    path: ["status"],
    summary: "Show what can be recovered now, and what is wrong",
    description:
      "Shows the newest backup and proof, the moments that can be restored, the receiver and how far behind it is, sizes, and " +
      "everything that is wrong, also slots that cost the server's disk or WAL, and text that is sorted by another version. Works when the server is down and when the vault cannot be reached. Ends with status 5 " +
      "when something is wrong.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["server", "vault", "folders", "receiver", "status"] },
    examples: [
      { line: "lifeboat status", does: "One screen." },
      { line: "lifeboat status --json", does: "For a monitoring system." },
    ],
    run: async ({ session }) => {
      const facts = await look({ config: await session.config(), session });
      const faults = faultsOf(facts);
      return {
        json: { ...facts, faults, now: formatInstant(facts.now) },
        text: renderStatus(facts, faults, session.style),
        exit: faults.length === 0 ? 0 : EXIT.damaged,
      };
    },
  });
}

/** The status for people. */
export function renderStatus(facts: StatusFacts, faults: readonly Fault[], style: Style): string {
  const head = faults.length === 0 ? style.good("All is well.") : style.bad(`${faults.length} wrong:`);
  const shown = faults.slice(0, FAULTS_SHOWN_MAX).flatMap(({ message, remedy }) => {
    return [`  ${style.bad(printable(message))}`, `    ${printable(remedy)}`];
  });
  if (faults.length > FAULTS_SHOWN_MAX) shown.push(`  and ${faults.length - FAULTS_SHOWN_MAX} more`);
  return [head, ...shown, "", renderFacts([...vaultRows(facts), ...liveRows(facts)])].join("\n");
}

function vaultRows({ vault, now }: StatusFacts): (readonly [string, Cell])[] {
  if (vault.kind === "unreachable") return [["vault", "not reached"]];
  const newest = vault.newestBackup;
  const age = newest === undefined ? "" : `, ${ageText(newest.endedAt, now)}`;
  const backup =
    newest === undefined ? "none" : `${newest.backupId}${age}, ${describeByteSize(newest.dataBytes)} of data`;
  const unfinished = vault.unfinishedCount === 0 ? "" : `, ${vault.unfinishedCount} unfinished`;
  return [
    ["newest backup", backup],
    ["newest proof", proofText(vault.newestProof, now)],
    ["backups", `${vault.backupCount}${unfinished}`],
    ...vault.ranges.slice(-RANGES_SHOWN_MAX).map((range) => ["can be restored", rangeText(range)] as const),
    ["vault", `${describeByteSize(vault.sizeBytes)} in ${vault.objectCount} objects`],
  ];
}

function proofText(newest: StatusProof | undefined, now: Instant): string {
  if (newest === undefined) return "none";
  return `${newest.backupId} ${newest.depth}, ${ageText(newest.endedAt, now)}`;
}

function ageText(endedAt: string, now: Instant): string {
  const ageMs = now - Date.parse(endedAt);
  return ageMs < 0 ? `dated ${describeDuration(-ageMs)} ahead` : `${describeDuration(ageMs)} ago`;
}

function rangeText({ from, to, fromTime, toTime, timeline }: StatusRange): string {
  const time = (at: StatusRange["fromTime"]) => (at === undefined ? "" : ` (${formatInstant(at)})`);
  return `${from}${time(fromTime)} to ${to}${time(toTime)}, timeline ${timeline}`;
}

function liveRows({ receiver, reportAgeMs, server }: StatusFacts): (readonly [string, Cell])[] {
  const rows: (readonly [string, Cell])[] = [];
  if (receiver.kind === "never-ran") rows.push(["receiver", "never ran"]);
  else {
    const { report } = receiver;
    const last = whyStale(reportAgeMs) === undefined ? report.mode : `silent, was ${report.mode}`;
    const mode = receiver.kind === "running" ? last : "not running";
    rows.push(["receiver", `${mode}, ${confirmedOrHeld(report)} ${report.flushedLsn}`]);
    const waiting = report.segmentsWaiting === 1 ? "1 segment waits" : `${report.segmentsWaiting} segments wait`;
    rows.push(["spool", `${describeByteSize(report.spoolBytes)}, ${waiting} for the vault`]);
  }
  if (server.kind === "unreachable") rows.push(["server", "not reached"]);
  else {
    const lag = server.lagBytes === undefined ? "not known" : describeByteSize(Math.max(0, server.lagBytes));
    // A receiver that was ended by what it met, as by another lineage, is not behind: it does not follow.
    const behind = whyFailed(receiver) === undefined ? `receiver behind by ${lag}` : "not received from";
    rows.push(["server", `${server.lsn}, ${behind}`]);
  }
  return rows;
}
