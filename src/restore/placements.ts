/**
 * Which parts of which chunks go where, in flat arrays: a terabyte has millions of them.
 */
import { assert } from "../errors/error.ts";

/** `length` bytes of a chunk, from byte `from` on, go to byte `to` of a file. */
export type Placement = {
  readonly chunk: number;
  readonly file: number;
  readonly to: number;
  readonly from: number;
  readonly length: number;
};

/** Filled first, then sealed, then asked. */
export class PlacementTable {
  readonly #chunk: number[] = [];
  readonly #file: number[] = [];
  readonly #to: number[] = [];
  readonly #from: number[] = [];
  readonly #length: number[] = [];
  #order: Uint32Array | undefined;
  #chunks: readonly number[] = [];
  #firstOf = new Map<number, number>();
  #totalBytes = 0;

  /** Bytes of all placements. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  add(placement: Placement): void {
    assert(this.#order === undefined, "placements are added before the table is sealed");
    this.#chunk.push(placement.chunk);
    this.#file.push(placement.file);
    this.#to.push(placement.to);
    this.#from.push(placement.from);
    this.#length.push(placement.length);
    this.#totalBytes += placement.length;
  }

  /** Adds the pieces of a file of bytes, which follow one another in the file. */
  addPieces(file: number, pieces: readonly number[]): void {
    let to = 0;
    for (let at = 0; at < pieces.length; at += 3) {
      const [chunk = 0, from = 0, length = 0] = pieces.slice(at, at + 3);
      this.add({ chunk, file, to, from, length });
      to += length;
    }
  }

  /** Sorts by chunk. */
  seal(): void {
    const order = new Uint32Array(this.#chunk.length);
    for (let index = 0; index < order.length; index += 1) order[index] = index;
    order.sort((a, b) => (this.#chunk[a] ?? 0) - (this.#chunk[b] ?? 0) || a - b);
    const chunks: number[] = [];
    for (const [place, index] of order.entries()) {
      const chunk = this.#chunk[index] ?? 0;
      if (this.#firstOf.has(chunk)) continue;
      this.#firstOf.set(chunk, place);
      chunks.push(chunk);
    }
    this.#order = order;
    this.#chunks = chunks;
  }

  /** All chunks that anything is placed from. */
  get chunks(): readonly number[] {
    return this.#chunks;
  }

  /** The placements of one chunk. */
  *of(chunk: number): Generator<Placement> {
    assert(this.#order !== undefined, "placements are asked for after the table is sealed");
    for (let place = this.#firstOf.get(chunk) ?? this.#order.length; place < this.#order.length; place += 1) {
      const index = this.#order[place] ?? 0;
      if (this.#chunk[index] !== chunk) return;
      yield {
        chunk,
        file: this.#file[index] ?? 0,
        to: this.#to[index] ?? 0,
        from: this.#from[index] ?? 0,
        length: this.#length[index] ?? 0,
      };
    }
  }
}
