/** When a source is due again. Pure. */

/** A merchant whose feed fails is asked again after a minute at the most, then two, four: up to six hours. */
const BACK_OFF_MIN_MS = 60_000;
const BACK_OFF_MAX_MS = 6 * 60 * 60_000;
/** Sources that began together do not stay together. */
const JITTER = 0.1;

/** What the next time depends on. `chance` is from 0, never 1. */
export type DueFacts = {
  readonly intervalMs: number;
  /** Failures in a row, this one too; 0 after a success. */
  readonly failures: number;
  /** What the server asked for. */
  readonly retryAfterMs?: number | undefined;
  readonly chance: number;
};

/**
 * Milliseconds until the next run. After failures any time up to the back-off's (full jitter), so that sources that failed
 * together come back spread; never before the time that the server asked for, and never later than the interval where that is
 * longer than the back-off.
 */
export function nextDueMs({ intervalMs, failures, retryAfterMs = 0, chance }: DueFacts): number {
  if (failures === 0) return Math.max(retryAfterMs, intervalMs * (1 - JITTER * chance));
  const longest = Math.min(BACK_OFF_MIN_MS * 2 ** Math.min(failures - 1, 20), BACK_OFF_MAX_MS);
  return Math.max(retryAfterMs, Math.max(1, longest * chance));
}
