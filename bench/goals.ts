/**
 * What was promised, and whether a run keeps it. Pure.
 *
 * Nouns: a *goal* is a figure with a limit; a *verdict* says what was measured and whether it is within.
 */
import { percentile } from "./statistics.ts";

/** A full backup takes at most this much of pgBackRest's time (zst level 3, 2 processes). */
const WALL_RATIO_MAX = 0.8;
/** It stores at most this much of pgBackRest's bytes. */
const STORED_RATIO_MAX = 1.1;
/** Peak memory of the backup process. */
const PEAK_RSS_BYTES_MAX = 400 * 1024 ** 2;
/** Peak memory with four times the data, against without; a garbage collector is that inexact. */
const GROWTH_RATIO_MAX = 1.1;
/** From the server's flush to our confirmed one, against pg_receivewal --synchronous. */
const FLUSH_LAG_RATIO_MAX = 1.5;

/** What became of a goal. */
export type Verdict = {
  readonly goal: string;
  /** What was measured, with its unit. */
  readonly measured: string;
  readonly kept: boolean;
};

/** Verdicts on a backup against pgBackRest, from the ratios of each round. */
export function backupVerdicts(ratios: {
  readonly wall: readonly number[];
  readonly stored: readonly number[];
}): readonly Verdict[] {
  return [
    ratioVerdict(`wall time at most ${WALL_RATIO_MAX} of pgBackRest's`, ratios.wall, WALL_RATIO_MAX),
    ratioVerdict(`stored bytes at most ${STORED_RATIO_MAX} of pgBackRest's`, ratios.stored, STORED_RATIO_MAX),
  ];
}

/** The verdict on the highest peak of all runs, in bytes. */
export function memoryVerdict(peakBytes: readonly number[]): Verdict {
  const peak = Math.max(...peakBytes);
  return {
    goal: `peak memory below ${mib(PEAK_RSS_BYTES_MAX)}`,
    measured: `${mib(peak)} at most`,
    kept: peak < PEAK_RSS_BYTES_MAX,
  };
}

/** The verdict on the growth of the median peak, in bytes, from a base to one four times as large. */
export function growthVerdict(peakBytes: {
  readonly small: readonly number[];
  readonly large: readonly number[];
}): Verdict {
  const [small, large] = [percentile(peakBytes.small, 0.5), percentile(peakBytes.large, 0.5)];
  return {
    goal: `no more memory for four times the data (${GROWTH_RATIO_MAX} x at most)`,
    measured: `${mib(small)} to ${mib(large)}, ${(large / small).toFixed(2)} x`,
    kept: large / small <= GROWTH_RATIO_MAX,
  };
}

/** Verdicts on the time from the server's flush to our confirmed flush, from the ratios of each round. */
export function receiveVerdicts(ratios: {
  readonly median: readonly number[];
  readonly p99: readonly number[];
}): readonly Verdict[] {
  const goal = `at most ${FLUSH_LAG_RATIO_MAX} of pg_receivewal --synchronous's`;
  return [
    ratioVerdict(`flush lag by the median ${goal}`, ratios.median, FLUSH_LAG_RATIO_MAX),
    ratioVerdict(`flush lag at p99 ${goal}`, ratios.p99, FLUSH_LAG_RATIO_MAX),
  ];
}

function ratioVerdict(goal: string, ratios: readonly number[], max: number): Verdict {
  const median = percentile(ratios, 0.5);
  return { goal, measured: `${median.toFixed(2)} x`, kept: median <= max };
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}
