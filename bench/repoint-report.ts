/** The table and verdict of `bench repoint`. Pure. */
import { repointVerdicts } from "./goals.ts";
import { figures, type Report, showVerdicts, showVersions } from "./report.ts";

type Spread = { readonly p50: number; readonly max: number };

/** What came of the loops of one kind of pause. */
export type RepointFigures = {
  readonly title: string;
  readonly loops: number;
  /** Loops in which the guard gave up and nothing was done. */
  readonly givenUp: number;
  readonly statements: number;
  readonly errors: number;
  /** Loops with at least one error. */
  readonly episodes: number;
  /** What the errors said, and how often. */
  readonly classes: Readonly<Record<string, number>>;
  readonly pauseMs: Spread;
  readonly repointMs: Spread;
  readonly resumeMs: Spread;
  readonly stallMs: Spread;
};

/** Makes the report. */
export function repointReport(
  runs: readonly RepointFigures[],
  facts: {
    readonly sessions: number;
    readonly perSecond: number;
    readonly holdMs: number;
    readonly gapMs: number;
    readonly versions: Readonly<Record<string, string>>;
  },
): Report {
  const rows = runs.map((run) => [
    run.title,
    String(run.loops),
    String(run.givenUp),
    String(run.episodes),
    `${run.errors} of ${run.statements}`,
    ...[run.pauseMs, run.repointMs, run.resumeMs, run.stallMs].map(showMs),
  ]);
  const titles = ["", "loops", "given up", "with errors", "errors", "pause ms", "repoint ms", "resume ms", "stall ms"];
  const said = runs.flatMap(({ title, classes }) =>
    Object.entries(classes).map(([error, count]) => `${title}: ${count} × ${error}`),
  );
  const verdicts = repointVerdicts(runs);
  return {
    text: [
      `${facts.perSecond} statements/s, ${facts.sessions} sessions, ${facts.holdMs} ms hold, ${facts.gapMs} ms between loops; p50 / max`,
      figures(titles, rows),
      ...(said.length === 0 ? [] : [said.join("\n")]),
      showVerdicts(verdicts),
      showVersions(facts.versions),
    ].join("\n\n"),
    data: { kind: "repoint", ...facts, runs, verdicts },
  };
}

function showMs({ p50, max }: Spread): string {
  return `${p50.toFixed(1)} / ${max.toFixed(1)}`;
}
