/**
 * Who may act on the primary role, and until when.
 *
 * Nouns: an *epoch* is the ever-growing number that says who may act; a *claim* asks for it; a *term* is an epoch as the
 * lease store granted it, to be renewed; a *lease* is a term as its holder sees it, with a *deadline*.
 * Invariants:
 * - An epoch is granted once, and is greater than every epoch granted before and than the floor that its claim names (so
 *   that a lease store that was set back cannot grant one again that others have already seen).
 * - A holder's deadline comes before the lease store lets anybody else in. It counts from the moment *before* the renewal was
 *   asked for, on the holder's own monotonic clock, with a margin for clocks that run unlike.
 * - A holder that cannot renew is no holder from its deadline on, whatever the reason: a slow or dead store, a stalled event
 *   loop, a process that was halted. It finds out by looking at the clock just before each act.
 * - A lease tells when to stop and fences nobody: an act on its way may arrive late. So every act carries the epoch, and what
 *   it acts on refuses older ones.
 */
import { LifeboatError } from "../errors/error.ts";
import type { Clock, Instant, Monotonic } from "../platform/clock.ts";

/** Says who may act; see above. Whole, from 1. */
export type Epoch = number & { readonly brand: "Epoch" };

/** Before the first epoch: nothing was ever granted. */
export const NO_EPOCH = 0 as Epoch;

type CallOptions = { readonly signal?: AbortSignal | undefined };

/** Who asks, and which epochs are known to have been used. */
export type Claim = {
  /** For people: host, process and what it does. */
  readonly holder: string;
  /** The greatest epoch that the claimant has seen anywhere: in its journal, at the receiver, at the pooler. */
  readonly floor: Epoch;
};

/** What a lease store answers a claim. */
export type ClaimAnswer =
  | { readonly kind: "granted"; readonly epoch: Epoch; readonly term: Term }
  | { readonly kind: "held"; readonly by: Holding };

/** Who has the lease, as far as the lease store tells. */
export type Holding = { readonly holder: string; readonly epoch: Epoch };

/** An epoch as it was granted. */
export interface Term {
  /** Nobody else is let in for so long after a grant or renewal was asked for. */
  readonly durationMs: number;
  /** `lost`: the term has ended for good. Rejects with `lease.store-failed` when the lease store cannot tell. */
  renew(options: CallOptions): Promise<"renewed" | "lost">;
  /** Lets others in at once. Repeatable. Rejects with `lease.store-failed`; the term then ends by itself. */
  end(options: CallOptions): Promise<void>;
}

/** The port: where leases are granted, by compare-and-swap. Files of this machine, etcd, memory. */
export interface LeaseStore {
  /** For messages. */
  readonly name: string;
  /** How long a term lasts, as a rule: after so long whoever held before acts no more. */
  readonly durationMs: number;
  /**
   * Grants the next epoch where nobody holds one; never waits for who does. Rejects with `lease.store-failed`: the epoch may
   * then have been granted and is used by nobody.
   */
  claim(claim: Claim, options: CallOptions): Promise<ClaimAnswer>;
}

/**
 * A clock runs at most so much slower than the lease store's: a hundred times what NTP corrects by slewing, and what is left
 * covers the store's own granularity.
 */
const DRIFT_SHARE = 0.05;

/** A holder renews when so much of its time is left, and has the rest to notice that it cannot. */
const RENEW_SHARE = 0.66;

/** What a lease needs. */
export type LeaseTools = { readonly clock: Clock; readonly store: LeaseStore };

/** What came of a claim. */
export type LeaseAnswer =
  | { readonly kind: "holder"; readonly lease: Lease }
  | { readonly kind: "held"; readonly by: Holding };

/** A term as its holder sees it. */
export class Lease {
  readonly epoch: Epoch;
  readonly #tools: LeaseTools;
  readonly #term: Term;
  #deadline: Monotonic;
  #wallDeadline: Instant;
  #lost = false;
  #renewing: Promise<void> | undefined;

  private constructor(tools: LeaseTools, granted: { readonly epoch: Epoch; readonly term: Term }, asked: Asked) {
    this.#tools = tools;
    this.epoch = granted.epoch;
    this.#term = granted.term;
    this.#deadline = asked.at;
    this.#wallDeadline = asked.wall;
    this.#extend(asked);
  }

