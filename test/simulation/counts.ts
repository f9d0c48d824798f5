/** How often each fault occurred, and each cut between two steps. */

/** Counts by name. */
export class Counts {
  readonly #counts = new Map<string, number>();
  readonly #tell: (what: () => string) => void;

  constructor(tell: (what: () => string) => void) {
    this.#tell = tell;
  }

  note(name: string): void {
    this.#tell(() => name);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  get all(): ReadonlyMap<string, number> {
    return this.#counts;
  }
}
