/** The operations that ended last, so that a window which is dated back has what ended since. */
import type { Monotonic } from "../platform/clock.ts";
import type { WindowEnd } from "./window.ts";

/** Whoever says when a fault came knows it within seconds. */
const RECENT_MS = 60_000;
/** A minute of 1,600 operations a second, in some 15 MB; of more, a shorter time. */
const RECENT_MAX = 100_000;

/** Keeps them, in the order in which they came. */
export class RecentEnds {
  #ends: WindowEnd[] = [];
  #first = 0;
  #completeSince: Monotonic;

  constructor(beganAt: Monotonic) {
    this.#completeSince = beganAt;
  }

  /** Everything that ended after this moment is kept. */
  get completeSince(): Monotonic {
    return this.#completeSince;
  }

  /** An operation has ended. */
  add(end: WindowEnd): void {
    this.#ends.push(end);
    for (let oldest = this.#ends[this.#first]; oldest !== undefined; oldest = this.#ends[this.#first]) {
      const isFull = this.#ends.length - this.#first > RECENT_MAX;
      if (!isFull && end.endedAt - oldest.endedAt <= RECENT_MS) break;
      this.#completeSince = Math.max(this.#completeSince, oldest.endedAt) as Monotonic;
      this.#first += 1;
    }
    // Taken off in halves: one at a time would move all the others each time.
    if (this.#first * 2 <= this.#ends.length) return;
    this.#ends = this.#ends.slice(this.#first);
    this.#first = 0;
  }

  /** Those that ended after a moment. */
  since(moment: Monotonic): readonly WindowEnd[] {
    return this.#ends.slice(this.#first).filter(({ endedAt }) => endedAt > moment);
  }
}
