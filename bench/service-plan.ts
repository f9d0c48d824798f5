/** What `bench service` measures, and what its figures come to. Pure. */
import { serviceVerdicts } from "./goals.ts";
import { figures, type Report, showSpread, showVerdicts, showVersions } from "./report.ts";
import { ratiosByRound, spreadOf } from "./statistics.ts";

/** What is measured. */
export type ServiceBenchRequest = {
  /** Offers in the catalogue. */
  readonly offers: number;
  readonly runs: number;
  readonly seconds: number;
  /** Searches a second. */
  readonly ratePerSecond: number;
  /** FastAPI beside ours. */
  readonly peer: boolean;
};

/** Requests a second of each program, round by round, for one size of answers. */
export type ThroughputRuns = {
  readonly rows: number;
  readonly ours: readonly number[];
  readonly peer: readonly number[];
};

/** What was measured. */
export type ServiceFigures = {
  readonly throughput: readonly ThroughputRuns[];
  readonly search: {
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
    readonly count: number;
    readonly bad: number;
  };
  /** Of mistyped queries: those whose first ten have what the right query has first. */
  readonly recall: { readonly found: number; readonly asked: number };
};

/** Makes the report. */
export function serviceReport(
  request: ServiceBenchRequest,
  measured: ServiceFigures,
  versions: Readonly<Record<string, string>>,
): Report {
  const rows = measured.throughput.map(({ rows: size, ours, peer }) => [
    `${size} rows`,
    showSpread(spreadOf(ours), 0),
    peer.length === 0 ? "-" : showSpread(spreadOf(peer), 0),
    peer.length === 0 ? "-" : showSpread(spreadOf(ratiosByRound(ours, peer)), 2),
  ]);
  const { search, recall } = measured;
  const verdicts = serviceVerdicts(measured);
  return {
    text: [
      `requests/s, one process each, the same statement and answer, ${request.seconds} s a round`,
      figures(["answers of", "ours", "FastAPI", "ratio"], rows),
      `search among ${request.offers} offers at ${request.ratePerSecond}/s, no two alike: p50 ${search.p50Ms.toFixed(1)} ms, p99 ${search.p99Ms.toFixed(1)} ms, longest ${search.maxMs.toFixed(0)} ms, ${search.bad} of ${search.count} failed`,
      `one letter wrong: ${recall.found} of ${recall.asked} found in the first ten`,
      showVerdicts(verdicts),
      showVersions(versions),
    ].join("\n\n"),
    data: { kind: "service", request, ...measured, versions, verdicts },
  };
}
