/**
 * Buffers that a socket is read into, used again once what they held is consumed.
 *
 * Left to itself Node makes a buffer for every read. A base backup of 2 GiB then makes 33,000 of them outside the heap, and
 * collecting those costs a third of the backup's CPU time (docs/measurements.md).
 * Invariant: a buffer is in the pool or holds bytes that are still to be consumed, never both.
 */
import type { OnReadOpts } from "node:net";
import { assert } from "../../errors/error.ts";

/** What one read of the socket takes at most. */
const BUFFER_BYTES = 128 * 1024;

/** The reads of one socket. Bytes that arrive before somebody listens are a breach of the protocol and end in an assertion. */
export class ReadBuffers {
  readonly #free: Buffer[] = [];
  #listener: ((chunk: Buffer) => void) | undefined;

  /** Where a new socket gets its buffers from: the `onread` of net.connect. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES),
    callback: (length, bytes) => {
      assert(this.#listener !== undefined, "a session listens to its socket");
      // The same buffer that was given out above.
      this.#listener(Buffer.from(bytes.buffer as ArrayBuffer, 0, length));
      return true;
    },
  };

  /** Hands each chunk to `listener`, which gives it back with `release`. */
  listen(listener: (chunk: Buffer) => void): void {
    this.#listener = listener;
  }

  /** Takes a chunk back: nobody may look at it any more. */
  release(chunk: Buffer): void {
    assert(chunk.buffer.byteLength === BUFFER_BYTES, "a chunk of this pool comes back");
    this.#free.push(Buffer.from(chunk.buffer as ArrayBuffer));
  }
}
