/** The table and verdict of `bench receive`. Pure. */
import { receiveVerdicts } from "./goals.ts";
import type { Usage } from "./measure.ts";
import {
  type Figure,
  figureTable,
  type Report,
  type Runs,
  ratioTable,
  showVerdicts,
  showVersions,
  valuesOf,
} from "./report.ts";
import { ratiosByRound } from "./statistics.ts";

/** One load. */
export type ReceiveRun = {
  readonly commitCount: number;
  readonly commitP50Ms: number;
  readonly commitP99Ms: number;
  /** Only with a receiver. */
  readonly flushLagP50Ms?: number;
  readonly flushLagP99Ms?: number;
  /** From the server's last flush of a segment until the store has it. */
  readonly storeP50Ms?: number;
  /** What the receiver took, its start and end included. */
  readonly receiver?: Usage;
};

/** All loads with one receiver, in the order of the rounds. */
export type ReceiverRuns = Runs<ReceiveRun>;

const FIGURES: readonly Figure<ReceiveRun>[] = [
  { title: "commit ms p50", digits: 2, of: (run) => run.commitP50Ms },
  { title: "p99", digits: 2, of: (run) => run.commitP99Ms },
  { title: "flush lag ms p50", digits: 2, of: (run) => run.flushLagP50Ms },
  { title: "p99", digits: 2, of: (run) => run.flushLagP99Ms },
  { title: "commits", digits: 0, of: (run) => run.commitCount },
  { title: "to the store ms p50", digits: 0, of: (run) => run.storeP50Ms },
  { title: "CPU s receiver", digits: 1, of: ({ receiver }) => receiver && receiver.cpuMs / 1000 },
  { title: "peak MiB", digits: 0, of: ({ receiver }) => receiver && receiver.peakRssBytes / 1024 ** 2 },
];

const RATIOS = FIGURES.slice(0, 4);

/** Makes the report. Ours is the last receiver, the peer the one before. */
export function receiveReport(
  receivers: readonly ReceiverRuns[],
  facts: { readonly seconds: number; readonly versions: Readonly<Record<string, string>> },
): Report {
  const pair = receivers.slice(-2).toReversed();
  const against = (of: Figure<ReceiveRun>["of"]) =>
    ratiosByRound(valuesOf(pair[0]?.runs ?? [], of), valuesOf(pair[1]?.runs ?? [], of));
  const verdicts = receiveVerdicts({
    median: against((run) => run.flushLagP50Ms),
    p99: against((run) => run.flushLagP99Ms),
  });
  return {
    text: [
      `Workload inserts, 4 clients, ${facts.seconds} s each: median of the rounds (least-most)`,
      figureTable(receivers, FIGURES),
      "Ratios, round by round: below 1 is less than the peer",
      ratioTable(pair, RATIOS),
      showVerdicts(verdicts),
      showVersions(facts.versions),
    ].join("\n\n"),
    data: { kind: "receive", ...facts, receivers, verdicts },
  };
}
