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
  readonly parts: readonly ServicePart[];
};

/** What can be measured by itself. */
export const SERVICE_PARTS = ["throughput", "search", "redis"] as const;

/** One of them. */
export type ServicePart = (typeof SERVICE_PARTS)[number];

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

/** A mixture of searches: all of them, and by kind. */
export type SearchFigures = {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly slowest: string;
  readonly count: number;
  readonly bad: number;
  readonly kinds: readonly {
    readonly kind: string;
    readonly count: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
  }[];
};

/** Redis lost and back: hit rates of clients before, while it is away, and at the end; see service-redis.ts. */
export type RedisFigures = {
  readonly before: number;
  readonly away: number;
  readonly after: number;
  readonly lowest: number;
  /** From its return until the rate is good and stays so; undefined: it is not within a minute. */
  readonly backInMs: number | undefined;
  readonly asked: number;
  readonly failed: number;
  /** Answers that differ from what was answered before, of those compared while redis was away. */
  readonly wrong: number;
  readonly compared: number;
  /** One path asked for all the time while redis was away, and the statements that this took. */
  readonly hot: { readonly asked: number; readonly statements: number };
};

/** What was measured; a part that was not is undefined. */
export type ServiceFigures = {
  readonly throughput: readonly ThroughputRuns[] | undefined;
  readonly search: SearchFigures | undefined;
  /** Of mistyped queries: those whose first ten have what the right query has first. */
  readonly recall: { readonly found: number; readonly asked: number } | undefined;
  readonly redis: RedisFigures | undefined;
};

/** Makes the report. */
export function serviceReport(
  request: ServiceBenchRequest,
  measured: ServiceFigures,
  versions: Readonly<Record<string, string>>,
): Report {
  const { throughput, search, recall, redis } = measured;
  const verdicts = serviceVerdicts(measured);
  return {
    text: [
      ...(throughput === undefined ? [] : throughputText(request, throughput)),
      ...(search === undefined ? [] : searchText(request, search)),
      ...(recall === undefined ? [] : [`one letter wrong: ${recall.found} of ${recall.asked} found in the first ten`]),
      ...(redis === undefined ? [] : [redisText(redis)]),
      showVerdicts(verdicts),
      showVersions(versions),
    ].join("\n\n"),
    data: { kind: "service", request, ...measured, versions, verdicts },
  };
}

function throughputText({ seconds }: ServiceBenchRequest, throughput: readonly ThroughputRuns[]): readonly string[] {
  const rows = throughput.flatMap(({ rows: size, ours, peer, tuned, modelled }) => [
    rowOf(`${size} rows, ours`, ours, undefined),
    ...(peer.length === 0 ? [] : [rowOf(`${size} rows, FastAPI`, peer, ours)]),
    ...(tuned.length === 0 ? [] : [rowOf(`${size} rows, FastAPI, tuned`, tuned, ours)]),
    ...(modelled.length === 0 ? [] : [rowOf(`${size} rows, FastAPI with a model`, modelled, ours)]),
  ]);
  return [
    `requests/s, one process each, the same statement and answer, ${seconds} s a round`,
    figures(["", "requests/s", "CPU ms each", "ours is quicker by", "with less CPU by"], rows),
  ];
}

function searchText({ offers, ratePerSecond }: ServiceBenchRequest, search: SearchFigures): readonly string[] {
  const kinds = [{ kind: "all", ...search }, ...search.kinds.toSorted((a, b) => b.p99Ms - a.p99Ms)];
  const rows = kinds.map(({ kind, count, p50Ms, p99Ms, maxMs }) => [
    kind,
    String(count),
    ...[p50Ms, p99Ms, maxMs].map((value) => value.toFixed(1)),
  ]);
  return [
    `searches among ${offers} offers at ${ratePerSecond}/s, no two alike, ${search.bad} of ${search.count} failed`,
    figures(["", "searches", "p50 ms", "p99 ms", "longest ms"], rows),
    `the longest: ${search.slowest}`,
  ];
}

function redisText({
  before,
  away,
  after,
  lowest,
  backInMs,
  asked,
  failed,
  wrong,
  compared,
  hot,
}: RedisFigures): string {
  const percent = (rate: number): string => `${(rate * 100).toFixed(1)} %`;
  const back = backInMs === undefined ? "never" : `after ${(backInMs / 1_000).toFixed(0)} s`;
  return [
    `redis lost and back: hits ${percent(before)} before, ${percent(away)} while it was away, ${percent(lowest)} in the worst 5 s`,
    `after its return above the goal for good ${back}, ${percent(after)} a minute later; ${failed} of ${asked} reads failed`,
    `while it was away: ${wrong} of ${compared} answers differed, ${hot.asked} reads of one path took ${hot.statements} statements`,
  ].join("\n");
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
