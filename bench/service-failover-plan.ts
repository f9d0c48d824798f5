/** What `bench service-failover` does to a stack, and what its clients' figures come to. Pure. */
import { type FaultName, isMoved } from "./failover-plan.ts";
import { type Verdict, within } from "./goals.ts";
import { type Figure, figureTable, type Report, showVerdicts, showVersions } from "./report.ts";

/** A second, as in the issue that the service keeps. */
export const READS_PER_SECOND = 100;
export const WRITES_PER_SECOND = 20;

/** What is done: to the database by name of `bench failover`, or a program of the service that is killed. */
export const SERVICE_FAULTS = [
  { name: "killed", title: "primary killed (SIGKILL)", injects: "killed", moves: true },
  { name: "frozen", title: "primary frozen (SIGSTOP)", injects: "frozen", moves: true },
  { name: "switchover", title: "planned switchover", injects: "switchover", moves: true },
  { name: "replica", title: "replica killed (SIGKILL)", injects: "replica", moves: false },
  { name: "redis", title: "redis killed (SIGKILL)", injects: "redis", moves: false },
  { name: "api", title: "an instance killed (SIGKILL)", kills: "api_2", moves: false },
  { name: "mcp", title: "MCP service killed (SIGKILL)", kills: "mcp", moves: false },
  { name: "scheduler", title: "scheduler killed (SIGKILL)", kills: "scraper-scheduler", moves: false },
] as const satisfies readonly ServiceFault[];

/** One of them; the role of the primary moves, or it does not. */
export type ServiceFault = { readonly name: string; readonly title: string; readonly moves: boolean } & (
  | { readonly injects: FaultName }
  | { readonly kills: string }
);

/** Its name. */
export type ServiceFaultName = (typeof SERVICE_FAULTS)[number]["name"];

/** What is asked of the benchmark. */
export type ServiceFailoverRequest = { readonly faults: readonly ServiceFaultName[]; readonly runs: number };

/** What clients had of one fault: everything but 2xx within 20 s is a failure. */
export type ServiceFailoverRun = {
  readonly fault: ServiceFaultName;
  /** From one. */
  readonly number: number;
  readonly at: string;
  readonly primaryBefore: string;
  readonly primaryAfter: string;
  readonly reads: ClientFigures;
  readonly writes: ClientFigures;
  /** Acknowledged writes that are not there afterwards, or have not exactly one price; undefined where nobody could be asked. */
  readonly lost: number | undefined;
  readonly healS: number;
  /** What went wrong besides; undefined: nothing. */
  readonly problem?: string | undefined;
};

/** Of one kind of requests. */
export type ClientFigures = {
  readonly ok: number;
  /** By what was answered, or how it broke off. */
  readonly failures: Readonly<Record<string, number>>;
  /** The longest time without a 2xx from the fault on: the outage as clients see it, seconds. */
  readonly outageS: number;
  /** The longest that one was waited for, from the moment it was due, seconds. */
  readonly slowestS: number;
};

/** How many failed. */
export function failedOf({ failures }: ClientFigures): number {
  return Object.values(failures).reduce((sum, count) => sum + count, 0);
}

/** The longest time without an answer between two moments, milliseconds. */
export function longestGapMs(answeredMs: readonly number[], from: number, to: number): number {
  const inside = answeredMs.filter((at) => at > from && at < to).toSorted((a, b) => a - b);
  return [...inside, to].reduce(({ longest, last }, at) => ({ longest: Math.max(longest, at - last), last: at }), {
    longest: 0,
    last: from,
  }).longest;
}

