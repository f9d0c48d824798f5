/**
 * Where the primary's WAL ended at moments of the last hours, to say for how long a confirmer has been without something.
 *
 * Pure, but for its memory: times are handed in. Bounded: the older a sample, the wider apart they may be.
 */
import type { Monotonic } from "../platform/clock.ts";
import type { Lsn } from "../postgres/lsn.ts";

/** How long ago the oldest WAL that a confirmer lacks was there. */
export type SampledLag = {
  readonly ms: number;
  /** True when it lacks more than we have seen being written: it may be far behind. */
  readonly atLeast: boolean;
};

type Sample = { readonly atMs: number; readonly end: Lsn };

/** At one a second: all of the last minutes, then ever fewer; a day takes some 700. */
const SAMPLES_MAX = 1_024;
/** Samples may lie so far apart, as a share of their age: that is how exact an old lag is. */
const SPACING_SHARE = 1 / 64;

/** The memory. Of one primary on one timeline: another one begins anew. */
export class LagSamples {
  #samples: Sample[] = [];
  #source = "";

  /** Remembers that WAL ended at `end` at `at`. `source` names primary and timeline. */
  add(source: string, at: Monotonic, end: Lsn): void {
    if (source !== this.#source) this.#samples = [];
    this.#source = source;
    const last = this.#samples.at(-1);
    if (last !== undefined && end <= last.end) return;
    this.#samples.push({ atMs: at, end });
    if (this.#samples.length > SAMPLES_MAX) this.#thin(at);
  }

  /** How long a confirmer that is at `position` has been without what it lacks; undefined while nothing was ever seen. */
  lagOf(position: Lsn, now: Monotonic): SampledLag | undefined {
    if (this.#samples.length === 0) return undefined;
    const index = this.#samples.findIndex(({ end }) => end > position);
    const missing = this.#samples[index];
    if (missing === undefined) return { ms: 0, atLeast: false };
    return { ms: Math.max(0, now - missing.atMs), atLeast: index === 0 };
  }

  #thin(nowMs: number): void {
    const kept: Sample[] = [];
    for (const [index, sample] of this.#samples.entries()) {
      const before = kept.at(-1);
      const after = this.#samples[index + 1];
      const isNeeded =
        before === undefined || after === undefined || after.atMs - before.atMs > (nowMs - sample.atMs) * SPACING_SHARE;
      if (isNeeded) kept.push(sample);
    }
    // Without any progress by age, as with a clock that stands: the oldest go.
    this.#samples = kept.slice(-SAMPLES_MAX);
  }
}
