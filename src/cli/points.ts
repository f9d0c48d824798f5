/** `lifeboat points`: which moments can be restored. */
import type { Config } from "../config/schema.ts";
import { EXIT } from "../errors/entry.ts";
import { formatInstant, type Instant } from "../platform/clock.ts";
import { formatLsn, historyName, type Lsn, type SystemId, type Timeline } from "../postgres/lsn.ts";
import { historyKey } from "../vault/names.ts";
import type { Style } from "./style.ts";
import { renderTable } from "./table.ts";
import { defineVerb, type Session, type Verb } from "./verb.ts";

/** A gap-free span of WAL that begins at a backup's consistent point: every moment in it can be restored. */
export type PointsRange = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly from: Lsn;
  readonly to: Lsn;
  /** Times of the first and the last commit, where known. */
  readonly fromTime: Instant | undefined;
  readonly toTime: Instant | undefined;
  readonly backupIds: readonly string[];
};

/** WAL that the vault lacks: nothing beyond it can be reached from a backup before it. */
export type PointsGap = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly from: Lsn;
  readonly to: Lsn;
  readonly firstSegment: string;
  readonly segmentCount: number;
};

/** WAL of a timeline whose history is lost: nobody knows from where it grew, and nothing of it can be restored. */
export type PointsUntold = {
  readonly systemId: SystemId;
  readonly timeline: Timeline;
  readonly from: Lsn;
  readonly to: Lsn;
};

/** What can be restored, and what stands in the way. */
export type Points = {
  readonly ranges: readonly PointsRange[];
  readonly gaps: readonly PointsGap[];
  readonly untold: readonly PointsUntold[];
  /** Commits of a timeline behind the place where a newer one left it: a restore that names the timeline reaches them. */
  readonly leftBehind: readonly PointsRange[];
  /** Backups that lack WAL of their own: they cannot be restored. */
  readonly stranded: readonly string[];
};

/** Finds the recovery ranges of the configured vault. */
export type FindPoints = (call: { readonly config: Config; readonly session: Session }) => Promise<Points>;

/** `points`. */
export function pointsVerb(findPoints: FindPoints): Verb {
  return defineVerb({
    path: ["points"],
    summary: "Show which moments can be restored",
    description:
      "Shows the recovery ranges, gap-free spans of WAL after a backup, every gap between them, and what a newer timeline left behind. Ends with status 4 when " +
      "no moment can be restored.",
    arguments: {},
    options: {},
    configuration: { kind: "checked", sections: ["vault", "folders"] },
    examples: [
      { line: "lifeboat points", does: "From when to when." },
      { line: "lifeboat points --json", does: "The same for programs." },
    ],
    run: async ({ session }) => {
      const points = await findPoints({ config: await session.config(), session });
      return {
        json: pointsJson(points),
        text: renderPoints(points, session.style),
        exit: points.ranges.length === 0 ? EXIT.notFound : 0,
      };
    },
  });
}

const left = (title: string) => ({ title, align: "left" as const });
const right = (title: string) => ({ title, align: "right" as const });

/** Gaps for people. */
export function renderGaps(gaps: readonly PointsGap[], style: Style): string {
  const columns = [left("gap"), right("timeline"), left("first segment"), right("segments"), left("system")];
  const rows = gaps.map((gap) => [
    `${formatLsn(gap.from)} to ${formatLsn(gap.to)}`,
    String(gap.timeline),
    gap.firstSegment,
    String(gap.segmentCount),
    gap.systemId,
  ]);
  return renderTable(columns, rows, style);
}

/** Ranges and gaps for people. */
export function renderPoints(points: Points, style: Style): string {
  const parts: string[] = [];
  if (points.ranges.length === 0) parts.push(style.bad("No moment can be restored."));
  else {
    const columns = [left("from"), left("to"), right("timeline"), left("WAL"), right("backups"), left("system")];
    const rows = points.ranges.map((range) => [
      timeText(range.fromTime),
      timeText(range.toTime),
      String(range.timeline),
      `${formatLsn(range.from)} to ${formatLsn(range.to)}`,
      String(range.backupIds.length),
      range.systemId,
    ]);
    parts.push(renderTable(columns, rows, style));
  }
  if (points.leftBehind.length > 0) {
    const columns = [left("from"), left("to"), right("timeline"), left("WAL"), left("system")];
    const rows = points.leftBehind.map((range) => [
      timeText(range.fromTime),
      timeText(range.toTime),
      String(range.timeline),
      `${formatLsn(range.from)} to ${formatLsn(range.to)}`,
      range.systemId,
    ]);
    const title = "Left behind by a newer timeline; `lifeboat restore --timeline` with the number reaches it:";
    parts.push(style.warning(title), renderTable(columns, rows, style));
  }
  if (points.gaps.length > 0) parts.push(style.warning("WAL that is missing:"), renderGaps(points.gaps, style));
  for (const { systemId, timeline, from, to } of points.untold) {
    const history = historyKey({ systemId, timeline });
    const what = `WAL of timeline ${timeline} is held, ${formatLsn(from)} to ${formatLsn(to)}, and ${history} is lost: none of it can be restored.`;
    parts.push(
      style.bad(
        `${what} Run \`lifeboat vault repair\`, where a server has it with --history ${historyName(timeline)}.`,
      ),
    );
  }
  if (points.stranded.length > 0) {
    parts.push(style.bad(`Backups that lack WAL of their own and cannot be restored: ${points.stranded.join(", ")}`));
  }
  return parts.join("\n\n");
}

/** Ranges and gaps for programs. */
export function pointsJson(points: Points) {
  const time = (at: Instant | undefined) => (at === undefined ? null : formatInstant(at));
  const timed = (range: PointsRange) => ({ ...range, fromTime: time(range.fromTime), toTime: time(range.toTime) });
  return {
    ranges: points.ranges.map(timed),
    gaps: points.gaps,
    untold: points.untold,
    leftBehind: points.leftBehind.map(timed),
    stranded: points.stranded,
  };
}

function timeText(at: Instant | undefined): string {
  return at === undefined ? "not known" : formatInstant(at);
}
