/** Counts by name, in windows that begin together, of a minute unless another length is said; so many names have room in each. */
import type { Clock } from "./clock.ts";

/** How long a window is, unless it is said. */
export const WINDOW_MS = 60_000;

/** See above. */
export class MinuteCounts {
  readonly #clock: Clock;
  readonly #namesMax: number;
  readonly #windowMs: number;
  readonly #counts = new Map<string, number>();
  #window = -1;

  constructor(clock: Clock, namesMax: number, windowMs = WINDOW_MS) {
    this.#clock = clock;
    this.#namesMax = namesMax;
    this.#windowMs = windowMs;
  }

  /** Which window it is, and the seconds until the next one begins. */
  now(): { readonly window: number; readonly resetS: number } {
    const now = this.#clock.now();
    const window = Math.floor(now / this.#windowMs);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts.clear();
    }
    return { window, resetS: Math.ceil(((window + 1) * this.#windowMs - now) / 1_000) };
  }

  /** How often it was counted in this window; undefined for one that there is no room for. */
  of(who: string): number | undefined {
    this.now();
    return this.#counts.get(who) ?? (this.#counts.size < this.#namesMax ? 0 : undefined);
  }

  /** Counts it; returns how often now. One that there is no room for stays at 1. */
  add(who: string): number {
    const before = this.of(who);
    const count = (before ?? 0) + 1;
    if (before !== undefined) this.#counts.set(who, count);
    return count;
  }
}
