/** Simulated WAL: records with positions. What two servers share is the same object; equal positions prove nothing. */

/** A record. `write` is the number of the client's write that it commits; 0: something else. */
export type WalRecord = {
  readonly start: number;
  readonly end: number;
  readonly timeline: number;
  readonly write: number;
};

/** Bytes of a segment: a few dozen records. */
export const SEGMENT_BYTES = 2_000;

/** End of the last record that is whole at a position. */
export function wholeEnd(records: readonly WalRecord[], position: number): number {
  for (let index = records.length - 1; index >= 0; index -= 1) {
    const record = records[index];
    if (record !== undefined && record.end <= position) return record.end;
  }
  return 0;
}

/** Index of the first record that begins at or after a position. */
export function firstFrom(records: readonly WalRecord[], position: number): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const record = records[middle];
    if (record !== undefined && record.start < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Drops what begins at or after a position; a record that it cuts in two stays, to be cut where it is read. */
export function cutAt(records: WalRecord[], position: number): void {
  records.length = firstFrom(records, position);
}

/** The first byte of the segment that holds a position. */
export function segmentOf(position: number): number {
  return position - (position % SEGMENT_BYTES);
}

/**
 * Where two copies differ, as far as both go; undefined when they do not. Compared from a position on that lies in both.
 */
export function differAt(
  ours: { readonly records: readonly WalRecord[]; readonly end: number },
  theirs: { readonly records: readonly WalRecord[]; readonly end: number },
  from: number,
): number | undefined {
  const end = Math.min(ours.end, theirs.end);
  let a = firstFrom(ours.records, from);
  let b = firstFrom(theirs.records, from);
  for (;;) {
    const [mine, other] = [ours.records[a], theirs.records[b]];
    const mineIn = mine !== undefined && mine.start < end;
    const otherIn = other !== undefined && other.start < end;
    if (!mineIn && !otherIn) return undefined;
    if (mine !== other) return Math.min(mine?.start ?? end, other?.start ?? end);
    a += 1;
    b += 1;
  }
}

/** Appends what another copy has between two positions, and returns nothing twice. */
export function copyOnto(
  records: WalRecord[],
  source: readonly WalRecord[],
  range: { readonly from: number; readonly to: number },
): void {
  for (let index = firstFrom(source, range.from); index < source.length; index += 1) {
    const record = source[index];
    if (record === undefined || record.start >= range.to) return;
    const last = records[records.length - 1];
    if (last === undefined || record.start > last.start) records.push(record);
  }
}
