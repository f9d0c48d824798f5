/** A clock that stands still until a test moves it. */
import { abortedError, type Clock, type Instant, type Monotonic } from "../../src/platform/clock.ts";

/** 2026-01-01, so that printed times are the same in every run. */
const START_MS = Date.UTC(2026, 0, 1);

/** Moved by `advance`; who sleeps wakes in the order of their times. */
export class ManualClock implements Clock {
  #elapsedMs = 0;
  #wallShiftMs = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): Instant {
    return (START_MS + this.#elapsedMs + this.#wallShiftMs) as Instant;
  }

  monotonic(): Monotonic {
    return this.#elapsedMs as Monotonic;
  }

  sleep(durationMs: number, { signal }: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(abortedError("waiting", signal.reason));
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#elapsedMs + durationMs, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener(
        "abort",
        () => {
          this.#sleepers = this.#sleepers.filter((each) => each !== sleeper);
          reject(abortedError("waiting", signal.reason));
        },
        { once: true },
      );
    });
  }

  /** Moves both clocks on, and wakes whose time has come. */
  async advance(durationMs: number): Promise<void> {
    const end = this.#elapsedMs + durationMs;
    for (;;) {
      const next = this.#sleepers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((each) => each !== next);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.at);
      next.wake();
      await settled();
    }
    this.#elapsedMs = end;
    await settled();
  }

  /** Sets the wall clock forward, or back with a negative number. */
  setWall(byMs: number): void {
    this.#wallShiftMs += byMs;
  }
}

/** Returns when what was woken has come to its next wait, as long as that is on no disk or socket. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
