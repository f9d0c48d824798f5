/**
 * How far a replica is behind. Pure.
 *
 * Nouns: a *position* is how far a server's WAL has come, in bytes; a replica is *behind* by the time between the newest look at a
 * primary and the newest one of which it has replayed all that was there.
 * Looks at a primary and at a replica are made by this process, so that no clock but its own is asked. While no primary is seen
 * nobody is further behind than when one was seen last: a failover makes no answer old.
 */
import type { Monotonic } from "../../src/platform/clock.ts";

/** What a look saw of a replica. */
export type ReplicaLook = {
  readonly at: Monotonic;
  readonly position: bigint;
  /** How long before the look the newest commit was made that it has replayed, by the two servers' clocks; undefined: none since its start. */
  readonly commitAgeMs: number | undefined;
};

/** Positions that are kept: longer than a key stays good while nobody can be asked. */
const KEPT_MS = 900_000;

type Seen = { at: Monotonic; readonly position: bigint };

/** Positions of the primary, whichever server it is, as they were seen. */
export class PrimaryPositions {
  /** Rising, in time and position. */
  readonly #seen: Seen[] = [];

  /** A primary was asked at `at`, and has come so far. */
  saw({ at, position }: { readonly at: Monotonic; readonly position: bigint }): void {
    // Another one, which lost what the one before had written last.
    while ((this.#seen.at(-1)?.position ?? 0n) > position) this.#seen.pop();
    const newest = this.#seen.at(-1);
    if (newest?.position === position) newest.at = at;
    else this.#seen.push({ at, position });
    while ((this.#seen[1]?.at ?? at) < at - KEPT_MS) this.#seen.shift();
  }

  /** By how much a replica is behind, at the least where it is further than is known. 0 as long as no primary was seen. */
  behindMs(replica: ReplicaLook): number {
    const newest = this.#seen.at(-1);
    const [oldest] = this.#seen;
    if (newest === undefined || oldest === undefined) return 0;
    const replayed = this.#seen.findLast(({ position }) => position <= replica.position);
    if (replayed !== undefined) return newest.at - replayed.at;
    const lastCommit = replica.commitAgeMs === undefined ? oldest.at : replica.at - replica.commitAgeMs;
    return newest.at - Math.min(oldest.at, lastCommit);
  }
}
