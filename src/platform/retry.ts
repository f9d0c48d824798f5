/**
 * Trying again, in one place.
 *
 * Nouns: an *attempt* is one run of the work; the *delay* before the next one doubles from the shortest to the longest,
 * each time shortened at random by up to a half so that many callers do not come back together.
 * Invariants: attempts and delays are bounded by the policy; a permanent failure is never tried again; an abort ends
 * the waiting at once.
 */
import { assert } from "../errors/error.ts";
import { type Clock, throwIfAborted } from "./clock.ts";
import type { RandomSource } from "./random.ts";

/** How often and how soon. */
export type RetryPolicy = {
  /** Infinity only for a service, which tries for as long as it runs. */
  readonly attemptsMax: number;
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
};

/** What the work learns of its attempt. */
export type Attempt = {
  /** From 1. */
  readonly number: number;
  /** Says that the attempt got somewhere: after its failure the count of attempts and the delay begin anew. */
  progressed(): void;
};

/** What is told of a failed attempt. */
export type FailedAttempt = {
  readonly error: unknown;
  /** How long until the next attempt; undefined when there will be none. */
  readonly delayMs: number | undefined;
};

/** What a retry needs to know of its work. */
export type RetryOptions = {
  readonly signal?: AbortSignal | undefined;
  /** True for a failure that no repetition mends. */
  readonly permanent: (error: unknown) => boolean;
  readonly failed?: (attempt: FailedAttempt) => void;
};

/** Runs `work` until it succeeds. Rejects with its last failure, or with `platform.aborted`. */
export async function retry<T>(
  tools: { readonly clock: Clock; readonly random: RandomSource },
  policy: RetryPolicy,
  work: (attempt: Attempt) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  assert(policy.attemptsMax >= 1 && policy.delayMinMs <= policy.delayMaxMs, "a retry policy allows an attempt");
  let failures = 0;
  for (;;) {
    throwIfAborted(options.signal, "trying again");
    let progressed = false;
    const attempt = {
      number: failures + 1,
      progressed: () => {
        progressed = true;
      },
    };
    try {
      return await work(attempt);
    } catch (error) {
      failures = progressed ? 1 : failures + 1;
      const last = failures >= policy.attemptsMax || options.permanent(error) || options.signal?.aborted === true;
      const delayMs = last ? undefined : delayOf(policy, failures, tools.random);
      options.failed?.({ error, delayMs });
      if (delayMs === undefined) throw error;
      await tools.clock.sleep(delayMs, { signal: options.signal });
    }
  }
}

function delayOf(policy: RetryPolicy, failures: number, random: RandomSource): number {
  // 2^30 times any delay is beyond every longest one, and stays an exact number.
  const full = Math.min(policy.delayMaxMs, policy.delayMinMs * 2 ** Math.min(failures - 1, 30));
  return full * (0.5 + random(2).readUInt16LE(0) / 0x20000);
}
