/**
 * A feed as it was got: from a file or over HTTP, unchanged or as bytes.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { isLifeboatError } from "../../../src/errors/error.ts";
import { feedError } from "./feed-error.ts";

/** What a server (or a file system) gave with a feed, by which the same feed is known again. */
export type Validators = { readonly etag?: string | undefined; readonly lastModified?: string | undefined };

/** What was got. `chunks` can be gone through once; stopping early breaks the connection off. */
export type FetchedFeed =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "changed";
      readonly validators: Validators;
      readonly chunks: AsyncIterable<Uint8Array>;
      /**
       * Asked when all was read: whether something beside the rows told that this was the end. A server that tells no length ends an answer by
       * closing, and so does one that dies in the middle.
       */
      readonly endIsTold: () => boolean;
    };

/** Bytes of a feed after decompression: a merchant with two million offers of 1 KB each. */
export const FEED_BYTES_MAX = 2 * 1024 ** 3;

/** Longest validator that is kept: servers' are some tens of characters, and it goes into a header again. */
const VALIDATOR_CHARACTERS_MAX = 256;

/** A validator fit to be stored and sent; undefined for one that is not. */
export function fitValidator(text: string | null | undefined): string | undefined {
  return text && text.length <= VALIDATOR_CHARACTERS_MAX && /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/**
 * The bytes of a feed: what begins like gzip is decompressed, whatever its name or its server says. Raises
 * `feed.compression-broken`, `feed.too-large`, and what `chunks` raises.
 */
export async function* expanded(
  chunks: AsyncIterable<Uint8Array>,
  {
    bytesMax = FEED_BYTES_MAX,
    onCompressed = () => undefined,
  }: {
    readonly bytesMax?: number | undefined;
    /** Told before the first byte of what knows its own end. */
    readonly onCompressed?: (() => void) | undefined;
  } = {},
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    // A chunk may be a single byte.
    let head = Buffer.alloc(0);
    while (head.byteLength < 2) {
      const next = await iterator.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const whole = prefixed(head, iterator);
    const isCompressed = head[0] === 0x1f && head[1] === 0x8b;
    if (isCompressed) onCompressed();
    const plain = isCompressed ? gunzipped(whole) : whole;
    let bytes = 0;
    for await (const chunk of plain) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) throw feedError("feed.too-large", `the feed has more than ${bytesMax} bytes`);
      yield chunk;
    }
  } finally {
    await iterator.return?.();
  }
}

async function* prefixed(head: Buffer, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.byteLength > 0) yield head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function* gunzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const feeding = pipeline(Readable.from(chunks), gunzip);
  // Its failure also ends the iteration below, where it is told; here it only must not go unheard.
  const failure = feeding.then(
    () => undefined,
    (error: unknown) => error,
  );
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    const first = (await failure) ?? error;
    if (isLifeboatError(first)) throw first;
    throw feedError("feed.compression-broken", `the feed cannot be decompressed: ${String(first)}`, { cause: first });
  } finally {
    gunzip.destroy();
  }
}
