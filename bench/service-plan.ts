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

/** What one program did in a round: requests a second, and CPU time of its process for each, milliseconds. */
export type ThroughputRun = { readonly perSecond: number; readonly cpuMs: number };

/** All rounds for one size of answers; `tuned` and `modelled`: other forms of the peer, see service.ts. */
export type ThroughputRuns = {
  readonly rows: number;
  readonly ours: readonly ThroughputRun[];
  readonly peer: readonly ThroughputRun[];
  readonly tuned: readonly ThroughputRun[];
  readonly modelled: readonly ThroughputRun[];
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
  const rows = measured.throughput.flatMap(({ rows: size, ours, peer, tuned, modelled }) => [
    rowOf(`${size} rows, ours`, ours, undefined),
    ...(peer.length === 0 ? [] : [rowOf(`${size} rows, FastAPI`, peer, ours)]),
    ...(tuned.length === 0 ? [] : [rowOf(`${size} rows, FastAPI, tuned`, tuned, ours)]),
    ...(modelled.length === 0 ? [] : [rowOf(`${size} rows, FastAPI with a model`, modelled, ours)]),
  ]);
  const { search, recall } = measured;
  const verdicts = serviceVerdicts(measured);
  return {
    text: [
      `requests/s, one process each, the same statement and answer, ${request.seconds} s a round`,
      figures(["", "requests/s", "CPU ms each", "ours is quicker by", "with less CPU by"], rows),
      `search among ${request.offers} offers at ${request.ratePerSecond}/s, no two alike: p50 ${search.p50Ms.toFixed(1)} ms, p99 ${search.p99Ms.toFixed(1)} ms, longest ${search.maxMs.toFixed(0)} ms, ${search.bad} of ${search.count} failed`,
      `one letter wrong: ${recall.found} of ${recall.asked} found in the first ten`,
      showVerdicts(verdicts),
      showVersions(versions),
    ].join("\n\n"),
    data: { kind: "service", request, ...measured, versions, verdicts },
  };
}

function rowOf(
  title: string,
  runs: readonly ThroughputRun[],
  ours: readonly ThroughputRun[] | undefined,
): readonly string[] {
  const perSecond = runs.map((run) => run.perSecond);
  const cpu = runs.map((run) => run.cpuMs);
  const against = (own: readonly number[], other: readonly number[]): string =>
    showSpread(spreadOf(ratiosByRound(own, other)), 2);
  return [
    title,
    showSpread(spreadOf(perSecond), 0),
    showSpread(spreadOf(cpu), 2),
    ...(ours === undefined
      ? ["", ""]
      : [
          against(
            ours.map((run) => run.perSecond),
            perSecond,
          ),
          against(
            cpu,
            ours.map((run) => run.cpuMs),
          ),
        ]),
  ];
}
