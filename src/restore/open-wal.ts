/**
 * Opens all WAL that a restore needs before a directory is written over that could be started, or whose WAL may be the only copy.
 *
 * Listed is not whole: a segment that does not open would end the restore when the directory's own WAL, which had it, is gone. So all of it
 * is opened once to see that, and again when it is laid. That costs about a seventh of what its replay does (580 MiB/s on two cores, against
 * 80 MB/s at best), and a second reading of the store. Laid beside the old WAL under other names, it would be opened once, and need room on a
 * disk of WAL that often has it for one of the two.
 */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { throwIfAborted } from "../platform/clock.ts";
import type { Files } from "../platform/files.ts";
import { severalAtOnce } from "../platform/several-at-once.ts";
import { formatLsn, type Lsn, parseLsn } from "../postgres/lsn.ts";
import { tellsLoss } from "../vault/unopened.ts";
import { tablespacesIn } from "../wal/records/tablespaces.ts";
import type { PlannedSegment, RestorePlan } from "./plan.ts";
import { fetchPlanned, gone, recordsOf } from "./planned-wal.ts";
import type { RestoreWal } from "./restore-wal.ts";
import { tablespaceGuard } from "./wal-tablespaces.ts";
import { lastBefore } from "./whole-end.ts";

/** Segments opened at a time: more than two gain nothing, and each is 16 MiB by default, twice that in memory. */
const SEGMENTS_AT_A_TIME = 2;

type OpenTools = {
  readonly files: Files;
  readonly wal: RestoreWal;
  readonly onOpened?: ((progress: { readonly doneBytes: number; readonly totalBytes: number }) => void) | undefined;
};

/** The directory that is to be written over, and what it has of tablespaces. */
type Target = { readonly folder: string; readonly couldStart: boolean } & Omit<
  Parameters<typeof tablespaceGuard>[2],
  "make"
>;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/**
 * Opens it; nothing is written. Throws what says that a segment or history cannot be had, with what that leaves to do, and
 * `restore.tablespace-in-wal` where a folder that the WAL creates a tablespace in holds something.
 */
export async function openWal(
  { files, wal, onOpened }: OpenTools,
  plan: RestorePlan,
  { folder, couldStart, ...place }: Target,
  options: CallOptions,
): Promise<void> {
  for (const timeline of plan.histories) {
    if ((await wal.history(timeline, options)) === undefined) throw gone(`the history of timeline ${timeline}`);
  }
  const source = recordsOf(plan, wal);
  const admit = tablespaceGuard(files, plan, { ...place, make: async () => undefined });
  const totalBytes = plan.segments.length * plan.walSegmentBytes;
  let doneBytes = 0;
  let lost: { readonly segment: PlannedSegment; readonly error: LifeboatError } | undefined;
  const open = async (segment: PlannedSegment): Promise<void> => {
    throwIfAborted(options.signal, "opening the WAL");
    const bytes = await fetchPlanned(wal, plan, segment, options);
    for (const created of await tablespacesIn(source, { start: segment.start, bytes }, options)) await admit(created);
    doneBytes += plan.walSegmentBytes;
    onOpened?.({ doneBytes, totalBytes });
  };
  try {
    await severalAtOnce(plan.segments, SEGMENTS_AT_A_TIME, async (segment) => {
      await open(segment).catch((error: unknown) => {
        // Of two that are opened together the earlier one counts.
        if (isLoss(error) && (lost === undefined || segment.start < lost.segment.start)) lost = { segment, error };
        throw error;
      });
    });
  } catch (error) {
    if (lost === undefined) throw error;
    const less = await withoutIt(plan, wal, lost.segment, options);
    throw unopened(lost, { folder, couldStart }, less);
  }
}

function isLoss(error: unknown): error is LifeboatError {
  return (
    tellsLoss(error) ||
    isLifeboatError(error, "wal.segment-missing") ||
    isLifeboatError(error, "wal.segment-damaged") ||
    isLifeboatError(error, "wal.spool-damaged")
  );
}

function unopened(
  { segment, error }: { readonly segment: PlannedSegment; readonly error: LifeboatError },
  { folder, couldStart }: Pick<Target, "folder" | "couldStart">,
  less: Lsn | undefined,
): LifeboatError {
  const start = couldStart
    ? ` Where no other server took its place, a server starts on ${folder} as before, and a new backup of it does without this segment.`
    : "";
  const before =
    less === undefined
      ? ""
      : ` --to-lsn ${formatLsn(less)} restores what comes before, knowingly: copy the folder away first, which may have what the vault lost.`;
  return new LifeboatError(error.code, {
    message: `segment ${segment.name} of the WAL that the restore needs cannot be had, and nothing in ${folder} was changed: ${error.message}`,
    remedy: `${error.remedy}${start}${before}`,
    cause: error,
    details: { ...error.details, segment: segment.name },
  });
}

/** The last record that can be restored to without the segment; undefined where the backup needs it, or none is seen. */
async function withoutIt(
  plan: RestorePlan,
  wal: RestoreWal,
  segment: PlannedSegment,
  options: CallOptions,
): Promise<Lsn | undefined> {
  try {
    const last = await lastBefore(plan, wal, segment, options);
    return last !== undefined && last >= parseLsn(plan.backup.endLsn) ? last : undefined;
  } catch (error) {
    if (!isLoss(error)) throw error;
    return undefined;
  }
}
