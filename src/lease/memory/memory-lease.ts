/**
 * Leases in memory, for tests and simulations: one *shelf* is what all claimants share, each with the shelf's own clock.
 */
import { abortedError, type Clock, type Monotonic } from "../../platform/clock.ts";
import { type Epoch, type LeaseStore, NO_EPOCH, nextEpoch, type Term } from "../lease.ts";

type Entry = { readonly epoch: Epoch; readonly holder: string; expiresAt: Monotonic };

/** What claimants share. */
export class LeaseShelf {
  readonly #clock: Clock;
  readonly #durationMs: number;
  #last: Epoch = NO_EPOCH;
  #entry: Entry | undefined;

  constructor(clock: Clock, durationMs: number) {
    this.#clock = clock;
    this.#durationMs = durationMs;
  }

  /** What a claimant asks. */
  store(): LeaseStore {
    return {
      name: "memory",
      durationMs: this.#durationMs,
      claim: async ({ holder, floor }, { signal }) => {
        if (signal?.aborted === true) throw abortedError("claiming an epoch", signal.reason);
        const held = this.#live();
        if (held !== undefined) return { kind: "held", by: { holder: held.holder, epoch: held.epoch } };
        const epoch = nextEpoch(floor, this.#last);
        this.#last = epoch;
        const entry = { epoch, holder, expiresAt: this.#expiry() };
        this.#entry = entry;
        return { kind: "granted", epoch, term: this.#term(entry) };
      },
    };
  }

  /** As a store that was restored from a backup: it has forgotten all of it. */
  forget(): void {
    this.#last = NO_EPOCH;
    this.#entry = undefined;
  }

  #term(entry: Entry): Term {
    return {
      durationMs: this.#durationMs,
      renew: async () => {
        if (this.#live() !== entry) return "lost";
        entry.expiresAt = this.#expiry();
        return "renewed";
      },
      end: async () => {
        if (this.#entry === entry) this.#entry = undefined;
      },
    };
  }

  #live(): Entry | undefined {
    return this.#entry !== undefined && this.#clock.monotonic() < this.#entry.expiresAt ? this.#entry : undefined;
  }

  #expiry(): Monotonic {
    return (this.#clock.monotonic() + this.#durationMs) as Monotonic;
  }
}
