/**
 * What callers send, while it comes.
 *
 * Invariants: all that has come and is not whole keeps BYTES_MAX at most, and of one address ADDRESS_BYTES_MAX, so that nobody's
 * unfinished requests keep others out; one that sends nothing more keeps nothing.
 */
import type { IncomingMessage } from "node:http";

/** A batch of 200 offers with long descriptions. */
export const BODY_BYTES_MAX = 2 * 1024 * 1024;
/** Thirty of the largest. */
const BYTES_MAX = 64 * 1024 * 1024;
/** Eight of them. */
const ADDRESS_BYTES_MAX = 16 * 1024 * 1024;

/** What came of a body. */
export type Body =
  /** Longer than BODY_BYTES_MAX when it is too long: the rest of it is thrown away. */
  | { readonly kind: "whole"; readonly bytes: Buffer<ArrayBuffer> }
  /** There is no room for more of its sender's. */
  | { readonly kind: "full" }
  /** Its sender went away in the middle. */
  | { readonly kind: "gone" };

/** All that are coming. */
export class Bodies {
  #bytes = 0;
  readonly #of = new Map<string, number>();

  /** Reads one. Never rejects. */
  async read(incoming: IncomingMessage, address: string): Promise<Body> {
    const chunks: Buffer[] = [];
    let taken = 0;
    const body = await new Promise<Body>((resolve) => {
      const whole = (): void => resolve({ kind: "whole", bytes: Buffer.concat(chunks) });
      let isOver = false;
      // Also when its end is not waited for: who is still sending hears the answer behind it.
      incoming.on("data", (chunk: Buffer) => {
        if (isOver) return;
        isOver = !this.#take(address, chunk.byteLength);
        if (isOver) return resolve({ kind: "full" });
        taken += chunk.byteLength;
        chunks.push(chunk);
        isOver = taken > BODY_BYTES_MAX;
        if (isOver) whole();
      });
      incoming.once("end", whole);
      incoming.once("error", () => resolve({ kind: "gone" }));
      incoming.once("close", () => resolve({ kind: "gone" }));
    });
    this.#give(address, taken);
    return body;
  }

  #take(address: string, bytes: number): boolean {
    const of = (this.#of.get(address) ?? 0) + bytes;
    if (of > ADDRESS_BYTES_MAX || this.#bytes + bytes > BYTES_MAX) return false;
    this.#of.set(address, of);
    this.#bytes += bytes;
    return true;
  }

  #give(address: string, bytes: number): void {
    const left = (this.#of.get(address) ?? 0) - bytes;
    if (left > 0) this.#of.set(address, left);
    else this.#of.delete(address);
    this.#bytes -= bytes;
  }
}
