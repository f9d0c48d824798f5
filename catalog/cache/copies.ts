/**
 * Answers kept for a while.
 *
 * Nouns: a *copy* is an answer as it was sent, with its ETag and the moment it was made; it is *fresh* for a soft time, and may
 * be given after that, marked as stale, only when there is no newer one to be had, until a hard time; each copy's times are
 * shortened at random, so that copies made together do not end together.
 * Invariants: one call loads what many wait for; a copy whose age nobody knows, since the clock by which it was made was ahead, serves nobody; a cache that fails is a cache without the copy, never an error; memory is
 * bounded by bytes; a write never empties the cache, copies end by their age.
 */
import { hash } from "node:crypto";

/** A copy. */
export type Copy = {
  /** JSON in UTF-8, made once, however often it is sent. */
  readonly body: Buffer;
  readonly etag: string;
  /** Wall clock, milliseconds. */
  readonly madeAt: number;
  readonly freshUntil: number;
  readonly usableUntil: number;
};

/** Clocks of two instances differ by less. What says that it was made later than that from now is from a clock that was ahead. */
const AHEAD_MAX_MS = 2_000;

/** Whether a copy is to be given as it is. */
export function isFresh({ madeAt, freshUntil }: Copy, now: number): boolean {
  return madeAt <= now + AHEAD_MAX_MS && freshUntil > now;
}

/** Whether it may be given, marked as stale, where nothing newer is to be had. */
export function isUsable({ madeAt, usableUntil }: Copy, now: number): boolean {
  return madeAt <= now + AHEAD_MAX_MS && usableUntil > now;
}

/** How long a copy serves. */
export type CopyTimes = { readonly softMs: number; readonly hardMs: number };

/** Makes a copy of an answer. What is in it shortens its times by up to a fifth: chance enough, and none to draw. */
export function copyOf(body: Buffer, at: { readonly now: number; readonly times: CopyTimes }): Copy {
  const digest = hash("sha1", body, "base64url");
  const share = 1 - (0.2 * (digest.charCodeAt(0) % 16)) / 15;
  return {
    body,
    etag: `"${digest}"`,
    madeAt: at.now,
    freshUntil: at.now + at.times.softMs * share,
    usableUntil: at.now + at.times.hardMs * share,
  };
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

/** All but the body is an estimate. */
function sizeOf(key: string, copy: Copy): number {
  return copy.body.length + key.length + 200;
}

/** A copy as text, and back. */
export function encodeCopy({ body, etag, madeAt, freshUntil, usableUntil }: Copy): string {
  return `1 ${etag} ${madeAt} ${freshUntil} ${usableUntil}\n${body.toString()}`;
}

/** What can stand in a header. */
const ETAG = /^"[\x21\x23-\x7e]{1,200}"$/;

/** Undefined for anything that is no copy of ours. */
export function decodeCopy(encoded: string): Copy | undefined {
  const end = encoded.indexOf("\n");
  const [version, etag, ...times] = encoded.slice(0, end).split(" ");
  const [madeAt = Number.NaN, freshUntil = Number.NaN, usableUntil = Number.NaN] = times.map(Number);
  if (version !== "1" || etag === undefined || !ETAG.test(etag)) return undefined;
  if (![madeAt, freshUntil, usableUntil].every(Number.isFinite)) return undefined;
  return { body: Buffer.from(encoded.slice(end + 1)), etag, madeAt, freshUntil, usableUntil };
}
