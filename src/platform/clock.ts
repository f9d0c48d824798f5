/**
 * Time, as a port.
 *
 * Nouns: an *instant* is wall-clock time in milliseconds since 1970, good for labels and for people, never for waiting; a
 * *monotonic* reading is milliseconds since an arbitrary start, good for durations and leases, meaningless elsewhere.
 * Invariant: the two never mix; nothing outside this folder asks the machine for the time.
 */
import { setTimeout as sleepFor } from "node:timers/promises";
import { LifeboatError } from "../errors/error.ts";

/** Wall-clock time, milliseconds since 1970-01-01 UTC. */
export type Instant = number & { readonly brand: "Instant" };

/** A reading of a clock that never goes back, milliseconds. */
export type Monotonic = number & { readonly brand: "Monotonic" };

/** The clock port. */
export interface Clock {
  /** The wall clock. */
  now(): Instant;
  /** The monotonic clock, with fractions of a millisecond. */
  monotonic(): Monotonic;
  /** Waits; rejects with `platform.aborted` as soon as the signal aborts. */
  sleep(durationMs: number, options: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now() as Instant,
  monotonic: () => performance.now() as Monotonic,
  sleep: async (durationMs, { signal }) => {
    try {
      await sleepFor(durationMs, undefined, signal === undefined ? {} : { signal });
    } catch (cause) {
      throw abortedError("waiting", cause);
    }
  },
};

/** Raises `platform.aborted` naming the step when the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, step: string): void {
  if (signal?.aborted === true) throw abortedError(step, signal.reason);
}

/** Resolves when the signal aborts; at once when it has. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The error of a stop on request; `step` says what was under way. */
export function abortedError(step: string, cause?: unknown): LifeboatError {
  return new LifeboatError("platform.aborted", {
    message: `stopped on request while ${step}`,
    remedy: "Run the same command again to carry on.",
    cause,
  });
}

/** ISO 8601 in UTC with milliseconds. */
export function formatInstant(instant: Instant): string {
  return new Date(instant).toISOString();
}
