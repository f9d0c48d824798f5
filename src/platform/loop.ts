/** Work that goes on, turn by turn, until it is stopped. */

/** A loop of one turn after another. Each paces itself, and keeps what fails to itself: a turn that rejects ends the loop. */
export class Loop {
  readonly #turn: (signal: AbortSignal) => Promise<void>;
  readonly #ended = new AbortController();
  #going: Promise<void> | undefined;

  constructor(turn: (signal: AbortSignal) => Promise<void>) {
    this.#turn = turn;
  }

  /** Aborts when the loop is to end. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Begins the first turn. Repeatable; after `stop` nothing begins. */
  start(): void {
    this.#going ??= this.#go();
  }

  /** Aborts the signal at once, and resolves when the turn under way has ended, rejecting as it did. Repeatable, also before `start`. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#going;
  }

  async #go(): Promise<void> {
    while (!this.signal.aborted) await this.#turn(this.signal);
  }
}
