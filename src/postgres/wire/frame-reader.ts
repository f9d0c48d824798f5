/**
 * Cuts the server's byte stream into messages.
 *
 * A message is a type byte, a length (4 bytes, counting itself) and a body. Bodies are copies, so a consumer may keep them;
 * pieces of a base backup are views of the chunks that came in and hold until the next call of `next`.
 * Source: PostgreSQL manual, "Message Formats".
 */
import { assert } from "../../errors/error.ts";
import { protocolError } from "./protocol-error.ts";

/**
 * The largest message taken whole. WAL comes in messages of at most 128 KiB and a base backup's in 32 KiB; history files and
 * error texts are smaller. A length beyond this is a broken stream, and must not make us gather gigabytes.
 */
export const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

/** CopyData, either direction. */
export const COPY_DATA = 0x64;
/** First byte of the CopyData messages that carry a base backup's bytes. */
const PAYLOAD_KIND = 0x64;

const HEADER_BYTES = 5;
/** Consumed chunks are dropped from the list in runs of this many, so that neither list nor shifting grows. */
const COMPACT_CHUNKS = 256;

/** A message, or (with `splitPayload`) a piece of a base backup's bytes in the order they came, valid until the next one. */
export type Frame =
  | { readonly kind: "message"; readonly type: number; readonly body: Buffer }
  | { readonly kind: "payload"; readonly view: Buffer };

/** Takes chunks in, gives messages out. Pure: no socket, no waiting. */
export class FrameReader {
  /**
   * When true, CopyData messages whose first byte is `d` are handed out in pieces as they lie in the chunks, without that
   * byte: a base backup's messages are half of them spread over two chunks, and joining them would copy for nothing.
   */
  splitPayload = false;
  #chunks: Buffer[] = [];
  #head = 0;
  #offset = 0;
  #queuedBytes = 0;
  #payloadBytes = 0;
  readonly #release: (chunk: Buffer) => void;
  /** Consumed, but the last view handed out may lie in them. */
  readonly #spent: Buffer[] = [];

  /** `release` gets each chunk back once nobody looks at it any more. */
  constructor(release: (chunk: Buffer) => void = () => undefined) {
    this.#release = release;
  }

  /** Chunks taken in and not yet consumed whole. */
  get queuedChunks(): number {
    return this.#chunks.length - this.#head;
  }

  /** Bytes taken in and not yet handed out. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Adds bytes, at least one. The chunk belongs to the reader from here on: nobody may write into it until it is released. */
  append(chunk: Buffer): void {
    assert(chunk.byteLength > 0, "a chunk holds bytes");
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.byteLength;
  }

  /** The next message, or undefined when more bytes are needed. Throws `postgres.protocol` on an impossible length. */
  next(): Frame | undefined {
    for (let chunk = this.#spent.pop(); chunk !== undefined; chunk = this.#spent.pop()) this.#release(chunk);
    if (this.#payloadBytes > 0) return this.#payloadPiece();
    if (this.#queuedBytes < HEADER_BYTES) return undefined;
    const type = this.#peek(0);
    const length = this.#peek(1) * 0x1000000 + this.#peek(2) * 0x10000 + this.#peek(3) * 0x100 + this.#peek(4);
    const bodyBytes = length - 4;
    if (bodyBytes < 0 || bodyBytes > MESSAGE_BYTES_MAX) throw badLength(type, length);
    if (this.splitPayload && type === COPY_DATA && bodyBytes > 0) {
      if (this.#queuedBytes < HEADER_BYTES + 1) return undefined;
      if (this.#peek(HEADER_BYTES) === PAYLOAD_KIND) {
        this.#skip(HEADER_BYTES + 1);
        this.#payloadBytes = bodyBytes - 1;
        return this.next();
      }
    }
    if (this.#queuedBytes < HEADER_BYTES + bodyBytes) return undefined;
    this.#skip(HEADER_BYTES);
    return { kind: "message", type, body: this.#take(bodyBytes) };
  }

  #payloadPiece(): Frame | undefined {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return undefined;
    const size = Math.min(this.#payloadBytes, chunk.byteLength - this.#offset);
    this.#payloadBytes -= size;
    const view = chunk.subarray(this.#offset, this.#offset + size);
    this.#skip(size);
    return { kind: "payload", view };
  }

  /** The byte at `index` from here; the caller has checked that it is there. */
  #peek(index: number): number {
    let position = this.#offset + index;
    for (let i = this.#head; ; i += 1) {
      const chunk = this.#chunks[i];
      if (chunk === undefined) return 0;
      if (position < chunk.byteLength) return chunk[position] ?? 0;
      position -= chunk.byteLength;
    }
  }

  #take(size: number): Buffer {
    const joined = Buffer.allocUnsafe(size);
    let filled = 0;
    while (filled < size) {
      const part = this.#chunks[this.#head];
      if (part === undefined) break;
      const length = Math.min(size - filled, part.byteLength - this.#offset);
      part.copy(joined, filled, this.#offset, this.#offset + length);
      filled += length;
      this.#skip(length);
    }
    return joined;
  }

  #skip(size: number): void {
    this.#queuedBytes -= size;
    this.#offset += size;
    for (;;) {
      const chunk = this.#chunks[this.#head];
      if (chunk === undefined || this.#offset < chunk.byteLength) break;
      this.#offset -= chunk.byteLength;
      this.#spent.push(chunk);
      this.#head += 1;
    }
    if (this.#head === this.#chunks.length || this.#head >= COMPACT_CHUNKS) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}

function badLength(type: number, length: number): Error {
  const name = type >= 0x20 && type < 0x7f ? `"${String.fromCharCode(type)}"` : `0x${type.toString(16)}`;
  return protocolError(
    `the server announced a message of type ${name} with length ${length}, allowed are 4 to ${MESSAGE_BYTES_MAX + 4}`,
  );
}
