/**
 * Where the WAL of a plan ends, and whether that is an end.
 *
 * A server takes the first record that it cannot read for the end of its WAL. What the vault holds was streamed without holes, so with more
 * of it behind such a record that is damage, and what was committed behind it would be lost without a word.
 */
import { assert, LifeboatError } from "../errors/error.ts";
import { formatLsn, type Lsn, lsnDistance } from "../postgres/lsn.ts";
import { findEndOfWal, type WalEnd } from "../wal/records/reader.ts";
import type { PlannedSegment, RestorePlan } from "./plan.ts";
import { fetchPlanned, recordsOf } from "./planned-wal.ts";
import type { RestoreWal } from "./restore-wal.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** The bytes end inside the record, which nobody can complete. */
const CUT_SHORT: ReadonlySet<WalEnd["reason"]> = new Set(["no-segment", "no-more-bytes"]);

/**
 * The end of a plan's WAL, from its last two segments; undefined where recovery has something to stop at, or no WAL to read. Throws
 * `restore.point-not-reached` where more follows than zeros, and what fetching throws.
 */
export async function findWholeEnd(
  plan: RestorePlan,
  wal: RestoreWal,
  options: CallOptions,
): Promise<WalEnd | undefined> {
  const last = plan.segments.at(-1);
  if (plan.stop.kind !== "end-of-wal" || last === undefined) return undefined;
  const end = await endOfRecords(plan, wal, options);
  if (end.at >= plan.endLsn || CUT_SHORT.has(end.reason)) return end;
  if (end.at >= last.start) {
    const bytes = await fetchPlanned(wal, plan, last, options);
    const [begin, stop] = [end.at, plan.endLsn].map((to) => lsnDistance({ from: last.start, to }));
    if (bytes.subarray(begin, stop).every((byte) => byte === 0)) return end;
  }
  const at = formatLsn(end.last?.end ?? end.at);
  throw new LifeboatError("restore.point-not-reached", {
    message: `recovery would end at ${at}, where the WAL is damaged (${end.reason}), and it is held up to ${formatLsn(plan.endLsn)}`,
    remedy: `Copy the segment back from another copy of the vault, or take a new backup if the server lives. --to-lsn ${at} restores what comes before, knowingly.`,
    details: { reached: at, planned: formatLsn(plan.endLsn) },
  });
}

/** Where the last record begins that ends before a planned segment: a restore to it needs nothing of that. */
export async function lastBefore(
  plan: RestorePlan,
  wal: RestoreWal,
  segment: PlannedSegment,
  options: CallOptions,
): Promise<Lsn | undefined> {
  const segments = plan.segments.filter(({ start }) => start < segment.start);
  return segments.length === 0 ? undefined : (await endOfRecords({ ...plan, segments }, wal, options)).last?.lsn;
}

/** A record that crosses into the last segment begins in the one before; where no record begins there, in one before that. */
async function endOfRecords(plan: RestorePlan, wal: RestoreWal, options: CallOptions): Promise<WalEnd> {
  const { segments } = plan;
  for (let count = Math.min(2, segments.length); ; count += 1) {
    const from = segments.at(-count)?.start;
    assert(from !== undefined, "a plan with a last segment has as many");
    const end = await findEndOfWal(recordsOf(plan, wal), { from }, options);
    if (end.last !== undefined || CUT_SHORT.has(end.reason) || count === segments.length) return end;
  }
}
