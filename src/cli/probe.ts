/** `lifeboat probe` and `lifeboat probe read-back`: what clients get, measured from outside. */
import type { Config } from "../config/schema.ts";
import { duration, host, location, port, text, whole } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import type { StreamReport } from "../probe/measurements.ts";
import type { ReadBack } from "../probe/read-back.ts";
import type { ProbeResult } from "../probe/run.ts";
import { isSound } from "../probe/sound.ts";
import type { WindowReport } from "../probe/window.ts";
import { type DurationMs, describeDuration } from "../units/duration.ts";
import type { Style } from "./style.ts";
import { type Cell, renderFacts, renderTable } from "./table.ts";
import { defineVerb, optional, required, type Session, toggle, type Verb, withDefault } from "./verb.ts";

/** Where to; what is left out is the stack's pooler, its database and the role of its application. */
export type ProbeAddress = {
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly passwordFile: string | undefined;
};

/** How much, how long, and what is kept. */
export type ProbeChoice = {
  readonly rate: number;
  readonly reads: number;
  readonly seconds: number;
  readonly lanes: number;
  readonly queueDeadline: DurationMs;
  readonly answerDeadline: DurationMs;
  readonly ledger: string | undefined;
  readonly keep: boolean;
};

type Call = { readonly config: Config; readonly session: Session; readonly address: ProbeAddress };

/** Runs the probe, and reads a ledger back. */
export type ProbeEngine = {
  readonly run: (call: Call & { readonly choice: ProbeChoice }) => Promise<ProbeResult>;
  readonly readBack: (call: Call & { readonly ledger: string }) => Promise<ReadBack>;
};

const ADDRESS = {
  host: optional(host(), "Server or pooler. Default: 127.0.0.1."),
  port: optional(port(), "Its port. Default: that of the stack's PgBouncer."),
  user: optional(text("ROLE"), "Role. Default: the application's of the stack, with its password."),
  database: optional(text("NAME"), "Database. Default: the stack's."),
  passwordFile: optional(location("file"), "File with the role's password, when --user is given."),
};

const RATE_MAX = 100_000;
const LANES_MAX = 1_000;
/** A week. */
const SECONDS_MAX = 604_800;
const DEADLINE = duration({ min: 10 as DurationMs, max: 600_000 as DurationMs });

/** `probe`. */
export function probeVerb(engine: ProbeEngine): Verb {
  return defineVerb({
    path: ["probe"],
    summary: "Write and read at a fixed rate, and tell what clients get",
    description:
      "A client that stands outside: it sends single-row writes and reads at a fixed rate through a pooler or directly, " +
      "whatever the server does meanwhile, and calls each of them ok, failed (it certainly did not commit) or unknown. " +
      "Acknowledged writes go into a synced ledger and are read back afterwards, one by one. It makes the table " +
      "lifeboat_probe and removes its rows again when all is well. Standard input, unless it is a terminal, takes lines: " +
      "`fault LABEL` begins a new window, whose outage is counted from there; `fault LABEL SECONDS` with a time since 1970 " +
      "dates it back; `stop` ends the load, as Ctrl-C does. Ends with status 5 when an acknowledged write is missing or " +
      "changed, or when one that failed is there.",
    arguments: {},
    options: {
      rate: withDefault(whole("N", { min: 0, max: RATE_MAX }), 200, "Writes per second."),
      reads: withDefault(whole("N", { min: 0, max: RATE_MAX }), 200, "Reads of acknowledged rows per second."),
      seconds: withDefault(whole("SECONDS", { min: 1, max: SECONDS_MAX }), 60, "How long."),
      lanes: withDefault(whole("N", { min: 1, max: LANES_MAX }), 20, "Connections."),
      queueDeadline: withDefault(
        DEADLINE,
        2_000 as DurationMs,
        "How long an operation may wait for a connection; then it has failed, and was never sent.",
      ),
      answerDeadline: withDefault(
        DEADLINE,
        2_000 as DurationMs,
        "How long a sent operation may go without an answer; then a write is unknown, a read has failed.",
      ),
      ledger: optional(location("file"), "The ledger; must not exist. Default: a new file below folders.state."),
      keep: toggle("Leave the rows and the ledger."),
      ...ADDRESS,
    },
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [
      { line: "lifeboat probe", does: "A minute through the stack's PgBouncer." },
      {
        line: "(sleep 10; kill -9 PID; echo fault; sleep 20) | lifeboat probe --seconds 30",
        does: "An outage, timed.",
      },
      { line: "lifeboat probe --port 5432 --rate 50 --reads 0", does: "Directly, writes alone." },
    ],
    run: async ({ options, session }) => {
      const result = await engine.run({
        config: await session.config(),
        session,
        address: options,
        choice: options,
      });
      return {
        json: { ...result, sound: isSound(result) },
        text: renderProbe(result, session.style),
        exit: isSound(result) ? 0 : EXIT.damaged,
      };
    },
  });
}

/** `probe read-back`. */
export function probeReadBackVerb(engine: ProbeEngine): Verb {
  return defineVerb({
    path: ["probe", "read-back"],
    summary: "Look up every acknowledged write of a probe's ledger",
    description:
      "For a ledger whose probe was killed, or a server that came back after it had ended. Ends with status 5 when an " +
      "acknowledged write is missing or changed.",
    arguments: { ledger: required(location("file"), "The ledger.") },
    options: ADDRESS,
    configuration: { kind: "checked", sections: ["stack", "folders"] },
    examples: [{ line: "lifeboat probe read-back /srv/probe.ledger", does: "Is anything missing?" }],
    run: async ({ arguments: { ledger }, options: address, session }) => {
      const back = await engine.readBack({ config: await session.config(), session, address, ledger });
      const sound = back.missing.length + back.damaged.length === 0;
      const unexpected = `${number(back.unexpected.length)} rows are there that were not acknowledged`;
      return {
        json: { ...back, sound },
        text: `${renderReadBack(back, session.style)}; ${unexpected}`,
        exit: sound ? 0 : EXIT.damaged,
      };
    },
  });
}

