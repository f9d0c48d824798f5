/** Work that is done some at a time, in the order in which it comes. */
export class Lane {
  readonly #width: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(width: number, waitingMax: number) {
    this.#width = width;
    this.#waitingMax = waitingMax;
  }

  /** Does it when it is its turn; undefined when too much waits, and nothing is done. Rejects as the work does. */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#busy < this.#width) this.#busy += 1;
    else {
      if (this.#waiting.length >= this.#waitingMax) return undefined;
      // Whoever is done hands its place on.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy -= 1;
      else next();
    }
  }
}
