/** The tables and verdicts of `bench delta`. Pure. */
import type { DeltaRequest } from "./delta-plan.ts";
import { inPlaceVerdict, restoreVerdict, unchangedVerdicts, updatedVerdicts, type Verdict } from "./goals.ts";
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
import type { Restored } from "./restoring.ts";
import { ratiosByRound } from "./statistics.ts";

/** One backup, and the bytes that it added to what the tool has. */
export type ChainBackup = { readonly measured: Measured; readonly storedBytes: number };

/** What a tool did, in the order in which it did it. */
export type ChainRuns = {
  readonly title: string;
  readonly full: readonly ChainBackup[];
  readonly unchanged: readonly ChainBackup[];
  /** After updates. */
  readonly updated: readonly ChainBackup[];
  /** Restores of the full backup while it was the newest. */
  readonly first: readonly Restored[];
  /** Restores of the last backup. */
  readonly last: readonly Restored[];
  readonly inPlace: readonly Restored[];
};

/** Everything that was measured. The first chain and the first reader are ours. */
export type DeltaMeasured = {
  readonly base: string;
  readonly chains: readonly ChainRuns[];
  readonly readers: readonly Runs<Measured>[];
};

type Facts = { readonly request: Omit<DeltaRequest, "chain">; readonly versions: Readonly<Record<string, string>> };
type Backup = { readonly measured: Measured; readonly storedBytes?: number };

const MIB = 1024 ** 2;
const GOAL_MIB = 2048;
const BLOCK_TITLE = "pgBackRest bundle+block";

const wallMs = ({ measured }: { readonly measured: Measured }) => measured.wallMs;
const cpuMs = ({ measured }: { readonly measured: Measured }) =>
  measured.cpuMs + measured.serverCpuMs + measured.companionCpuMs;
const beyondStartMs = ({ measured, startMs }: Restored) =>
  startMs === undefined ? undefined : measured.wallMs - startMs;

/** The CPU time is that of the command, of the server for it, and of a receiver. */
const BACKUP_FIGURES: readonly Figure<Backup>[] = [
  { title: "wall s", digits: 2, of: (run) => wallMs(run) / 1000 },
  { title: "CPU s", digits: 1, of: (run) => cpuMs(run) / 1000 },
  { title: "of it the tool", digits: 1, of: ({ measured }) => measured.cpuMs / 1000 },
  { title: "CPU s elsewhere", digits: 1, of: ({ measured }) => measured.noiseMs / 1000 },
  { title: "stored MB", digits: 1, of: ({ storedBytes }) => storedBytes && storedBytes / 1e6 },
  { title: "peak MiB", digits: 0, of: ({ measured }) => measured.peakRssBytes / MIB },
];

const RESTORE_FIGURES: readonly Figure<Restored>[] = [
  { title: "ready s", digits: 2, of: (run) => wallMs(run) / 1000 },
  { title: "CPU s", digits: 1, of: ({ measured }) => measured.cpuMs / 1000 },
  { title: "CPU s elsewhere", digits: 1, of: ({ measured }) => measured.noiseMs / 1000 },
  { title: "peak MiB", digits: 0, of: ({ measured }) => measured.peakRssBytes / MIB },
];

const IN_PLACE_FIGURES: readonly Figure<Restored>[] = [
  ...RESTORE_FIGURES,
  { title: "beyond starting s", digits: 2, of: (run) => inSeconds(beyondStartMs(run)) },
  { title: "written MB", digits: 1, of: ({ writtenBytes }) => writtenBytes && writtenBytes / 1e6 },
];

const BACKUP_RATIOS: readonly Omit<Figure<Backup>, "digits">[] = [
  { title: "wall", of: wallMs },
  { title: "CPU", of: cpuMs },
  { title: "stored", of: ({ storedBytes }) => storedBytes },
  { title: "peak memory", of: ({ measured }) => measured.peakRssBytes },
];

const RESTORE_RATIOS: readonly Omit<Figure<Restored>, "digits">[] = [
  { title: "ready", of: wallMs },
  { title: "CPU", of: ({ measured }) => measured.cpuMs },
  { title: "peak memory", of: ({ measured }) => measured.peakRssBytes },
];