/** The result of a probe for people: what failed and what is missing last, where the eye is. */
export function renderProbe(result: ProbeResult, style: Style): string {
  const { target, load, report } = result;
  const database = target.database === undefined ? "" : `, database ${target.database}`;
  const ranMs = report.atMs - report.startedMs;
  const weak =
    result.synchronousCommit === "on"
      ? []
      : [style.warning(`synchronous_commit is ${result.synchronousCommit}: an acknowledged write may be lost`)];
  return [
    `${target.host}:${target.port} as ${target.user}${database}: ${load.writesPerSecond} writes and ${load.readsPerSecond} reads a second for ${describeDuration(ranMs)} over ${load.laneCount} connections`,
    ...weak,
    "",
    renderStreams(report, style),
    ...report.closed.slice(1).flatMap(({ label, writes, reads }) => renderWindow(label, writes, reads)),
    ...(report.closed.length > 0 ? renderWindow(report.label, report.writes.window, report.reads.window) : []),
    ...renderReasons(result),
    "",
    renderVerdict(result, style),
  ].join("\n");
}

function renderStreams(report: ProbeResult["report"], style: Style): string {
  const columns = ["", "due", "ok", "failed", "unknown", "p50 ms", "p90", "p99", "longest"].map((title, index) => ({
    title,
    align: index === 0 ? ("left" as const) : ("right" as const),
  }));
  const row = (name: string, stream: StreamReport): readonly Cell[] => {
    const { latency } = stream;
    const counts = [stream.arrivedCount, stream.okCount, stream.failedCount, stream.unknownCount].map(number);
    return [name, ...counts, ...[latency.p50Ms, latency.p90Ms, latency.p99Ms, latency.maxMs].map(milliseconds)];
  };
  return renderTable(columns, [row("writes", report.writes), row("reads", report.reads)], style);
}

function renderWindow(label: string, writes: WindowReport, reads: WindowReport): readonly string[] {
  const of = (window: WindowReport) => {
    const { longestGap, failedCount, unknownCount, beganMs, lastFailedMs, okCount } = window;
    if (okCount + failedCount + unknownCount === 0) return "none";
    const first = `until ${describeDuration(longestGap.toMs - beganMs)} after it`;
    const last =
      lastFailedMs === undefined ? "" : `, last failure ${describeDuration(lastFailedMs - beganMs)} after it`;
    return `longest gap ${describeDuration(longestGap.durationMs)}, ${first}; ${number(failedCount)} failed, ${number(unknownCount)} unknown${last}`;
  };
  const at = new Date(writes.beganMs).toISOString();
  return [
    "",
    `${label}, ${at}`,
    renderFacts([
      ["writes", of(writes)],
      ["reads", of(reads)],
    ]),
  ];
}

function renderReasons({ report }: ProbeResult): readonly string[] {
  const facts = (
    [
      ["writes failed", report.writes.failedReasons],
      ["writes unknown", report.writes.unknownReasons],
      ["reads failed", report.reads.failedReasons],
      ["connecting failed", report.connectReasons],
    ] as const
  ).flatMap(([name, reasons]) => {
    const listed = Object.entries(reasons).toSorted(([, a], [, b]) => b - a);
    if (listed.length === 0) return [];
    return [[name, listed.map(([reason, count]) => `${reason} ${number(count)}`).join(", ")] as const];
  });
  return facts.length === 0 ? [] : ["", renderFacts(facts)];
}

function renderVerdict({ readBack, judgement, report, ledgerFile }: ProbeResult, style: Style): string {
  const { failedPresent, strangers, unknownPresent, unknownAbsent } = judgement;
  const lines = [renderReadBack(readBack, style)];
  if (unknownPresent + unknownAbsent > 0) {
    lines.push(`Of the unknown ones ${number(unknownPresent)} are there and ${number(unknownAbsent)} are not.`);
  }
  if (report.rowMissingCount > 0) {
    lines.push(style.bad(`${number(report.rowMissingCount)} reads did not see an acknowledged row.`));
  }
  if (failedPresent.length > 0) {
    lines.push(
      style.bad(`ODD: ${number(failedPresent.length)} writes that had failed are there: ${some(failedPresent)}`),
    );
  }
  if (strangers.length > 0) {
    lines.push(style.bad(`ODD: ${number(strangers.length)} rows are there that were never due: ${some(strangers)}`));
  }
  if (ledgerFile !== undefined) lines.push(`The ledger and the rows of run ${report.clientId} stay: ${ledgerFile}`);
  return lines.join("\n");
}

function renderReadBack(back: ReadBack, style: Style): string {
  const { acknowledged, missing, damaged } = back;
  const looked = `${number(acknowledged)} acknowledged writes were looked up`;
  if (missing.length + damaged.length === 0) return style.good(`Lost: nothing. All ${looked}`);
  return style.bad(
    `LOST: ${number(missing.length)} (${some(missing)}), changed: ${number(damaged.length)} (${some(damaged)}). ${looked}`,
  );
}

const SHOWN_MAX = 10;

function some(sequences: readonly number[]): string {
  if (sequences.length === 0) return "none";
  const more = sequences.length > SHOWN_MAX ? ", …" : "";
  return `${sequences.slice(0, SHOWN_MAX).join(", ")}${more}`;
}

function number(count: number): string {
  return count.toLocaleString("en-US");
}

function milliseconds(durationMs: number): string {
  return durationMs < 100 ? durationMs.toFixed(1) : number(Math.round(durationMs));
}