  /** Claims once. Rejects as `LeaseStore.claim`. */
  static async claim(tools: LeaseTools, claim: Claim, options: CallOptions): Promise<LeaseAnswer> {
    const asked = askedNow(tools.clock);
    const answer = await tools.store.claim(claim, options);
    return answer.kind === "held" ? answer : { kind: "holder", lease: new Lease(tools, answer, asked) };
  }

  /** Until when its holder may act. */
  get deadline(): Monotonic {
    return this.#deadline;
  }

  /** How long a renewal counts at most. */
  get durationMs(): number {
    return this.#term.durationMs;
  }

  /** True once the lease store has said that the term has ended. */
  get isLost(): boolean {
    return this.#lost;
  }

  /** Whether an act that is begun now and takes at most `actMs` ends before anybody else may act. */
  holds(actMs = 0): boolean {
    const { clock } = this.#tools;
    if (this.#lost) return false;
    // A machine that slept: its monotonic clock slept with it. The wall clock may also have been set, which costs a renewal.
    return clock.monotonic() + actMs < this.#deadline && clock.now() + actMs < this.#wallDeadline;
  }

  /** Throws `lease.lost` unless it holds. Call it with nothing in between just before each act. */
  check(actMs = 0): void {
    if (this.holds(actMs)) return;
    throw new LifeboatError("lease.lost", {
      message: `epoch ${this.epoch} of ${this.#tools.store.name} ${this.#lost ? "has ended" : "was not renewed in time"}: nothing is done under it any more`,
      remedy: "Another controller may be at work: see `lifeboat failover --check-only`.",
      details: { epoch: this.epoch },
    });
  }

  /** As `check`, having asked the lease store first where too little time is left. Rejects with `lease.lost`. */
  async ensure(actMs: number, options: CallOptions): Promise<void> {
    if (!this.holds(actMs) && !this.#lost) await this.renew(options);
    this.check(actMs);
  }

  /** Renews once; what fails only leaves the deadline where it is. Never rejects but with `platform.aborted`. */
  async renew(options: CallOptions): Promise<void> {
    // One at a time: who comes meanwhile waits for the one under way.
    this.#renewing ??= this.#renewOnce(options).finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  /** Renews for as long as it can; returns when the term has ended, or with the signal. A service runs it. */
  async keep(options: { readonly signal: AbortSignal }): Promise<void> {
    const { clock } = this.#tools;
    while (!this.#lost && !options.signal.aborted) {
      const left = this.#deadline - clock.monotonic();
      const untilRenewal = left - this.#term.durationMs * RENEW_SHARE;
      await clock.sleep(Math.max(untilRenewal, RENEW_PAUSE_MS), options).catch(() => undefined);
      if (!options.signal.aborted) await this.renew(options).catch(() => undefined);
    }
  }

  /** Gives it up: nothing is done under it from now on. Repeatable; never rejects. */
  async end(): Promise<void> {
    this.#lost = true;
    // Where the store is away, the term ends by itself.
    await this.#term.end({}).catch(() => undefined);
  }

  async #renewOnce(options: CallOptions): Promise<void> {
    const asked = askedNow(this.#tools.clock);
    let answer: "renewed" | "lost";
    try {
      answer = await this.#term.renew(options);
    } catch {
      // Not renewed: the deadline stays, and passes.
      return;
    }
    if (answer === "lost") this.#lost = true;
    else this.#extend(asked);
  }

  #extend(asked: Asked): void {
    const goodMs = this.#term.durationMs * (1 - DRIFT_SHARE);
    this.#deadline = Math.max(this.#deadline, asked.at + goodMs) as Monotonic;
    // Not the greater of both: a wall clock that was set back has made the earlier one too late.
    this.#wallDeadline = (asked.wall + goodMs) as Instant;
  }
}

/** Between two attempts to renew when the lease store refuses at once. */
const RENEW_PAUSE_MS = 50;

type Asked = { readonly at: Monotonic; readonly wall: Instant };

function askedNow(clock: Clock): Asked {
  return { at: clock.monotonic(), wall: clock.now() };
}

/** The next epoch after all that are known. */
export function nextEpoch(...known: readonly Epoch[]): Epoch {
  return (Math.max(...known) + 1) as Epoch;
}

/** The error of a lease store that did not tell. */
export function storeFailed(name: string, what: string, cause?: unknown): LifeboatError {
  return new LifeboatError("lease.store-failed", {
    message: `the lease store ${name} ${what}`,
    remedy: "Without it nobody may act on the primary role: see that it runs and can be reached from here.",
    retryable: true,
    cause,
  });
}
