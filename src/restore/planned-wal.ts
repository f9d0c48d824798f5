/**
 * The WAL of a plan as a source of records, and its segments one by one, checked.
 *
 * Invariant: what is handed out is what was planned, neither less nor more: a tail that has grown since is cut to its
 * planned length, so that what is laid, what is searched and what recovery must reach are the same bytes.
 */
import { LifeboatError } from "../errors/error.ts";
import { type Lsn, timelineOfSegment } from "../postgres/lsn.ts";
import { checkSegmentHeader } from "../wal/records/page.ts";
import type { WalSource } from "../wal/records/reader.ts";
import type { PlannedSegment, RestorePlan } from "./plan.ts";
import type { RestoreWal } from "./restore-wal.ts";

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** What is needed of a plan to fetch its segments. */
export type PlannedWal = Pick<RestorePlan, "systemId" | "walSegmentBytes">;

/** The valid bytes of a planned segment. Throws `wal.segment-missing` or `wal.segment-damaged`. */
export async function fetchPlanned(
  wal: RestoreWal,
  plan: PlannedWal,
  segment: PlannedSegment,
  options: CallOptions,
): Promise<Buffer> {
  const bytes = await wal.segment(segment.name, options);
  if (bytes === undefined) throw gone(`segment ${segment.name}`);
  if (bytes.byteLength < segment.validBytes || bytes.byteLength > plan.walSegmentBytes) {
    throw damaged(segment.name, `it has ${bytes.byteLength} bytes, ${segment.validBytes} were planned`);
  }
  const { systemId, walSegmentBytes } = plan;
  const check = checkSegmentHeader(bytes, { start: segment.start, systemId, walSegmentBytes });
  if (check.kind === "bad") {
    throw damaged(segment.name, `its first page says ${check.found}, expected ${check.expected}`);
  }
  return bytes.subarray(0, segment.validBytes);
}

/** The records of a plan's WAL. Reading throws as `fetchPlanned` does; `onSegment` hears of every segment fetched. */
export function recordsOf(plan: RestorePlan, wal: RestoreWal, onSegment?: () => void): WalSource {
  const byName = new Map(plan.segments.map((segment) => [segment.name, segment]));
  const timelines = new Map(plan.segments.map((segment) => [segment.start, timelineOfSegment(segment.name)]));
  return {
    walSegmentBytes: plan.walSegmentBytes,
    timelineAt: (start: Lsn) => timelines.get(start) ?? plan.timeline,
    readSegment: async (name, options) => {
      const segment = byName.get(name);
      if (segment === undefined) return undefined;
      const bytes = await fetchPlanned(wal, plan, segment, options);
      onSegment?.();
      return bytes;
    },
  };
}

/** WAL that was there when the restore was planned is not any more. */
export function gone(what: string): LifeboatError {
  return new LifeboatError("wal.segment-missing", {
    message: `${what} was held when the restore was planned and is gone`,
    remedy: "Run the restore again; if it is refused, its message names what can still be reached.",
  });
}

/** A segment is not what its name says. */
export function damaged(segment: string, why: string): LifeboatError {
  return new LifeboatError("wal.segment-damaged", {
    message: `segment ${segment} is not what it should be: ${why}`,
    remedy: "Run `lifeboat vault check --read-data`, and copy this segment back from another copy of the vault.",
  });
}
