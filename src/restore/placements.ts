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
  /** Of each chunk, where in the order its placements begin; one more behind the last. */
  #firstOf = new Uint32Array(0);
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

  /** Sorts by chunk; those of one chunk keep their order. */
  seal(): void {
    const last = this.#chunk.reduce((highest, chunk) => Math.max(highest, chunk), -1);
    const firstOf = new Uint32Array(last + 2);
    for (const chunk of this.#chunk) firstOf[chunk + 1] = (firstOf[chunk + 1] ?? 0) + 1;
    for (let chunk = 0; chunk <= last; chunk += 1)
      firstOf[chunk + 1] = (firstOf[chunk + 1] ?? 0) + (firstOf[chunk] ?? 0);
    const next = firstOf.slice();
    const order = new Uint32Array(this.#chunk.length);
    for (const [index, chunk] of this.#chunk.entries()) {
      const place = next[chunk] ?? 0;
      order[place] = index;
      next[chunk] = place + 1;
    }
    this.#order = order;
    this.#firstOf = firstOf;
  }

  /** All chunks that anything is placed from, in order. */
  get chunks(): readonly number[] {
    const chunks: number[] = [];
    for (let chunk = 0; chunk + 1 < this.#firstOf.length; chunk += 1) {
      if ((this.#firstOf[chunk] ?? 0) < (this.#firstOf[chunk + 1] ?? 0)) chunks.push(chunk);
    }
    return chunks;
  }

  /** The placements of one chunk. */
  *of(chunk: number): Generator<Placement> {
    assert(this.#order !== undefined, "placements are asked for after the table is sealed");
    for (let place = this.#firstOf[chunk] ?? 0; place < (this.#firstOf[chunk + 1] ?? 0); place += 1) {
      const index = this.#order[place] ?? 0;
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
