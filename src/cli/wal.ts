/** `lifeboat wal receive`, `wal status` and `wal get`. */
import type { Config } from "../config/schema.ts";
import { choice, location, text } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import type { LifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { describeByteSize } from "../units/byte-size.ts";
import type { WalGetMode } from "../wal/get-for-server.ts";
import type { ReceiverStatus } from "../wal/report.ts";
import { confirmedOrHeld, whyFailed, whyStale } from "../wal/report-age.ts";
import type { Style } from "./style.ts";
import { type Cell, renderFacts } from "./table.ts";
import { defineVerb, optional, required, type Session, type Verb, withDefault } from "./verb.ts";

/** What a receiver did until it was stopped. */
export type Received = {
  /** The last position that was synced and confirmed; undefined when nothing came. */
  readonly confirmed: { readonly timeline: Timeline; readonly lsn: Lsn } | undefined;
  /** Segments that lie in the spool and go into the vault when it runs again. */
  readonly segmentsWaiting: number;
};

/** Receives WAL until the session's signal aborts, then ends cleanly: that is its normal end, not an error. */
export type ReceiveWal = (call: { readonly config: Config; readonly session: Session }) => Promise<Received>;

/** How receiving stands. */
export type WalStatus = {
  readonly receiver: ReceiverStatus;
  /** How old the report of a running receiver is; undefined when none runs. */
  readonly reportAgeMs: number | undefined;
  readonly server:
    | {
        readonly kind: "reached";
        readonly systemId: SystemId;
        readonly lsn: Lsn;
        /** What the server has and the receiver has not confirmed; undefined when it never ran. */
        readonly lagBytes: number | undefined;
        readonly slot: "keeps WAL" | "keeps nothing" | "missing";
      }
    | { readonly kind: "unreachable"; readonly reason: LifeboatError };
};

/** Looks at receiver, spool and server. */
export type LookAtWal = (call: { readonly config: Config; readonly session: Session }) => Promise<WalStatus>;

/** The three answers to a request for WAL (rule B2). */
export type WalAnswer =
  | { readonly kind: "found" }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown"; readonly reason: LifeboatError };

/** Puts a segment or history at `destination`, or proves that the vault does not have it. */
export type GetWal = (call: {
  readonly config: Config;
  readonly session: Session;
  readonly name: string;
  readonly destination: string;
  readonly mode: WalGetMode;
  /** Undefined: the only one of the vault. */
  readonly system: string | undefined;
}) => Promise<WalAnswer>;

/** PostgreSQL takes 1 to 125 for "not in the archive" and stops at anything above (manual, "Recovering Using a Continuous Archive Backup"). */
const NOT_IN_ARCHIVE = 1;
const STOP_RECOVERY = 200;

/** `wal receive`. */
export function walReceiveVerb(receiveWal: ReceiveWal): Verb {
  return defineVerb({
    path: ["wal", "receive"],
    summary: "Receive WAL from the server into the vault",
    description:
      "Runs until it is stopped. WAL is written to the spool, synced, and only then confirmed to the server; finished " +
      "segments go into the vault. With synchronous_standby_names = 'ANY 1 (lifeboat_vault)' no acknowledged commit can be lost.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["server", "vault", "folders", "receiver"] },
    examples: [
      { line: "lifeboat wal receive", does: "In the foreground, as a service manager wants it." },
      { line: "lifeboat wal receive --receiver-slot shop_vault", does: "With another slot." },
    ],
    run: async ({ session }) => {
      const received = await receiveWal({ config: await session.config(), session });
      return { json: received, text: renderReceived(received) };
    },
  });
}

/** `wal status`. */
export function walStatusVerb(lookAtWal: LookAtWal): Verb {
  return defineVerb({
    path: ["wal", "status"],
    summary: "Show how receiving WAL stands",
    description:
      "Shows whether the receiver runs, what it has confirmed, how far behind the server it is, and its slot. Ends with " +
      "status 6 when anything of it needs somebody's attention, for checks that run by themselves.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["server", "vault", "folders", "receiver"] },
    examples: [
      { line: "lifeboat wal status", does: "Is every commit on its way into the vault?" },
      { line: "lifeboat wal status >/dev/null || echo look", does: "The same, from a scheduler." },
    ],
    run: async ({ session }) => {
      const status = await lookAtWal({ config: await session.config(), session });
      return {
        json: { ...walStatusJson(status), well: isReceivingWell(status) },
        text: renderWalStatus(status, session.style),
        exit: isReceivingWell(status) ? 0 : EXIT.world,
      };
    },
  });
}

/** `wal get`. */
export function walGetVerb(getWal: GetWal): Verb {
  return defineVerb({
    path: ["wal", "get"],
    summary: "Fetch a WAL segment or history, as restore_command",
    description:
      "For PostgreSQL's restore_command. Status 0: fetched. 1: the vault proves that it does not have the file. When that " +
      "cannot be known, also after any other failure: 200 in restore mode, so that recovery stops instead of taking the " +
      "failure for the end of the WAL; 1 in standby mode, so that the standby asks again.",
    arguments: {
      name: required(text("NAME"), "File name, PostgreSQL's %f."),
      destination: required(location("file"), "Where to put it, PostgreSQL's %p."),
    },
    options: {
      mode: withDefault(choice(["restore", "standby"]), "restore", "Who asks: a restore or a standby."),
      system: optional(
        text("ID"),
        "System identifier. Default: the only one of the vault; naming it spares a listing of the whole vault for each file.",
      ),
    },
    configuration: { kind: "checked", sections: ["vault", "folders"] },
    failureStatus: (args) => statusOfFailure(modeOf(args)),
    examples: [
      { line: "restore_command = 'lifeboat wal get %f %p'", does: "In a server that is being restored." },
      { line: "restore_command = 'lifeboat wal get %f %p --mode standby'", does: "In a replica." },
    ],
    run: async ({ arguments: { name, destination }, options, session }) => {
      const answer = await getWal({
        config: await session.config(),
        session,
        name,
        destination,
        mode: options.mode,
        system: options.system,
      });
      if (answer.kind === "unknown") session.notice(`${name}: ${answer.reason.message} (${answer.reason.code})`);
      return { json: walAnswerJson(answer), text: "", exit: statusOfAnswer(answer, options.mode) };
    },
  });
}

/** The exit status of an answer. */
export function statusOfAnswer(answer: WalAnswer, mode: WalGetMode): number {
  if (answer.kind === "found") return 0;
  return answer.kind === "absent" ? NOT_IN_ARCHIVE : statusOfFailure(mode);
}

function statusOfFailure(mode: WalGetMode): number {
  return mode === "standby" ? NOT_IN_ARCHIVE : STOP_RECOVERY;
}

// Read from a line that may not be understandable otherwise; whatever is not surely a standby is a restore.
function modeOf(args: readonly string[]): WalGetMode {
  const at = args.indexOf("--mode");
  return args.includes("--mode=standby") || (at >= 0 && args[at + 1] === "standby") ? "standby" : "restore";
}

function walAnswerJson(answer: WalAnswer) {
  if (answer.kind !== "unknown") return answer;
  return { kind: answer.kind, code: answer.reason.code, message: answer.reason.message };
}

function renderReceived({ confirmed, segmentsWaiting }: Received): string {
  const upTo =
    confirmed === undefined ? "nothing" : `up to ${formatLsn(confirmed.lsn)} on timeline ${confirmed.timeline}`;
  return `Stopped. Confirmed ${upTo}; ${segments(segmentsWaiting)} in the spool for the vault.`;
}

function segments(waiting: number): string {
  return waiting === 1 ? "1 segment waits" : `${waiting} segments wait`;
}

/** True when every commit is on its way into the vault and nothing is wrong. */
export function isReceivingWell({ receiver, reportAgeMs, server }: WalStatus): boolean {
  if (whyStale(reportAgeMs) !== undefined) return false;
  if (receiver.kind !== "running" || server.kind !== "reached" || server.slot !== "keeps WAL") return false;
  return receiver.report.mode === "streaming" && receiver.report.alarms.length === 0;
}

/** The status for people. */
export function renderWalStatus(status: WalStatus, style: Style): string {
  const { receiver, server } = status;
  const facts: (readonly [string, Cell])[] = [["receiver", receiverCell(receiver, style)]];
  if (receiver.kind !== "never-ran") {
    const { report } = receiver;
    const stale = whyStale(status.reportAgeMs);
    if (stale !== undefined) facts.push(["alarm", { painted: style.bad(stale) }]);
    const waiting = `${segments(report.segmentsWaiting)} for the vault, ${describeByteSize(report.spoolBytes)} of at most ${describeByteSize(report.spoolBytesMax)}`;
    const upTo = `${report.flushedLsn}, timeline ${report.timeline ?? "not known"}`;
    facts.push([confirmedOrHeld(report), upTo], ["spool", waiting]);
    if (report.epoch > 0) facts.push(["mandate", `as ${report.applicationName}; newest epoch ${report.epoch}`]);
    if (report.lastError !== null) {
      const { message, code, at } = report.lastError;
      facts.push(["last error", `${message} (${code}) at ${at}`]);
    }
    for (const alarm of report.alarms)
      facts.push(["alarm", { painted: style.bad(`${alarm.message} since ${alarm.since}`) }]);
    for (const gap of report.gaps) {
      facts.push(["lost", { painted: style.bad(`WAL from ${gap.from} to ${gap.to} on timeline ${gap.timeline}`) }]);
    }
  }
  if (server.kind === "unreachable") facts.push(["server", `${server.reason.message} (${server.reason.code})`]);
  else {
    const lag = server.lagBytes === undefined ? "not known" : describeByteSize(Math.max(0, server.lagBytes));
    const behind = whyFailed(receiver) === undefined ? lag : "not received from";
    const slot = server.slot === "keeps WAL" ? server.slot : { painted: style.bad(server.slot) };
    facts.push(["server", formatLsn(server.lsn)], ["behind", behind], ["slot", slot]);
  }
  return renderFacts(facts);
}

function receiverCell(receiver: ReceiverStatus, style: Style): Cell {
  if (receiver.kind === "never-ran") return { painted: style.bad("never ran with this spool") };
  const { pid, mode, updatedAt } = receiver.report;
  if (receiver.kind === "not-running") return { painted: style.bad(`not running; last seen ${mode} at ${updatedAt}`) };
  const text = `${mode}, process ${pid}`;
  return { painted: mode === "streaming" ? style.good(text) : style.warning(text) };
}

/** The status for programs. */
export function walStatusJson(status: WalStatus) {
  const { server } = status;
  if (server.kind === "reached") return status;
  return { ...status, server: { kind: server.kind, code: server.reason.code, message: server.reason.message } };
}
