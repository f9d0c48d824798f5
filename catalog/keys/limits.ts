/** How often a caller may call: counted at redis, where all instances count together, else here. */
import type { Clock } from "../../src/platform/clock.ts";
import { MinuteCounts, WINDOW_MS } from "../../src/platform/minute-counts.ts";
import type { Redis } from "../cache/redis.ts";

/** A revoked key is told to all instances for longer than any of them remembers it as good. */
const REVOKED_MS = 3_600_000;
const CALLERS_MAX = 50_000;
const HOUR_MS = 60 * WINDOW_MS;

/** What a call came to. */
export type Allowance = {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the count begins anew. */
  readonly resetS: number;
  readonly isOver: boolean;
  readonly isRevoked: boolean;
};

/** Counts calls in windows of a minute, and some in those of an hour. */
export class Limits {
  readonly #redis: Redis | undefined;
  readonly #counts: MinuteCounts;
  readonly #hourCounts: MinuteCounts;

  constructor(clock: Clock, redis: Redis | undefined) {
    this.#redis = redis;
    this.#counts = new MinuteCounts(clock, CALLERS_MAX);
    this.#hourCounts = new MinuteCounts(clock, CALLERS_MAX, HOUR_MS);
  }

  /** Counts one call of `who`, a key's hash or an address; a name is counted in minutes or in hours, not in both. */
  async take(who: string, limit: number, per: "minute" | "hour" = "minute"): Promise<Allowance> {
    const [counts, windowMs] = per === "hour" ? [this.#hourCounts, HOUR_MS] : [this.#counts, WINDOW_MS];
    const { window, resetS } = counts.now();
    const here = counts.add(who);
    const shared = await this.#redis?.countAndGet(`lifeboat:calls:${who}:${window}`, {
      keepMs: 2 * windowMs,
      key: revokedKey(who),
    });
    const count = shared?.count ?? here;
    return {
      limit,
      remaining: Math.max(0, limit - count),
      resetS,
      isOver: count > limit,
      isRevoked: shared?.text !== undefined,
    };
  }

  /** Has every instance refuse this key from now on. */
  async revoke(hash: string): Promise<void> {
    await this.#redis?.set(revokedKey(hash), "1", REVOKED_MS);
  }
}

function revokedKey(who: string): string {
  return `lifeboat:revoked:${who}`;
}
