/** How often a caller may call: counted at redis, where all instances count together, else here. */
import type { Clock } from "../../src/platform/clock.ts";
import type { Redis } from "../cache/redis.ts";

const WINDOW_MS = 60_000;
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
  readonly #clock: Clock;
  readonly #redis: Redis | undefined;
  readonly #counts = new Map<string, number>();
  #window = 0;

  constructor(clock: Clock, redis: Redis | undefined) {
    this.#clock = clock;
    this.#redis = redis;
  }

  /** Counts one call of `who`, a key's hash or an address. */
  async take(who: string, limit: number): Promise<Allowance> {
    const now = this.#clock.now();
    const window = Math.floor(now / WINDOW_MS);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts.clear();
    }
    const resetS = Math.ceil(((window + 1) * WINDOW_MS - now) / 1_000);
    const here = (this.#counts.get(who) ?? 0) + 1;
    if (this.#counts.size < CALLERS_MAX || here > 1) this.#counts.set(who, here);
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
