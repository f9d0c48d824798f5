/**
 * What is dated by a clock that was wrong.
 *
 * Nouns: a backup or a proof is *dated ahead* when it ended at a time that has not come yet, by more than clocks differ.
 * Invariant: one that is dated ahead is the newest only where there is no other: it hides none that comes after it.
 */
import type { Instant } from "../platform/clock.ts";

/** Machines that keep time agree to a second; further ahead is a clock that was set wrong, here or there. */
const AHEAD_MS_MAX = 300_000;

/** True for a time that only a wrong clock can have told. */
export function isAhead(endedMs: number, now: Instant): boolean {
  return endedMs - now > AHEAD_MS_MAX;
}

/** How far ahead of now a time lies; undefined for one that can be believed. */
export function aheadMs(endedAt: string, now: Instant): number | undefined {
  const endedMs = Date.parse(endedAt);
  return isAhead(endedMs, now) ? endedMs - now : undefined;
}

/** The newest of those that can be believed, else of all; undefined when there are none. They are given oldest first. */
export function newestOf<T extends { readonly endedAt: string }>(dated: readonly T[], now: Instant): T | undefined {
  return dated.findLast(({ endedAt }) => aheadMs(endedAt, now) === undefined) ?? dated.at(-1);
}
