/**
 * Answers kept for a while.
 *
 * Nouns: a *copy* is an answer as it was sent, with its ETag and the moment it was made; it is *fresh* for a soft time, and may
 * be given after that, marked as stale, only when there is no newer one to be had, until a hard time; each copy's times are
 * shortened at random, so that copies made together do not end together.
 * Invariants: one call loads what many wait for; a cache that fails is a cache without the copy, never an error; memory is
 * bounded by bytes; a write never empties the cache, copies end by their age.
 */
import { createHash } from "node:crypto";

/** A copy. */
export type Copy = {
  /** JSON text. */
  readonly text: string;
  readonly etag: string;
  /** Wall clock, milliseconds. */
  readonly madeAt: number;
  readonly freshUntil: number;
  readonly usableUntil: number;
};

/** How long a copy serves. */
export type CopyTimes = { readonly softMs: number; readonly hardMs: number };

/** Makes a copy of an answer; `chance` from 0 to 1 shortens its times by up to a fifth. */
export function copyOf(
  text: string,
  at: { readonly now: number; readonly times: CopyTimes; readonly chance: number },
): Copy {
  const share = 1 - 0.2 * at.chance;
  return {
    text,
    etag: etagOf(text),
    madeAt: at.now,
    freshUntil: at.now + at.times.softMs * share,
    usableUntil: at.now + at.times.hardMs * share,
  };
}

/** The strong ETag of an answer. */
export function etagOf(text: string): string {
  return `"${createHash("sha1").update(text).digest("base64url")}"`;
}

/** Copies in this process: those used longest ago go first. */
export class MemoryCopies {
  readonly #bytesMax: number;
  readonly #copies = new Map<string, Copy>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How many there are. */
  get size(): number {
    return this.#copies.size;
  }

  /** The copy of a key. */
  get(key: string): Copy | undefined {
    const copy = this.#copies.get(key);
    if (copy === undefined) return undefined;
    this.#copies.delete(key);
    this.#copies.set(key, copy);
    return copy;
  }

  /** Keeps a copy, unless it is larger than a tenth of all. */
  put(key: string, copy: Copy): void {
    this.delete(key);
    const bytes = sizeOf(key, copy);
    if (bytes > this.#bytesMax / 10) return;
    this.#copies.set(key, copy);
    this.#bytes += bytes;
    for (const oldest of this.#copies.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.delete(oldest);
    }
  }

  /** Forgets a copy. */
  delete(key: string): void {
    const copy = this.#copies.get(key);
    if (copy === undefined) return;
    this.#copies.delete(key);
    this.#bytes -= sizeOf(key, copy);
  }
}

/** Texts are kept as they are, a byte a character for most; the rest is an estimate. */
function sizeOf(key: string, copy: Copy): number {
  return copy.text.length + key.length + 200;
}

/** A copy as text, and back. */
export function encodeCopy({ text, etag, madeAt, freshUntil, usableUntil }: Copy): string {
  return `1 ${etag} ${madeAt} ${freshUntil} ${usableUntil}\n${text}`;
}

/** Undefined for anything that is no copy of ours. */
export function decodeCopy(encoded: string): Copy | undefined {
  const end = encoded.indexOf("\n");
  const [version, etag, ...times] = encoded.slice(0, end).split(" ");
  const [madeAt, freshUntil, usableUntil] = times.map(Number);
  if (version !== "1" || etag === undefined || madeAt === undefined || freshUntil === undefined) return undefined;
  if (usableUntil === undefined || !Number.isFinite(usableUntil)) return undefined;
  return { text: encoded.slice(end + 1), etag, madeAt, freshUntil, usableUntil };
}
