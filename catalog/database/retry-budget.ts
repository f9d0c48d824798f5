/** How much may be tried a second time. */
import type { Clock } from "../../src/platform/clock.ts";

/** The share of recent calls that may be repeated: enough for a burst of failures, too little to double the load. */
const SHARE = 0.2;
/** So many are free in each window: an instance that is rarely called may repeat what fails. */
const FLOOR = 20;
const WINDOW_MS = 10_000;

/** Counts calls and repetitions over ten seconds, in two halves. */
export class RetryBudget {
  readonly #clock: Clock;
  #begunAt: number;
  #now = { calls: 0, repeats: 0 };
  #before = { calls: 0, repeats: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begunAt = clock.monotonic();
  }

  /** A call was made. */
  count(): void {
    this.#turn();
    this.#now.calls += 1;
  }

  /** Whether one may be repeated; true takes it from the budget. */
  take(): boolean {
    this.#turn();
    const calls = this.#now.calls + this.#before.calls;
    if (this.#now.repeats + this.#before.repeats >= FLOOR + calls * SHARE) return false;
    this.#now.repeats += 1;
    return true;
  }

  #turn(): void {
    const halves = Math.floor((this.#clock.monotonic() - this.#begunAt) / (WINDOW_MS / 2));
    if (halves === 0) return;
    this.#before = halves === 1 ? this.#now : { calls: 0, repeats: 0 };
    this.#now = { calls: 0, repeats: 0 };
    this.#begunAt += halves * (WINDOW_MS / 2);
  }
}
