/**
 * What a node lacks of the WAL that the witness holds: a plan made of positions alone.
 *
 * Safety rule B1: a node's own segment is never replaced by a shorter one. So nothing is planned where the node has all, no
 * byte that the node has is written over, and what both have must be compared before anything is written.
 */
import { type Lsn, lsnAdd, lsnMax, lsnMin, segmentName, segmentStart, type Timeline } from "../postgres/lsn.ts";
import type { HeldWal } from "../wal/held-end.ts";
import { WAL_PAGE_BYTES } from "../wal/records/page.ts";

/** What is written into one segment of the node. */
export type SegmentGap = {
  /** PostgreSQL's name of the segment. */
  readonly segment: string;
  readonly timeline: Timeline;
  readonly start: Lsn;
  /** What the node has of it ends here; both sides must hold the same before it. */
  readonly equalTo: Lsn;
  /** Written from the page on that holds `equalTo`: its bytes before that are the same ones. */
  readonly writeFrom: Lsn;
  readonly to: Lsn;
};

/** What is to be done. */
export type GapPlan =
  /** The node has all that the witness has confirmed of this timeline. */
  | { readonly kind: "nothing-to-add" }
  | { readonly kind: "fill"; readonly segments: readonly SegmentGap[] }
  /** They are not on the same timeline: the node missed a promotion that the witness has seen. */
  | { readonly kind: "diverged"; readonly at: Lsn }
  /** What lies between is held by neither. */
  | { readonly kind: "hole"; readonly from: Lsn; readonly to: Lsn };

/** Plans for a node that is on `timeline` and has WAL up to `flushed`. */
export function planGap(
  held: HeldWal | undefined,
  node: { readonly timeline: Timeline; readonly flushed: Lsn },
): GapPlan {
  // A witness that is still on an earlier timeline has confirmed nothing of this one.
  if (held === undefined || held.timeline < node.timeline) return { kind: "nothing-to-add" };
  if (held.timeline > node.timeline) return { kind: "diverged", at: node.flushed };
  if (held.flushedLsn <= node.flushed) return { kind: "nothing-to-add" };
  const { walSegmentBytes, rangeFrom, flushedLsn, timeline } = held;
  const first = segmentStart(node.flushed, walSegmentBytes);
  // The whole segment is needed, to be compared: a range always begins at the first byte of one.
  if (rangeFrom === undefined || rangeFrom > node.flushed) {
    return { kind: "hole", from: node.flushed, to: rangeFrom ?? flushedLsn };
  }
  const segments: SegmentGap[] = [];
  for (let start = first; start < flushedLsn; start = lsnAdd(start, walSegmentBytes)) {
    const equalTo = lsnMax(start, node.flushed);
    const writeFrom = segmentStart(equalTo, WAL_PAGE_BYTES);
    const to = lsnMin(flushedLsn, lsnAdd(start, walSegmentBytes));
    segments.push({
      segment: segmentName({ timeline, lsn: start, walSegmentBytes }),
      timeline,
      start,
      equalTo,
      writeFrom,
      to,
    });
  }
  return { kind: "fill", segments };
}
