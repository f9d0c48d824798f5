/**
 * Feeds that a merchant's server gives.
 *
 * A feed that the server says is unchanged is not fetched again. Redirects are followed a few times, and never from https
 * to http or to anything else, nor from an address of the public internet to one of a private network, where only a source itself may lie; an address with a password in it is refused, since it would end up in logs.
 */
import { isLifeboatError, type LifeboatError } from "../../../src/errors/error.ts";
import { abortedError, type Clock, throwIfAborted } from "../../../src/platform/clock.ts";
import { errnoOf } from "../../../src/platform/errno.ts";
import { type Network, PrivateAddress, systemNetwork } from "../../../src/platform/public-address.ts";
import { startTimer } from "../../../src/platform/timer.ts";
import { feedError } from "./feed-error.ts";
import { type FeedAnswer, requestFeed } from "./feed-request.ts";
import { expanded, type FetchedFeed, fitValidator, type Validators } from "./fetched.ts";

/** Where a feed of a server is, and what is known of it. */
export type HttpFeed = {
  readonly location: string;
  readonly known: Validators;
  readonly limits?: Partial<HttpLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: the machine's. */
  readonly network?: Network | undefined;
};

/** How long and how much. */
export type HttpLimits = {
  /** Until the answer's head is there; of each request. */
  readonly headTimeoutMs: number;
  /** Between two pieces of the body. */
  readonly idleTimeoutMs: number;
  /** From the first request to the last byte. */
  readonly wholeTimeoutMs: number;
  readonly redirectsMax: number;
  /** After decompression. */
  readonly bytesMax: number;
};

/** The defaults: a feed of 2 GB at 4 MB/s takes nine minutes; a server that says nothing for 30 s will not. */
const LIMITS: HttpLimits = {
  headTimeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  wholeTimeoutMs: 15 * 60_000,
  redirectsMax: 5,
  bytesMax: 2 * 1024 ** 3,
};

/** So that a merchant can tell whose requests these are. */
const USER_AGENT = "buywhere-feeds/1.0";

/** A server that asks for more is heeded up to here: a day later it is asked again. */
const RETRY_AFTER_MAX_MS = 24 * 60 * 60_000;

/**
 * Gets a feed over HTTP. Rejects with `feed.place-wrong`, `feed.not-found`, `feed.refused`, `feed.busy`, `feed.unreachable`,
 * `feed.too-slow`, `feed.redirected-wrongly`, `feed.too-large`, `platform.aborted`; reading on may, too.
 */
export async function fetchHttp(clock: Clock, feed: HttpFeed): Promise<FetchedFeed> {
  throwIfAborted(feed.signal, `reading ${feed.location}`);
  const limits = { ...LIMITS, ...feed.limits };
  const guard = new Guard(feed, limits);
  try {
    const response = await follow(feed, limits, guard);
    if (response.status === 304) {
      guard.end();
      return { kind: "unchanged" };
    }
    refuseStatus(response, feed.location, clock);
    if (Number(response.headers["content-length"] ?? 0) > limits.bytesMax) {
      throw feedError("feed.too-large", `${feed.location} says that it has more than ${limits.bytesMax} bytes`);
    }
    const validators = {
      etag: fitValidator(response.headers.etag),
      lastModified: fitValidator(response.headers["last-modified"]),
    };
    let { endIsTold } = response;
    const onCompressed = (): void => {
      endIsTold = true;
    };
    const chunks = expanded(body(response, guard, limits), { ...limits, onCompressed });
    return { kind: "changed", validators, chunks, endIsTold: () => endIsTold };
  } catch (cause) {
    guard.end();
    throw guard.explain(cause);
  }
}

async function follow(feed: HttpFeed, limits: HttpLimits, guard: Guard): Promise<FeedAnswer> {
  const { network = systemNetwork } = feed;
  const headers = headersOf(feed.known);
  let address = addressOf(feed.location);
  // A merchant may not have us ask what only we can reach; a source of a private network may lead on within it.
  let mustBePublic = false;
  for (let redirects = 0; ; redirects += 1) {
    guard.wait(limits.headTimeoutMs);
    const response = await requestFeed(address, { headers, network, mustBePublic, signal: guard.signal });
    const next = response.headers.location;
    if (![301, 302, 303, 307, 308].includes(response.status) || next === undefined) return response;
    response.cancel();
    mustBePublic ||= response.isPublic;
    if (redirects >= limits.redirectsMax) {
      throw feedError("feed.redirected-wrongly", `${feed.location} redirects more than ${limits.redirectsMax} times`);
    }
    address = redirected(address, next);
  }
}

