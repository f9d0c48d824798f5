/** The tables and verdicts of `bench backup`. Pure. */
import { DEBIAN_PGBACKREST } from "./backup-tools/pgbackrest.ts";
import { backupVerdicts, growthVerdict, memoryVerdict, restoreVerdict, type Verdict } from "./goals.ts";
import type { Measured } from "./measure.ts";
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

/** One backup, and its restore where one was asked for. */
export type BackupRun = {
  readonly backup: Measured;
  readonly storedBytes: number;
  readonly restored?: Measured;
};

/** All runs of a tool, in the order of the rounds. */
export type ToolRuns = Runs<BackupRun>;

/** What was measured on one base. The first tool is ours. */
export type SizeRuns = { readonly mib: number; readonly base: string; readonly tools: readonly ToolRuns[] };

const MIB = 1024 ** 2;
const GOAL_MIB = 2048;

const FIGURES: readonly Figure<BackupRun>[] = [
  { title: "wall s", digits: 1, of: ({ backup }) => backup.wallMs / 1000 },
  { title: "CPU s tool", digits: 1, of: ({ backup }) => backup.cpuMs / 1000 },
  { title: "CPU s server", digits: 1, of: ({ backup }) => backup.serverCpuMs / 1000 },
  { title: "CPU s elsewhere", digits: 1, of: ({ backup }) => backup.noiseMs / 1000 },
  { title: "stored MB", digits: 1, of: ({ storedBytes }) => storedBytes / 1e6 },
  { title: "peak MiB", digits: 0, of: ({ backup }) => backup.peakRssBytes / MIB },
];

const RESTORE_FIGURES: readonly Figure<BackupRun>[] = [
  { title: "ready s", digits: 1, of: ({ restored }) => restored && restored.wallMs / 1000 },
  { title: "CPU s", digits: 1, of: ({ restored }) => restored && restored.cpuMs / 1000 },
  { title: "CPU s elsewhere", digits: 1, of: ({ restored }) => restored && restored.noiseMs / 1000 },
  { title: "peak MiB", digits: 0, of: ({ restored }) => restored && restored.peakRssBytes / MIB },
];

const RATIOS: readonly Omit<Figure<BackupRun>, "digits">[] = [
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
  const parts = [`Full backup of ${base}: median (least-most)\n\n${figureTable(tools, FIGURES)}`];
  if (tools.some(({ runs }) => runs.some((run) => run.restored !== undefined))) {
    const table = figureTable(tools, RESTORE_FIGURES);
    parts.push(`Restore until the server accepts connections, out of recovery\n\n${table}`);
  }
  const ratios = ratioTable(tools, RATIOS);
  if (ratios !== "") parts.push(`Ratios, round by round: below 1 is less than the peer\n\n${ratios}`);
  return parts.join("\n\n");
}

function verdictsOf(sizes: readonly SizeRuns[]): readonly Verdict[] {
  const [ours, ...peers] = sizes.at(-1)?.tools ?? [];
  if (ours === undefined) return [];
  const pgBackRest = peers.find(({ title }) => title === DEBIAN_PGBACKREST.title);
  const peaks = (runs: readonly BackupRun[]) => runs.map(({ backup }) => backup.peakRssBytes);
  const small = sizes.length > 1 ? sizes[0]?.tools[0] : undefined;
  return [
    ...(pgBackRest === undefined
      ? []
      : backupVerdicts({
          wall: ratios(ours, pgBackRest, ({ backup }) => backup.wallMs),
          stored: ratios(ours, pgBackRest, ({ storedBytes }) => storedBytes),
        })),
    ...restoreVerdicts(ours, peers),
    memoryVerdict(peaks(ours.runs)),
    ...(small === undefined ? [] : [growthVerdict({ small: peaks(small.runs), large: peaks(ours.runs) })]),
  ];
}

/** Against the quickest pgBackRest of each round. */
function restoreVerdicts(ours: ToolRuns, peers: readonly ToolRuns[]): readonly Verdict[] {
  const wallMs = ({ restored }: BackupRun) => restored?.wallMs;
  const theirs = peers.filter(({ title }) => title.startsWith("pgBackRest")).map(({ runs }) => valuesOf(runs, wallMs));
  const best = (theirs[0] ?? []).map((_, round) => Math.min(...theirs.map((each) => each[round] ?? Infinity)));
  const against = ratiosByRound(valuesOf(ours.runs, wallMs), best);
  return against.length === 0 ? [] : [restoreVerdict("restore", against)];
}

function ratios(ours: ToolRuns, peer: ToolRuns, of: Figure<BackupRun>["of"]): readonly number[] {
  return ratiosByRound(valuesOf(ours.runs, of), valuesOf(peer.runs, of));
}
