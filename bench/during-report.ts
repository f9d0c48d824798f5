/** The table and verdict of `bench during`. Pure. */
import type { DuringRequest } from "./during-plan.ts";
import { duringVerdict } from "./goals.ts";
import type { Measured } from "./measure.ts";
import { type Figure, figureTable, type Report, type Runs, ratioTable, showVerdicts, showVersions } from "./report.ts";
import { ratiosByRound } from "./statistics.ts";

/** A load, alone or during a backup. Latencies are of the transactions that were meant to begin meanwhile. */
export type DuringRun = {
  readonly transactionCount: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly backup?: Measured;
};

const FIGURES: readonly Figure<DuringRun>[] = [
  { title: "p50 ms", digits: 2, of: ({ p50Ms }) => p50Ms },
  { title: "p99 ms", digits: 2, of: ({ p99Ms }) => p99Ms },
  { title: "max ms", digits: 0, of: ({ maxMs }) => maxMs },
  { title: "transactions", digits: 0, of: ({ transactionCount }) => transactionCount },
  { title: "backup s", digits: 1, of: ({ backup }) => backup && backup.wallMs / 1000 },
];

const RATIOS = FIGURES.slice(0, 2);

/** Makes the report. The first subject is the load alone, the second ours. */
export function duringReport(
  subjects: readonly Runs<DuringRun>[],
  facts: {
    readonly base: string;
    readonly request: DuringRequest;
    readonly maximum: number;
    readonly rate: number;
    readonly versions: Readonly<Record<string, string>>;
  },
): Report {
  const [alone, ours, ...peers] = subjects;
  const p99s = (of: Runs<DuringRun> | undefined) => (of?.runs ?? []).map(({ p99Ms }) => p99Ms);
  const best = p99s(peers[0]).map((p99Ms, round) =>
    Math.min(p99Ms, ...peers.flatMap((peer) => p99s(peer)[round] ?? [])),
  );
  const verdict = duringVerdict({
    alone: ratiosByRound(p99s(ours), p99s(alone)),
    peer: ratiosByRound(p99s(ours), best),
  });
  const others = [ours, alone, ...peers].filter((each) => each !== undefined);
  const { base, request, maximum, rate } = facts;
  return {
    text: [
      `pgbench on ${base}, ${rate} transactions a second of ${Math.round(maximum)} that the server bears, ` +
        `${request.seconds} s each: median of the rounds (least-most)`,
      figureTable(subjects, FIGURES),
      "Ratios, round by round: below 1 is less than the other",
      ratioTable(others, RATIOS),
      showVerdicts([verdict]),
      showVersions(facts.versions),
    ].join("\n\n"),
    data: { kind: "during", ...facts, subjects, verdicts: [verdict] },
  };
}
