/**
 * Sockets for node-postgres: what it cannot read breaks the connection, and not the process.
 *
 * It reads in a listener of the socket. There it throws at what it does not know (a server that asks for GSSAPI, another program on
 * the port), which nobody can catch; and it reads a report of an error for ever that does not end within its message. Both were found
 * by giving it mutated bytes. Source: PostgreSQL manual, "Message Formats", "Error and Notice Message Fields".
 */
import { Socket } from "node:net";

/** Makes of what was thrown what the connection fails with. */
export type Explain = (thrown: unknown) => Error;

/** The socket, which fails with what a listener of `data` throws at what came, and before it gets what it would not come back from. */
export function guarded<S extends Socket>(socket: S, explain: Explain = asError): S {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...values: unknown[]) => boolean;
  const messages = new Messages();
  const guard = (event: string | symbol, ...values: unknown[]): boolean => {
    if (event !== "data") return emit(event, ...values);
    try {
      const [bytes] = values;
      if (Buffer.isBuffer(bytes)) messages.follow(bytes);
      return emit(event, ...values);
    } catch (thrown) {
      socket.destroy(explain(thrown));
      return true;
    }
  };
  return Object.assign(socket, { emit: guard });
}

/** One that is not connected yet. */
export function guardedSocket(explain: Explain = asError): Socket {
  return guarded(new Socket(), explain);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The type of a message and its length, which counts itself. */
const HEAD_BYTES = 5;
const LENGTH_BYTES = 4;
/** Whatever a server makes is below 1 GiB, and it refuses to send more. Source: PostgreSQL source, MaxAllocSize. */
const LENGTH_MAX = 0x3fff_ffff + LENGTH_BYTES;
const ERROR = 0x45;
const NOTICE = 0x4e;

/** Where in a report the next byte stands: it has none, a field's name, a field's text, or behind its end. */
const NO_REPORT = 0;
const NAME = 1;
const TEXT = 2;
const ENDED = 3;

/** Follows a server's messages from one to the next. Throws at one that cannot be one. */
class Messages {
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  #left = 0;
  #place: typeof NO_REPORT | typeof NAME | typeof TEXT | typeof ENDED = NO_REPORT;

  follow(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        if (this.#place !== NO_REPORT) this.#read(bytes, at, end);
        this.#left -= end - at;
        at = end;
        this.#checkEnd();
      } else if (this.#headBytes === 0 && at + HEAD_BYTES <= bytes.length) {
        this.#begin(bytes, at);
        at += HEAD_BYTES;
      } else {
        const end = Math.min(bytes.length, at + HEAD_BYTES - this.#headBytes);
        this.#headBytes += bytes.copy(this.#head, this.#headBytes, at, end);
        at = end;
        if (this.#headBytes === HEAD_BYTES) this.#begin(this.#head, 0);
      }
    }
  }

  #begin(head: Buffer, at: number): void {
    this.#headBytes = 0;
    const type = head[at];
    const length = head.readUInt32BE(at + 1);
    if (length < LENGTH_BYTES || length > LENGTH_MAX) throw new Error(`a message claims ${length} bytes`);
    this.#left = length - LENGTH_BYTES;
    this.#place = type === ERROR || type === NOTICE ? NAME : NO_REPORT;
    this.#checkEnd();
  }

  /** A report is fields, each of a byte and a text that ends with zero, and a zero. */
  #read(bytes: Buffer, from: number, end: number): void {
    for (let at = from; at < end && this.#place !== ENDED; at += 1) {
      const isZero = bytes[at] === 0;
      if (this.#place === NAME) this.#place = isZero ? ENDED : TEXT;
      else if (isZero) this.#place = NAME;
    }
  }

  #checkEnd(): void {
    if (this.#left === 0 && (this.#place === NAME || this.#place === TEXT)) {
      throw new Error("a report of an error does not end within its message");
    }
  }
}