function addressOf(location: string): URL {
  const address = URL.canParse(location) ? new URL(location) : undefined;
  if (address === undefined || !isFetched(address)) {
    throw feedError("feed.place-wrong", `${location} is no http or https address without a password in it`);
  }
  return address;
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const lowered = to !== undefined && from.protocol === "https:" && to.protocol !== "https:";
  if (to === undefined || lowered || !isFetched(to)) {
    throw feedError("feed.redirected-wrongly", `${from.href} redirects to ${location.slice(0, 200)}`);
  }
  return to;
}

function isFetched(address: URL): boolean {
  return ["http:", "https:"].includes(address.protocol) && address.username === "" && address.password === "";
}

function headersOf(known: Validators): Record<string, string> {
  return {
    "user-agent": USER_AGENT,
    accept: "*/*",
    ...(known.etag === undefined ? {} : { "if-none-match": known.etag }),
    ...(known.lastModified === undefined ? {} : { "if-modified-since": known.lastModified }),
  };
}

function refuseStatus(response: FeedAnswer, location: string, clock: Clock): void {
  const { status } = response;
  if (status === 200) return;
  const said = `${location} answers ${status}`;
  if (status === 404 || status === 410) throw feedError("feed.not-found", said);
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw feedError("feed.busy", said, { retryAfterMs: retryAfter(response.headers["retry-after"], clock) });
  }
  throw feedError("feed.refused", said);
}

/** Seconds, or a moment. */
function retryAfter(text: string | undefined, clock: Clock): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - clock.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS) : undefined;
}

async function* body(response: FeedAnswer, guard: Guard, limits: HttpLimits): AsyncGenerator<Uint8Array> {
  try {
    guard.wait(limits.idleTimeoutMs);
    for await (const chunk of response.chunks) {
      // The clock of the server stands still while we work on what it sent.
      guard.rest();
      yield chunk;
      guard.wait(limits.idleTimeoutMs);
    }
  } catch (cause) {
    throw guard.explain(cause);
  } finally {
    guard.end();
  }
}

/** Breaks a request off: when asked to, when the whole takes too long, when the next piece does. */
class Guard {
  readonly #location: string;
  readonly #outer: AbortSignal | undefined;
  readonly #stop = new AbortController();
  readonly #cancelWhole: () => void;
  #cancelWait = (): void => undefined;
  #slow: LifeboatError | undefined;

  constructor(feed: HttpFeed, limits: HttpLimits) {
    this.#location = feed.location;
    this.#outer = feed.signal;
    this.#outer?.addEventListener("abort", this.#onAbort, { once: true });
    this.#cancelWhole = startTimer(limits.wholeTimeoutMs, () => this.#expire(limits.wholeTimeoutMs, "it all"));
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Something must come within this time. */
  wait(timeoutMs: number): void {
    this.#cancelWait();
    this.#cancelWait = startTimer(timeoutMs, () => this.#expire(timeoutMs, "more"));
  }

  rest(): void {
    this.#cancelWait();
  }

  end(): void {
    this.#cancelWait();
    this.#cancelWhole();
    this.#outer?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort();
  }

  /** The error for what made the request fail. */
  explain(cause: unknown): unknown {
    if (this.#outer?.aborted === true) return abortedError(`reading ${this.#location}`, this.#outer.reason);
    if (this.#slow !== undefined) return this.#slow;
    if (isLifeboatError(cause)) return cause;
    if (cause instanceof PrivateAddress) {
      return feedError("feed.redirected-wrongly", `${this.#location} redirects: ${cause.message}`, { cause });
    }
    const errno = errnoOf(cause);
    // Of a name with several addresses none of which answers, Node says the errno alone.
    const inner = cause instanceof Error && cause.message !== "" ? cause.message : (errno ?? String(cause));
    if (errno?.startsWith("Z_") === true || errno?.startsWith("ERR__ERROR_FORMAT") === true) {
      return feedError("feed.compression-broken", `${this.#location} cannot be decompressed: ${inner}`, { cause });
    }
    return feedError("feed.unreachable", `${this.#location} cannot be read: ${inner}`, { cause });
  }

  readonly #onAbort = (): void => this.#stop.abort();

  #expire(timeoutMs: number, what: string): void {
    this.#slow ??= feedError("feed.too-slow", `${this.#location} did not give ${what} within ${timeoutMs} ms`);
    this.#stop.abort();
  }
}
