/** `lifeboat replication`: how far replica and receiver are behind, once or all the time. */
import type { Config } from "../config/schema.ts";
import { duration, location } from "../config/value-kind.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant } from "../platform/clock.ts";
import { formatLsn } from "../postgres/lsn.ts";
import type { ConfirmerView, Lag, ReplicationView } from "../replication/decide.ts";
import { describeByteSize } from "../units/byte-size.ts";
import { type DurationMs, describeDuration } from "../units/duration.ts";
import { printable, type Style } from "./style.ts";
import { type Cell, type Column, renderTable } from "./table.ts";
import { defineVerb, optional, type Session, toggle, type Verb, type VerbResult, withDefault } from "./verb.ts";

/** Looks once, or at every interval until the session's signal aborts, which is its normal end. */
export type WatchReplication = (call: {
  readonly config: Config;
  readonly session: Session;
  /** Undefined: once. */
  readonly intervalMs: number | undefined;
  /** Written after every look, before `onView`. */
  readonly metricsFile: string | undefined;
  readonly onView: (view: ReplicationView) => void;
}) => Promise<void>;

const INTERVAL_MS_DEFAULT = 2_000 as DurationMs;
/** Below, sessions are opened more than looked at; above, nobody watches. */
const INTERVAL_MS = { min: 200 as DurationMs, max: 3_600_000 as DurationMs };

const COLUMNS: readonly Column[] = [
  { title: "STANDBY", align: "left" },
  { title: "STATE", align: "left" },
  { title: "SYNC", align: "left" },
  { title: "WRITE", align: "right" },
  { title: "FLUSH", align: "right" },
  { title: "REPLAY", align: "right" },
  { title: "SLOT KEEPS", align: "right" },
  { title: "HEARD", align: "right" },
  { title: "CONFLICTS", align: "right" },
];

/** `replication`. */
export function replicationVerb(watch: WatchReplication): Verb {
  return defineVerb({
    path: ["replication"],
    summary: "Watch how far replica and receiver are behind the primary",
    description:
      "For each: its state, whether commits can wait for it, what it has not written, flushed and replayed in bytes and in " +
      "time, what its slot keeps, and what it says itself. The time is measured by heartbeats in the WAL: none on an idle " +
      "primary, ever more of a replica that stands still, -1 of one that is not connected. Redraws on a terminal, prints a " +
      "line per look elsewhere, until Ctrl-C. Ends with status 5 when something is wrong at the last look.",
    arguments: {},
    options: {
      once: toggle("Look once; waits up to a second for a heartbeat to arrive."),
      interval: withDefault(duration(INTERVAL_MS), INTERVAL_MS_DEFAULT, "Time between two looks."),
      metrics: optional(location("file"), "Write each look to this file, for the node exporter's textfile collector."),
    },
    configuration: { kind: "checked", sections: ["stack", "folders", "replication"] },
    examples: [
      { line: "lifeboat replication", does: "Watch." },
      { line: "lifeboat replication --once --json", does: "For a script." },
      {
        line: "lifeboat replication --interval 15s --metrics /var/lib/node_exporter/lifeboat_replication.prom",
        does: "For Prometheus.",
      },
    ],
    goesOn: ({ once }) => !once,
    run: async ({ session, options: { once, interval, metrics } }) => {
      let last: ReplicationView | undefined;
      await watch({
        config: await session.config(),
        session,
        intervalMs: once ? undefined : interval,
        metricsFile: metrics,
        onView: (view) => {
          last = view;
          if (!once) show(view, session);
        },
      });
      return resultOf(last, once, session.style);
    },
  });
}

/** What was shown already is not printed again at the end. */
function resultOf(view: ReplicationView | undefined, once: boolean, style: Style): VerbResult {
  const exit = view === undefined || view.faults.length > 0 ? EXIT.damaged : 0;
  if (!once || view === undefined) return { json: undefined, text: "", exit };
  return { json: replicationJson(view), text: renderReplication(view, style), exit };
}

function show(view: ReplicationView, { screen, tell, style, json }: Session): void {
  if (screen.redraws && !json) screen.draw(renderReplication(view, style));
  else tell({ json: replicationJson(view), text: plainLines(view).join("\n") });
}

/** A view for programs; -1 of a confirmer that is not connected, null of what is not known. */
export function replicationJson(view: ReplicationView) {
  return {
    at: formatInstant(view.at),
    primary: view.primaries.length === 1 ? view.primaries[0] : null,
    primaries: view.primaries,
    timeline: view.timeline ?? null,
    end: view.end ?? null,
    nodes: view.nodes.map(({ kind, name }) => ({ name, kind })),
    standbys: view.confirmers.map(confirmerJson),
    faults: view.faults,
  };
}

