/** Sets of sequence numbers, as ranges: an outage leaves long runs of them, and a report of it is one line. */

/** The first and the last of a run of numbers. */
export type SequenceRange = readonly [first: number, last: number];

/** So many ranges take half a megabyte of a report; only operations that end well and badly by turns for long come to more. */
const RANGES_MAX = 20_000;

/** A set that grows. Numbers come in nearly rising order. */
export class Sequences {
  readonly #ranges: [number, number][] = [];
  #leftOutCount = 0;

  /** Numbers that began a range when there were RANGES_MAX already: they are in the set and not in its ranges. */
  get leftOutCount(): number {
    return this.#leftOutCount;
  }

  /** Adds a number that is not in it. */
  add(sequence: number): void {
    const at = firstAfter(this.#ranges, sequence);
    const [before, after] = [this.#ranges[at - 1], this.#ranges[at]];
    const touchesBefore = before?.[1] === sequence - 1;
    const touchesAfter = after?.[0] === sequence + 1;
    if (touchesBefore && touchesAfter) {
      before[1] = after[1];
      this.#ranges.splice(at, 1);
    } else if (touchesBefore) before[1] = sequence;
    else if (touchesAfter) after[0] = sequence;
    else if (this.#ranges.length < RANGES_MAX) this.#ranges.splice(at, 0, [sequence, sequence]);
    else this.#leftOutCount += 1;
  }

  /** Its ranges, rising. */
  report(): readonly SequenceRange[] {
    return this.#ranges.map(([first, last]) => [first, last]);
  }
}

/** Whether rising ranges hold a number. */
export function rangesHold(ranges: readonly SequenceRange[], sequence: number): boolean {
  const range = ranges[firstAfter(ranges, sequence) - 1];
  return range !== undefined && sequence <= range[1];
}

/** Index of the first range that begins after a number. */
function firstAfter(ranges: readonly SequenceRange[], sequence: number): number {
  let [from, to] = [0, ranges.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((ranges[middle]?.[0] ?? 0) <= sequence) from = middle + 1;
    else to = middle;
  }
  return from;
}
