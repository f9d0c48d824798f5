/** How often each reason was given. */

/** What a server says may be part of a reason, so the number of different ones is bounded. */
const REASONS_MAX = 100;

/** Where reasons are counted that came when there were REASONS_MAX others already. */
const MORE = "more";

/** Counts by reason. */
export class ReasonCounts {
  readonly #counts = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Counts one. */
  add(reason: string): void {
    const name = this.#counts.has(reason) || this.#counts.size < REASONS_MAX ? reason : MORE;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    this.#total += 1;
  }

  /** All counts so far. */
  report(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
