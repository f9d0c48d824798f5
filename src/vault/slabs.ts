/**
 * Gathers the bytes of an object in buffers that are used again by the next.
 *
 * A pack is some hundred sealed chunks. Kept one by one until the pack is stored they are garbage of 32 MiB a pack, outside
 * the heap, where it is dearest to collect; copied here they die young.
 * Invariant: a slab belongs to one gathering, or is free.
 */
import { assert } from "../errors/error.ts";

/** Long enough for one write of a disk store each. */
const SLAB_BYTES = 1024 * 1024;

/** The free slabs of one writer. */
export class SlabPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  /** Takes back what nobody looks at any more. */
  release(slabs: readonly Buffer[]): void {
    this.#free.push(...slabs);
  }
}

/** The bytes of one object, in order. */
export class Gathering {
  readonly #pool: SlabPool;
  #slabs: Buffer[] = [];
  #sizeBytes = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Adds bytes, copied. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const fill = this.#sizeBytes % SLAB_BYTES;
      if (fill === 0) this.#slabs.push(this.#pool.take());
      const slab = this.#slabs.at(-1);
      assert(slab !== undefined, "there is a slab to fill");
      const length = Math.min(SLAB_BYTES - fill, bytes.byteLength - at);
      slab.set(bytes.subarray(at, at + length), fill);
      this.#sizeBytes += length;
      at += length;
    }
  }

  /** The bytes so far. The views hold until `release`. */
  parts(): readonly Uint8Array[] {
    const last = this.#slabs.length - 1;
    return this.#slabs.map((slab, index) =>
      index < last ? slab : slab.subarray(0, this.#sizeBytes - last * SLAB_BYTES),
    );
  }

  /** Gives the slabs back, once nobody looks at the parts any more. */
  release(): void {
    this.#pool.release(this.#slabs);
    this.#slabs = [];
  }
}
