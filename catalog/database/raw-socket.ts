/**
 * A connection's socket that keeps rows back from the driver.
 *
 * node-postgres makes a string of every value of every row as it comes. A *taker* gets the bodies of DataRow messages instead, while
 * it is set; all other messages, and all of them while there is none, reach the driver as they came. Source: PostgreSQL manual,
 * "Message Formats": one byte of kind, four of length, which counts itself.
 */
import { Socket } from "node:net";
import type { RawRow } from "./json-rows.ts";

const DATA_ROW = 0x44;
const HEAD_BYTES = 5;
const NOTHING = Buffer.alloc(0);

/** Only for a connection without TLS: there the driver reads from another stream. */
export class RawSocket extends Socket {
  /** Who gets rows. */
  taker: ((row: RawRow) => void) | undefined;
  /** The beginning of a message of which too little is there: of its head, or of a row that is taken. */
  #held: Buffer = NOTHING;
  /** What is still to come of a message that the driver gets. */
  #passing = 0;

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    const [chunk] = values;
    if (event === "data" && Buffer.isBuffer(chunk)) return this.#sort(chunk);
    return super.emit(event, ...values);
  }

  #sort(chunk: Buffer): boolean {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    let begin = 0;
    // Up to where the driver's part goes that is not handed over yet.
    let at = Math.min(this.#passing, bytes.length);
    this.#passing -= at;
    while (at + HEAD_BYTES <= bytes.length) {
      const next = at + 1 + bytes.readUInt32BE(at + 1);
      if (bytes[at] !== DATA_ROW || this.taker === undefined) {
        at = Math.min(next, bytes.length);
        this.#passing = next - at;
        continue;
      }
      this.#pass(bytes, begin, at);
      begin = at;
      // The driver may have ended what the rows are for.
      if (this.taker === undefined) continue;
      if (next > bytes.length) break;
      this.taker({ bytes, start: at + HEAD_BYTES });
      at = next;
      begin = next;
    }
    this.#pass(bytes, begin, at);
    if (at < bytes.length) this.#held = Buffer.from(bytes.subarray(at));
    return true;
  }

  #pass(bytes: Buffer, begin: number, end: number): void {
    if (begin < end) super.emit("data", begin === 0 && end === bytes.length ? bytes : bytes.subarray(begin, end));
  }
}