/** Makes the report. */
export function deltaReport(measured: DeltaMeasured, facts: Facts): Report {
  const { chains } = measured;
  const { mib, backups } = facts.request;
  const readers = measured.readers.map(({ title, runs }) => ({
    title,
    runs: runs.map((each): Backup => ({ measured: each })),
  }));
  const verdicts = deltaVerdicts(measured);
  const note = mib === GOAL_MIB ? "" : `\nThe goals are meant for ${GOAL_MIB} MiB; this was ${mib} MiB.`;
  const pick = <Run>(of: (chain: ChainRuns) => readonly Run[]): readonly Runs<Run>[] =>
    chains.map((chain) => ({ title: chain.title, runs: of(chain) }));
  const [ours, ...others] = pick<Backup>(({ unchanged }) => unchanged);
  const unchanged = ours === undefined ? [] : [ours, ...readers, ...others];
  return {
    text: [
      `${measured.base}, ${backups} backups in a row: median (least-most)`,
      section(
        "Full backup",
        pick<Backup>(({ full }) => full),
        BACKUP_FIGURES,
        BACKUP_RATIOS,
      ),
      section("Backup when nothing changed", unchanged, BACKUP_FIGURES, BACKUP_RATIOS),
      section(
        "Backup after 1 % changed",
        pick<Backup>(({ updated }) => updated),
        BACKUP_FIGURES,
        BACKUP_RATIOS,
      ),
      section(
        "Restore of the first",
        pick(({ first }) => first),
        RESTORE_FIGURES,
        RESTORE_RATIOS,
      ),
      section(
        `Restore of number ${backups}`,
        pick(({ last }) => last),
        RESTORE_FIGURES,
        RESTORE_RATIOS,
      ),
      section(
        "Restore in place after 1 % changed",
        pick(({ inPlace }) => inPlace),
        IN_PLACE_FIGURES,
        RESTORE_RATIOS,
      ),
      `${showVerdicts(verdicts)}${note}`,
      showVersions(facts.versions),
    ]
      .filter((part) => part !== "")
      .join("\n\n"),
    data: { kind: "delta", ...facts, ...measured, verdicts },
  };
}

function section<Run>(
  title: string,
  subjects: readonly Runs<Run>[],
  columns: readonly Figure<Run>[],
  ratios: readonly Omit<Figure<Run>, "digits">[],
): string {
  if (subjects.every(({ runs }) => runs.length === 0)) return "";
  const table = ratioTable(subjects, ratios);
  return `${title}\n\n${figureTable(subjects, columns)}${table === "" ? "" : `\n\n${table}`}`;
}

/** Whether the goals were kept; those that need a peer, or a step, are left out without it. */
export function deltaVerdicts({ chains, readers }: DeltaMeasured): readonly Verdict[] {
  const [ours, ...peers] = chains;
  if (ours === undefined) return [];
  const block = peers.find(({ title }) => title === BLOCK_TITLE);
  const fullBytes = ours.full[0]?.storedBytes ?? 0;
  return [
    ...(block === undefined || ours.updated.length === 0
      ? []
      : updatedVerdicts({
          wall: ratiosByRound(ours.updated.map(wallMs), block.updated.map(wallMs)),
          stored: ratiosByRound(
            ours.updated.map(({ storedBytes }) => storedBytes),
            block.updated.map(({ storedBytes }) => storedBytes),
          ),
        })),
    ...(ours.unchanged.length === 0
      ? []
      : unchangedVerdicts({
          ratios: ratiosByRound(
            ours.unchanged.map(wallMs),
            (readers[0]?.runs ?? []).map((run) => run.wallMs),
          ),
          storedShares: ours.unchanged.map(({ storedBytes }) => storedBytes / fullBytes),
        })),
    ...restoreVerdicts(
      "restore of the first",
      ours.first,
      peers.map(({ first }) => first),
    ),
    ...restoreVerdicts(
      "restore of the last",
      ours.last,
      peers.map(({ last }) => last),
    ),
    inPlaceVerdict(valuesOf(ours.inPlace, beyondStartMs)),
  ];
}

function restoreVerdicts(
  what: string,
  ours: readonly Restored[],
  peers: readonly (readonly Restored[])[],
): readonly Verdict[] {
  if (peers.length === 0 || ours.length === 0) return [];
  const best = ours.map((_, round) =>
    Math.min(...peers.map((runs) => runs[round]?.measured.wallMs ?? Number.POSITIVE_INFINITY)),
  );
  return [restoreVerdict(what, ratiosByRound(ours.map(wallMs), best))];
}

function inSeconds(durationMs: number | undefined): number | undefined {
  return durationMs === undefined ? undefined : durationMs / 1000;
}
