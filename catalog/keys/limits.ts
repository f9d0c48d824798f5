/** How often a caller may call: counted at redis, where all instances count together, else here. */
import type { Clock } from "../../src/platform/clock.ts";
import { MinuteCounts, WINDOW_MS } from "../../src/platform/minute-counts.ts";
import type { Redis } from "../cache/redis.ts";

/** A revoked key is told to all instances for longer than any of them remembers it as good. */
const REVOKED_MS = 3_600_000;
const CALLERS_MAX = 50_000;

/** What a call came to. */
export type Allowance = {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the count begins anew. */
  readonly resetS: number;
  readonly isOver: boolean;
  readonly isRevoked: boolean;
};

/** Counts calls in windows of a minute. */
export class Limits {
  readonly #redis: Redis | undefined;
  readonly #counts: MinuteCounts;

  constructor(clock: Clock, redis: Redis | undefined) {
    this.#redis = redis;
    this.#counts = new MinuteCounts(clock, CALLERS_MAX);
  }

  /** Counts one call of `who`, a key's hash or an address. */
  async take(who: string, limit: number): Promise<Allowance> {
    const { window, resetS } = this.#counts.now();
    const here = this.#counts.add(who);
    const shared = await this.#redis?.countAndGet(`lifeboat:calls:${who}:${window}`, {
      keepMs: 2 * WINDOW_MS,
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
