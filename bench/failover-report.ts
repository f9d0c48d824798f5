/** The table and verdicts of `bench failover`. Pure. */
import {
  FAULTS,
  type FailoverRequest,
  type FailoverRun,
  type Fault,
  type FaultName,
  isMoved,
  notOkOf,
  PARTS,
} from "./failover-plan.ts";
import { type Verdict, within } from "./goals.ts";
import { type Figure, figures, figureTable, type Report, type Runs, showVerdicts, showVersions } from "./report.ts";
import { percentile } from "./statistics.ts";

/** Write outage, median s; operations not ok. */
type PeerFigure = { readonly outageS: number; readonly notOk: number };

/**
 * Measured with the same load on a machine of two cores: docs/measurements.md. Debian 12's versions; the floor is told of
 * the fault at once and detects nothing.
 */
const PEERS: readonly {
  readonly title: string;
  readonly figures: Readonly<Partial<Record<FaultName, PeerFigure>>>;
}[] = [
  {
    title: "Patroni 3.0, defaults",
    figures: {
      "killed-with-controller": { outageS: 26.5, notOk: 9_800 },
      killed: { outageS: 15.1, notOk: 5_200 },
      frozen: { outageS: 28.9, notOk: 10_800 },
      switchover: { outageS: 6.3, notOk: 2_000 },
    },
  },
  {
    title: "Patroni 3.0, fastest documented",
    figures: {
      "killed-with-controller": { outageS: 20.8, notOk: 7_500 },
      killed: { outageS: 3.0, notOk: 760 },
      frozen: { outageS: 22.3, notOk: 8_100 },
      switchover: { outageS: 2.0, notOk: 320 },
    },
  },
  {
    title: "repmgr tuned, async",
    figures: {
      "killed-with-controller": { outageS: 4.2, notOk: 1_120 },
      killed: { outageS: 3.9, notOk: 1_040 },
      frozen: { outageS: 14.4, notOk: 4_960 },
      switchover: { outageS: 1.6, notOk: 280 },
    },
  },
  {
    title: "floor",
    figures: {
      "killed-with-controller": { outageS: 0.1, notOk: 1 },
      frozen: { outageS: 0.08, notOk: 2 },
      switchover: { outageS: 0.13, notOk: 0 },
    },
  },
];

const FIGURES: readonly Figure<FailoverRun>[] = [
  { title: "write outage s", digits: 2, of: (run) => run.writeOutageS },
  // Where nothing was out, the longest time between two writes says nothing of the fault.
  { title: "fault to ok s", digits: 2, of: (run) => (notOkOf(run) > 0 ? run.faultToWriteOkS : undefined) },
  { title: "reads s", digits: 2, of: (run) => run.readOutageS },
  { title: "not ok", digits: 0, of: notOkOf },
  { title: "unknown", digits: 0, of: (run) => run.writesUnknown },
  { title: "slowest ok s", digits: 2, of: (run) => run.longestOkS },
  { title: "whole again s", digits: 1, of: (run) => run.healS },
  { title: "rebuild s", digits: 1, of: ({ rebuild }) => (rebuild === undefined ? undefined : rebuild.ms / 1_000) },
];

/** Makes the report of all runs. */
export function failoverReport(
  runs: readonly FailoverRun[],
  facts: { readonly request: FailoverRequest; readonly versions: Readonly<Record<string, string>> },
): Report {
  const subjects = FAULTS.map((fault) => ({ fault, runs: runs.filter((run) => run.fault === fault.name) })).filter(
    (subject) => subject.runs.length > 0,
  );
  const titled = subjects.map((subject) => ({
    title: `${subject.fault.title}, ${subject.runs.length}`,
    runs: subject.runs,
  }));
  const verdicts = subjects.flatMap((subject) => verdictsOn(subject.fault, subject.runs, facts.request));
  const { ratePerSecond, durability, mib } = facts.request;
  return {
    text: [
      `${ratePerSecond} writes and ${ratePerSecond} reads a second through PgBouncer, ${durability}, ${mib} MiB of products: median (least-most) of the runs`,
      figureTable(titled, FIGURES),
      lossTable(subjects),
      partsTable(titled),
      peerTable(subjects),
      ...reasonLines(subjects),
      showVerdicts(verdicts),
      showVersions(facts.versions),
    ]
      .filter((block) => block !== "")
      .join("\n\n"),
    data: { kind: "failover", ...facts, runs, verdicts },
  };
}

/** Where the controller says that the time went. */
function partsTable(titled: readonly Runs<FailoverRun>[]): string {
  const reported = titled.filter(({ runs }) => runs.some(({ event }) => event !== undefined));
  if (reported.length === 0) return "";
  const columns = PARTS.map(
    (part): Figure<FailoverRun> => ({
      title: part,
      digits: 0,
      of: ({ event }) => event?.parts[part] ?? undefined,
    }),
  );
  const outage: Figure<FailoverRun> = { title: "outage", digits: 0, of: ({ event }) => event?.outageMs };
  return `The controller's own account, ms\n${figureTable(reported, [...columns, outage])}`;
}

type Subject = { readonly fault: Fault; readonly runs: readonly FailoverRun[] };

