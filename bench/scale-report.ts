/** The tables and verdict of `bench scale`. Pure. */
import { growthVerdict, type Verdict } from "./goals.ts";
import type { Measured } from "./measure.ts";
import { type Figure, figureTable, type Report, type Runs, showVerdicts, showVersions } from "./report.ts";
import type { LookUsage } from "./scale-objects.ts";
import type { ScaleLook } from "./scale-plan.ts";

/** One backup of a size, and its restore until the server accepts connections. */
export type SizeRun = {
  readonly dataBytes: number;
  readonly backup: Measured;
  readonly storedBytes: number;
  readonly restore: Measured;
};

/** All runs of one size. */
export type SizeRuns = Runs<SizeRun>;

/** One look through a vault. */
export type LookRuns = Runs<LookUsage> & { readonly look: ScaleLook; readonly objects: number };

const MIB = 1024 ** 2;

const SIZE_FIGURES: readonly Figure<SizeRun>[] = [
  { title: "data MiB", digits: 0, of: ({ dataBytes }) => dataBytes / MIB },
  { title: "backup s", digits: 1, of: ({ backup }) => backup.wallMs / 1000 },
  { title: "CPU s", digits: 1, of: ({ backup }) => (backup.cpuMs + backup.serverCpuMs) / 1000 },
  { title: "peak MiB", digits: 0, of: ({ backup }) => backup.peakRssBytes / MIB },
  { title: "stored MB", digits: 1, of: ({ storedBytes }) => storedBytes / 1e6 },
  { title: "restore s", digits: 1, of: ({ restore }) => restore.wallMs / 1000 },
  { title: "peak MiB", digits: 0, of: ({ restore }) => restore.peakRssBytes / MIB },
];

const LOOK_FIGURES: readonly Figure<LookUsage>[] = [
  { title: "s", digits: 2, of: ({ wallMs }) => wallMs / 1000 },
  { title: "CPU s", digits: 2, of: ({ cpuMs }) => cpuMs / 1000 },
  { title: "peak MiB", digits: 0, of: ({ peakRssBytes }) => peakRssBytes / MIB },
];

/** Makes the report. */
export function scaleReport(
  measured: { readonly sizes: readonly SizeRuns[]; readonly looks: readonly LookRuns[] },
  versions: Readonly<Record<string, string>>,
): Report {
  const { sizes, looks } = measured;
  const verdicts = growthOf(sizes);
  const parts: string[] = [];
  if (sizes.length > 0) {
    parts.push("Backup and restore with Lifeboat: median of the rounds (least-most)", figureTable(sizes, SIZE_FIGURES));
  }
  if (looks.length > 0) {
    parts.push("Looking through a simulated vault, its store in memory", figureTable(looks, LOOK_FIGURES));
  }
  if (verdicts.length > 0) parts.push(showVerdicts(verdicts));
  parts.push(showVersions(versions));
  return { text: parts.join("\n\n"), data: { kind: "scale", versions, sizes, looks, verdicts } };
}

/** Peak memory of the largest against a quarter of it, as the goal has it. */
function growthOf(sizes: readonly SizeRuns[]): readonly Verdict[] {
  const peaks = sizes.map(({ runs }) => runs.map(({ backup }) => backup.peakRssBytes));
  const [small, large] = [peaks.at(-2), peaks.at(-1)];
  return small === undefined || large === undefined ? [] : [growthVerdict({ small, large })];
}
