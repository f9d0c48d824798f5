/**
 * The errors of this folder: what can be wrong with a whole feed. What is wrong with one row is a Rejection (offer.ts).
 */
import { LifeboatError } from "../../../src/errors/error.ts";

/** Each code with what a person can do; the registry says what it means. */
const REMEDIES = {
  "feed.not-text": "Ask the merchant for the feed in UTF-8.",
  "feed.malformed": "Tell the merchant: their export was cut or is faulty. Rows before the fault were taken.",
  "feed.forbidden-markup": "Ask the merchant for a feed without a DOCTYPE.",
  "feed.header-wrong": "Check that the source's format is that of the feed, and that its first line names the columns.",
  "feed.row-too-long": "Tell the merchant which row it is; look for a quote that is never closed.",
  "feed.too-large": "Ask the merchant to split the feed, and make a source of each part.",
  "feed.compression-broken": "Tell the merchant: the file was cut or is faulty.",
  "feed.not-found": "Check the source's location.",
  "feed.refused": "Check the source's location, and ask the merchant whether we may read it.",
  "feed.busy": "Nothing: the source is run again after the time that the server asked for.",
  "feed.unreachable": "Nothing, unless it lasts: the source is run again later.",
  "feed.too-slow": "Nothing, unless it lasts: the source is run again later.",
  "feed.redirected-wrongly": "Ask the merchant for the feed's own address and put it into the source.",
  "feed.place-wrong": "Correct the source's location.",
} as const;

/** What can be wrong with a whole feed. */
export type FeedFault = keyof typeof REMEDIES;

const RETRYABLE: ReadonlySet<FeedFault> = new Set(["feed.busy", "feed.unreachable", "feed.too-slow"]);

/** The error of a feed. `retryAfterMs` is how long the server asked us to stay away, and becomes a detail of that name. */
export function feedError(
  code: FeedFault,
  message: string,
  more: { readonly retryAfterMs?: number | undefined; readonly cause?: unknown } = {},
): LifeboatError {
  return new LifeboatError(code, {
    message,
    remedy: REMEDIES[code],
    retryable: RETRYABLE.has(code),
    cause: more.cause,
    ...(more.retryAfterMs === undefined ? {} : { details: { retryAfterMs: more.retryAfterMs } }),
  });
}