function lossTable(subjects: readonly Subject[]): string {
  const sum = (runs: readonly FailoverRun[], of: (run: FailoverRun) => number) =>
    String(runs.reduce((total, run) => total + of(run), 0));
  const rows = subjects.map(({ fault, runs }) => [
    fault.title,
    sum(runs, (run) => run.acknowledged),
    lostCell(runs),
    sum(runs, (run) => run.odd),
    sum(runs, (run) => run.writesUnknown),
    sum(runs, (run) => run.unknownPresent),
    sum(runs, (run) => Number(isMoved(run))),
  ]);
  return figures(["sums", "acknowledged", "lost", "odd", "unknown", "of them there", "failovers"], rows);
}

function lostCell(runs: readonly FailoverRun[]): string {
  const { lost, unknown } = lostOf(runs);
  return unknown === 0 ? String(lost) : `${lost}, unknown of ${unknown} runs`;
}

/** Of all runs whose writes could be read back, and how many could not. */
function lostOf(runs: readonly FailoverRun[]): { readonly lost: number; readonly unknown: number } {
  const lost = runs.reduce((total, run) => total + (run.lost ?? 0), 0);
  return { lost, unknown: runs.filter((run) => run.lost === undefined).length };
}

function peerTable(subjects: readonly Subject[]): string {
  const measured = subjects.filter(({ fault }) => PEERS.some((peer) => peer.figures[fault.name] !== undefined));
  if (measured.length === 0) return "";
  const cell = (figure: PeerFigure | undefined) =>
    figure === undefined ? "-" : `${figure.outageS.toFixed(2)}; ${figure.notOk}`;
  const ours = measured.map(({ runs }) =>
    cell({
      outageS: percentile(
        runs.map(({ writeOutageS }) => writeOutageS),
        0.5,
      ),
      notOk: Math.round(percentile(runs.map(notOkOf), 0.5)),
    }),
  );
  const rows = PEERS.map((peer) => [peer.title, ...measured.map(({ fault }) => cell(peer.figures[fault.name]))]);
  const table = figures(["", ...measured.map(({ fault }) => fault.title)], [["Lifeboat", ...ours], ...rows]);
  return `Beside peers: write outage, median s; operations not ok, median\n${table}`;
}

function reasonLines(subjects: readonly Subject[]): readonly string[] {
  const lines = subjects.flatMap(({ fault, runs }) => {
    const totals = new Map<string, number>();
    for (const { reasons } of runs) {
      for (const [reason, count] of Object.entries(reasons)) totals.set(reason, (totals.get(reason) ?? 0) + count);
    }
    const listed = [...totals].toSorted(([, a], [, b]) => b - a).map(([reason, count]) => `${reason} ${count}`);
    return listed.length === 0 ? [] : [`${fault.title}: ${listed.join(", ")}`];
  });
  return lines.length === 0 ? [] : [`Reasons, all runs\n${lines.join("\n")}`];
}

function verdictsOn(fault: Fault, runs: readonly FailoverRun[], request: FailoverRequest): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  const outages = runs.map(({ writeOutageS }) => writeOutageS);
  if (fault.outageMax !== undefined) {
    const { median, worst } = fault.outageMax;
    verdicts.push(
      within(`${fault.title}: write outage at most ${median} s by the median`, percentile(outages, 0.5), median, "s"),
      within(`${fault.title}: write outage below ${worst} s at worst`, Math.max(...outages), worst, "s"),
    );
  }
  if (fault.notOkMax !== undefined) {
    const most = Math.max(...runs.map(notOkOf));
    verdicts.push(within(`${fault.title}: operations not ok, at most`, most, fault.notOkMax, "in a run"));
  }
  if (fault.rebuildMax !== undefined) {
    const most = Math.max(...runs.map(({ rebuild }) => (rebuild?.ms ?? Number.POSITIVE_INFINITY) / 1_000));
    const title = `${fault.title}: work on the old primary before it is started at most ${fault.rebuildMax} s`;
    verdicts.push(within(title, most, fault.rebuildMax, "s"));
  }
  const stayed = runs.filter((run) => run.primaryBefore === run.primaryAfter).length;
  const wrong = runs.length - (fault.expects === "new-primary" ? runs.filter(isMoved).length : stayed);
  const what = fault.expects === "new-primary" ? "runs without a new primary" : "false alarms";
  verdicts.push(within(`${fault.title}: ${what}`, wrong, 0, `of ${runs.length}`));
  const problems = runs.filter(({ problem }) => problem !== undefined).length;
  if (problems > 0)
    verdicts.push(
      within(`${fault.title}: commands that failed, stacks that did not heal`, problems, 0, `of ${runs.length}`),
    );
  if (request.durability !== "async") {
    const { lost, unknown } = lostOf(runs);
    const bad = lost + runs.reduce((sum, { odd }) => sum + odd, 0);
    const missing = runs.reduce((sum, { rowMissing }) => sum + rowMissing, 0);
    verdicts.push(
      {
        goal: `${fault.title}: acknowledged writes lost or odd`,
        measured: `${bad} of all runs${unknown === 0 ? "" : `, unknown of ${unknown}`}`,
        kept: bad === 0 && unknown === 0,
      },
      within(`${fault.title}: reads that did not see an acknowledged row`, missing, 0, "of all runs"),
    );
  }
  return verdicts;
}