/** Failures by what they have in common: a status and a code, or how the connection ended. */
export function failureKinds(failures: readonly string[]): Readonly<Record<string, number>> {
  const kinds: Record<string, number> = {};
  for (const failure of failures) {
    const status = /^\d{3}/.exec(failure)?.[0];
    const code = /"code":"(\w+)"/.exec(failure)?.[1] ?? "";
    const kind = (status === undefined ? failure : `${status} ${code}`).trim();
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

/** What is still to be run, in turns: what disturbs the machine for a while disturbs all. */
export function remainingFaults(
  { faults, runs }: ServiceFailoverRequest,
  done: readonly Pick<ServiceFailoverRun, "fault" | "number">[],
): readonly { readonly fault: (typeof SERVICE_FAULTS)[number]; readonly number: number }[] {
  const have = new Set(done.map(({ fault, number }) => `${fault} ${number}`));
  return Array.from({ length: runs }, (_, index) => index + 1)
    .flatMap((number) => SERVICE_FAULTS.filter(({ name }) => faults.includes(name)).map((fault) => ({ fault, number })))
    .filter(({ fault, number }) => !have.has(`${fault.name} ${number}`));
}

const FIGURES: readonly Figure<ServiceFailoverRun>[] = [
  { title: "writes s", digits: 2, of: ({ writes }) => writes.outageS },
  { title: "slowest write s", digits: 2, of: ({ writes }) => writes.slowestS },
  { title: "reads s", digits: 2, of: ({ reads }) => reads.outageS },
  { title: "slowest read s", digits: 2, of: ({ reads }) => reads.slowestS },
  { title: "failed writes", digits: 0, of: ({ writes }) => failedOf(writes) },
  { title: "failed reads", digits: 0, of: ({ reads }) => failedOf(reads) },
  { title: "whole again s", digits: 1, of: ({ healS }) => healS },
];

/** Makes the report of all runs. */
export function serviceFailoverReport(
  runs: readonly ServiceFailoverRun[],
  versions: Readonly<Record<string, string>>,
): Report {
  const subjects = SERVICE_FAULTS.map((fault) => ({ fault, runs: runs.filter((run) => run.fault === fault.name) }))
    .filter((subject) => subject.runs.length > 0)
    .map(({ fault, runs }) => ({ fault, title: `${fault.title}, ${runs.length}`, runs }));
  const verdicts = subjects.flatMap(({ fault, runs }) => verdictsOn(fault, runs));
  const problems = subjects.flatMap(({ fault, runs }) =>
    runs.flatMap(({ number, problem }) => (problem === undefined ? [] : [`${fault.title}, run ${number}: ${problem}`])),
  );
  const reasons = subjects.flatMap(({ title, runs }) => {
    const lines = runs.flatMap(({ reads, writes }) => [
      ...Object.entries(reads.failures),
      ...Object.entries(writes.failures),
    ]);
    return lines.length === 0 ? [] : [`${title}: ${lines.map(([kind, count]) => `${kind} ${count}`).join(", ")}`];
  });
  return {
    text: [
      `${READS_PER_SECOND} reads and ${WRITES_PER_SECOND} keyed writes a second through the front, nothing repeated by the client: median (least-most) of the runs; the longest time without an answer is the outage`,
      figureTable(subjects, FIGURES),
      ...reasons,
      ...problems,
      showVerdicts(verdicts),
      showVersions(versions),
    ].join("\n\n"),
    data: { kind: "service-failover", versions, runs, verdicts },
  };
}

function verdictsOn(fault: ServiceFault, runs: readonly ServiceFailoverRun[]): readonly Verdict[] {
  const sum = (of: (run: ServiceFailoverRun) => number): number => runs.reduce((total, run) => total + of(run), 0);
  const asked = (of: (run: ServiceFailoverRun) => ClientFigures): string =>
    `of ${sum((run) => of(run).ok + failedOf(of(run)))}`;
  const unknown = runs.filter(({ lost }) => lost === undefined).length;
  const lost = sum((run) => run.lost ?? 0);
  const problems = runs.filter(({ problem }) => problem !== undefined).length;
  const unmoved = runs.filter((run) => (fault.moves ? !isMoved(run) : run.primaryBefore !== run.primaryAfter)).length;
  return [
    within(
      `${fault.title}: failed reads`,
      sum(({ reads }) => failedOf(reads)),
      0,
      asked(({ reads }) => reads),
    ),
    within(
      `${fault.title}: failed writes`,
      sum(({ writes }) => failedOf(writes)),
      0,
      asked(({ writes }) => writes),
    ),
    {
      goal: `${fault.title}: acknowledged writes that are not there once`,
      measured: `${lost} of all runs${unknown === 0 ? "" : `, unknown of ${unknown}`}`,
      kept: lost === 0 && unknown === 0,
    },
    within(`${fault.title}: runs whose primary is another than it should be`, unmoved, 0, `of ${runs.length}`),
    ...(problems === 0
      ? []
      : [within(`${fault.title}: commands that failed, stacks that did not heal`, problems, 0, `of ${runs.length}`)]),
  ];
}
