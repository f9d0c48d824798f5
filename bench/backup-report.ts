/** The tables and verdicts of `bench backup`. Pure. */
import { backupVerdicts, growthVerdict, memoryVerdict, type Verdict } from "./goals.ts";
import type { Measured } from "./measure.ts";
import { figures, type Report, showSpread, showVerdicts, showVersions } from "./report.ts";
import { ratiosByRound, spreadOf } from "./statistics.ts";

/** One backup, and its restore where one was asked for. */
export type BackupRun = {
  readonly backup: Measured;
  readonly storedBytes: number;
  readonly restored?: Measured;
};

/** All runs of a tool, in the order of the rounds. */
export type ToolRuns = { readonly title: string; readonly runs: readonly BackupRun[] };

/** What was measured on one base. The first tool is ours. */
export type SizeRuns = { readonly mib: number; readonly base: string; readonly tools: readonly ToolRuns[] };

const MIB = 1024 ** 2;
const GOAL_MIB = 2048;

/** What can be read off a run, and how many digits of it mean something. */
const FIGURES: readonly {
  readonly title: string;
  readonly digits: number;
  readonly of: (run: BackupRun) => number | undefined;
}[] = [
  { title: "wall s", digits: 1, of: ({ backup }) => backup.wallMs / 1000 },
  { title: "CPU s tool", digits: 1, of: ({ backup }) => backup.cpuMs / 1000 },
  { title: "CPU s server", digits: 1, of: ({ backup }) => backup.serverCpuMs / 1000 },
  { title: "CPU s elsewhere", digits: 1, of: ({ backup }) => backup.noiseMs / 1000 },
  { title: "stored MB", digits: 1, of: ({ storedBytes }) => storedBytes / 1e6 },
  { title: "peak MiB", digits: 0, of: ({ backup }) => backup.peakRssBytes / MIB },
];

const RESTORE_FIGURES: typeof FIGURES = [
  { title: "ready s", digits: 1, of: ({ restored }) => restored && restored.wallMs / 1000 },
  { title: "CPU s", digits: 1, of: ({ restored }) => restored && restored.cpuMs / 1000 },
  { title: "CPU s elsewhere", digits: 1, of: ({ restored }) => restored && restored.noiseMs / 1000 },
  { title: "peak MiB", digits: 0, of: ({ restored }) => restored && restored.peakRssBytes / MIB },
];

const RATIOS: readonly { readonly title: string; readonly of: (run: BackupRun) => number | undefined }[] = [
  { title: "wall", of: ({ backup }) => backup.wallMs },
  { title: "CPU", of: ({ backup }) => backup.cpuMs + backup.serverCpuMs },
  { title: "stored", of: ({ storedBytes }) => storedBytes },
  { title: "peak memory", of: ({ backup }) => backup.peakRssBytes },
  { title: "restore", of: ({ restored }) => restored?.wallMs },
];

/** Makes the report. */
export function backupReport(sizes: readonly SizeRuns[], versions: Readonly<Record<string, string>>): Report {
  const verdicts = verdictsOf(sizes);
  const mib = sizes.at(-1)?.mib ?? 0;
  const note = mib === GOAL_MIB ? "" : `\nThe goals are meant for ${GOAL_MIB} MiB; this was ${mib} MiB.`;
  return {
    text: [...sizes.map(sizeText), `${showVerdicts(verdicts)}${note}`, showVersions(versions)].join("\n\n"),
    data: { kind: "backup", versions, sizes, verdicts },
  };
}

function sizeText({ base, tools }: SizeRuns): string {
  const [ours, ...peers] = tools;
  const parts = [`Full backup of ${base}: median (least-most)\n\n${table(tools, FIGURES)}`];
  if (tools.some(({ runs }) => runs.some((run) => run.restored !== undefined))) {
    parts.push(`Restore until the server accepts connections, out of recovery\n\n${table(tools, RESTORE_FIGURES)}`);
  }
  if (ours !== undefined && peers.length > 0) {
    const rows = peers.map((peer) => [peer.title, ...RATIOS.map(({ of }) => ratioCell(ratios(ours, peer, of)))]);
    const titles = [`${ours.title} against`, ...RATIOS.map(({ title }) => title)];
    parts.push(`Ratios, round by round: below 1 is less than the peer\n\n${figures(titles, rows)}`);
  }
  return parts.join("\n\n");
}

function table(tools: readonly ToolRuns[], columns: typeof FIGURES): string {
  const rows = tools.map(({ title, runs }) => [
    title,
    ...columns.map(({ digits, of }) => {
      const values = valuesOf(runs, of);
      return values.length === 0 ? "-" : showSpread(spreadOf(values), digits);
    }),
  ]);
  return figures(["", ...columns.map(({ title }) => title)], rows);
}

function verdictsOf(sizes: readonly SizeRuns[]): readonly Verdict[] {
  const [ours, ...peers] = sizes.at(-1)?.tools ?? [];
  if (ours === undefined) return [];
  const pgBackRest = peers.find(({ title }) => title.startsWith("pgBackRest"));
  const peaks = (runs: readonly BackupRun[]) => runs.map(({ backup }) => backup.peakRssBytes);
  const small = sizes.length > 1 ? sizes[0]?.tools[0] : undefined;
  return [
    ...(pgBackRest === undefined
      ? []
      : backupVerdicts({
          wall: ratios(ours, pgBackRest, ({ backup }) => backup.wallMs),
          stored: ratios(ours, pgBackRest, ({ storedBytes }) => storedBytes),
        })),
    memoryVerdict(peaks(ours.runs)),
    ...(small === undefined ? [] : [growthVerdict({ small: peaks(small.runs), large: peaks(ours.runs) })]),
  ];
}

function ratios(ours: ToolRuns, peer: ToolRuns, of: (run: BackupRun) => number | undefined): readonly number[] {
  return ratiosByRound(valuesOf(ours.runs, of), valuesOf(peer.runs, of));
}

function ratioCell(values: readonly number[]): string {
  return values.length === 0 ? "-" : showSpread(spreadOf(values), 2);
}

function valuesOf(runs: readonly BackupRun[], of: (run: BackupRun) => number | undefined): readonly number[] {
  return runs.map(of).filter((value) => value !== undefined);
}
