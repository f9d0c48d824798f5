/**
 * A seeded source of pseudo-random numbers: the same seed and stream give the same numbers on every machine.
 * Not for secrets.
 */

/** Numbers of one stream. `restart` begins another, so that row n can be drawn without drawing the rows before it. */
export class Prng {
  #state = 0;
  #step = 1;

  constructor(seed: number, stream = 0) {
    this.restart(seed, stream);
  }

  /** Begins the stream of this number. Streams of one seed do not run into each other: each has its own odd step. */
  restart(seed: number, stream: number): void {
    const mixed = scramble(scramble(seed ^ 0x6c1f_e5a7) ^ Math.imul(stream, 0x9e37_79b1));
    this.#state = mixed;
    this.#step = scramble(mixed ^ stream) | 1;
  }

  /** An unsigned 32-bit number. */
  next(): number {
    this.#state = (this.#state + this.#step) | 0;
    return scramble(this.#state) >>> 0;
  }

  /** A fraction from 0, never 1. */
  fraction(): number {
    return this.next() / 0x1_0000_0000;
  }

  /** A whole number from 0, less than `limit`. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit);
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const value = list[this.below(list.length)];
    if (value === undefined) throw new RangeError("nothing to pick from an empty list");
    return value;
  }
}

/** Spreads every bit of a 32-bit number over all others; one to one. */
export function scramble(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
  return mixed ^ (mixed >>> 15);
}
