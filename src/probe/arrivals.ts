/**
 * The operations that wait for a connection: first come, first served, bounded in number and in time.
 */
import type { Clock, Monotonic } from "../platform/clock.ts";

/** What the probe does. */
export type OperationKind = "write" | "read";

/** An operation whose time has come; writes and reads are numbered apart, each from one. */
export type Arrival = { readonly kind: OperationKind; readonly sequence: number; readonly dueAt: Monotonic };

/** Why an operation left the queue unsent. */
export type Expiry = "overload" | "deadline";

/** At four hundred operations a second these are 25 seconds of outage without a deadline. */
const WAITING_MAX = 10_000;

/** The queue. `expired` is called for operations that will not be sent. */
export class ArrivalQueue {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #expired: (arrival: Arrival, why: Expiry) => void;
  #waiting: Arrival[] = [];
  #head = 0;
  readonly #takers: ((arrival: Arrival | undefined) => void)[] = [];

  constructor(
    clock: Clock,
    options: { readonly deadlineMs: number; readonly expired: (arrival: Arrival, why: Expiry) => void },
  ) {
    this.#clock = clock;
    this.#deadlineMs = options.deadlineMs;
    this.#expired = options.expired;
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head;
  }

  /** Adds an operation, or hands it to who waits for one. */
  add(arrival: Arrival): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) taker(arrival);
    else if (this.waitingCount >= WAITING_MAX) this.#expired(arrival, "overload");
    else this.#waiting.push(arrival);
  }

  /** The next operation that still has time; undefined once the signal aborts. */
  take(signal: AbortSignal): Promise<Arrival | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    this.dropExpired();
    const next = this.#shift();
    if (next !== undefined) return Promise.resolve(next);
    return new Promise((resolve) => {
      const taker = (arrival: Arrival | undefined): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(arrival);
      };
      const onAbort = (): void => {
        this.#takers.splice(this.#takers.indexOf(taker), 1);
        resolve(undefined);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#takers.push(taker);
    });
  }

  /** Gives up the operations that have waited too long. */
  dropExpired(): void {
    const oldest = this.#clock.monotonic() - this.#deadlineMs;
    for (let next = this.#waiting[this.#head]; next !== undefined && next.dueAt <= oldest; ) {
      this.#shift();
      this.#expired(next, "deadline");
      next = this.#waiting[this.#head];
    }
  }

  #shift(): Arrival | undefined {
    const next = this.#waiting[this.#head];
    if (next === undefined) return undefined;
    this.#head += 1;
    // Cut off what was taken once in a while, not each time: shifting an array of thousands is slow.
    if (this.#head >= 1_000 || this.#head === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }
}