function confirmerJson(confirmer: ConfirmerView) {
  const { reception, slotView, lag } = confirmer;
  return {
    name: confirmer.name,
    kind: confirmer.kind,
    connected: confirmer.connected,
    state: confirmer.state,
    syncState: confirmer.syncState ?? null,
    lag: {
      write: lagJson(lag.write),
      flush: lagJson(lag.flush),
      // A receiver replays nothing.
      ...(confirmer.kind === "replica" ? { replay: lagJson(lag.replay) } : {}),
    },
    slot: {
      name: confirmer.slot,
      active: slotView?.active ?? null,
      walStatus: slotView?.walStatus ?? null,
      keptBytes: slotView?.keptBytes ?? null,
      safeBytes: slotView?.safeBytes ?? null,
    },
    reception:
      reception === undefined
        ? null
        : {
            status: reception.status,
            receivedAgoMs: reception.receivedAgoMs ?? null,
            timeline: reception.timeline ?? null,
            slot: reception.slot ?? null,
          },
    replayPaused: confirmer.replayPaused,
    conflicts: confirmer.conflicts ?? null,
  };
}

function lagJson(lag: Lag) {
  if (lag.kind === "disconnected") return { bytes: -1, seconds: -1, atLeast: false };
  if (lag.kind === "unknown") return null;
  return { bytes: lag.bytes, seconds: Math.round(lag.ms) / 1_000, atLeast: lag.atLeast };
}

/** A view for people. */
export function renderReplication(view: ReplicationView, style: Style): string {
  const [first = "none"] = view.primaries;
  const where = view.end === undefined ? "" : `, timeline ${view.timeline}, at ${formatLsn(view.end)}`;
  const head = `${formatInstant(view.at)}  primary ${style.strong(view.primaries.length > 1 ? view.primaries.join(" and ") : first)}${where}`;
  const rows = view.confirmers.map((confirmer) => rowOf(confirmer, style));
  const faults = view.faults.flatMap(({ message, remedy }) => [
    `  ${style.bad(printable(message))}`,
    `    ${printable(remedy)}`,
  ]);
  const verdict = faults.length === 0 ? style.good("All is well.") : style.bad(`${view.faults.length} wrong:`);
  return [head, "", renderTable(COLUMNS, rows, style), "", verdict, ...faults].join("\n");
}

function rowOf(confirmer: ConfirmerView, style: Style): readonly Cell[] {
  const { lag, slotView, reception, kind } = confirmer;
  const heard = reception?.receivedAgoMs;
  const state = confirmer.replayPaused ? `${confirmer.state}, paused` : confirmer.state;
  return [
    confirmer.name,
    confirmer.connected ? state : { painted: style.bad(confirmer.state) },
    confirmer.syncState ?? "",
    lagText(lag.write),
    lagText(lag.flush),
    kind === "replica" ? lagText(lag.replay) : "",
    slotView === undefined ? "no slot" : describeByteSize(slotView.keptBytes ?? 0),
    heard === undefined ? "" : `${describeDuration(Math.max(0, heard))} ago`,
    confirmer.conflicts === undefined ? "" : String(Object.values(confirmer.conflicts).reduce((a, b) => a + b, 0)),
  ];
}

/** `0 B, 4ms`; -1 as the metric says it. */
function lagText(lag: Lag): string {
  if (lag.kind === "disconnected") return "-1";
  if (lag.kind === "unknown") return "not known";
  return `${describeByteSize(lag.bytes)}, ${lag.atLeast ? "≥" : ""}${describeDuration(lag.ms)}`;
}

/** One line per confirmer, and one per fault: for a log. */
export function plainLines(view: ReplicationView): readonly string[] {
  const at = formatInstant(view.at);
  const confirmers = view.confirmers.map(({ name, state, syncState, lag, kind }) => {
    const stages = kind === "replica" ? (["write", "flush", "replay"] as const) : (["write", "flush"] as const);
    const lags = stages.map((stage) => `${stage} ${lagText(lag[stage])}`).join("; ");
    return `${at} ${name} ${state}${syncState === undefined ? "" : ` ${syncState}`}; ${lags}`;
  });
  return [...confirmers, ...view.faults.map(({ message }) => `${at} WRONG ${message}`)].map(printable);
}
